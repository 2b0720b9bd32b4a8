package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

// SimulateOptions say what Simulate replays and how.
type SimulateOptions struct {
	Schema     Schema
	Inputs     []string // files and patterns, as for NewFiles
	Key        []string // fields whose values are the record's key (the dedup key); none: partitions in turn
	Speed      float64  // so many times as fast as event time; 0: as fast as the broker takes it
	Cluster    Cluster
	Topic      string
	Partitions int // of the topic where it has to be made; 0: 4
	Progress   func(SimulateProgress)
	Log        *slog.Logger // nil: slog.Default
}

// SimulateProgress is how far a replay is.
type SimulateProgress struct {
	Records   int64 // handed to the producer
	TooLong   int64 // records that the topic takes no record as long as, and that were left out
	EventTime int64 // the newest one replayed, µs; stream.NoTime before the first
	Read      int64 // bytes of the files
	Size      int64 // bytes that the files have
}

// Simulate replays files into a topic, each record when its event time comes,
// and returns once the broker has all of them. The topic is made where it does
// not exist, with a retention that never removes a record for its age. Records
// carry the time at which they are produced, not their event time, as those of a
// live producer do.
//
// A json record is sent as it is in the file, a csv record as a line with the
// columns of Schema.Columns. Records that do not decode are sent too, as soon as
// their predecessor was. All events of a key go to one partition, the one that
// Java's default partitioner picks for it. Progress is called about each second
// and at the end, from Simulate's goroutine.
func Simulate(ctx context.Context, o SimulateOptions) (SimulateProgress, error) {
	s := &simulation{options: o, progress: SimulateProgress{EventTime: stream.NoTime}}
	if s.options.Log == nil {
		s.options.Log = slog.Default()
	}
	if o.Speed < 0 {
		return s.progress, fmt.Errorf("a speed of %g is no speed; 0 is as fast as possible", o.Speed)
	}
	if err := s.keyFields(); err != nil {
		return s.progress, err
	}
	files, err := NewFiles(o.Inputs, o.Schema, FileOptions{Batch: 1024})
	if err != nil {
		return s.progress, err
	}
	files.lines = o.Schema.Format == CSV
	s.progress.Size = files.size
	if err := s.connect(ctx); err != nil {
		return s.progress, err
	}
	defer s.client.Close()
	reader, err := files.Open(ctx, 0, stream.FromStart)
	if err != nil {
		return s.progress, err
	}
	defer reader.Close()
	err = s.replay(ctx, reader)
	return s.progress, err
}

// simulation is one call of Simulate.
type simulation struct {
	options  SimulateOptions
	client   *kgo.Client
	keys     []int // the fields of the key
	key      []byte
	progress SimulateProgress
	began    time.Time // when the first event was sent
	first    int64     // its event time, µs
	reported time.Time

	mu     sync.Mutex
	failed error // what a record could not be sent for
	long   int64
}

// keyFields finds the fields of the key.
func (s *simulation) keyFields() error {
	for _, name := range s.options.Key {
		found := -1
		for i, f := range s.options.Schema.Fields {
			if f.Name == name {
				found = i
			}
		}
		if found < 0 {
			return fmt.Errorf("the key's field %q is no field of the source", name)
		}
		s.keys = append(s.keys, found)
	}
	return nil
}

// connect makes the client and, where it is not there, the topic.
func (s *simulation) connect(ctx context.Context) error {
	o := s.options
	if o.Topic == "" {
		return errors.New("no topic is named to replay into")
	}
	options, err := o.Cluster.Options()
	if err != nil {
		return err
	}
	partitioner := kgo.RoundRobinPartitioner()
	if len(s.keys) > 0 {
		partitioner = kgo.StickyKeyPartitioner(nil)
	}
	options = append(options,
		kgo.DefaultProduceTopic(o.Topic), kgo.RecordPartitioner(partitioner),
		kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(32<<10),
		kgo.RecordDeliveryTimeout(2*time.Minute),
		kgo.WithHooks(&connections{log: o.Log, down: map[string]bool{}}),
	)
	if s.client, err = kgo.NewClient(options...); err != nil {
		return fmt.Errorf("making a Kafka client: %w", err)
	}
	if err := s.makeTopic(ctx); err != nil {
		s.client.Close()
		return err
	}
	return nil
}

// makeTopic makes the topic where it is not there.
func (s *simulation) makeTopic(ctx context.Context) error {
	o := s.options
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	partitions := o.Partitions
	if partitions <= 0 {
		partitions = 4
	}
	return MakeTopic(ctx, s.client, o.Topic, partitions, o.Log)
}

