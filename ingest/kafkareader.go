package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hextide/hextide/stream"
)

const (
	// A partition is paused while so much of it waits to be read.
	maxQueued      = 32 << 10 // records
	maxQueuedBytes = 16 << 20
	// quiet is how long a partition may bring no record before its end is asked for:
	// what lies before the end may be nothing but records of transactions that were
	// given up, and compaction removes the record that says so.
	quiet = 500 * time.Millisecond
)

// kafkaReader reads one partition: the source's poller pushes, Read takes.
type kafkaReader struct {
	source    *Kafka
	codec     Codec
	partition int32
	next      int64 // the offset to read on from; of Read's goroutine
	end       int64 // bounded input: where it ends; else -1
	arrived   chan struct{}
	closed    chan struct{}

	newest   atomic.Int64 // the end of what is committed, as last heard
	position atomic.Int64 // next, for others
	bytes    atomic.Int64

	mu    sync.Mutex
	queue recordQueue
	err   error
	waits waiting
}

// waiting is since when Read waits for records and which broker they are to come from.
type waiting struct {
	since  time.Time // zero: Read does not wait
	leader int32
}

// recordQueue holds fetched records in order.
type recordQueue struct {
	chunks [][]*kgo.Record
	count  int
	bytes  int
	paused bool
}

// recordRaw gives the values of records.
type recordRaw struct{ values [][]byte }

// At implements stream.Raw.
func (r *recordRaw) At(i int) []byte { return r.values[i] }

// push takes what was fetched.
func (r *kafkaReader) push(p kgo.FetchPartition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := p.LastStableOffset
	if newest < 0 { // a broker that knows no transactions
		newest = p.HighWatermark
	}
	r.newest.Store(max(newest, r.newest.Load()))
	if len(p.Records) > 0 {
		q := &r.queue
		q.chunks = append(q.chunks, p.Records)
		q.count += len(p.Records)
		for _, record := range p.Records {
			q.bytes += len(record.Value) + len(record.Key)
		}
		if !q.paused && (q.count > maxQueued || q.bytes > maxQueuedBytes) {
			q.paused = true
			r.source.client.PauseFetchPartitions(r.own())
		}
	}
	if p.Err != nil && r.err == nil {
		r.err = p.Err
	}
	r.signal()
}

// fail makes err what Read returns once the queue is empty.
func (r *kafkaReader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	r.signal()
}

func (r *kafkaReader) signal() {
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// CaughtUp implements stream.CaughtUp: everything that the brokers told of has
// been read, and the partition's leader has answered since Read waits, and still
// does. What other brokers answer says nothing of this partition.
func (r *kafkaReader) CaughtUp() bool {
	k := r.source
	leader, _, err := k.client.PartitionLeader(k.options.Topic, r.partition)
	if err != nil || leader < 0 || r.position.Load() < r.newest.Load() {
		return false
	}
	r.mu.Lock()
	if r.waits.leader != leader && !r.waits.since.IsZero() {
		r.waits = waiting{time.Now(), leader} // what the new one told others does not count
	}
	since := r.waits.since
	r.mu.Unlock()
	return !since.IsZero() && k.brokers.answered(leader, since)
}

// Lag implements stream.Lagging.
func (r *kafkaReader) Lag() int64 { return max(0, r.newest.Load()-r.position.Load()) }

// own is the reader's partition as the client's calls want it.
func (r *kafkaReader) own() map[string][]int32 {
	return map[string][]int32{r.source.options.Topic: {r.partition}}
}

// Read implements stream.Reader.
func (r *kafkaReader) Read(ctx context.Context, b *stream.Batch) error {
	raw, ok := b.Raw.(*recordRaw)
	if !ok {
		release(b)
		raw = &recordRaw{}
		b.Raw = raw
	}
	clear(raw.values) // let go of the last batch's records
	raw.values = raw.values[:0]
	notAfter := b.NotAfter[:0]
	r.source.schema.Reset(b)
	b.NotAfter = notAfter
	defer r.waited()
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", r.what(), err)
		}
		if r.end >= 0 && r.next >= r.end {
			return io.EOF
		}
		err := r.take(b, raw)
		if len(b.Times) > 0 {
			return nil
		}
		if err != nil {
			return r.explain(ctx, err)
		}
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
}

// waited says that Read waits no more.
func (r *kafkaReader) waited() {
	r.mu.Lock()
	r.waits.since = time.Time{}
	r.mu.Unlock()
}

// what says what the reader is doing.
func (r *kafkaReader) what() string {
	return fmt.Sprintf("reading partition %d of topic %q at offset %d", r.partition, r.source.options.Topic, r.next)
}

// take decodes queued records until the batch is full or none is left, and then
// returns the error behind them, if any.
func (r *kafkaReader) take(b *stream.Batch, raw *recordRaw) error {
	for len(b.Times) < r.source.options.Batch && (r.end < 0 || r.next < r.end) {
		records, err := r.dequeue(r.source.options.Batch - len(b.Times))
		if len(records) == 0 {
			return err
		}
		for _, record := range records {
			if record.Offset < r.next {
				continue // fetched before the reader was opened here
			}
			if r.end >= 0 && record.Offset >= r.end {
				r.next = r.end
				break
			}
			r.append(b, raw, record)
		}
		if len(b.Times) > 0 {
			b.Next = r.next
		}
		r.position.Store(r.next)
	}
	return nil
}

