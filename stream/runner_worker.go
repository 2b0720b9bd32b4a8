package stream

import (
	"context"
	"fmt"
	"time"
)

// worker runs some of the shards on one goroutine; the others step some of them for it.
type worker struct {
	run     *Runner
	index   int
	shards  []*shardSeat
	in      <-chan message
	asks    chan ask
	asked   inquiry
	steps   steps
	passed  int64 // barriers
	rows    int64 // final rows, or those of revision 0 where they come twice; of earlier runs too
	barrier *barrier
	stats   workerCounters

	provisional int64 // µs
	final       int64 // µs
}

func (r *Runner) newWorker(i int) *worker {
	return &worker{
		run: r, index: i, in: r.exchange.workers[i], asks: make(chan ask), provisional: NoTime, final: NoTime,
		steps: steps{home: make(chan *step, r.cfg.Shape.Shards)},
	}
}

// shardSeat is a shard at its worker.
type shardSeat struct {
	shard  *Shard
	id     int32
	used   bool // it was handed partials, or state
	behind bool // it has panes to close
	away   bool // another worker steps it
}

// loop is the worker's goroutine. It ends after the last barrier.
//
// Closing panes goes before taking more partials, so that a shard that cannot
// keep up holds its sources back; a barrier that was asked for goes before both.
// A question for open windows gets a slice in between.
func (w *worker) loop(ctx context.Context) error {
	w.steps.hand = func(rows []*Rows) error { return w.emit(ctx, w.steps.here, &Output{Rows: rows}) }
	for {
		if w.barrier != nil && w.steps.behind == 0 {
			err := w.pass(ctx, w.barrier)
			if err == nil {
				w.linger(ctx)
			}
			return err
		}
		if w.steps.behind > 0 {
			if done, err := w.work(ctx); done || err != nil {
				return w.wrap(err)
			}
			continue
		}
		m, more := w.next(ctx)
		if !more {
			return nil
		}
		if done, err := w.take(ctx, m); done || err != nil {
			return w.wrap(err)
		}
	}
}

// next waits for a message, and meanwhile answers questions and steps others' shards.
func (w *worker) next(ctx context.Context) (m message, more bool) {
	for {
		if ctx.Err() != nil {
			return m, false
		}
		if w.inquire(); poll(w.in, &m) {
			return m, true
		}
		if w.asked.question != nil {
			continue
		}
		select {
		case <-ctx.Done():
		case a := <-w.asks:
			woken(ctx)
			w.hear(a)
			continue
		case s := <-w.run.steppers.loans:
			woken(ctx)
			w.help(ctx, s)
			continue
		case m = <-w.in:
			more = true
		}
		woken(ctx)
		return m, more
	}
}

// inquire hears a question, or goes on with the one that is being answered.
func (w *worker) inquire() {
	if w.asked.question != nil {
		w.answer()
		return
	}
	var a ask
	if poll(w.asks, &a) {
		w.hear(a)
	}
}

func (w *worker) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("worker %d: %w", w.index, err)
	}
	return nil
}

// take handles one message.
func (w *worker) take(ctx context.Context, m message) (done bool, err error) {
	start := time.Now()
	defer func() { w.stats.busy.Add(int64(time.Since(start))) }()
	switch {
	case m.partials != nil:
		bytes := m.partials.bytes()
		err := w.merge(m.partials)
		w.run.exchange.taken(w.index, bytes)
		return false, err
	case m.frontier:
		w.advance(m.provisional, m.final)
	case m.barrier.kind == barrierEnd:
		w.barrier = m.barrier // once every pane is closed
	default:
		return m.barrier.last(), w.pass(ctx, m.barrier)
	}
	return false, nil
}

// merge hands partials to their shard.
func (w *worker) merge(p *Partials) error {
	s := w.seat(ShardOf(p.Territory, w.run.cfg.Shape.Shards))
	s.used = true
	before := s.shard.stats
	if err := s.shard.Merge(p); err != nil {
		return fmt.Errorf("shard %d: %w", s.id, err)
	}
	if s.shard.stats.Beyond != before.Beyond {
		w.stats.note(&before, &s.shard.stats)
		w.run.cfg.Logger.Error("partials came behind the final frontier and were dropped", "shard", s.id, "pane_us", p.Pane, "cells", len(p.Cells))
	}
	w.run.partials.Put(p)
	return nil
}

func (w *worker) seat(shard int32) *shardSeat {
	return w.shards[int(shard)/w.run.cfg.Shape.Workers]
}

// advance moves the shards' frontiers up.
func (w *worker) advance(provisional, final int64) {
	w.provisional, w.final = max(w.provisional, provisional), max(w.final, final)
	for _, s := range w.shards {
		if !s.used && w.run.cfg.Range.FinalOnly {
			continue // nothing in it, and nobody waits for its frontier
		}
		s.shard.Advance(w.provisional, w.final)
		if !s.behind {
			s.behind = true
			w.steps.behind++
		}
	}
}

// work closes a bounded number of panes, unless something more urgent is there.
func (w *worker) work(ctx context.Context) (done bool, err error) {
	if w.passed < w.run.exchange.hurry.Load() {
		var m message
		if poll(w.in, &m) {
			return w.take(ctx, m)
		}
	}
	if ctx.Err() != nil {
		return true, nil
	}
	w.inquire()
	return false, w.step(ctx)
}

// pass saves the shards and passes a barrier on to the sinks.
func (w *worker) pass(ctx context.Context, b *barrier) error {
	for i, s := range w.shards {
		start := time.Now()
		mark := shardMark{shard: s.id, overflows: s.shard.Stats().Overflows}
		if w.run.keeps(b) {
			mark.delta = s.shard.Save(b.since)
			if err := s.shard.options.memory.failed(); err != nil {
				return err
			}
		}
		mark.saving = time.Since(start)
		if i == 0 {
			mark.rows = w.rows
		}
		b.shards <- mark
	}
	w.run.cfg.Crash(CrashShardsSaved)
	for _, d := range w.run.sinks {
		if err := d.send(ctx, delivery{barrier: b, number: w.passed}, &w.stats.blocked); err != nil {
			return err
		}
	}
	w.passed = b.number
	return nil
}
