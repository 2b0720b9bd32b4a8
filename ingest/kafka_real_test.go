package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/ingest/ingesttest"
	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
)

// own is a topic's name that no other test of a shared broker has.
func own(name string) string { return fmt.Sprintf("ingest.%s.%d", name, time.Now().UnixNano()) }

func TestRealKafkaConforms(t *testing.T) {
	conform(t, ingest.Cluster{Brokers: []string{testserver.Kafka(t)}}, own("conform"))
}

// The demo's way into a real broker: files, topic, the same rows.
func TestRealKafkaSimulate(t *testing.T) {
	cluster := ingest.Cluster{Brokers: []string{testserver.Kafka(t)}}
	path, _ := writeTaxi(t, 20_000)
	_, rows := simulated(t, ingest.SimulateOptions{Schema: taxi, Inputs: []string{path}, Key: []string{"taxi_id"},
		Cluster: cluster, Topic: own("simulate"), Partitions: 4})
	files := ingesttest.ReadAll(t, open(t, []string{path}, taxi, ingest.FileOptions{}), 0, 0)
	if got, want := texts(rows...), texts(files); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d rows are read from the topic, %d from the file, or others", len(got), len(want))
	}
}

func TestRealKafkaMissingTopic(t *testing.T) {
	cluster := ingest.Cluster{Brokers: []string{testserver.Kafka(t)}}
	_, err := ingest.NewKafka(t.Context(), ping, ingest.KafkaOptions{Cluster: cluster, Topic: own("none")})
	var missing *ingest.TopicMissingError
	if !errors.As(err, &missing) {
		t.Errorf("a missing topic is %v", err)
	}
}

// A real broker that is killed and comes back loses nothing that was read or is
// to be read.
func TestRealKafkaKilled(t *testing.T) {
	broker := testserver.NewBroker(t)
	cluster := ingest.Cluster{Brokers: []string{broker.Addr()}}
	cl := client(t, cluster)
	topic := own("killed")
	if err := ingest.MakeTopic(t.Context(), cl, topic, 1, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	produce(t, cl, topic, 0, "1,1,1,a")
	log := &lines{}
	s := kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: topic, Log: log.logger()})
	r, err := s.Open(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b stream.Batch
	if err := r.Read(t.Context(), &b); err != nil || string(b.Raw.At(0)) != "1,1,1,a" {
		t.Fatalf("%v", err)
	}
	broker.Stop()
	for log.count("cannot be reached") == 0 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := r.Read(ctx, &b); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("without a broker Read returns %v", err)
		}
		cancel()
	}
	broker.Start()
	produce(t, cl, topic, 0, "2,1,1,b")
	if err := r.Read(t.Context(), &b); err != nil || string(b.Raw.At(0)) != "2,1,1,b" {
		t.Fatalf("%v", err)
	}
	if gone, back := log.count("cannot be reached"), log.count("reached again"); gone != 1 || back != 1 {
		t.Errorf("the log says %d times that the broker went and %d times that it is back:\n%s", gone, back, log.text.String())
	}
}

// written notes the largest batch that a client writes, in bytes as they are sent.
type written struct{ largest atomic.Int64 }

func (w *written) OnProduceBatchWritten(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.ProduceBatchMetrics) {
	w.largest.Store(max(w.largest.Load(), int64(m.CompressedBytes)))
}

// A batch that is larger than what a broker sends at a time is read whole all the same.
func TestRealKafkaLargeBatch(t *testing.T) {
	const rows, limit, fetched = 60_000, 8 << 20, 2 << 20
	cluster := ingest.Cluster{Brokers: []string{testserver.Kafka(t)}}
	batches := &written{}
	cl := client(t, cluster, kgo.WithHooks(batches), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(limit), kgo.MaxBufferedRecords(rows), kgo.ManualFlushing())
	topic, bytes := own("large"), strconv.Itoa(limit)
	made, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, map[string]*string{"max.message.bytes": &bytes}, topic)
	if err = errors.Join(err, made.Err); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range rows {
		want = append(want, fmt.Sprintf("%d,1,1,%0100d", i, i))
		cl.Produce(t.Context(), &kgo.Record{Topic: topic, Value: []byte(want[i])}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if largest := batches.largest.Load(); largest < 2*fetched {
		t.Fatalf("the largest batch takes %d bytes", largest)
	}
	s := kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: topic})
	r, err := s.Open(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read := 0
	for b := (stream.Batch{}); read < rows; {
		if err := r.Read(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		for i := range b.Len() {
			if got := string(b.Raw.At(i)); got != want[read] {
				t.Fatalf("row %d is %q", read, got)
			}
			read++
		}
	}
}
