package stream

import (
	"context"
	"sync"
	"time"
)

// barrier is the mark between two epochs on its way through the machines.
//
// Every partition flushes, saves its state and arrives. The last one to arrive
// sends the barrier to the workers and only then lets all go on: so no message
// of the next epoch is before it in any channel, and every channel has it once.
type barrier struct {
	order
	requested time.Time

	mu       sync.Mutex
	arrived  int
	passing  bool // beyond recall
	marks    []partitionMark
	released chan struct{} // closed when the workers have been sent the barrier
	recalled chan struct{} // closed when it is given up before that

	shards chan shardMark // as many as there are shards fit
	sinks  chan sinkMark  // as many as there are sinks fit

	// Set by the last partition to arrive, before released is closed.
	provisional int64
	final       int64
	control     int64
}

// order is what a barrier asks for.
type order struct {
	epoch  int64
	number int64 // how many barriers went before it in this run, plus 1
	since  int64 // the number of the last one whose epoch was committed; 0: none in this run
	kind   barrierKind
}

// barrierKind says what comes after a barrier.
type barrierKind uint8

const (
	barrierBetween barrierKind = iota // the next epoch
	barrierStop                       // nothing: the run stops and may go on later
	barrierEnd                        // nothing: the input has ended, and every pane is closed first
)

// last tells whether the machines end after the barrier.
func (b *barrier) last() bool { return b.kind != barrierBetween }

// partitionMark is what a partition leaves at a barrier.
type partitionMark struct {
	state     PartitionState
	control   int64 // controlQueue.contained
	delta     *Delta
	counts    Counts
	delay     time.Duration // from the request to the partition's turn to it
	alignment time.Duration // waiting for the other partitions
	saving    time.Duration
}

// shardMark is what a shard leaves at a barrier.
type shardMark struct {
	shard     int32
	delta     *Delta
	rows      int64 // of this shard's worker so far; 0 at all but one of its shards
	overflows int64 // since the run began
	saving    time.Duration
}

// sinkMark is what a sink leaves at a barrier.
type sinkMark struct {
	name  string
	state []byte
	took  time.Duration
	err   error
}

func newBarrier(o order, partitions, shards, sinks int) *barrier {
	return &barrier{
		order: o, requested: time.Now(),
		marks:    make([]partitionMark, partitions),
		released: make(chan struct{}), recalled: make(chan struct{}),
		shards: make(chan shardMark, shards), sinks: make(chan sinkMark, sinks),
	}
}

// arrive leaves a partition's mark and waits for the others; pass is what the
// last one does before all go on. It reports false where the barrier was
// recalled: then nothing has happened.
func (b *barrier) arrive(ctx context.Context, i int, mark partitionMark, pass func() error) (bool, error) {
	start := time.Now()
	b.mu.Lock()
	select {
	case <-b.recalled:
		b.mu.Unlock()
		return false, nil
	default:
	}
	b.marks[i] = mark
	b.arrived++
	b.passing = b.arrived == len(b.marks)
	last := b.passing
	b.mu.Unlock()
	if last {
		err := pass()
		close(b.released)
		return true, err
	}
	select {
	case <-b.released:
		woken(ctx)
	case <-b.recalled:
		woken(ctx)
		return false, nil
	case <-ctx.Done():
		woken(ctx)
		return false, context.Cause(ctx)
	}
	b.mu.Lock()
	b.marks[i].alignment = time.Since(start)
	b.mu.Unlock()
	return true, nil
}

// recall gives the barrier up; false: it is on its way to the shards.
func (b *barrier) recall() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.passing {
		return false
	}
	close(b.recalled)
	return true
}

// partitionMarks are the marks once the barrier was released; alignment may be
// missing from those that have not gone on yet.
func (b *barrier) partitionMarks() []partitionMark {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]partitionMark(nil), b.marks...)
}
