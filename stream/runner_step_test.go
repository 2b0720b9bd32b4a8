package stream

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// lending is a run of two workers, of which the first has all the shards, and the
// records of the rows that come out of each shard.
type lending struct {
	shards  []*closing
	workers []*worker
	in      []chan message
	sink    *drain
	got     [][]byte
	rows    int64
	covered int64 // rows, by the checkpoint
	blocked bool  // the sink takes nothing before the run is aborted
}

func (l *lending) Name() string                          { return "records" }
func (l *lending) Restore(context.Context, []byte) error { return nil }
func (l *lending) Close() error                          { return nil }

func (l *lending) Checkpoint(context.Context, int64) ([]byte, error) {
	l.covered = l.rows
	return nil, nil
}

func (l *lending) Write(ctx context.Context, o *Output) error {
	if l.blocked {
		<-ctx.Done()
	}
	for _, r := range o.Rows {
		if !r.Empty && r.Revision == 0 {
			l.rows += int64(len(r.Cells))
		}
		r.Retain()
		l.got[r.Shard] = record(l.got[r.Shard], []*Rows{r})
	}
	return nil
}

const overOneRing = "grid: {resolution: 9, rings: [0, 3]}\nwindows: {pane: 1m, sizes: [1m, 2m]}" // some 40 blocks a pane

func newLending(t *testing.T) *lending {
	const shards = 3
	l := &lending{got: make([][]byte, shards)}
	l.sink = &drain{sink: l, workers: 2, in: make(chan delivery), places: make(chan struct{}, 1), crash: func(string) {}}
	r := &Runner{sinks: []*drain{l.sink}}
	r.cfg.Shape, r.cfg.Crash = Shape{Shards: shards, Workers: 1}, func(string) {}
	r.steppers.loans = make(chan *step)
	r.exchange = newExchange(newMinimum(1, 0, 0, false, 1), shards, 2, 1)
	l.in = r.exchange.workers
	for i := range 2 {
		l.workers = append(l.workers, r.newWorker(i))
	}
	for i := range int32(shards) {
		c := newClosing(t, overOneRing, ShardOptions{})
		c.shard.id, c.seed = i, uint64(100+i)
		l.shards = append(l.shards, c)
		l.workers[0].shards = append(l.workers[0].shards, &shardSeat{shard: c.shard, id: i, used: true})
	}
	return l
}

func (l *lending) barrier(kind barrierKind) message {
	return message{barrier: newBarrier(order{epoch: 1, number: 1, kind: kind}, 0, len(l.shards), 1)}
}

// panes merges partials of some panes and returns the records that are to come of each
// shard, and the frontier that closes them.
func (l *lending) panes(t *testing.T) (want [][]byte, end message) {
	const panes = 20 // in two steps
	for i, c := range l.shards {
		same := newClosing(t, overOneRing, ShardOptions{})
		same.shard.id, same.seed = c.shard.id, c.seed
		want = append(want, nil)
		for range panes {
			c.end(t, c.partials())
			same.close(t, same.partials(), func(r *Rows) {
				r.Retain()
				want[i] = record(want[i], []*Rows{r})
			})
		}
		at := c.pane * c.plan.Pane.Microseconds()
		end = message{frontier: true, provisional: at, final: at}
	}
	return want, end
}

// live runs the workers and the sink until all have nothing to do any more. During begins
// when they wait for messages; the worker that has the shards leaves an error.
func (l *lending) live(t *testing.T, during func()) error {
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var own error
	all.Go(func() { own = l.workers[0].loop(ctx) })
	for _, loop := range []func(context.Context) error{l.workers[1].loop, l.sink.run} {
		all.Go(func() {
			if err := loop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	synctest.Wait()
	during()
	synctest.Wait()
	cancel()
	all.Wait()
	return own
}

// complete runs as live does and compares what has come with what was to come.
func (l *lending) complete(t *testing.T, want [][]byte, during func()) {
	if err := l.live(t, during); err != nil {
		t.Error(err)
	}
	for i, got := range l.got {
		if !slices.Equal(got, want[i]) {
			t.Errorf("shard %d: other rows, %d bytes instead of %d", i, len(got), len(want[i]))
		}
	}
	if own := l.workers[0]; own.rows != l.rows || own.steps.behind != 0 || own.steps.away != 0 || l.workers[1].rows != 0 {
		t.Errorf("%d rows of %d are the worker's whose shards they are of, %d shards are behind, %d away", own.rows, l.rows, own.steps.behind, own.steps.away)
	}
}

// Shards of a worker that has several to step go to one that waits, and their rows come
// out as its own shards' do. Those that nothing was handed to are not worth the way.
func TestShardsAreLent(t *testing.T) {
	for _, used := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := newLending(t)
			for _, s := range l.workers[0].shards {
				s.used = used
			}
			want, end := l.panes(t)
			l.complete(t, want, func() {
				l.in[0] <- end
			})
			if lent := l.workers[1].steps.here != nil; lent != used {
				t.Errorf("shards used %v: lent %v", used, lent)
			}
		})
	}
}

