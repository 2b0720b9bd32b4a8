package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// exactStats count transactions.
type exactStats struct {
	committed atomic.Int64
	aborted   atomic.Int64
	took      atomic.Int64 // ns, of those committed
	timeout   atomic.Int64 // ns
}

// TransactionStats are how an ExactFeed's transactions went.
type TransactionStats struct {
	Committed int64
	Aborted   int64         // or of unknown outcome at first
	Took      time.Duration // of those committed, together
	Buffered  int64         // bytes that wait for their epoch
	Timeout   time.Duration // that the next one may take
}

// Transactions tells how they went. It may be called from any goroutine.
func (f *ExactFeed) Transactions() TransactionStats {
	return TransactionStats{
		Committed: f.stats.committed.Load(), Aborted: f.stats.aborted.Load(),
		Took: time.Duration(f.stats.took.Load()), Buffered: f.kept.state().bytes, Timeout: f.timeout(),
	}
}

func (f *ExactFeed) epochsTopic() string { return f.topic + ".epochs" }

// retryAfter is the pause before Kafka is asked again.
const retryAfter = 100 * time.Millisecond

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// versions are Kafka's, but for the newer way of transactions, in which offsets are
// added without a word: both ways are as safe, and the requests that this package
// makes itself are those of the older one.
func versions() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.Produce), 11)
	v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
	v.SetMaxKeyVersion(int16(kmsg.EndTxn), 4)
	return v
}

// transactionalID names the producer that only one process has at a time.
func (f *ExactFeed) transactionalID() string { return "hextide." + f.plan.Name + "." + f.exact.Group }

// committedTo says what was committed last to the feed's topic under the group, whether
// the topic is there or not.
func (f *ExactFeed) committedTo(ctx context.Context, admin *kadm.Client) (string, error) {
	last := f.last
	if last == nil {
		if missing, err := lacks(ctx, admin, f.epochsTopic()); err != nil || missing {
			return "", err
		}
		var err error
		if last, _, err = lastEpoch(ctx, f.options.Client, f.epochsTopic(), f.exact.Group, f.exact.Source); err != nil {
			return "", err
		}
	}
	if last == nil || len(last.Told) == 0 {
		return "", nil
	}
	return fmt.Sprintf("rows up to %s (%s says so)", last.metadata(), f.epochsTopic()), nil
}

func (f *ExactFeed) fence(ctx context.Context, client *kgo.Client, timeout time.Duration) (*stream.Committed, error) {
	if err := f.reach(ctx, client, f.committedTo); err != nil {
		return nil, err
	}
	if _, err := haveTopic(ctx, kadm.NewClient(client), f.epochsTopic(), 1, "compact"); err != nil {
		return nil, fmt.Errorf("making the topic %s: %w", f.epochsTopic(), err)
	}
	if _, _, err := client.ProducerID(ctx); err != nil {
		return nil, fmt.Errorf("starting a transactional producer (may the user write to transactional ids that begin with hextide., and is --feed-transaction-timeout %s at most the brokers' transaction.max.timeout.ms?): %w", timeout, err)
	}
	f.exact.Crash(CrashFeedFenced)
	epoch, offsets, err := lastEpoch(ctx, f.options.Client, f.epochsTopic(), f.exact.Group, f.exact.Source)
	if err != nil {
		return nil, err
	}
	f.last = epoch
	if epoch != nil && epoch.Incarnation == f.options.Incarnation() && epoch.Epoch == f.tried {
		f.kept.drop(f.tried)
	}
	return epoch.committed(offsets, f.exact.Source), nil
}

// Commit commits all that belongs to p's epoch, and what was left of those before.
func (f *ExactFeed) Commit(ctx context.Context, p *stream.Pointer) error {
	var state feedState
	if err := json.Unmarshal(p.Sinks[f.Name()], &state); err != nil {
		return fmt.Errorf("the feed's state: %w", err)
	}
	f.tried = p.Epoch
	return f.transact(ctx, f.epochOf(p, state), f.kept.begin(p.Epoch))
}

// GoBack commits that p is where the run goes on. Quiet: what was told beyond it is
// not told again.
func (f *ExactFeed) GoBack(ctx context.Context, p *stream.Pointer, quiet bool) error {
	var state feedState
	if text := p.Sinks[f.Name()]; text != nil {
		if err := json.Unmarshal(text, &state); err != nil {
			return fmt.Errorf("the feed's state: %w", err)
		}
	}
	state.Silent = nil
	if last := f.last; quiet && last != nil {
		silent := feedQuiet{Partitions: last.Partitions}
		before := tellings{}
		if last.Silent != nil {
			before = tellingsOf(last.Silent.Told)
			silent.Partitions = furthest(silent.Partitions, last.Silent.Partitions)
		}
		silent.Told = tellingsOf(last.Told).with(before).list()
		state.Silent = &silent
	}
	return f.transact(ctx, f.epochOf(p, state), f.kept.begin(0))
}

// furthest is the greater of two positions, by partition.
func furthest(a, b []stream.PartitionState) []stream.PartitionState {
	at := map[int32]int64{}
	for _, s := range b {
		at[s.ID] = s.Position
	}
	var all []stream.PartitionState
	for _, s := range a {
		if before, is := at[s.ID]; is {
			s.Position = max(s.Position, before)
		}
		all = append(all, s)
	}
	return all
}

func (f *ExactFeed) epochOf(p *stream.Pointer, state feedState) *feedEpoch {
	return &feedEpoch{
		Pipeline: p.Pipeline, PlanHash: p.PlanHash, Epoch: p.Epoch, Incarnation: p.Incarnation, Pointer: p.Checksum,
		Partitions: p.Partitions, Provisional: p.Provisional, Final: p.Final, Taken: p.Taken, feedState: state,
	}
}

