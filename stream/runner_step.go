package stream

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// step is one Step of a shard: at its own worker or, where others of that worker's
// shards are behind as well, at one that has nothing to do.
type step struct {
	seat  *shardSeat
	owner *worker // whose shard it is; it passes no barrier meanwhile
	rows  int64   // final ones that left, or those of revision 0
	more  bool    // there are panes left to close
	err   error
}

// steppers is what the workers of a run share to help one another.
type steppers struct {
	busy  atomic.Int32  // workers that close panes
	loans chan *step    // from those with several shards to step to those that wait
	left  atomic.Int32  // workers that have not passed the end of the input
	ended chan struct{} // closed when there are none
}

// steps are those of a worker's shards.
//
// Shards are lent for one step, and the worker does nothing but step others until all
// are home: between its messages all its shards are its own.
type steps struct {
	turn   int                 // the next shard to step
	behind int                 // shards that have panes to close
	away   int                 // those of them that others step
	home   chan *step          // which come back here
	spare  *step               // memory of one that is over; nil: none is
	here   *step               // what this worker steps, or did last, its own or another's
	hand   func([]*Rows) error // emits blocks of it while a pane is closed
}

// step lets the next shard in turn that is behind close some panes, and others at
// workers that wait.
func (w *worker) step(ctx context.Context) error {
	s := w.due()
	for s.seat.used && w.steps.behind > w.steps.away+1 && w.lend(s) {
		s = w.due()
	}
	w.do(ctx, s)
	err := w.settle(s)
	for err == nil && w.steps.away > 0 {
		err = w.fetch(ctx)
	}
	return err
}

// fetch settles a step that comes home, or while none does one more that is done here.
func (w *worker) fetch(ctx context.Context) (err error) {
	var s *step
	switch {
	case poll(w.steps.home, &s):
	case w.steps.behind > w.steps.away:
		s = w.due()
		w.do(ctx, s)
	default:
		if s, err = wait(ctx, w.steps.home); err != nil {
			return err
		}
	}
	return w.settle(s)
}

// due is a step of the next shard in turn that is behind, and here.
func (w *worker) due() *step {
	t := &w.steps
	for !w.shards[t.turn].behind || w.shards[t.turn].away {
		t.turn = (t.turn + 1) % len(w.shards)
	}
	s := t.spare
	if t.spare = nil; s == nil {
		s = &step{}
	}
	*s = step{seat: w.shards[t.turn], owner: w}
	t.turn = (t.turn + 1) % len(w.shards)
	return s
}

// lend gives a step to a worker that waits, if there is one.
func (w *worker) lend(s *step) bool {
	select {
	case w.run.steppers.loans <- s:
		s.seat.away = true
		w.steps.away++
		return true
	default:
		return false
	}
}

// help does a step of another worker's shard, unless that worker has passed a barrier
// that this one has not: what the shard leaves may have to wait at the sinks until all
// have passed it, and they would wait for this one.
func (w *worker) help(ctx context.Context, s *step) {
	if s.owner.passed > w.passed {
		s.more = true
	} else {
		w.do(ctx, s)
	}
	s.owner.steps.home <- s // there is room for all shards of a worker
}

// linger helps the others, at the end of the input, until all have passed it.
func (w *worker) linger(ctx context.Context) {
	shared := &w.run.steppers
	if shared.left.Add(-1) == 0 {
		close(shared.ended)
	}
	for {
		var s *step
		select {
		case s = <-shared.loans:
		case <-shared.ended:
		case <-ctx.Done():
		}
		woken(ctx)
		if s == nil {
			return
		}
		w.help(ctx, s)
	}
}

// do closes some panes of a shard and emits what they leave.
func (w *worker) do(ctx context.Context, s *step) {
	start, blocked := time.Now(), w.stats.blocked.Load()
	o, shard := &Output{}, s.seat.shard
	before := shard.stats
	w.steps.here = s
	w.run.steppers.busy.Add(1)
	s.more, s.err = shard.Step(o, w.steps.hand)
	w.run.steppers.busy.Add(-1)
	w.stats.note(&before, &shard.stats)
	if s.err != nil {
		s.err = fmt.Errorf("shard %d: %w", s.seat.id, s.err)
		return
	}
	s.err = w.emit(ctx, s, o)
	w.stats.busy.Add(int64(time.Since(start)) - (w.stats.blocked.Load() - blocked))
}

// settle notes what a step of one of the worker's shards has come to, after which it is over.
func (w *worker) settle(s *step) error {
	w.steps.spare = s
	w.rows += s.rows
	w.stats.rows.Store(w.rows)
	if s.seat.away {
		s.seat.away = false
		w.steps.away--
	}
	if s.err == nil && !s.more {
		s.seat.behind = false
		w.steps.behind--
	}
	return s.err
}

// emit marks what a step has left and hands it to the sinks.
func (w *worker) emit(ctx context.Context, s *step, o *Output) error {
	if len(o.Rows) == 0 && o.Frontier == nil {
		return nil
	}
	now := time.Now().UnixMicro()
	for _, rows := range o.Rows {
		rows.Incarnation, rows.ComputedAt = w.run.incarnation, now
		if !rows.Empty && rows.Revision == 0 {
			s.rows += int64(len(rows.Cells))
		}
	}
	if o.Frontier != nil {
		o.Frontier.Incarnation = w.run.incarnation
	}
	return w.run.emit(ctx, o, s.owner.passed, &w.stats.blocked)
}