// MakeTopic makes a topic whose records are never removed for their age, unless
// it exists. A topic that has another number of partitions stays as it is, and
// that is logged.
func MakeTopic(ctx context.Context, client *kgo.Client, topic string, partitions int, log *slog.Logger) error {
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return fmt.Errorf("asking Kafka for topic %q: %w", topic, err)
	}
	if have := topics[topic]; have.Err == nil && len(have.Partitions) > 0 {
		if len(have.Partitions) != partitions {
			log.Warn("the topic exists with another number of partitions; it stays so",
				"topic", topic, "partitions", len(have.Partitions), "asked", partitions)
		}
		return nil
	}
	forever := "-1"
	_, err = admin.CreateTopic(ctx, int32(partitions), -1, map[string]*string{"retention.ms": &forever}, topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("making topic %q: %w", topic, err)
	}
	return nil
}

// replay sends everything that the reader gives and waits until it is there.
func (s *simulation) replay(ctx context.Context, reader stream.Reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var batch stream.Batch
	for {
		err := reader.Read(ctx, &batch)
		if err == io.EOF {
			break
		}
		if err != nil {
			return s.cause(ctx, err)
		}
		if err := s.send(ctx, cancel, &batch); err != nil {
			return s.cause(ctx, err)
		}
		s.progress.Read = reader.Progress()
		s.report(false)
	}
	if err := s.client.Flush(ctx); err != nil {
		return s.cause(ctx, fmt.Errorf("waiting for Kafka to take the last records: %w", err))
	}
	s.progress.Read = reader.Progress()
	s.report(true)
	return s.cause(ctx, nil)
}

// cause is why a record could not be sent, if that is why err happened.
func (s *simulation) cause(ctx context.Context, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return fmt.Errorf("replaying into topic %q: %w", s.options.Topic, s.failed)
	}
	return err
}

// send hands a batch to the producer, each record when it is due.
func (s *simulation) send(ctx context.Context, cancel context.CancelCauseFunc, b *stream.Batch) error {
	size := 0
	for i := range b.Len() {
		size += len(b.Raw.At(i))
	}
	values := make([]byte, 0, size) // one piece of memory; the producer keeps it until all is sent
	for i := range b.Len() {
		good := (b.Reasons == nil || b.Reasons[i] == stream.Accepted) && b.Times[i] <= b.Limit
		if good && b.Times[i] > s.progress.EventTime {
			if err := s.due(ctx, b.Times[i]); err != nil {
				return err
			}
		}
		start := len(values)
		values = append(values, b.Raw.At(i)...)
		record := &kgo.Record{Value: values[start:len(values):len(values)]}
		if good && len(s.keys) > 0 {
			record.Key = s.keyOf(b, i)
		}
		s.progress.Records++
		s.client.Produce(ctx, record, func(_ *kgo.Record, err error) { s.sent(cancel, err) })
	}
	return ctx.Err()
}

// sent notes how sending a record ended.
func (s *simulation) sent(cancel context.CancelCauseFunc, err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, kerr.MessageTooLarge) {
		if s.long++; s.long == 1 {
			s.options.Log.Warn("a record is longer than the topic takes and is left out", "topic", s.options.Topic, "error", err)
		}
		return
	}
	if s.failed == nil && !errors.Is(err, context.Canceled) {
		s.failed = err
		cancel(err)
	}
}

// due waits until an event time comes, and makes it the newest one.
func (s *simulation) due(ctx context.Context, at int64) error {
	if s.progress.EventTime == stream.NoTime {
		s.began, s.first = time.Now(), at
	}
	s.progress.EventTime = at
	if s.options.Speed == 0 {
		return nil
	}
	for {
		after := time.Duration(float64(at-s.first) / s.options.Speed * float64(time.Microsecond))
		wait := time.Until(s.began.Add(after))
		if wait <= 0 {
			return nil
		}
		// A long silence still reports.
		timer := time.NewTimer(min(wait, time.Second))
		select {
		case <-timer.C:
			s.report(false)
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// keyOf is the key of a row: the key fields' values as text, with the unit
// separator between them.
func (s *simulation) keyOf(b *stream.Batch, row int) []byte {
	s.key = s.key[:0]
	for i, field := range s.keys {
		if i > 0 {
			s.key = append(s.key, 0x1f)
		}
		v := &b.Fields[field]
		switch v.Kind {
		case column.String:
			s.key = append(s.key, v.Strings.At(row)...)
		case column.Float:
			s.key = strconv.AppendFloat(s.key, v.Floats[row], 'g', -1, 64)
		default:
			s.key = strconv.AppendInt(s.key, v.Ints[row], 10)
		}
	}
	return append([]byte(nil), s.key...)
}

// report calls Progress, unless that was less than a second ago.
func (s *simulation) report(always bool) {
	s.mu.Lock()
	s.progress.TooLong = s.long
	s.mu.Unlock()
	if s.options.Progress != nil && (always || time.Since(s.reported) >= time.Second) {
		s.reported = time.Now()
		s.options.Progress(s.progress)
	}
}
