package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
)

// kept measures checkpoints of a large state in a folder: what stops the machines,
// what is written, what throughput it costs, and how long a restart takes.
type kept struct {
	plan   *pipeline.Plan
	cells  []geo.Cell
	panes  int
	folder string
	bytes  int64 // of the state
	rate   float64
	wait   time.Duration
}

const keptPlan = `
version: 1
name: kept
source:
  format: csv
  topic: t
  event_time: {field: ts, unit: s}
  location: {cell: c}
  fields: {a: int, b: int, d: int}
  out_of_order: 10s
grid: {resolution: 9, rings: [0], emit: cell}
windows: {pane: 10m, sizes: [10m, %dm]}
aggregates:
  - {name: n, op: count}
  - {name: a, op: sum, of: a}
  - {name: b, op: sum, of: b}
  - {name: d, op: sum, of: d}
`

func state(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	k := &kept{}
	cells := flags.Int("cells", 200_000, "active cells a pane")
	flags.IntVar(&k.panes, "panes", 240, "panes that are kept")
	flags.Float64Var(&k.rate, "rate", 100_000, "events/s of the steady run")
	flags.DurationVar(&k.wait, "for", 60*time.Second, "how long each run lasts")
	flags.StringVar(&k.folder, "folder", "", "where the state is kept; default: a temporary folder")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	var err error
	if k.plan, err = pipeline.Load(fmt.Appendf(nil, keptPlan, 10*k.panes), "kept.yaml"); err != nil {
		return err
	}
	if k.cells, err = stepCells(*cells); err != nil {
		return err
	}
	if k.folder == "" {
		if k.folder, err = os.MkdirTemp("", "hextide-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(k.folder)
	}
	for _, measure := range []func(context.Context) error{k.fill, k.steady, k.cost, k.recovery} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// keeping is one run over the state.
type keeping struct {
	source *steps
	runner *stream.Runner
	state  *statebackend.State
	ended  chan error
	began  time.Time
}

// begin begins a run over the state; an interval of 0 takes no checkpoints.
func (k *kept) begin(rate float64, interval time.Duration, sink stream.Sink) (*keeping, error) {
	r := &keeping{source: newSteps(k.cells, 10*time.Minute, rate), ended: make(chan error, 1), began: time.Now()}
	r.state = statebackend.Open(statebackend.NewFolder(vfs.Default, filepath.Join(k.folder, "state")), statebackend.Options{Pipeline: "kept"})
	if interval == 0 {
		interval = 100 * time.Hour
	}
	var err error
	r.runner, err = stream.NewRunner(stream.Config{
		Plan: k.plan, Source: r.source, Sinks: []stream.Sink{sink}, Generations: r.state,
		Shape: stream.Shape{Shards: 16}, Timing: stream.Timing{Interval: interval, MinPause: time.Second / 10},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return nil, err
	}
	go func() {
		_, err := r.runner.Run(context.Background())
		r.ended <- errors.Join(err, r.state.Close())
	}()
	return r, nil
}

// until waits for a condition on the run.
func (r *keeping) until(ctx context.Context, done func(stream.Stats) bool) error {
	for !done(r.runner.Stats()) {
		select {
		case err := <-r.ended:
			return errors.Join(err, errors.New("the run ended"))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// abort ends the run as a crash does.
func (r *keeping) abort() error {
	r.runner.Abort()
	if err := <-r.ended; !errors.Is(err, stream.ErrAborted) {
		return err
	}
	return nil
}

// fill makes the state.
func (k *kept) fill(ctx context.Context) error {
	r, err := k.begin(0, 5*time.Second, nowhere{})
	if err != nil {
		return err
	}
	events := int64(k.panes) * int64(len(k.cells))
	if err := r.until(ctx, func(stream.Stats) bool { return r.source.read.Load() > events }); err != nil {
		return err
	}
	r.runner.Stop()
	if err := <-r.ended; err != nil {
		return err
	}
	p, err := k.newest(ctx)
	if err != nil {
		return err
	}
	read := int64(0)
	for _, chain := range p.Generations {
		k.bytes += chain[len(chain)-1].Live
		for _, o := range chain {
			read += o.Bytes
		}
	}
	fmt.Printf("state: %d MB of entries; a restore reads %d MB (%.2f times); made in %s\n", k.bytes>>20, read>>20, float64(read)/float64(k.bytes), time.Since(r.began).Round(time.Second))
	return nil
}

func (k *kept) newest(ctx context.Context) (*stream.Pointer, error) {
	return newestPointer(ctx, filepath.Join(k.folder, "state"), "kept")
}

// steady measures the checkpoints of a run at a rate.
func (k *kept) steady(ctx context.Context) error {
	r, err := k.begin(k.rate, 2*time.Second, nowhere{})
	if err != nil {
		return err
	}
	if err := r.until(ctx, func(s stream.Stats) bool { return s.Phase == stream.PhaseRunning }); err != nil {
		return err
	}
	c, last := checkpointsSeen{}, int64(0)
	end := time.Now().Add(k.wait)
	err = r.until(ctx, func(s stream.Stats) bool {
		if s.Checkpoint.Completed > last {
			last = s.Checkpoint.Completed
			c.note(&s.Checkpoint)
			if p, err := k.newest(ctx); err == nil {
				c.sizes(p)
			}
		}
		return time.Now().After(end)
	})
	if err == nil {
		err = r.abort()
	}
	c.print(fmt.Sprintf("%.0f events/s", k.rate))
	return err
}

// checkpointsSeen are the times and sizes of checkpoints.
type checkpointsSeen struct {
	saving, delay, all      []time.Duration
	files, changed, rebased int64 // bytes: of deltas, of the entries in them, of new bases
}

func (c *checkpointsSeen) note(s *stream.CheckpointStats) {
	c.saving = append(c.saving, time.Duration(s.Saving))
	c.delay = append(c.delay, time.Duration(s.StartDelay))
	c.all = append(c.all, s.Duration)
}

func (c *checkpointsSeen) sizes(p *stream.Pointer) {
	for _, chain := range p.Generations {
		for i, o := range chain {
			switch {
			case o.Epoch != p.Epoch:
			case i == 0:
				c.rebased += o.Size
			default:
				c.files, c.changed = c.files+o.Size, c.changed+o.Bytes
			}
		}
	}
}

func (c *checkpointsSeen) print(how string) {
	at := func(d []time.Duration, q float64) time.Duration {
		slices.Sort(d)
		if len(d) == 0 {
			return 0
		}
		return d[min(len(d)-1, int(q*float64(len(d))))].Round(10 * time.Microsecond)
	}
	fmt.Printf("%s: %d checkpoints; synchronous part p50 %s, p99 %s; start delay p99 %s; whole p50 %s\n",
		how, len(c.saving), at(c.saving, .5), at(c.saving, .99), at(c.delay, .99), at(c.all, .5))
	if c.changed > 0 {
		fmt.Printf("%s: written %.2f times the entries that changed (%d MB), and %d MB of new bases\n", how, float64(c.files)/float64(c.changed), c.changed>>20, c.rebased>>20)
	}
}

// cost compares the throughput at saturation with checkpoints and without.
func (k *kept) cost(ctx context.Context) error {
	var speed [2]float64
	seen := checkpointsSeen{}
	for round := range 2 {
		for i, interval := range []time.Duration{10 * time.Second, 0} {
			r, err := k.begin(0, interval, nowhere{})
			if err != nil {
				return err
			}
			if err := r.until(ctx, func(s stream.Stats) bool { return s.Phase == stream.PhaseRunning }); err != nil {
				return err
			}
			began, from, cpu, last := time.Now(), r.source.read.Load(), processorTime(), int64(0)
			err = r.until(ctx, func(s stream.Stats) bool {
				if s.Checkpoint.Completed > last {
					last = s.Checkpoint.Completed
					seen.note(&s.Checkpoint)
				}
				return time.Since(began) > k.wait/2
			})
			if err != nil {
				return err
			}
			events := float64(r.source.read.Load() - from)
			speed[i] += events / time.Since(began).Seconds() / 2
			fmt.Printf("saturated, round %d, checkpoints every %s: %.2f million events/s, %.2f processors\n", round, interval, events/time.Since(began).Seconds()/1e6, (processorTime()-cpu).Seconds()/time.Since(began).Seconds())
			if err := r.abort(); err != nil {
				return err
			}
		}
	}
	seen.print("saturated")
	fmt.Printf("throughput with a checkpoint every 10 s to that without: %.3f\n", speed[0]/speed[1])
	return nil
}

// recovery measures from the start of a run to its first row beyond the committed
// frontier.
func (k *kept) recovery(ctx context.Context) error {
	for range 3 {
		p, err := k.newest(ctx)
		if err != nil {
			return err
		}
		sink := &firstRow{beyond: p.Provisional, came: make(chan struct{})}
		began := time.Now()
		r, err := k.begin(0, 0, sink)
		if err != nil {
			return err
		}
		if err := r.until(ctx, func(s stream.Stats) bool { return s.Phase == stream.PhaseRunning }); err != nil {
			return err
		}
		restored := time.Since(began)
		select {
		case <-sink.came:
		case err := <-r.ended:
			return err
		}
		fmt.Printf("restart: restored in %s (%.0f MB/s), first row beyond the frontier after %s\n",
			restored.Round(time.Millisecond), float64(k.bytes)/1e6/restored.Seconds(), time.Since(began).Round(time.Millisecond))
		if err := r.abort(); err != nil {
			return err
		}
	}
	return nil
}
