package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/hextide/hextide/pipeline"
)

// Config says what a run is made of. Plan, Source and at least one of Sinks are
// needed; everything else has a default.
type Config struct {
	Plan         *pipeline.Plan
	Source       Source
	Sinks        []Sink
	Generations  Generations    // nil: no checkpoints, no restart
	Control      ControlLog     // nil: leaving and coming back are not written down
	Replay       []ControlEntry // applied again where Control is nil: bounded input as it was once read live
	Shape        Shape
	Timing       Timing
	Range        Range
	Memory       Memory
	Logger       *slog.Logger                   // nil: silent
	Progress     func(Stats)                    // nil: none; called now and then from a goroutine of the run, and at its end
	Checkpointed func(CheckpointStats)          // nil: none; called after each checkpoint, from a goroutine of the run
	Crash        func(point string)             // nil in production; called at each of CrashPoints
	Schedule     func(who string) (turn func()) // nil in production; see Runner.begin
}

// Shape is how a run is spread. It changes no result.
type Shape struct {
	Shards  int // default 64; fixed once there is state
	Workers int // goroutines that run shards; default: as many as processors
	Depth   int // messages a worker's channel holds; default 256
	Queue   int // outputs a sink's channel holds; default 4, since one may hold 8,192 rows
	Batches int // batches of a partition that are read ahead; default 3
}

// Timing holds the periods of wall-clock time, and Drift. It changes no result.
type Timing struct {
	Flush    time.Duration // how long partials of open panes wait; default 200 ms, not on bounded input
	Interval time.Duration // between the starts of checkpoints; default 10 s
	MinPause time.Duration // from the end of one to the start of the next; default 1 s
	Timeout  time.Duration // after which a checkpoint has failed; default 10 min
	Failures int           // in a row, from which on the run says that it is degraded; default 3
	Drift    time.Duration // event time by which a partition may be ahead of the slowest; default 1 h
	Idle     time.Duration // overrides the plan's idle_after; 0: the plan's
}

// Range is which part of the input is read.
type Range struct {
	From      int64 // µs of event time; 0 stands for no bound
	To        int64 // µs, exclusive; 0 stands for no bound
	Bounded   bool  // the source ends; partitions never are idle
	FinalOnly bool  // shards compute no provisional rows
	Once      bool  // nothing goes on after the input's end: what the machines hold then is not kept
	Anyway    bool  // go on from the state, whatever a Committer has committed, and let it commit that
}

// ErrMismatch is returned by Run where the state was made with another plan,
// another number of shards or other input.
var ErrMismatch = errors.New("the state does not belong to this run")

func (c *Config) check() error {
	switch {
	case c.Plan == nil:
		return errors.New("a run needs a plan")
	case c.Source == nil:
		return errors.New("a run needs a source")
	case len(c.Sinks) == 0:
		return errors.New("a run needs a sink")
	}
	names := map[string]bool{}
	for _, s := range c.Sinks {
		if names[s.Name()] {
			return fmt.Errorf("two sinks are called %q", s.Name())
		}
		names[s.Name()] = true
	}
	switch n := len(c.committers()); {
	case n > 1:
		return errors.New("two sinks of a run cannot commit: what one has made visible the other may not")
	case n == 1 && (c.Generations == nil || c.Range.Once):
		return errors.New("a sink that commits needs generations to go on from")
	}
	return nil
}

// committers are the sinks that commit.
func (c *Config) committers() []Committer {
	var all []Committer
	for _, s := range c.Sinks {
		if s, is := s.(Committer); is {
			all = append(all, s)
		}
	}
	return all
}

// committer is the sink that commits; nil: none does.
func (c *Config) committer() Committer {
	if all := c.committers(); len(all) > 0 {
		return all[0]
	}
	return nil
}

func (c Config) withDefaults() Config {
	positive(&c.Shape.Shards, 64)
	positive(&c.Shape.Workers, runtime.GOMAXPROCS(0))
	c.Shape.Workers = min(c.Shape.Workers, c.Shape.Shards)
	positive(&c.Shape.Depth, 256)
	positive(&c.Shape.Queue, 4)
	positive(&c.Shape.Batches, 3)
	positive(&c.Timing.Flush, 200*time.Millisecond)
	positive(&c.Timing.Interval, 10*time.Second)
	positive(&c.Timing.MinPause, time.Second)
	positive(&c.Timing.Timeout, 10*time.Minute)
	positive(&c.Timing.Failures, 3)
	positive(&c.Timing.Drift, time.Hour)
	if c.Range.From == 0 {
		c.Range.From = NoTime
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Crash == nil {
		c.Crash = func(string) {}
	}
	return c
}

// positive gives x a default.
func positive[T int | time.Duration](x *T, otherwise T) {
	if *x <= 0 {
		*x = otherwise
	}
}
