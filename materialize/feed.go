package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// FeedOptions say how the feed reaches Kafka.
type FeedOptions struct {
	Client      []kgo.Opt // brokers, TLS, SASL
	Shards      int       // of the pipeline; a topic that is made has as many partitions
	Incarnation func() int64
	Incomplete  func() []stream.IncompleteColumn // nil: every column is complete
	StartWithin time.Duration                    // how long the brokers may be away when a run starts; default 15 s
}

// Feed is a sink that writes every row, marker and frontier to a Kafka topic:
// a shard's to partition shard modulo the number of partitions, each record's
// key being its entity. Dead letters and late records go to `<topic>.dead` and
// `<topic>.late` as JSON. Delivery is at least once: after a crash the rows since
// the last checkpoint come again, equal where they are final.
type Feed struct {
	options    FeedOptions
	plan       *pipeline.Plan
	topic      string
	encode     feedEncoder
	client     *kgo.Client
	partitions int32

	mu     sync.Mutex
	failed error // of the first record that could not be delivered
}

var _ stream.Sink = (*Feed)(nil)

// deliverWithin is how long the brokers may be away before a run gives up.
const deliverWithin = 5 * time.Minute

// NewFeed makes the sink; Restore connects it.
func NewFeed(plan *pipeline.Plan, o FeedOptions) (*Feed, error) {
	if o.StartWithin == 0 {
		o.StartWithin = startWithin
	}
	f := &Feed{options: o, plan: plan, topic: plan.Sinks.Feed.Topic}
	switch plan.Sinks.Feed.Format {
	case "protobuf":
		f.encode = newProtoEncoder(plan)
	case "json":
		f.encode = newJSONEncoder(plan)
	default:
		return nil, fmt.Errorf("the feed has no format %q: it has protobuf and json", plan.Sinks.Feed.Format)
	}
	return f, nil
}

// Name is "feed".
func (f *Feed) Name() string { return "feed" }

// Restore connects, makes the topics that are missing, and announces the run: a
// reader learns of the incarnation, and of the columns, before any row.
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
	if err := client.Ping(ctx); err != nil {
		return fmt.Errorf("no Kafka broker for the feed answered within %s: %w", f.options.StartWithin, err)
	}
	admin := kadm.NewClient(client)
	for _, topic := range []string{f.topic + ".dead", f.topic + ".late", f.topic} {
		partitions := int32(1)
		if topic == f.topic {
			partitions = int32(f.options.Shards)
		}
		if f.partitions, err = haveTopic(ctx, admin, topic, partitions); err != nil {
			return fmt.Errorf("making the topic %s: %w", topic, err)
		}
	}
	return f.announce(running)
}

// announce puts the schema into every partition.
func (f *Feed) announce(ctx context.Context) error {
	var incomplete []stream.IncompleteColumn
	if f.options.Incomplete != nil {
		incomplete = f.options.Incomplete()
	}
	value, err := f.encode.schema(f.options.Incarnation(), incomplete)
	if err != nil {
		return fmt.Errorf("encoding the feed's schema: %w", err)
	}
	for p := range f.partitions {
		f.produce(ctx, &kgo.Record{Topic: f.topic, Partition: p, Value: value})
	}
	return nil
}

// haveTopic makes a topic that keeps its records whatever their age, since rows
// of history carry old times, and returns the number of its partitions. A topic
// that exists is left as it is.
//
// It is made before anyone looks for it: a client remembers for a while that a
// topic was not there.
func haveTopic(ctx context.Context, admin *kadm.Client, topic string, partitions int32) (int32, error) {
	forever, remove := "-1", "delete"
	response, made := admin.CreateTopic(ctx, partitions, -1, map[string]*string{"retention.ms": &forever, "cleanup.policy": &remove}, topic)
	if made == nil {
		made = response.Err
	}
	if made == nil {
		return partitions, nil
	}
	details, err := admin.ListTopics(ctx, topic)
	if err == nil {
		err = details.Error()
	}
	switch {
	case err == nil: // it was there, whoever may make topics
		return int32(len(details[topic].Partitions)), nil
	case errors.Is(made, kerr.TopicAlreadyExists):
		return 0, err
	}
	return 0, made
}

// Write produces an output's records. It blocks while the client's buffer is
// full: that is the backpressure.
func (f *Feed) Write(ctx context.Context, o *stream.Output) error {
	if err := f.failure(); err != nil {
		return err
	}
	for _, rows := range o.Rows {
		if err := f.rows(ctx, rows); err != nil {
			return err
		}
	}
	if o.Frontier != nil {
		value, err := f.encode.frontier(o.Frontier)
		if err != nil {
			return err
		}
		f.produce(ctx, &kgo.Record{Topic: f.topic, Partition: o.Frontier.Shard % f.partitions, Value: value})
	}
	return f.records(ctx, o)
}

func (f *Feed) rows(ctx context.Context, rows *stream.Rows) error {
	for i, cell := range rows.Cells {
		value, err := f.encode.row(rows, i)
		if err != nil {
			return fmt.Errorf("encoding the row of %s: %w", cell, err)
		}
		f.produce(ctx, &kgo.Record{Topic: f.topic, Partition: rows.Shard % f.partitions, Key: []byte(cell.String()), Value: value})
	}
	return nil
}

func (f *Feed) records(ctx context.Context, o *stream.Output) error {
	send := func(topic string, partition int32, position int64, line any) error {
		value, err := json.Marshal(line)
		if err == nil {
			f.produce(ctx, &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "%d/%d", partition, position), Value: value})
		}
		return err
	}
	for i := range o.Dead {
		if err := send(f.topic+".dead", o.Dead[i].Partition, o.Dead[i].Position, deadLine(&o.Dead[i])); err != nil {
			return fmt.Errorf("encoding a dead letter: %w", err)
		}
	}
	for i := range o.Late {
		if err := send(f.topic+".late", o.Late[i].Partition, o.Late[i].Position, lateLine(&o.Late[i])); err != nil {
			return fmt.Errorf("encoding a late record: %w", err)
		}
	}
	return nil
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
	return nil, f.failure()
}

// Close closes the client.
func (f *Feed) Close() error {
	if f.client != nil {
		f.client.Close()
	}
	return nil
}
