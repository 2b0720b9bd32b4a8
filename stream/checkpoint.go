package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// checkpoints decides when a checkpoint is taken and takes it, one at a time, on
// one goroutine.
type checkpoints struct {
	run      *Runner
	epoch    int64 // of the last one tried
	number   int64 // barriers so far
	since    int64 // the number of the last one whose epoch was committed
	requests chan chan error
	sooner   chan struct{} // Hasten
	failures int           // in a row
	before   *CommitTiming // of the last one that was committed
	running  atomic.Pointer[running]
	status   atomic.Pointer[CheckpointStats]
	recent   atomic.Pointer[[]CheckpointStats] // the newest first

	committer Committer // nil: the pointer is the truth
	open      *Pointer  // handed to the committer; whether it is committed is not known. nil: none
}

// running is a checkpoint that is being taken.
type running struct {
	epoch int64
	over  chan struct{} // closed when it has ended, well or not
}

// writers is how many generations are written at once.
const writers = 4

// ErrNoGenerations is returned by Runner.Checkpoint of a run that keeps none.
var ErrNoGenerations = errors.New("this run keeps no generations")

// loop is the goroutine of the checkpoints. It ends after the last barrier.
func (c *checkpoints) loop(ctx context.Context, stop <-chan struct{}) error {
	timer := time.NewTimer(c.run.cfg.Timing.Interval)
	defer timer.Stop()
	for {
		kind, reply, more := c.next(ctx, stop, timer)
		if !more {
			return nil
		}
		if kind != barrierBetween {
			return c.finish(ctx, kind)
		}
		if c.run.cfg.Generations != nil {
			err := c.take(ctx, kind)
			if reply != nil {
				reply <- err
			}
			if errors.Is(err, ErrFenced) {
				return err
			} // another failure is logged and counted; the next may succeed
		}
		timer.Reset(c.pause())
	}
}

// next waits for the next checkpoint's time, and says of what kind it is and who
// asked for it, if anybody did.
func (c *checkpoints) next(ctx context.Context, stop <-chan struct{}, timer *time.Timer) (kind barrierKind, reply chan error, more bool) {
	over, ended := ctx.Done(), c.run.exchange.ended
	for {
		switch {
		case ready(over):
			return kind, nil, false
		case ready(stop):
			return barrierStop, nil, true
		case ready(ended):
			return barrierEnd, nil, true
		case poll(c.requests, &reply), ready(timer.C):
			return barrierBetween, reply, true
		}
		select {
		case <-over:
			more = false
		case <-stop:
			kind, more = barrierStop, true
		case <-ended:
			kind, more = barrierEnd, true
		case reply = <-c.requests:
			more = true
		case <-timer.C:
			more = true
		case <-c.sooner:
			timer.Reset(max(0, c.run.cfg.Timing.MinPause-time.Since(c.status.Load().Ended)))
			woken(ctx)
			continue
		}
		woken(ctx)
		return kind, reply, more
	}
}

// pause is how long to wait for the next checkpoint.
func (c *checkpoints) pause() time.Duration {
	t := c.run.cfg.Timing
	last := c.status.Load()
	return max(t.MinPause, t.Interval-last.Duration)
}

// finish takes the last checkpoint, after which the machines end.
func (c *checkpoints) finish(ctx context.Context, kind barrierKind) error {
	c.run.cfg.Crash(CrashBeforeLastBarrier)
	c.run.setPhase(PhaseEnding)
	if err := c.take(ctx, kind); err != nil {
		return fmt.Errorf("the last checkpoint failed; a restart goes on from the one before: %w", err)
	}
	c.run.complete.Store(kind == barrierEnd)
	return nil
}

// take takes one checkpoint.
func (c *checkpoints) take(ctx context.Context, kind barrierKind) error {
	if err := c.run.source.describe(ctx, c.run.cfg.Source); err != nil {
		c.run.life.abort(err) // what is read is not known to be one input
		return err
	}
	c.epoch++
	now := &running{c.epoch, make(chan struct{})}
	c.running.Store(now)
	defer close(now.over)
	b := newBarrier(order{c.epoch, c.number + 1, c.since, kind}, len(c.run.partitions), c.run.cfg.Shape.Shards, len(c.run.sinks))
	if !b.last() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.run.cfg.Timing.Timeout, errTimeout)
		defer cancel()
	}
	p, s, err := c.collect(ctx, b)
	if err == nil {
		start := time.Now()
		err = c.commit(ctx, p, b)
		s.Commit = Seconds(time.Since(start))
	}
	if err == nil {
		c.since = b.number
	}
	c.note(b, p, s, err)
	return err
}

