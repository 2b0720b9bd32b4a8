package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// windows measures the core in this process, from events in memory to rows that
// nobody keeps: each figure is a ratio of two runs, made in turn.
func windows(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	w := &comparison{}
	flags.StringVar(&w.data, "data", "", "file of taxi events")
	flags.IntVar(&w.runs, "runs", 3, "counted runs of each, after one that is not")
	hour := flags.String("from", "2008-05-21T00:00:00Z", "first hour of the taxis that is used")
	days := flags.Int("days", 30, "days of minutes with 50 active cells each")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	from, err := time.Parse(time.RFC3339, *hour)
	if err != nil {
		return err
	}
	w.from, w.days = from, *days
	plan, err := load("examples/checks/j3.yaml", "", "")
	if err != nil {
		return err
	}
	if w.events, err = record(ctx, plan, w.data, from.UnixMicro(), from.Add(hours*time.Hour).UnixMicro()); err != nil {
		return err
	}
	fmt.Printf("%-58s %9s %9s %8s %8s\n", "ratio", "s", "s of base", "of wall", "of cpu")
	for _, measure := range []func(context.Context) error{
		w.fanOut, w.wideRing, w.cities, w.sparse, w.hotSpot, w.panes, w.values, w.allocations,
	} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// hours of the taxis are used.
const hours = 2

// load reads a definition, one text in it replaced by another.
func load(path, old, text string) (*pipeline.Plan, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if old != "" && !strings.Contains(string(content), old) {
		return nil, fmt.Errorf("%s does not have %q", path, old)
	}
	return pipeline.Load([]byte(strings.Replace(string(content), old, text, 1)), path)
}

// comparison holds what the comparisons share.
type comparison struct {
	data   string
	events recorded // of two hours
	from   time.Time
	days   int
	runs   int
}

// once is one run of the core.
type once struct {
	wall, cpu time.Duration
	mallocs   uint64
	events    int64
	rows      int64
}

// core runs a plan over a source.
func core(ctx context.Context, plan *pipeline.Plan, source stream.Source) (once, error) {
	runner, err := stream.NewRunner(stream.Config{
		Plan: plan, Source: source, Sinks: []stream.Sink{nowhere{}}, Range: stream.Range{Bounded: true, FinalOnly: true},
	})
	if err != nil {
		return once{}, err
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, cpu := time.Now(), processorTime()
	summary, err := runner.Run(ctx)
	took := once{wall: time.Since(start), cpu: processorTime() - cpu}
	if err != nil {
		return took, err
	}
	runtime.ReadMemStats(&after)
	took.mallocs, took.events, took.rows = after.Mallocs-before.Mallocs, summary.Counts.Read, summary.Counts.Rows
	return took, nil
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// against runs two things in turn and prints the median wall time of the first
// over that of the second.
func (w *comparison) against(name string, a, b func() (once, error)) (first, second once, err error) {
	var runs [2][]once
	for i := range w.runs + 1 {
		for j, f := range []func() (once, error){a, b} {
			took, err := f()
			if err != nil {
				return first, second, fmt.Errorf("%s: %w", name, err)
			}
			if i > 0 {
				runs[j] = append(runs[j], took)
			}
		}
	}
	first, second = middle(runs[0]), middle(runs[1])
	fmt.Printf("%-58s %9.3f %9.3f %8.2f %8.2f\n", name, first.wall.Seconds(), second.wall.Seconds(), first.wall.Seconds()/second.wall.Seconds(), first.cpu.Seconds()/second.cpu.Seconds())
	return first, second, nil
}

func middle(runs []once) once {
	slices.SortFunc(runs, func(a, b once) int { return int(a.wall - b.wall) })
	return runs[len(runs)/2]
}

// of gives a run of a plan over a source.
func of(ctx context.Context, plan *pipeline.Plan, source stream.Source) func() (once, error) {
	return func() (once, error) { return core(ctx, plan, source) }
}

// nowhere is a sink that keeps nothing.
type nowhere struct{}

func (nowhere) Name() string                                      { return "nowhere" }
func (nowhere) Write(context.Context, *stream.Output) error       { return nil }
func (nowhere) Checkpoint(context.Context, int64) ([]byte, error) { return nil, nil }
func (nowhere) Restore(context.Context, []byte) error             { return nil }
func (nowhere) Close() error                                      { return nil }
