package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
)

// world is what outlives processes: the store, the source, what readers see.
type world struct {
	*schedule
	plan *pipeline.Plan
	manner
	shape   stream.Shape
	timing  stream.Timing
	faults  float64 // how likely a call fails; 0 in the end
	pending int     // requests that are late
	store   *store
	source  *source
	files   []file   // what the snapshot made durable
	feed    *chapter // what its readers were told
	ledger  ledger
	claimed int64 // the newest incarnation
	defect  defect

	processes []*process
}

// manner is how processes work.
type manner struct {
	bounded bool // the source ends
	exactly bool // they tell their readers in transactions, not at once
}

// defect is made on purpose, to see that it is found.
type defect int

const (
	noDefect defect = iota
	oldFiles        // the snapshot goes on from what it held an epoch before
	noJoins         // the control log forgets who came back
)

// newWorld draws a world.
func newWorld(seed uint64, d defect) (*world, error) {
	r := rand.New(rand.NewPCG(seed, 11))
	plan, err := drawPlan(r)
	if err != nil {
		return nil, err
	}
	w := &world{
		schedule: newSchedule(r), plan: plan, manner: manner{bounded: r.IntN(4) == 0, exactly: r.IntN(2) == 0}, defect: d,
		faults: []float64{0, 0.002, 0.01, 0.04}[r.IntN(4)],
	}
	w.shape = stream.Shape{
		Workers: 1 + r.IntN(3), Shards: 4, Depth: 1 + r.IntN(6), Queue: 1 + r.IntN(3), Batches: 1 + r.IntN(3),
	}
	w.timing = stream.Timing{
		Flush: w.draw(time.Second, 4*time.Second), Interval: w.draw(time.Second, 10*time.Second), MinPause: w.draw(time.Millisecond, time.Second),
		Timeout: w.draw(2*time.Second, 20*time.Second), Idle: w.draw(8*time.Second, 15*time.Second), Drift: w.draw(5*time.Second, time.Hour),
	}
	w.store = &store{world: w, objects: map[string]stored{}}
	w.source = newSource(w)
	return w, nil
}

// draw is a time between two, to the nanosecond: no two timers of a run fire at
// the same time.
func (w *world) draw(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rand.Int64N(int64(most-least)))
}

// process is one life of a runner.
type process struct {
	*world
	number int
	runner *stream.Runner
	files  *snapshot
	state  *statebackend.State
	frozen bool // it gets no turn
	dead   bool // whatever it does reaches nobody
	ended  bool
	over   chan struct{} // closed when it ended

	summary *stream.Summary
	err     error
}

var (
	errInjected = errors.New("a fault of the simulation")
	errDead     = errors.New("the process is dead")
)

// start lets a new process run.
func (w *world) start() (*process, error) {
	p := &process{world: w, number: len(w.processes), over: make(chan struct{})}
	w.processes = append(w.processes, p)
	p.files = &snapshot{process: p}
	p.state = statebackend.Open(access{p}, statebackend.Options{Pipeline: w.plan.Name, Retain: 3, Grace: time.Minute})
	control, err := p.state.OpenControl()
	if err != nil {
		return nil, err
	}
	if w.defect == noJoins {
		control = forgetful{control}
	}
	sinks := []stream.Sink{p.files, &feed{process: p}}
	if w.exactly {
		sinks[1] = &transactions{process: p}
	}
	cfg := stream.Config{
		Plan: w.plan, Source: &consumer{p}, Sinks: sinks,
		Generations: p.state, Control: control, Shape: w.shape, Timing: w.timing, Range: stream.Range{Bounded: w.bounded},
		Schedule: func(who string) func() { return func() { p.turn(p, who) } },
	}
	if p.runner, err = stream.NewRunner(cfg); err != nil {
		return nil, err
	}
	w.note("process %d starts", p.number)
	go func() {
		p.summary, p.err = p.runner.Run(context.Background())
		p.turn(p, "end")
		p.ended = true
		w.note("process %d ended: %v", p.number, p.err)
		close(p.over)
	}()
	return p, nil
}

// kill ends a process here and now.
func (p *process) kill() {
	if p.ended || p.dead {
		return
	}
	p.note("process %d is killed", p.number)
	p.dead, p.frozen = true, false
	p.runner.Abort()
}

// call is a call of something outside the process. It takes time; on the way there
// it may get lost, or be so late that nobody waits for it any more, and its answer
// may get lost on the way back.
func (p *process) call(ctx context.Context, what string, odds float64, effect func() error) error {
	p.turn(p, what)
	if p.dead {
		return errDead
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	fault := p.rand.Float64()
	if fault < odds {
		p.note("process %d: %s fails (%.0f%%)", p.number, what, fault/odds*100)
	}
	switch {
	case fault < odds*0.4: // lost
		p.sleep(p, what, p.travel())
		return fmt.Errorf("%s: %w", what, errInjected)
	case fault < odds*0.55: // late
		p.later(what, effect)
		p.sleep(p, what, p.travel())
		return fmt.Errorf("%s: %w: no answer", what, errInjected)
	}
	if p.rand.IntN(4) == 0 {
		p.sleep(p, what, p.travel())
		if p.dead && p.rand.IntN(2) == 0 {
			return errDead // it was not sent yet
		}
	}
	err := effect()
	if p.rand.IntN(8) == 0 {
		p.sleep(p, what, p.travel())
	}
	switch {
	case p.dead:
		return errDead
	case fault < odds:
		return fmt.Errorf("%s: %w: the answer is lost", what, errInjected)
	}
	return err
}

// later lets something happen some time from now.
func (p *process) later(what string, effect func() error) {
	who := fmt.Sprintf("%d late %s", p.number, what)
	wait := p.draw(time.Millisecond, 20*time.Second)
	p.pending++
	go func() {
		time.Sleep(wait)
		p.turn(nil, who)
		err := effect()
		p.pending--
		p.note("%s comes about: %v", who, err)
	}()
}

// travel is how long a call takes: often little, at times long.
func (p *process) travel() time.Duration {
	if p.rand.IntN(20) == 0 {
		return p.draw(time.Millisecond, 5*time.Second)
	}
	return p.draw(time.Microsecond, 20*time.Millisecond)
}
