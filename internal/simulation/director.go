package simulation

import (
	"errors"
	"fmt"
	"time"

	"github.com/hextide/hextide/stream"
)

// outcome is what has come of a world.
type outcome struct {
	trace    uint64 // a hash of all that was done, in its order
	steps    int
	starts   int
	rows     int
	joins    int
	late     int
	replaced int // processes that found themselves replaced
	notes    []string
	err      error // what is wrong
}

// run lives through a seed's world. It is called in a bubble of virtual time.
func run(seed uint64, d defect) outcome {
	w, err := newWorld(seed, d)
	if err != nil {
		return outcome{err: err}
	}
	var o outcome
	over := make(chan struct{})
	go func() {
		defer close(over)
		w.turn(nil, "director")
		o.err = w.direct(&o)
	}()
	w.schedule.run(over)
	o.trace, o.steps, o.notes, o.starts = w.trace.Sum64(), w.steps, w.notes, len(w.processes)
	return o
}

// direct makes trouble while the source has something to tell, and then lets a
// last process finish, and judges.
func (w *world) direct(o *outcome) error {
	horizon := w.source.end()
	if w.bounded {
		horizon = w.draw(time.Second, 20*time.Second)
	}
	for time.Since(w.started) < horizon {
		if err := w.trouble(); err != nil {
			return err
		}
	}
	faults := w.faults
	w.faults = 0
	w.note("the faults (%v) are over", faults)
	last, err := w.finish()
	if err := errors.Join(err, w.settle()); err != nil {
		return err
	}
	if err := w.excused(o); err != nil {
		return err
	}
	return w.judge(last, o)
}

// alive are the processes that run, the newest last.
func (w *world) alive() (all []*process) {
	for _, p := range w.processes {
		if !p.ended && !p.dead {
			all = append(all, p)
		}
	}
	return all
}

// trouble lets some time pass and does something to the processes.
func (w *world) trouble() error {
	if len(w.alive()) == 0 {
		if _, err := w.start(); err != nil {
			return err
		}
	}
	w.pass()
	alive := w.alive()
	if len(alive) == 0 {
		return nil
	}
	p := alive[w.rand.IntN(len(alive))]
	switch w.rand.IntN(12) {
	case 0, 1, 2:
		p.kill()
	case 3:
		w.note("process %d is told to stop", p.number)
		p.frozen = false
		p.runner.Stop()
	case 4, 5:
		w.note("process %d is frozen", p.number)
		p.frozen = true
		_, err := w.start()
		return err
	case 6:
		if len(alive) < 3 {
			_, err := w.start()
			return err
		}
	case 7:
		return w.crashes()
	case 8:
		w.store.skew = w.draw(-time.Hour, time.Hour)
		w.note("the store's clock is %v ahead", w.store.skew)
	case 9, 10:
		w.note("process %d goes on", p.number)
		p.frozen = false
	}
	return nil
}

// pass lets some time or some steps pass.
func (w *world) pass() {
	if w.rand.IntN(2) == 0 {
		w.sleep(nil, "director", w.draw(time.Millisecond, 20*time.Second))
		return
	}
	w.steppingStone(1 + w.rand.IntN(1500))
}

// steppingStone lets so many steps pass, if they come within a while.
func (w *world) steppingStone(steps int) {
	timer := time.NewTimer(w.draw(5*time.Second, 10*time.Second))
	select {
	case <-timer.C:
	case <-w.after(steps):
	}
	timer.Stop()
	w.turn(nil, "director")
}

// crashes lets processes die one after the other soon after they start.
func (w *world) crashes() error {
	for _, p := range w.alive() {
		p.kill()
	}
	for range 20 {
		p, err := w.start()
		if err != nil {
			return err
		}
		w.steppingStone(1 + w.rand.IntN(80))
		p.kill()
	}
	return nil
}

// finish lets one process read the source to its end and returns it.
func (w *world) finish() (*process, error) {
	for _, p := range w.alive() {
		p.frozen = false
		if w.rand.IntN(2) == 0 {
			p.kill()
		}
	}
	const attempts = 20 // requests may be late still, and fence whom they meet
	var last *process
	for range attempts {
		var err error
		if last, err = w.start(); err != nil {
			return nil, err
		}
		if !w.bounded {
			w.await(last, func() bool { return w.read(last) })
			w.await(last, nil)
			last.runner.Stop()
		}
		w.patience(last)
		if last.summary != nil {
			return last, nil
		}
	}
	return nil, fmt.Errorf("%d processes in a row did not finish, though nothing was wrong; the last: %w", attempts, last.err)
}

// await waits until something is so, or the process has ended; nil: for as long as
// it takes partitions to become idle.
func (w *world) await(p *process, so func() bool) {
	const rounds = 60
	for n := 0; n < rounds && !p.ended; n++ {
		if so != nil && so() || so == nil && n == 5 {
			return
		}
		w.sleep(nil, "director", 10*time.Second)
	}
}

// read tells whether a process has read everything.
func (w *world) read(p *process) bool {
	s := p.runner.Stats()
	for i, at := range s.Partitions {
		records := w.source.partitions[i]
		if at.Position <= records[len(records)-1].position {
			return false
		}
	}
	return len(s.Partitions) > 0
}

// patience waits for a process's end.
func (w *world) patience(p *process) {
	<-p.over
	w.turn(nil, "director")
}

// settle waits for all that is under way.
func (w *world) settle() error {
	for _, p := range w.processes {
		p.kill()
		w.patience(p)
	}
	for w.pending > 0 {
		w.sleep(nil, "director", time.Second)
	}
	return nil
}

// excused holds that no process ended with an error that nothing had caused.
func (w *world) excused(o *outcome) error {
	for _, p := range w.processes {
		switch {
		case p.err == nil || p.dead && errors.Is(p.err, stream.ErrAborted) || errors.Is(p.err, errInjected) || errors.Is(p.err, errDead) || errors.Is(p.err, errFence):
		case errors.Is(p.err, stream.ErrFenced):
			o.replaced++
		default:
			return fmt.Errorf("process %d ended for no reason: %w", p.number, p.err)
		}
	}
	return nil
}
