package materialize

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// narrow is a connection that takes so many bytes a second.
type narrow struct {
	net.Conn
	rate int
}

func (c *narrow) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		piece := p[:min(len(p), c.rate/50)]
		time.Sleep(time.Duration(len(piece)) * time.Second / time.Duration(c.rate))
		var wrote int
		wrote, err = c.Conn.Write(piece)
		n, p = n+wrote, p[len(piece):]
	}
	return n, err
}

// tooMuch is an exact feed over a narrow connection, whose transactions may take a
// second at first, with an epoch that takes at least so many.
func tooMuch(t *testing.T, address string, seconds int, said *bytes.Buffer) (*exactly, *stream.Pointer) {
	t.Helper()
	const rate = 100_000
	e := toExact(t, address, planOf(t, "feed", own("patience"), "protobuf"), 1, func(o *ExactOptions) {
		o.Timeout, o.Logger = time.Second, slog.New(slog.NewTextHandler(said, nil))
		o.Client = append(o.Client, kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, host)
			return &narrow{c, rate}, err
		}))
	})
	random := rand.NewChaCha8([32]byte{1})
	for i := range 10 * int64(seconds) {
		raw := make([]byte, rate/10)
		_, _ = random.Read(raw)
		deliver(t, e, &stream.Output{Dead: []stream.DeadLetter{{Position: i, Raw: raw}}})
	}
	e.rows(noon, 0)
	return e, e.seal()
}

// An epoch that takes longer than a transaction may is committed in the end, once: the
// next transaction may take longer, which is said and told.
func TestExactFeedTooSlow(t *testing.T) {
	var said bytes.Buffer
	e, p := tooMuch(t, testserver.Kafka(t), 2, &said)
	tries := 1
	for err := e.Commit(t.Context(), p); err != nil; err = e.Commit(t.Context(), p) {
		if tries++; tries > 5 || !strings.Contains(err.Error(), "--feed-transaction-timeout") {
			t.Fatalf("try %d: %v", tries, err)
		}
		if c := e.fenced(); c.Epoch != 0 {
			t.Fatalf("committed is %s", c)
		}
	}
	e.sees(testserver.Kafka(t), "after it", "0/0/0 1/0/0", 24)
	if s := e.Transactions(); tries < 2 || s.Committed != 1 || s.Aborted != int64(tries-1) || s.Timeout < 4*time.Second {
		t.Errorf("after %d tries: %+v", tries, s)
	}
	if !strings.Contains(said.String(), "next_may_take=4s") {
		t.Errorf("it said\n%s", &said)
	}
}

// Where the brokers allow no longer transaction that is said, and nothing is committed.
// Brokers that are away are no reason for one.
func TestExactFeedTooSlowForBrokers(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.ControlKey(int16(kmsg.InitProducerID), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		r := request.(*kmsg.InitProducerIDRequest)
		if r.TransactionTimeoutMillis > 2500 {
			answer := r.ResponseKind().(*kmsg.InitProducerIDResponse)
			answer.ErrorCode = kerr.InvalidTransactionTimeout.Code
			return answer, nil, true
		}
		// This broker keeps to what a producer's first epoch asked for, and would end the
		// later ones' transactions too early.
		r.TransactionTimeoutMillis = int32(time.Minute.Milliseconds())
		return nil, nil, false
	})
	var said bytes.Buffer
	e, p := tooMuch(t, c.ListenAddrs()[0], 10, &said)
	for _, want := range []time.Duration{time.Second, 2 * time.Second, 2 * time.Second} {
		if got := e.Transactions().Timeout; got != want {
			t.Errorf("a transaction may take %s, not %s", got, want)
		}
		if err := e.Commit(t.Context(), p); err == nil || !strings.Contains(err.Error(), "--feed-transaction-timeout") {
			t.Fatal(err)
		}
		if committed := e.fenced(); committed.Epoch != 0 {
			t.Fatalf("committed is %s", committed)
		}
	}
	if !strings.Contains(said.String(), "next_may_take=2s") || !strings.Contains(said.String(), "transaction.max.timeout.ms") {
		t.Errorf("it said\n%s", &said)
	}
	e.slow = true
	c.Close()
	if _, err := e.Fence(t.Context()); !errors.Is(err, stream.ErrAway) || e.slow {
		t.Errorf("while they are away: %v, %t", err, e.slow)
	}
}