// errNotFenced is returned where no producer is there, since the last Fence failed.
var errNotFenced = errors.New("there is no transactional producer")

// transact runs one transaction. Where it fails the producer is not used again: the
// next Fence ends what it left.
func (f *ExactFeed) transact(ctx context.Context, e *feedEpoch, segments []segment) (err error) {
	defer func() { f.kept.end(err) }()
	if f.client == nil {
		return errNotFenced
	}
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, f.timeout())
	defer cancel()
	if err = f.run(ctx, e, value, segments); err != nil {
		f.stats.aborted.Add(1)
		if f.slow = time.Since(start) >= f.timeout(); f.slow { // whoever ended it first, this process or the brokers
			err = fmt.Errorf("%w, %s: %w", errSlow, f.timeout(), err)
		}
		return fmt.Errorf("the transaction of epoch %d: %w", e.Epoch, err)
	}
	f.exact.Crash(CrashFeedEnded)
	f.stats.committed.Add(1)
	f.stats.took.Add(int64(time.Since(start)))
	f.last = e
	f.kept.drop(e.Epoch)
	return nil
}

func (f *ExactFeed) run(ctx context.Context, e *feedEpoch, value []byte, segments []segment) error {
	if err := f.client.BeginTransaction(); err != nil {
		return err
	}
	f.exact.Crash(CrashFeedBegun)
	if err := f.produce(ctx, value, segments); err != nil {
		return err
	}
	f.exact.Crash(CrashFeedProduced)
	if err := f.commitOffsets(ctx, e); err != nil {
		return fmt.Errorf("adding the offsets of the group %s: %w", f.exact.Group, err)
	}
	f.exact.Crash(CrashFeedOffsets)
	return f.client.EndTransaction(ctx, kgo.TryCommit)
}

// produce puts everything into the transaction, the epoch's own record last.
func (f *ExactFeed) produce(ctx context.Context, value []byte, segments []segment) error {
	var mu sync.Mutex
	var failed error
	promise := func(r *kgo.Record, err error) {
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			if failed == nil { // all others fail for the same reason
				failed = fmt.Errorf("producing to %s: %w", r.Topic, err)
			}
		}
	}
	for _, s := range segments {
		for _, r := range s.records {
			once := *r // a client makes a record its own; another may have to send it again
			f.client.Produce(ctx, &once, promise)
		}
	}
	f.client.Produce(ctx, &kgo.Record{Topic: f.epochsTopic(), Key: []byte(f.exact.Group), Value: value}, promise)
	err := f.client.Flush(ctx)
	mu.Lock()
	defer mu.Unlock()
	return errors.Join(failed, err)
}

// commitOffsets puts the source's offsets into the transaction, as those of a group
// without members: partitions are assigned by the run itself.
func (f *ExactFeed) commitOffsets(ctx context.Context, e *feedEpoch) error {
	id, epoch, err := f.client.ProducerID(ctx)
	if err != nil {
		return err
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = f.transactionalID(), id, epoch, f.exact.Group
	err = retried(ctx, func() error {
		answer, err := add.RequestWith(ctx, f.client)
		if err == nil {
			err = kerr.ErrorForCode(answer.ErrorCode)
		}
		return err
	})
	if err != nil {
		return err
	}
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group = add.TransactionalID, id, epoch, f.exact.Group
	commit.Generation = -1
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic = f.exact.Source
	metadata := e.metadata()
	for _, s := range e.Partitions {
		if s.Position < 0 {
			continue // from the start, wherever that is
		}
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = s.ID, s.Position, &metadata
		topic.Partitions = append(topic.Partitions, p)
	}
	commit.Topics = append(commit.Topics, topic)
	return retried(ctx, func() error {
		answer, err := commit.RequestWith(ctx, f.client)
		if err != nil {
			return err
		}
		for _, t := range answer.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("partition %d of %s: %w", p.Partition, t.Topic, err)
				}
			}
		}
		return nil
	})
}

// seenWithin is how long a feed that is closed waits for the brokers.
const seenWithin = 5 * time.Second

// untilSeen waits until readers see the last transaction: a coordinator answers that it
// has ended before it has told the partitions so.
func (f *ExactFeed) untilSeen() {
	if f.stats.committed.Load() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), seenWithin)
	defer cancel()
	for {
		ending, err := f.ending(ctx)
		if err == nil && !ending {
			return
		}
		if err == nil || passing(err) {
			err = sleep(ctx, retryAfter/10)
		}
		if err != nil {
			f.exact.Logger.Warn("readers may not see the last transaction yet", "error", err)
			return
		}
	}
}

// ending tells whether partitions are still to be told how the last transaction ended.
func (f *ExactFeed) ending(ctx context.Context) (bool, error) {
	all, err := kadm.NewClient(f.client).DescribeTransactions(ctx, f.transactionalID())
	if err != nil {
		return false, err
	}
	t, err := all.On(f.transactionalID(), nil)
	if err == nil {
		err = t.Err
	}
	return strings.HasPrefix(t.State, "Prepare"), err
}

// passing tells whether an error is that a coordinator is not ready yet.
func passing(err error) bool {
	for _, e := range []error{
		kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.ConcurrentTransactions, kerr.UnstableOffsetCommit,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// retried calls until it succeeds, or fails for another reason than that a
// coordinator is not ready.
func retried(ctx context.Context, call func() error) error {
	for {
		err := call()
		if !passing(err) {
			return err
		}
		if late := sleep(ctx, retryAfter); late != nil {
			return errors.Join(err, late)
		}
	}
}
