package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/materialize"
	"github.com/hextide/hextide/models"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/serving"
	"github.com/hextide/hextide/stream"
	"github.com/hextide/hextide/web"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
)

// assembly is a live run: the core with all its drivers, and what serves it.
type assembly struct {
	plan    *pipeline.Plan
	source  stream.Source
	behind  func() map[int32]int64 // records not read yet, by partition
	flags   *runFlags
	state   *claimedState
	sinks   []stream.Sink
	store   *serving.Store
	exact   *materialize.ExactFeed // nil: none, or at least once
	redis   *materialize.Redis
	snap    *materialize.Snapshot
	runner  *stream.Runner
	service *serving.Service
	server  *serving.Server
	rate    eventRate
	parts   *prometheus.HistogramVec // of checkpoints
}

// assemble makes everything and starts serving; nothing runs yet.
func (a *assembly) assemble(ctx context.Context) error {
	a.parts = newCheckpointParts()
	var err error
	if a.state, err = a.flags.state.claim(a.plan.Name); err != nil {
		return err
	}
	if newest, err := a.state.NewestPointer(ctx); err != nil {
		return err
	} else if newest != nil {
		if err := newest.Belongs(a.plan); err != nil {
			return err
		}
	}
	memory, err := a.flags.memory.open(a.flags.state.folder())
	if err != nil {
		return err
	}
	if err := a.makeSinks(ctx); err != nil {
		return err
	}
	config := stream.Config{
		Plan: a.plan, Source: a.source, Sinks: a.sinks, Generations: a.state, Logger: slog.Default(), Crash: crashPoints(),
		Shape:  stream.Shape{Shards: a.flags.shards, Workers: a.flags.workers},
		Timing: a.flags.timing, Checkpointed: a.checkpointed, Memory: memory,
		Range: stream.Range{Bounded: a.flags.bounded, Anyway: a.flags.feed.offsets == offsetsState},
	}
	switch {
	case !a.flags.bounded:
		config.Control = a.state.control
	case a.flags.control != "":
		if config.Replay, err = a.flags.state.readControl(ctx, a.flags.control); err != nil {
			return err
		}
	}
	if a.runner, err = stream.NewRunner(config); err != nil {
		return err
	}
	return a.serve()
}

// nearlyRead is how many records may be unread where a run counts as caught up: a
// second or so of a busy topic.
const nearlyRead = 10_000

// makeSinks makes the store, which lookups need, and the sinks that the
// definition and the flags name.
func (a *assembly) makeSinks(ctx context.Context) error {
	a.store = serving.NewStore(a.plan, serving.Bounds{Keep: a.flags.serving.keep, Memory: int64(a.flags.serving.keepMemory)})
	a.sinks = append(a.sinks, a.store)
	if a.plan.Sinks.Redis != nil {
		client, err := a.flags.redis.client()
		if err != nil {
			return err
		}
		options := materialize.RedisOptions{
			Client: client, Keep: a.flags.serving.keep, Waiting: a.flags.redis.waiting, Within: a.flags.redis.within, Logger: slog.Default(), Kept: a.store,
			Course: a.state.Rewinds, CaughtUp: func() bool { return a.recordsBehind() <= nearlyRead },
		}
		if a.flags.bounded {
			options.Complete = func() bool { return a.runner.Complete() }
		}
		a.redis = materialize.NewRedis(a.plan, options)
		a.sinks = append(a.sinks, a.redis)
	}
	if err := a.makeFeed(); err != nil {
		return err
	}
	if a.flags.out != "" {
		epochs, err := a.state.Pointers(ctx)
		if err != nil {
			return err
		}
		if err := claimOut(a.flags.state.folder(), a.flags.out, len(epochs) > 0); err != nil {
			return err
		}
		if a.snap, err = materialize.NewSnapshot(a.flags.out, a.plan, materialize.SnapshotOptions{}); err != nil {
			return err
		}
		a.sinks = append(a.sinks, a.snap)
	}
	return nil
}

// serve starts the listeners.
func (a *assembly) serve() error {
	page, err := web.Handler()
	if err != nil {
		return fmt.Errorf("the page: %w", err)
	}
	a.service = serving.NewService(a.plan, a.store, a, serving.Limits{}, codeVersion())
	a.server, err = serving.Listen(serving.Addresses{GRPC: a.flags.serving.grpc, HTTP: a.flags.serving.http, Pprof: a.flags.serving.pprof}, a.service,
		serving.Parts{Metrics: a.metrics(), Page: page, Ready: a.ready, Checkpoint: a.checkpoint, Logger: slog.Default()})
	return err
}

// work runs the pipeline until it ends or ctx does.
func (a *assembly) work(ctx context.Context) (*stream.Summary, error) {
	watching, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.watch(watching)
	}()
	summary, err := a.runner.Run(ctx)
	stop()
	<-done
	return summary, err
}

// watch keeps the health service and the collector in step with the run.
func (a *assembly) watch(ctx context.Context) {
	pace := newGCPace(a.flags.memory.bytes > 0)
	defer pace.leaveOut(0)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			a.server.SetReady(false)
			return
		case <-tick.C:
			a.rate.note(time.Now(), accepted(a.runner.Stats()))
			a.server.SetReady(a.ready() == nil)
			pace.leaveOut(a.store.Packed())
		}
	}
}

// ready is nil while the pipeline runs and its checkpoints succeed.
func (a *assembly) ready() error {
	s := a.runner.Stats()
	if s.Phase != stream.PhaseRunning {
		return fmt.Errorf("the pipeline is %s", s.Phase)
	}
	if s.Checkpoint.Degraded {
		return fmt.Errorf("degraded: checkpoints fail: %s", s.Checkpoint.LastError)
	}
	return nil
}

// checkpoint takes a checkpoint now and returns its epoch, or a later one.
func (a *assembly) checkpoint(ctx context.Context) (int64, error) {
	err := a.runner.Checkpoint(ctx)
	return a.runner.Stats().Checkpoint.Committed, err
}

// Open computes open rows for lookups.
func (a *assembly) Open(ctx context.Context, cells []geo.Cell) ([]*stream.Rows, error) {
	return a.runner.Open(ctx, cells)
}

// Incomplete are the columns that were added to the state not long ago.
func (a *assembly) Incomplete() []stream.IncompleteColumn { return a.runner.Incomplete() }

// finish writes the manifest of a snapshot, when the input was read to its end.
func (a *assembly) finish(c *cobra.Command, s *stream.Summary) error {
	if a.snap == nil || !s.Complete {
		return nil
	}
	m := &materialize.Manifest{
		Code:   materialize.Code{Version: codeVersion(), Go: runtime.Version(), TimeZoneData: models.TimeZoneData},
		Source: s.Source, Control: s.Control, Counts: s.Counts,
		Frontier: materialize.Frontier{Provisional: timeText(s.Provisional), Final: timeText(s.Final)},
	}
	if err := a.snap.Finish(m); err != nil {
		return err
	}
	say(c, "%s: %d rows from %d records", a.flags.out, m.Counts.Rows, m.Counts.Read)
	say(c, "content_hash %s", m.ContentHash)
	return nil
}

// stopWithin is how long calls in progress may take when a run ends.
const stopWithin = 5 * time.Second

// close ends the serving and gives the state and the source up.
func (a *assembly) close() error {
	var errs []error
	if a.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		a.server.Close(ctx)
	}
	errs = append(errs, a.flags.memory.close())
	if a.state != nil {
		errs = append(errs, a.state.close())
	}
	errs = append(errs, a.source.Close())
	return errors.Join(errs...)
}

var _ serving.Live = (*assembly)(nil)