// A worker that has not passed a barrier yet steps no shard of one that has: else it
// could wait at the sink for the barrier that it holds up.
func TestShardsBehindBarrierAreNotLent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLending(t)
		want, end := l.panes(t)
		b := l.barrier(barrierBetween)
		l.complete(t, want, func() {
			l.in[0] <- b
			l.in[0] <- end
			synctest.Wait()
			if len(l.sink.places) == 0 || l.workers[1].steps.here != nil {
				t.Errorf("%d outputs are aside, the other worker stepped %v", len(l.sink.places), l.workers[1].steps.here)
			}
			l.in[1] <- b
		})
		if l.sink.passed.Load() != 1 || l.covered != 0 {
			t.Errorf("the sink has passed %d barriers, and %d rows before", l.sink.passed.Load(), l.covered)
		}
	})
}

// What a shard leaves at a worker that has passed a barrier already comes before it all
// the same, while the shard's own worker has not.
func TestLentShardsKeepBarriers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLending(t)
		want, end := l.panes(t)
		b := l.barrier(barrierBetween)
		l.complete(t, want, func() {
			l.in[1] <- b
			synctest.Wait()
			l.in[0] <- end
			synctest.Wait()
			l.in[0] <- b
		})
		if l.workers[1].steps.here == nil || l.sink.passed.Load() != 1 || l.covered != l.rows {
			t.Errorf("the sink has passed %d barriers, and %d rows of %d before", l.sink.passed.Load(), l.covered, l.rows)
		}
	})
}

// A worker that is through with its input helps the others until they are.
func TestEndedWorkersHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLending(t)
		l.workers[0].run.steppers.left.Store(2)
		l.workers[0].run.steppers.ended = make(chan struct{})
		want, end := l.panes(t)
		b := l.barrier(barrierEnd)
		l.complete(t, want, func() {
			l.in[1] <- b
			synctest.Wait()
			l.in[0] <- end
			l.in[0] <- b
		})
		if l.workers[1].steps.here == nil || l.covered != l.rows {
			t.Errorf("%d rows of %d came before the end", l.covered, l.rows)
		}
		select {
		case <-l.workers[0].run.steppers.ended:
		default:
			t.Error("not all are through")
		}
	})
}

// An error at a worker that helps is one of the worker whose shard it is, and of what is
// away when a run is aborted nothing keeps the workers.
func TestLentShardsFail(t *testing.T) {
	broken := errors.New("broken")
	for _, fails := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := newLending(t)
			_, end := l.panes(t)
			if fails {
				l.shards[0].shard.options.memory = &share{err: broken}
			}
			err := l.live(t, func() {
				l.blocked = !fails
				l.in[0] <- end
			})
			if l.workers[1].steps.here == nil || fails != errors.Is(err, broken) {
				t.Errorf("fails %v: %v", fails, err)
			}
		})
	}
}

// However many steps come back before one is fetched, nobody waits to give them back.
func TestStepsComeHome(t *testing.T) {
	l := newLending(t)
	own, other := l.workers[0], l.workers[1]
	own.passed = 1
	for _, s := range own.shards {
		s.behind = true
	}
	for range own.shards {
		other.help(t.Context(), own.due())
	}
	if n := len(own.steps.home); n != len(own.shards) || other.steps.here != nil {
		t.Errorf("%d of %d came home, stepped %v", n, len(own.shards), other.steps.here)
	}
}

// A step that is due is of a shard that is behind and here, in turn.
func TestDueSteps(t *testing.T) {
	w := &worker{shards: []*shardSeat{{id: 0, behind: true, away: true}, {id: 1, behind: true}, {id: 2}, {id: 3, behind: true}}}
	var due []int32
	for range 4 {
		due = append(due, w.due().seat.id)
	}
	if !slices.Equal(due, []int32{1, 3, 1, 3}) {
		t.Errorf("due: %v", due)
	}
}