// append decodes one record. Those that say how a transaction ended are only passed.
func (r *kafkaReader) append(b *stream.Batch, raw *recordRaw, record *kgo.Record) {
	r.next = record.Offset + 1
	if record.Attrs.IsControl() {
		return
	}
	r.bytes.Add(int64(len(record.Value)))
	r.codec.Append(b, record.Value)
	raw.values = append(raw.values, record.Value)
	b.Positions = append(b.Positions, record.Offset)
	b.NotAfter = append(b.NotAfter, record.Timestamp.UnixMicro()+r.source.options.MaxAhead.Microseconds())
}

// dequeue takes at most max records from the front of the queue, and has the
// partition fetched again when little is left of it.
func (r *kafkaReader) dequeue(max int) ([]*kgo.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := &r.queue
	if len(q.chunks) == 0 {
		if r.waits.since.IsZero() {
			r.waits.since = time.Now()
		}
		return nil, r.err
	}
	r.waits.since = time.Time{}
	records := q.chunks[0]
	if len(records) > max {
		records = records[:max]
		q.chunks[0] = q.chunks[0][max:]
	} else {
		q.chunks[0] = nil
		q.chunks = q.chunks[1:]
	}
	q.count -= len(records)
	for _, record := range records {
		q.bytes -= len(record.Value) + len(record.Key)
	}
	if q.paused && q.count < maxQueued/2 && q.bytes < maxQueuedBytes/2 {
		q.paused = false
		r.source.client.ResumeFetchPartitions(r.own())
	}
	return records, nil
}

// wait waits for the poller. Where none comes though the end is not reached, it
// finds whether any is left before it.
func (r *kafkaReader) wait(ctx context.Context) error {
	var late <-chan time.Time
	if r.end >= 0 || r.next < r.newest.Load() {
		timer := time.NewTimer(quiet)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-r.arrived:
	case <-r.closed:
		return fmt.Errorf("%s: the reader is closed", r.what())
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", r.what(), ctx.Err())
	case <-late:
		if next, ok := r.probe(ctx); ok {
			r.next = next
			r.position.Store(next)
		}
	}
	return nil
}

// probe asks the leader itself for what follows the position. Where that is
// nothing but aborted or control records it returns the offset behind them; not
// ok: there are records, which the poller will bring, or there was no answer.
func (r *kafkaReader) probe(ctx context.Context) (int64, bool) {
	k := r.source
	leader, _, err := k.client.PartitionLeader(k.options.Topic, r.partition)
	if err != nil || leader < 0 {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request := kmsg.NewPtrFetchRequest()
	request.MaxWaitMillis, request.MinBytes, request.MaxBytes = 100, 1, 4<<20
	request.IsolationLevel, request.SessionEpoch = 1, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = k.options.Topic, k.id
	partition := kmsg.NewFetchRequestTopicPartition()
	partition.Partition, partition.FetchOffset, partition.PartitionMaxBytes = r.partition, r.next, 4<<20
	topic.Partitions = append(topic.Partitions, partition)
	request.Topics = append(request.Topics, topic)
	answer, err := k.client.Broker(int(leader)).RetriableRequest(ctx, request)
	if err != nil {
		return 0, false
	}
	response := answer.(*kmsg.FetchResponse)
	if len(response.Topics) != 1 || len(response.Topics[0].Partitions) != 1 {
		return 0, false
	}
	found, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: r.next, IsolationLevel: kgo.ReadCommitted(), Topic: k.options.Topic, Partition: r.partition,
	}, &response.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
	switch {
	case found.Err != nil || next <= r.next:
		return 0, false
	case len(found.Records) == 0:
		return next, true
	case r.end >= 0 && found.Records[0].Offset >= r.end:
		return r.end, true
	}
	return 0, false
}

// explain makes an error of the client one that a user can act on.
func (r *kafkaReader) explain(ctx context.Context, err error) error {
	var loss *kgo.ErrDataLoss
	switch {
	case errors.Is(err, kerr.OffsetOutOfRange):
		return r.source.outOfRange(ctx, r.partition, r.next)
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return fmt.Errorf("%s: the topic was deleted: %w", r.what(), err)
	case errors.As(err, &loss):
		return fmt.Errorf("%s: the broker has lost records: %w", r.what(), err)
	}
	return fmt.Errorf("%s: %w", r.what(), err)
}

// Progress implements stream.Reader: bytes of values read. It may be called from
// any goroutine.
func (r *kafkaReader) Progress() int64 { return r.bytes.Load() }

// Close implements stream.Reader.
func (r *kafkaReader) Close() error {
	k := r.source
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.readers[r.partition] != r {
		return nil
	}
	delete(k.readers, r.partition)
	close(r.closed)
	k.client.RemoveConsumePartitions(r.own())
	k.client.ResumeFetchPartitions(r.own())
	return nil
}
