package ingest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hextide/hextide/stream"
)

// KafkaOptions say how a topic is read.
type KafkaOptions struct {
	Cluster   Cluster
	Topic     string
	MaxAhead  time.Duration // event times may be so far beyond their record's timestamp
	Bounded   bool          // end at the offsets that are the end when the source is made
	Columns   []string      // of csv values, in order; nil: Schema.Columns
	Batch     int           // rows of a Read at most; 0: 8192
	MaxRecord int           // bytes of a record that is no dead letter; 0: MaxRecord
	Connect   time.Duration // how long to try to reach a broker at the start; 0: 15 s
	Refresh   time.Duration // how often to look for new partitions; 0: 30 s
	Log       *slog.Logger  // nil: slog.Default
}

// Kafka is the source over a topic. Positions are offsets and belong to the
// caller; no consumer group is used. Only committed records are read. One client
// serves all readers, and a slow one holds up no other: its partition is paused.
//
// A broker that goes away is tried again for ever, with backoff, and logged when
// it goes and when it is back. What cannot heal ends Read with an error: a topic
// that is gone, an offset that is gone, wrong credentials.
//
// Partitions that are added to the topic while it is read are not read: that is
// logged once, as a warning, and NewPartitions counts them. A source that is made
// anew lists them.
type Kafka struct {
	schema     Schema
	options    KafkaOptions
	client     *kgo.Client
	admin      *kadm.Client
	brokers    *connections
	id         kadm.TopicID
	partitions []stream.Partition
	ends       []int64 // of each partition when the source was made
	added      atomic.Int64
	stop       context.CancelFunc
	running    sync.WaitGroup
	mu         sync.Mutex // guards readers
	readers    map[int32]*kafkaReader
}

// KafkaDescription says what is read; equal descriptions mean equal input.
type KafkaDescription struct {
	Kind    string  `json:"kind"` // "kafka"
	Topic   string  `json:"topic"`
	TopicID string  `json:"topic_id"` // other where a topic was deleted and made again
	Ends    []int64 `json:"ends"`     // of each partition, offsets; nil where the input is not bounded
}

// TopicMissingError says that a topic is not there.
type TopicMissingError struct {
	Topic   string
	Brokers []string
	Near    string // a topic that it may have been meant to be; empty: none is near
}

func (e *TopicMissingError) Error() string {
	text := fmt.Sprintf("there is no topic %q on %s", e.Topic, strings.Join(e.Brokers, ","))
	if e.Near != "" {
		text += fmt.Sprintf("; is %q meant?", e.Near)
	}
	return text
}

// OffsetError says that the records to be read next are not on the broker.
type OffsetError struct {
	Topic      string
	Partition  int32
	Offset     int64 // where reading was to go on
	Start, End int64 // what the broker has: [Start, End)
}

func (e *OffsetError) Error() string {
	text := fmt.Sprintf("partition %d of topic %q is to be read on from offset %d, but the broker has offsets %d to %d: ",
		e.Partition, e.Topic, e.Offset, e.Start, e.End)
	if e.Offset < e.Start {
		return text + fmt.Sprintf("%d records were removed before they were read (the topic's retention)", e.Start-e.Offset)
	}
	return text + "the topic was made anew or has lost records"
}

// fetchBytes is how much a broker sends at a time, of all partitions together, as its
// producers compressed it: records that wait to be decoded take several times as much.
const fetchBytes = 2 << 20

// NewKafka connects to a cluster and looks at a topic.
func NewKafka(ctx context.Context, schema Schema, o KafkaOptions) (*Kafka, error) {
	if o.Topic == "" {
		return nil, errors.New("no topic is named to read from")
	}
	if _, err := NewCodec(&schema, o.Columns, o.MaxRecord); err != nil {
		return nil, fmt.Errorf("records of topic %q: %w", o.Topic, err)
	}
	o = o.withDefaults()
	options, err := o.Cluster.Options()
	if err != nil {
		return nil, err
	}
	brokers := newConnections(o.Log)
	options = append(options,
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // they are the last of a partition that transactions write
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxWait(250*time.Millisecond), // a resumed partition waits for the fetch under way
		kgo.WithHooks(brokers),
	)
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("making a Kafka client: %w", err)
	}
	k := &Kafka{schema: schema, options: o, client: client, admin: kadm.NewClient(client), brokers: brokers, readers: map[int32]*kafkaReader{}}
	if err := k.look(ctx); err != nil {
		client.Close()
		return nil, err
	}
	running, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.running.Go(func() { k.poll(running) })
	k.running.Go(func() { k.watch(running) })
	return k, nil
}