var errTimeout = errors.New("the checkpoint took too long")

// collect sends the barrier and gathers what the machines and sinks leave.
func (c *checkpoints) collect(ctx context.Context, b *barrier) (*Pointer, *CheckpointStats, error) {
	r := c.run
	s := &CheckpointStats{Epoch: b.epoch}
	if err := c.insist(ctx, b, func() error { return c.settle(ctx) }); err != nil {
		return nil, s, err
	}
	r.cfg.Crash(CrashBeforeBarrier)
	if b.kind != barrierEnd {
		r.exchange.hurry.Store(b.number)
	}
	for _, p := range r.partitions {
		ready(p.barriers) // one that was recalled
		p.barriers <- b
	}
	if _, err := wait(ctx, b.released); err != nil {
		if b.recall() {
			r.exchange.hurry.Store(c.number)
			return nil, s, fmt.Errorf("waiting for the partitions: %w", err)
		}
		<-b.released // it is with the last partition
		woken(ctx)
	}
	c.number = b.number
	p := r.pointer(b)
	w := newGenerationWriter(ctx, r, b.epoch)
	err := c.gather(ctx, b, p, s, w)
	err = errors.Join(err, w.wait(p, s))
	s.align(b.partitionMarks())
	s.Before = c.before
	timing := s.CheckpointTiming
	p.Timing = &timing
	return p, s, err
}

// gather takes the marks, in whatever order they come, and lets what they hold
// be written.
func (c *checkpoints) gather(ctx context.Context, b *barrier, p *Pointer, s *CheckpointStats, w *generationWriter) error {
	for _, m := range b.partitionMarks() {
		p.Partitions = append(p.Partitions, m.state)
		p.Control = min(p.Control, m.control)
		p.Counts.add(m.counts)
		w.write(fmt.Sprintf("partition/%d", m.state.ID), m.delta, nil)
	}
	p.Counts.Overflows += c.run.before.overflows
	var errs error
	for range c.run.cfg.Shape.Shards {
		m, err := wait(ctx, b.shards)
		if err != nil {
			return fmt.Errorf("waiting for the shards: %w", err)
		}
		p.Counts.Rows += m.rows
		p.Counts.Overflows += m.overflows
		s.shard(&m, c.run.cfg.Shape.Workers)
		w.write(fmt.Sprintf("shard/%d", m.shard), m.delta, &ShardTiming{ID: m.shard, Saving: Seconds(m.saving)})
	}
	for range c.run.sinks {
		m, err := wait(ctx, b.sinks)
		if err != nil {
			return fmt.Errorf("waiting for the sinks: %w", err)
		}
		p.Sinks[m.name] = m.state
		s.Sinks = max(s.Sinks, Seconds(m.took))
		if m.err != nil {
			errs = errors.Join(errs, fmt.Errorf("sink %s: making its part durable: %w", m.name, m.err))
		}
	}
	return errs
}

// note keeps and logs how a checkpoint went.
func (c *checkpoints) note(b *barrier, p *Pointer, s *CheckpointStats, err error) {
	c.count(b, p, s, err)
	level, text := slog.LevelDebug, "checkpoint"
	switch {
	case err != nil && b.last():
		level, text = slog.LevelWarn, "the last checkpoint failed"
	case err != nil:
		level, text = slog.LevelWarn, "checkpoint failed; the next one is tried at its time"
	}
	c.run.cfg.Logger.Log(context.Background(), level, text, "epoch", s.Epoch, "bytes", s.Size, "new", s.Written,
		"duration", s.Duration, "start_delay", time.Duration(s.StartDelay), "alignment", time.Duration(s.Alignment), "error", err)
}

// count keeps how a checkpoint went, or a try of the last one.
func (c *checkpoints) count(b *barrier, p *Pointer, s *CheckpointStats, err error) {
	old := c.status.Load()
	s.Completed, s.Failed, s.Committed, s.Succeeded, s.Failure = old.Completed, old.Failed, old.Committed, old.Succeeded, old.Failure
	s.Ended = time.Now()
	s.Duration = time.Since(b.requested)
	if err != nil {
		c.failures++
		s.Failed++
		s.LastError = err.Error()
		s.Failure = &Failure{Epoch: s.Epoch, At: s.Ended, Error: s.LastError}
	} else {
		c.failures = 0
		s.Completed++
		s.Committed, s.Succeeded = p.Epoch, s.Ended
		c.before = &CommitTiming{Epoch: p.Epoch, Commit: s.Commit, All: Seconds(s.Duration)}
	}
	s.Degraded = c.failures >= c.run.cfg.Timing.Failures
	c.remember(s)
}
