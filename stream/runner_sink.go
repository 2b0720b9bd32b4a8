package stream

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// delivery is what a sink is handed: an output, or a worker's barrier.
type delivery struct {
	output  *Output
	barrier *barrier
	number  int64 // of barriers that the worker or partition that it is of had passed
	early   bool  // it took a place among those that wait aside
}

// drain runs one sink on a goroutine of its own.
//
// Deliveries of the next epoch may come while other workers have not passed the
// barrier yet; they wait aside until all have, so that the sink's checkpoint
// holds exactly the epoch. Whoever has passed the barrier and finds all places
// aside taken waits, as for a full channel: those who have not passed it yet need
// none, so it comes.
type drain struct {
	sink    Sink
	workers int
	in      chan delivery
	passed  atomic.Int64 // barriers that the sink has passed
	marks   int          // workers that have passed the next one
	aside   []delivery
	places  chan struct{} // one is held for each output that its sender found early
	crash   func(string)

	written atomic.Int64 // rows
	busy    atomic.Int64 // ns
	last    atomic.Int64 // ns, the last checkpoint
}

// send hands a delivery to the sink's goroutine and adds the time that its full
// channel made us wait, in ns, to blocked.
func (d *drain) send(ctx context.Context, m delivery, blocked *atomic.Int64) error {
	if m.early = m.barrier == nil && m.number > d.passed.Load(); m.early {
		if err := put(ctx, d.places, struct{}{}, blocked); err != nil {
			return err
		}
	}
	return put(ctx, d.in, m, blocked)
}

// emit hands an output to every sink; each owns its rows until it has written them.
func (r *Runner) emit(ctx context.Context, o *Output, passed int64, blocked *atomic.Int64) error {
	for range r.sinks[1:] {
		for _, rows := range o.Rows {
			rows.Retain()
		}
	}
	for _, d := range r.sinks {
		if err := d.send(ctx, delivery{output: o, number: passed}, blocked); err != nil {
			return err
		}
	}
	return nil
}

// put sends, and adds the time that it had to wait, in ns, to blocked.
func put[T any](ctx context.Context, to chan<- T, what T, blocked *atomic.Int64) error {
	select {
	case to <- what:
		return nil
	default:
	}
	start := time.Now()
	defer woken(ctx)
	defer func() { blocked.Add(int64(time.Since(start))) }()
	select {
	case to <- what:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run ends after the last barrier, with an error, or when ctx is done.
func (d *drain) run(ctx context.Context) error {
	for {
		m, ended := wait(ctx, d.in)
		if ended != nil {
			return nil
		}
		done, err := d.take(ctx, m)
		if err != nil {
			return fmt.Errorf("sink %s: %w", d.sink.Name(), err)
		}
		if done {
			return nil
		}
	}
}

// take handles one delivery, and those that were waiting for it.
func (d *drain) take(ctx context.Context, m delivery) (done bool, err error) {
	if m.number > d.passed.Load() {
		d.aside = append(d.aside, m)
		return false, nil
	}
	if m.early {
		<-d.places
	}
	if m.barrier == nil {
		return false, d.write(ctx, m.output)
	}
	if d.marks++; d.marks < d.workers {
		return false, nil
	}
	d.checkpoint(ctx, m.barrier)
	if m.barrier.last() {
		return true, nil
	}
	d.passed.Add(1)
	d.marks = 0
	waiting := d.aside
	d.aside = nil
	for _, m := range waiting {
		if done, err := d.take(ctx, m); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

func (d *drain) write(ctx context.Context, o *Output) error {
	start := time.Now()
	err := d.sink.Write(ctx, o)
	for _, rows := range o.Rows {
		d.written.Add(int64(len(rows.Cells)))
		rows.Release()
	}
	d.busy.Add(int64(time.Since(start)))
	if err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// checkpoint makes the epoch durable in the sink. What fails, fails the
// checkpoint and not the run.
func (d *drain) checkpoint(ctx context.Context, b *barrier) {
	start := time.Now()
	d.crash(CrashBeforeSink)
	state, err := d.sink.Checkpoint(ctx, b.epoch)
	d.crash(CrashAfterSink)
	took := time.Since(start)
	d.busy.Add(int64(took))
	d.last.Store(int64(took))
	b.sinks <- sinkMark{name: d.sink.Name(), state: state, took: took, err: err}
}