func (o KafkaOptions) withDefaults() KafkaOptions {
	if o.Batch <= 0 {
		o.Batch = 8192
	}
	if o.Connect <= 0 {
		o.Connect = 15 * time.Second
	}
	if o.Refresh <= 0 {
		o.Refresh = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// look finds the topic's partitions and their bounds.
func (k *Kafka) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.options.Connect)
	defer cancel()
	topic := k.options.Topic
	detail, err := k.topic(ctx)
	if err != nil {
		return err
	}
	k.id = detail.ID
	starts, err := k.admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return fmt.Errorf("asking where topic %q starts: %w", topic, err)
	}
	ends, err := k.admin.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("asking where topic %q ends: %w", topic, err)
	}
	for id := range int32(len(detail.Partitions)) {
		start, ok1 := starts.Lookup(topic, id)
		end, ok2 := ends.Lookup(topic, id)
		if !ok1 || !ok2 {
			return fmt.Errorf("topic %q: the broker says nothing of partition %d", topic, id)
		}
		p := stream.Partition{ID: id, Start: start.Offset, End: -1}
		if k.options.Bounded {
			p.End = end.Offset
		}
		k.partitions = append(k.partitions, p)
		k.ends = append(k.ends, end.Offset)
	}
	return nil
}

// topic asks for the topic's metadata.
func (k *Kafka) topic(ctx context.Context) (kadm.TopicDetail, error) {
	name, brokers := k.options.Topic, k.options.Cluster.Brokers
	all, err := k.admin.ListTopics(ctx, name)
	if err != nil {
		switch {
		case ctx.Err() != nil:
			err = fmt.Errorf("no answer within %v: %w", k.options.Connect, err)
		case errors.Is(err, io.EOF):
			err = fmt.Errorf("the broker ends the connection; does it want TLS, or other credentials? (%w)", err)
		}
		return kadm.TopicDetail{}, fmt.Errorf("reaching Kafka at %s: %w", strings.Join(brokers, ","), err)
	}
	detail := all[name]
	switch {
	case errors.Is(detail.Err, kerr.UnknownTopicOrPartition), detail.Err == nil && len(detail.Partitions) == 0:
		missing := &TopicMissingError{Topic: name, Brokers: brokers}
		if others, err := k.admin.ListTopics(ctx); err == nil {
			missing.Near = near(name, others.Names())
		}
		return detail, missing
	case detail.Err != nil:
		return detail, fmt.Errorf("topic %q: %w", name, detail.Err)
	}
	return detail, nil
}

// Partitions implements stream.Source. Sizes are not known.
func (k *Kafka) Partitions(context.Context) ([]stream.Partition, error) {
	return append([]stream.Partition(nil), k.partitions...), nil
}

// Describe implements stream.Source. The result is a KafkaDescription.
func (k *Kafka) Describe(context.Context) (any, error) {
	d := KafkaDescription{Kind: "kafka", Topic: k.options.Topic, TopicID: hex.EncodeToString(k.id[:])}
	if k.options.Bounded {
		d.Ends = append(d.Ends, k.ends...)
	}
	return d, nil
}

// Resume implements stream.Resumer: the topic must be the same one, and bounded
// input ends where it ended for the earlier run, in the partitions of that run.
func (k *Kafka) Resume(_ context.Context, description []byte) error {
	var was KafkaDescription
	if err := json.Unmarshal(description, &was); err != nil || was.Kind != "kafka" {
		return fmt.Errorf("the earlier run did not read from Kafka: %s", description)
	}
	if id := hex.EncodeToString(k.id[:]); was.Topic != k.options.Topic || was.TopicID != id {
		return fmt.Errorf("the earlier run read topic %q (%s), this is topic %q (%s)", was.Topic, was.TopicID, k.options.Topic, id)
	}
	if !k.options.Bounded || was.Ends == nil {
		return nil
	}
	if len(was.Ends) > len(k.partitions) {
		return fmt.Errorf("topic %q had %d partitions and has %d", was.Topic, len(was.Ends), len(k.partitions))
	}
	for i, end := range was.Ends {
		if end > k.ends[i] {
			return fmt.Errorf("partition %d of topic %q had %d records and has %d", i, was.Topic, end, k.ends[i])
		}
		k.partitions[i].End = end
	}
	k.partitions = k.partitions[:len(was.Ends)]
	k.ends = was.Ends
	return nil
}

