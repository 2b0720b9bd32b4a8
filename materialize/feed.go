package materialize

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Feed is a sink that writes every row, marker and frontier to a Kafka topic:
// a shard's to partition shard modulo the number of partitions, each record's
// key being its entity. Dead letters and late records go to `<topic>.dead` and
// `<topic>.late` as JSON. They are there at once, and delivery is at least once:
// after a crash the rows since the last checkpoint come again, equal where they are
// final. ExactFeed delivers once.
type Feed struct {
	feedTopics
	client *kgo.Client

	mu     sync.Mutex
	failed error // of the first record that could not be delivered
}

var _ stream.Sink = (*Feed)(nil)

// feedTold is what a Feed must know to go on from an epoch.
type feedTold struct {
	Topic string `json:"topic"` // that rows were told to; empty: by an ExactFeed, or an older program
}

// deliverWithin is how long the brokers may be away before a run gives up.
const deliverWithin = 5 * time.Minute

// NewFeed makes the sink; Restore connects it.
func NewFeed(plan *pipeline.Plan, o FeedOptions) (*Feed, error) {
	topics, err := newFeedTopics(plan, o)
	if err != nil {
		return nil, err
	}
	return &Feed{feedTopics: topics}, nil
}

// Name is "feed".
func (f *Feed) Name() string { return "feed" }

// Restore connects, makes the topics that are missing, and announces the run.
func (f *Feed) Restore(ctx context.Context, state []byte) error {
	running := context.WithoutCancel(ctx)
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(5 * time.Millisecond), kgo.RecordDeliveryTimeout(deliverWithin),
		kgo.ProducerBatchCompression(kgo.ZstdCompression(), kgo.NoCompression()),
	}, f.options.Client...)...)
	if err != nil {
		return fmt.Errorf("the feed's Kafka client: %w", err)
	}
	f.client = client
	ctx, cancel := context.WithTimeout(ctx, f.options.StartWithin)
	defer cancel()
	var saved feedTold
	if len(state) > 0 {
		if err := json.Unmarshal(state, &saved); err != nil {
			return fmt.Errorf("the feed's state is damaged: %w", err)
		}
	}
	told := func(context.Context, *kadm.Client) (string, error) {
		if saved.Topic != f.topic {
			return "", nil
		}
		return "rows up to the epoch that the run goes on from", nil
	}
	if err := f.reach(ctx, client, told); err != nil {
		return err
	}
	return f.announce(func(r *kgo.Record) { f.produce(running, r) })
}

// Write produces an output's records. It blocks while the client's buffer is
// full: that is the backpressure.
func (f *Feed) Write(ctx context.Context, o *stream.Output) error {
	if err := f.failure(); err != nil {
		return err
	}
	return f.records(o, func(r *kgo.Record) { f.produce(ctx, r) })
}

func (f *Feed) produce(ctx context.Context, record *kgo.Record) {
	f.client.Produce(ctx, record, func(r *kgo.Record, err error) {
		if err != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.failed == nil { // all others fail for the same reason
				f.failed = fmt.Errorf("producing to %s: %w", r.Topic, err)
			}
		}
	})
}

func (f *Feed) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// Checkpoint waits until Kafka has acknowledged everything written.
func (f *Feed) Checkpoint(ctx context.Context, epoch int64) ([]byte, error) {
	if err := f.client.Flush(ctx); err != nil {
		return nil, fmt.Errorf("waiting for Kafka to take the feed: %w", err)
	}
	if err := f.failure(); err != nil {
		return nil, err
	}
	return json.Marshal(feedTold{f.topic})
}

// Close closes the client.
func (f *Feed) Close() error {
	if f.client != nil {
		f.client.Close()
	}
	return nil
}
