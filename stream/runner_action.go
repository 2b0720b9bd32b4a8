package stream

import (
	"context"
	"time"
)

// waits is what a partition waits for besides barriers and its end.
type waits struct {
	ended <-chan struct{}
	flush <-chan time.Time
	full  <-chan readResult
	quiet <-chan time.Time
	moved <-chan struct{}
}

// action is what a partition does next.
type action struct {
	kind    actionKind
	barrier *barrier
	read    readResult
}

// actionKind is one of the things that a partition does.
type actionKind uint8

const (
	actOver    actionKind = iota // the run has ended
	actBarrier                   // pass it
	actEnd                       // every partition is at its end
	actFlush                     // partials of open panes have waited long enough
	actRead                      // records
	actQuiet                     // there may have been nothing to read for idle_after
	actMoved                     // another partition's watermark has
)

// next waits for what the partition does next. Of what is there already a barrier
// goes first, so that none waits behind the input.
func (p *partition) next(ctx context.Context, w *waits) (a action) {
	over := ctx.Done()
	switch {
	case ready(over):
		return action{kind: actOver}
	case poll(p.barriers, &a.barrier):
		return action{kind: actBarrier, barrier: a.barrier}
	case ready(w.ended):
		return action{kind: actEnd}
	case ready(w.flush):
		return action{kind: actFlush}
	case poll(w.full, &a.read):
		return action{kind: actRead, read: a.read}
	case ready(w.quiet):
		return action{kind: actQuiet}
	}
	select {
	case <-over:
		a.kind = actOver
	case a.barrier = <-p.barriers:
		a.kind = actBarrier
	case <-w.ended:
		a.kind = actEnd
	case <-w.flush:
		a.kind = actFlush
	case a.read = <-w.full:
		a.kind = actRead
	case <-w.quiet:
		a.kind = actQuiet
	case <-w.moved:
		a.kind = actMoved
	}
	woken(ctx)
	return a
}

// act does what the partition does next.
func (p *partition) act(ctx context.Context, a action) (done bool, err error) {
	if a.kind == actRead {
		p.idle.reset()
		return false, p.take(ctx, a.read)
	}
	switch a.kind {
	case actOver:
		return true, nil
	case actEnd:
		return false, p.end(ctx)
	case actMoved:
		return false, nil
	}
	p.idle.pause(p.caughtUp())
	switch a.kind {
	case actBarrier:
		return p.barrier(ctx, a.barrier)
	case actFlush:
		p.task.Flush(&p.out)
		return false, p.deliver(ctx)
	case actQuiet:
		if p.idle.over() && len(p.input.full) == 0 {
			return false, p.leave(ctx)
		}
	}
	return false, nil
}