// NewPartitions is how many partitions the topic has got since the source was made.
func (k *Kafka) NewPartitions() int { return int(k.added.Load()) }

// Open implements stream.Source. A partition has one reader at a time.
func (k *Kafka) Open(_ context.Context, partition int32, position int64) (stream.Reader, error) {
	if partition < 0 || int(partition) >= len(k.partitions) {
		return nil, fmt.Errorf("topic %q has partitions 0 to %d; there is no partition %d", k.options.Topic, len(k.partitions)-1, partition)
	}
	p := k.partitions[partition]
	if position == stream.FromStart {
		position = p.Start
	}
	if position < p.Start {
		return nil, &OffsetError{Topic: k.options.Topic, Partition: partition, Offset: position, Start: p.Start, End: k.ends[partition]}
	}
	codec, err := NewCodec(&k.schema, k.options.Columns, k.options.MaxRecord)
	if err != nil {
		return nil, err
	}
	r := &kafkaReader{source: k, codec: codec, partition: partition, next: position, end: p.End,
		arrived: make(chan struct{}, 1), closed: make(chan struct{})}
	r.newest.Store(k.ends[partition])
	r.position.Store(position)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.readers[partition] != nil {
		return nil, fmt.Errorf("partition %d of topic %q is being read already", partition, k.options.Topic)
	}
	k.readers[partition] = r
	if p.End < 0 || position < p.End {
		k.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{
			k.options.Topic: {partition: kgo.NewOffset().At(position)}})
	}
	return r, nil
}

// Behind is how many records of each open partition are on the broker and not
// read yet, as far as the last fetch knew.
func (k *Kafka) Behind() map[int32]int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	behind := make(map[int32]int64, len(k.readers))
	for id, r := range k.readers {
		behind[id] = max(0, r.newest.Load()-r.position.Load())
	}
	return behind
}

// Close implements stream.Source. Reads under way end with an error.
func (k *Kafka) Close() error {
	k.stop()
	k.client.Close()
	k.running.Wait()
	k.fail(-1, errors.New("the source was closed"))
	return nil
}

// poll hands what the client fetches to the readers. It never waits for one.
func (k *Kafka) poll(ctx context.Context) {
	for {
		fetches := k.client.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if p.Partition < 0 || p.Topic != k.options.Topic {
				if p.Err != nil {
					k.fail(-1, p.Err)
				}
				return
			}
			k.mu.Lock()
			r := k.readers[p.Partition]
			k.mu.Unlock()
			if r != nil {
				r.push(p.FetchPartition)
			}
		})
	}
}

// fail ends the reader of a partition, or all with -1.
func (k *Kafka) fail(partition int32, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, r := range k.readers {
		if partition < 0 || id == partition {
			r.fail(err)
		}
	}
}

// outOfRange says what the broker has instead of an offset.
func (k *Kafka) outOfRange(ctx context.Context, partition int32, offset int64) error {
	e := &OffsetError{Topic: k.options.Topic, Partition: partition, Offset: offset}
	starts, err := k.admin.ListStartOffsets(ctx, k.options.Topic)
	if err != nil {
		return fmt.Errorf("offset %d of partition %d of topic %q is gone; asking for what is there: %w", offset, partition, k.options.Topic, err)
	}
	ends, err := k.admin.ListEndOffsets(ctx, k.options.Topic)
	if err != nil {
		return fmt.Errorf("offset %d of partition %d of topic %q is gone; asking for what is there: %w", offset, partition, k.options.Topic, err)
	}
	start, _ := starts.Lookup(k.options.Topic, partition)
	end, _ := ends.Lookup(k.options.Topic, partition)
	e.Start, e.End = start.Offset, end.Offset
	return e
}
