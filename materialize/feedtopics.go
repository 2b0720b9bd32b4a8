package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
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

// feedTopics is what is written to the topics of a feed, whichever way it gets
// there.
type feedTopics struct {
	options    FeedOptions
	plan       *pipeline.Plan
	topic      string
	encode     feedEncoder
	partitions int32 // of the feed; from the first reach on the same, for rows are written while another is under way
}

func newFeedTopics(plan *pipeline.Plan, o FeedOptions) (feedTopics, error) {
	if o.StartWithin == 0 {
		o.StartWithin = startWithin
	}
	f := feedTopics{options: o, plan: plan, topic: plan.Sinks.Feed.Topic}
	switch plan.Sinks.Feed.Format {
	case "protobuf":
		f.encode = newProtoEncoder(plan)
	case "json":
		f.encode = newJSONEncoder(plan)
	default:
		return f, fmt.Errorf("the feed has no format %q: it has protobuf and json", plan.Sinks.Feed.Format)
	}
	return f, nil
}

// reach makes the topics that are missing. The first call waits for the brokers and
// finds out how many partitions the feed has; one beside Write changes nothing of it,
// and does not wait. Told says what the feed's topic is to hold; empty: nothing.
func (f *feedTopics) reach(ctx context.Context, client *kgo.Client, told func(context.Context, *kadm.Client) (string, error)) error {
	for err := client.Ping(ctx); err != nil; err = client.Ping(ctx) {
		if f.partitions > 0 || !away(err) || sleep(ctx, retryAfter) != nil {
			return fmt.Errorf("no Kafka broker for the feed answers: %w", err)
		}
	}
	admin := kadm.NewClient(client)
	if err := f.stays(ctx, admin, told); err != nil { // before anything is made
		return err
	}
	for _, topic := range []string{f.topic + ".dead", f.topic + ".late", f.topic} {
		partitions := int32(1)
		if topic == f.topic {
			partitions = int32(f.options.Shards)
		}
		found, err := haveTopic(ctx, admin, topic, partitions, "delete")
		if err != nil {
			return fmt.Errorf("making the topic %s: %w", topic, err)
		}
		if topic == f.topic && f.partitions == 0 {
			f.partitions = found
		}
	}
	return nil
}

// stays refuses to make the feed's topic anew where it was deleted: readers would lack
// what was told, and nobody would know.
func (f *feedTopics) stays(ctx context.Context, admin *kadm.Client, told func(context.Context, *kadm.Client) (string, error)) error {
	if missing, err := lacks(ctx, admin, f.topic); err != nil || !missing {
		return err
	}
	what, err := told(ctx, admin)
	if err != nil || what == "" {
		return err
	}
	return fmt.Errorf(`the feed's topic %s is gone: the brokers have none of that name, but it was told %s. Ways out:
  the brokers are others than before, or the topic has another name now: name them (--brokers, sinks: feed: topic)
  what it held is not needed: make an empty topic of that name with %d partitions; the run goes on with the rows that come
  all is to be told again: begin with a state of its own (--state), and a group of its own (--group)`, f.topic, what, f.options.Shards)
}

// lacks tells whether the brokers would make a topic since there is none. Whether this
// user may is found out when it is made.
func lacks(ctx context.Context, admin *kadm.Client, topic string) (bool, error) {
	answers, err := admin.ValidateCreateTopics(ctx, 1, -1, nil, topic)
	if err != nil {
		return false, fmt.Errorf("looking for the topic %s: %w", topic, err)
	}
	return answers[topic].Err == nil, nil
}

// away tells whether an error is that brokers cannot be reached, or are not ready yet.
func away(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) || kgo.IsRetryableBrokerErr(err) || kerr.IsRetriable(err) || errors.Is(err, context.DeadlineExceeded)
}

// haveTopic makes a topic that keeps its records whatever their age, since rows
// of history carry old times, and returns the number of its partitions. A topic
// that exists is left as it is.
//
// It is made before anyone looks for it: a client remembers for a while that a
// topic was not there.
func haveTopic(ctx context.Context, admin *kadm.Client, topic string, partitions int32, cleanup string) (int32, error) {
	forever := "-1"
	response, made := admin.CreateTopic(ctx, partitions, -1, map[string]*string{"retention.ms": &forever, "cleanup.policy": &cleanup}, topic)
	if made == nil {
		made = response.Err
	}
	if made == nil {
		return partitions, nil
	}
	details, err := awaitTopic(ctx, admin, topic, errors.Is(made, kerr.TopicAlreadyExists))
	switch {
	case err == nil: // it was there, whoever may make topics
		return int32(len(details.Partitions)), nil
	case errors.Is(made, kerr.TopicAlreadyExists):
		return 0, err
	}
	return 0, made
}

// topicEvery is how often a topic is looked for that somebody is just making.
const topicEvery = 100 * time.Millisecond

// awaitTopic is what the brokers say of a topic. One that was made this moment is known
// to all of them only soon.
func awaitTopic(ctx context.Context, admin *kadm.Client, topic string, made bool) (kadm.TopicDetail, error) {
	for {
		details, err := admin.ListTopics(ctx, topic)
		if err == nil {
			err = details.Error()
		}
		if !made || !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return details[topic], err
		}
		select {
		case <-time.After(topicEvery):
		case <-ctx.Done():
			return kadm.TopicDetail{}, err
		}
	}
}

// announce puts the schema into every partition: a reader learns of the incarnation,
// and of the columns, before any row.
func (f *feedTopics) announce(put func(*kgo.Record)) error {
	var incomplete []stream.IncompleteColumn
	if f.options.Incomplete != nil {
		incomplete = f.options.Incomplete()
	}
	value, err := f.encode.schema(f.options.Incarnation(), incomplete)
	if err != nil {
		return fmt.Errorf("encoding the feed's schema: %w", err)
	}
	for p := range f.partitions {
		put(&kgo.Record{Topic: f.topic, Partition: p, Value: value})
	}
	return nil
}

// records puts an output's records: rows, the frontier behind them, dead letters and
// late records.
func (f *feedTopics) records(o *stream.Output, put func(*kgo.Record)) error {
	for _, rows := range o.Rows {
		if err := f.rows(rows, put); err != nil {
			return err
		}
	}
	if o.Frontier != nil {
		value, err := f.encode.frontier(o.Frontier)
		if err != nil {
			return err
		}
		put(&kgo.Record{Topic: f.topic, Partition: o.Frontier.Shard % f.partitions, Value: value})
	}
	return f.aside(o, put)
}

func (f *feedTopics) rows(rows *stream.Rows, put func(*kgo.Record)) error {
	for i, cell := range rows.Cells {
		value, err := f.encode.row(rows, i)
		if err != nil {
			return fmt.Errorf("encoding the row of %s: %w", cell, err)
		}
		put(&kgo.Record{Topic: f.topic, Partition: rows.Shard % f.partitions, Key: []byte(cell.String()), Value: value})
	}
	return nil
}

// aside puts what made no row.
func (f *feedTopics) aside(o *stream.Output, put func(*kgo.Record)) error {
	send := func(topic string, partition int32, position int64, line any) error {
		value, err := json.Marshal(line)
		if err == nil {
			put(&kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "%d/%d", partition, position), Value: value})
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
