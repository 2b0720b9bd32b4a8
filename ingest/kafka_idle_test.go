package ingest_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
)

// following is a reader that is read all the time.
type following struct {
	stream.Reader
	rows chan string
	stop context.CancelFunc
	done chan struct{}
}

// follow reads a partition until the test or stop ends it.
func follow(t *testing.T, s *ingest.Kafka, partition int32) *following {
	t.Helper()
	r, err := s.Open(t.Context(), partition, stream.FromStart)
	if err != nil {
		t.Fatal(err)
	}
	f := &following{Reader: r, rows: make(chan string, 1000)}
	f.begin(t)
	t.Cleanup(func() {
		f.end()
		r.Close()
	})
	return f
}

func (f *following) begin(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	f.stop, f.done = stop, make(chan struct{})
	go func() {
		defer close(f.done)
		var b stream.Batch
		for f.Read(ctx, &b) == nil {
			for i := range b.Times {
				f.rows <- string(b.Raw.At(i))
			}
		}
	}()
}

func (f *following) end() {
	f.stop()
	<-f.done
}

func (f *following) caughtUp() bool { return f.Reader.(stream.CaughtUp).CaughtUp() }

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for start := time.Now(); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("never: %s", what)
		}
	}
}

// idleBehindTransactions shows that a partition is read to its end, and may become
// idle, where its last records are those of a transaction.
func idleBehindTransactions(t *testing.T, cluster ingest.Cluster, topic string) {
	writer := client(t, cluster, kgo.TransactionalID(topic))
	for i, c := range []struct {
		how   kgo.TransactionEndTry
		value string
		want  []string
	}{
		{kgo.TryCommit, "1,1,1,a", []string{"1,1,1,a"}},
		{kgo.TryAbort, "2,1,1,b", []string{"1,1,1,a"}},
		{kgo.TryCommit, "3,1,1,c", []string{"1,1,1,a", "3,1,1,c"}},
	} {
		if err := writer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, writer, topic, 0, c.value)
		if err := writer.EndTransaction(t.Context(), c.how); err != nil {
			t.Fatal(err)
		}
		var s *ingest.Kafka
		eventually(t, "the transaction's end is told", func() bool {
			s = kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: topic})
			at, err := s.Open(t.Context(), 0, stream.FromStart)
			if err != nil {
				t.Fatal(err)
			}
			defer at.Close()
			return at.(stream.Lagging).Lag() == int64(2*(i+1)) // the record, and the one that says how it ended
		})
		f := follow(t, s, 0)
		eventually(t, "caught up after "+c.value, f.caughtUp)
		if lag := f.Reader.(stream.Lagging).Lag(); lag != 0 {
			t.Errorf("after %s the lag is %d", c.value, lag)
		}
		f.end()
		close(f.rows)
		var got []string
		for row := range f.rows {
			got = append(got, row)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("after %s there are %v", c.value, got)
		}
	}
}

func TestKafkaIdleBehindTransactions(t *testing.T) {
	_, cluster := fake(t, 1, []string{"pings"})
	idleBehindTransactions(t, cluster, "pings")
}

func TestRealKafkaIdleBehindTransactions(t *testing.T) {
	cluster := ingest.Cluster{Brokers: []string{testserver.Kafka(t)}}
	topic := own("transactions")
	if err := ingest.MakeTopic(t.Context(), client(t, cluster), topic, 1, (&lines{}).logger()); err != nil {
		t.Fatal(err)
	}
	idleBehindTransactions(t, cluster, topic)
}

// A partition whose own broker does not answer is not caught up, whatever the
// others answer, and is again when it does, also from another broker.
func TestKafkaIdleNeedsItsLeader(t *testing.T) {
	broker, cluster := fake(t, 2, []string{"pings"}, kfake.NumBrokers(2))
	for p := range int32(2) {
		if err := broker.MoveTopicPartition("pings", p, p); err != nil {
			t.Fatal(err)
		}
	}
	s := kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings", Log: slog.New(slog.DiscardHandler)})
	near, far := follow(t, s, 0), follow(t, s, 1)
	eventually(t, "both caught up", func() bool { return near.caughtUp() && far.caughtUp() })
	var away atomic.Bool
	broker.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		if away.Load() && broker.CurrentNode() == 1 {
			return nil, errors.New("away"), true
		}
		return nil, nil, false
	})
	away.Store(true)
	// Both begin to wait anew: what was answered before tells nothing any more.
	for _, f := range []*following{near, far} {
		f.end()
		f.begin(t)
	}
	eventually(t, "the one that is answered caught up", near.caughtUp)
	if far.caughtUp() {
		t.Error("a partition whose leader does not answer is caught up")
	}
	if err := broker.MoveTopicPartition("pings", 1, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "caught up by another broker", far.caughtUp)
}
