package ingest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// connections logs when a broker cannot be reached any more and when it can
// again, once for each change. It implements kgo.HookBrokerConnect
// and kgo.HookBrokerRead.
type connections struct {
	log     *slog.Logger
	mu      sync.Mutex
	down    map[string]bool     // by address
	fetched map[int32]time.Time // when a broker last answered a fetch, by its number
}

func newConnections(log *slog.Logger) *connections {
	return &connections{log: log, down: map[string]bool{}, fetched: map[int32]time.Time{}}
}

// fetchKey is the number of Kafka's fetch request.
const fetchKey = 1

// OnBrokerRead is told of each answer; it implements kgo.HookBrokerRead.
func (c *connections) OnBrokerRead(meta kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if key == fetchKey && err == nil {
		c.mu.Lock()
		c.fetched[meta.NodeID] = time.Now()
		c.mu.Unlock()
	}
}

// quietAfter is how long fetches may go unanswered before a broker counts as away;
// each is answered within FetchMaxWait, records or not.
const quietAfter = 3 * time.Second

// answered tells whether a broker answers fetches and has answered one since.
func (c *connections) answered(broker int32, since time.Time) bool {
	c.mu.Lock()
	last := c.fetched[broker]
	c.mu.Unlock()
	return last.After(since) && time.Since(last) < quietAfter
}

// OnBrokerConnect is told of each attempt to connect.
func (c *connections) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if errors.Is(err, context.Canceled) {
		return // we ended it
	}
	broker := net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
	c.mu.Lock()
	was := c.down[broker]
	c.down[broker] = err != nil
	c.mu.Unlock()
	switch {
	case err != nil && !was:
		c.log.Warn("Kafka broker cannot be reached; trying again", "broker", broker, "error", err)
	case err == nil && was:
		c.log.Info("Kafka broker is reached again", "broker", broker)
	}
}

// goneAfter is how many looks in a row must find no topic before it counts as
// deleted: a broker that starts may not know its topics yet.
const goneAfter = 3

// watch looks from time to time whether the topic is still there and has new partitions.
func (k *Kafka) watch(ctx context.Context) {
	ticker := time.NewTicker(k.options.Refresh)
	defer ticker.Stop()
	missed := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		detail, err := k.topic(ctx)
		var missing *TopicMissingError
		switch {
		case errors.As(err, &missing):
			if missed++; missed >= goneAfter {
				k.fail(-1, err)
				return
			}
		case err == nil:
			missed = 0
			if detail.ID != k.id {
				k.fail(-1, errors.New("the topic was deleted and made again; its offsets mean other records now"))
				return
			}
			k.count(len(detail.Partitions))
		}
	}
}

// count notes how many partitions the topic has now.
func (k *Kafka) count(partitions int) {
	added := int64(partitions - len(k.partitions))
	if added > k.added.Swap(max(0, added)) {
		k.options.Log.Warn("the topic has new partitions, which are not read",
			"topic", k.options.Topic, "read", len(k.partitions), "partitions", partitions)
	}
}
