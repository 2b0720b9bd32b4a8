package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync/atomic"
	"time"
)

// partition runs the ingest task of one source partition on one goroutine, and
// reads ahead on another.
type partition struct {
	run      *Runner
	index    int // in the run's list
	id       int32
	task     *Task
	position int64 // of the next record the task has not seen
	queue    controlQueue
	input    partitionInput
	idle     idleClock
	out      Ingested
	barriers chan *barrier
	passed   int64 // barriers
	fresh    bool  // the source has got it since the pointer was made
	ended    bool  // at the end of bounded input
	closed   bool  // Task.End was called
	stats    partitionCounters
}

// partitionInput is the reading side.
type partitionInput struct {
	reader Reader
	size   int64 // bytes; 0 unknown
	free   chan *Batch
	full   chan readResult
	read   atomic.Int64 // bytes
	behind atomic.Int64 // records; −1: not known
}

// readResult is what one Read left.
type readResult struct {
	batch *Batch
	err   error
}

// run reads ahead until the input ends or ctx is done.
func (in *partitionInput) run(ctx context.Context) {
	for {
		b, ended := wait(ctx, in.free)
		if ended != nil {
			return
		}
		err := in.reader.Read(ctx, b)
		in.read.Store(in.reader.Progress())
		if l, ok := in.reader.(Lagging); ok {
			in.behind.Store(l.Lag())
		}
		if put(ctx, in.full, readResult{b, err}, new(atomic.Int64)) != nil || err != nil {
			return
		}
	}
}

// loop is the partition's goroutine. It ends after the last barrier.
func (p *partition) loop(ctx context.Context) error {
	flush := p.flushTicks()
	defer flush.stop()
	for {
		full, moved := p.source()
		quiet := p.idle.begin(p.mayIdle(full))
		ended := p.run.exchange.ended
		if p.closed || !p.ended {
			ended = nil
		}
		done, err := p.act(ctx, p.next(ctx, &waits{ended, flush.c, full, quiet, moved}))
		if done {
			return nil
		}
		if err != nil {
			return fmt.Errorf("partition %d: %w", p.id, err)
		}
	}
}

// ticks is a ticker that may be absent.
type ticks struct {
	c    <-chan time.Time
	stop func()
}

func (p *partition) flushTicks() ticks {
	if p.run.cfg.Range.Bounded {
		return ticks{stop: func() {}}
	}
	t := time.NewTicker(p.run.cfg.Timing.Flush)
	return ticks{c: t.C, stop: t.Stop}
}

// source is what to read from: nothing at the end, and nothing while the
// partition is so far ahead of the slowest one that it waits for it.
func (p *partition) source() (full <-chan readResult, moved <-chan struct{}) {
	if p.ended {
		return nil, nil
	}
	moved, ahead := p.run.exchange.ahead(p.task.Watermark(), p.run.cfg.Timing.Drift.Microseconds())
	p.stats.held.Store(ahead)
	if ahead {
		return nil, moved
	}
	return p.input.full, nil
}

// take hands the records of one Read to the task.
func (p *partition) take(ctx context.Context, r readResult) error {
	if r.err != nil {
		if !errors.Is(r.err, io.EOF) {
			return fmt.Errorf("reading at position %d: %w", p.position, r.err)
		}
		if !p.run.cfg.Range.Bounded {
			return fmt.Errorf("the source ended at position %d of a run that is not bounded", p.position)
		}
		p.ended = true
		p.run.exchange.finish(p.index)
		return nil
	}
	start, blocked := time.Now(), p.stats.blocked.Load()
	err := p.records(ctx, r.batch)
	p.input.free <- r.batch
	p.stats.busy.Add(int64(time.Since(start)) - (p.stats.blocked.Load() - blocked))
	return err
}

// records takes a batch in parts, cut where entries of the control log are to be
// applied again.
func (p *partition) records(ctx context.Context, b *Batch) error {
	for from := 0; from < b.Len(); {
		if err := p.rejoin(ctx); err != nil {
			return err
		}
		to := b.Len()
		if next, any := p.queue.next(); any {
			to = from + sort.Search(to-from, func(i int) bool { return b.Positions[from+i] >= next })
		}
		p.task.Part(b, from, to, &p.out)
		p.position = b.Next
		if to < b.Len() {
			p.position = b.Positions[to]
		}
		if err := p.deliver(ctx); err != nil {
			return err
		}
		if err := p.replay(ctx); err != nil {
			return err
		}
		from = to
	}
	p.position = max(p.position, b.Next)
	return p.replay(ctx)
}

// deliver passes on what the task has left: records to the sinks, then partials
// to the shards, then the watermark.
func (p *partition) deliver(ctx context.Context) error {
	defer p.publish()
	if err := p.task.options.memory.failed(); err != nil {
		return err
	}
	if len(p.out.Dead)+len(p.out.Late) > 0 {
		o := &Output{Dead: p.out.Dead, Late: p.out.Late}
		p.out.Dead, p.out.Late = nil, nil
		if err := p.run.emit(ctx, o, p.passed, &p.stats.blocked); err != nil {
			return err
		}
	}
	return p.run.exchange.pass(ctx, p.index, p.task, &p.out, &p.stats.blocked)
}

// barrier flushes, saves and passes a barrier; done says that it was the last.
func (p *partition) barrier(ctx context.Context, b *barrier) (done bool, err error) {
	delay := time.Since(b.requested)
	if b.kind == barrierEnd && !p.closed {
		if err := p.end(ctx); err != nil {
			return false, err
		}
	}
	p.task.Flush(&p.out)
	if err := p.deliver(ctx); err != nil {
		return false, err
	}
	start := time.Now()
	mark := partitionMark{
		state:   PartitionState{ID: p.id, Position: p.position},
		control: p.queue.contained(), counts: p.task.Counts(), delay: delay,
	}
	if p.run.keeps(b) {
		mark.delta = p.task.Save(b.since)
		p.queue.save(mark.delta)
		if err := p.task.options.memory.failed(); err != nil {
			return false, err
		}
	}
	mark.saving = time.Since(start)
	p.run.cfg.Crash(CrashPartitionSaved)
	passed, err := b.arrive(ctx, p.index, mark, func() error { return p.run.release(ctx, b) })
	if passed {
		p.passed = b.number
	}
	return passed && b.last(), err
}

// end passes the end of bounded input on.
func (p *partition) end(ctx context.Context) error {
	p.run.cfg.Crash(CrashBeforeEnd)
	p.closed = true
	p.task.End(p.run.exchange.end, &p.out)
	if err := p.deliver(ctx); err != nil {
		return err
	}
	p.run.cfg.Crash(CrashAfterEnd)
	return nil
}
