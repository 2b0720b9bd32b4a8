package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"path/filepath"
	"runtime"
	"time"

	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"github.com/spf13/cobra"
)

// runFlags are what a live run is asked for.
type runFlags struct {
	kafka    kafkaSettings
	redis    redisSettings
	feed     feedSettings
	serving  servingSettings
	state    stateSettings
	memory   memorySettings
	out      string
	bounded  bool
	control  string
	shards   int
	workers  int
	batch    int
	timing   stream.Timing
	progress bool
}

// Bounds of what a run is spread over: beyond them nothing is won.
const (
	maxShards  = 4096
	maxWorkers = 1024
	maxBatch   = 1 << 20
)

func newRun() *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a pipeline live",
		Long: `Reads the definition's topic, keeps the state in a folder or in a bucket (--state
s3://bucket/prefix), writes to the definition's sinks and serves lookups, until it is stopped: SIGTERM ends with a
checkpoint. With --bounded it reads up to the end that the topic has at the
start, and ends as a backfill does.

--from-epoch and --from-savepoint go back to what is kept: rows from there on are
made again, in Redis under new keys that the pipeline's name points to once they
have caught up. A later start with the same flag goes on with what came of it.

A feed is delivered exactly once: a reader of what is committed
(isolation.level=read_committed) sees each record once, when its checkpoint is
committed, together with the offsets of the consumer group --group. With
--feed-delivery at-least-once records are there at once, and some again after a
crash.`,
		Example: `  hextide run examples/sf-taxi.yaml --brokers localhost:9092 --redis localhost:6379
  hextide run examples/sf-taxi.yaml --brokers localhost:9092 --redis localhost:6379 --memory 256MiB
  hextide run examples/sf-taxi.yaml --brokers localhost:9092 --redis localhost:6379 --from-epoch 41
  hextide run examples/checks/j1.yaml --brokers localhost:9092 --bounded --out snapshot
  hextide run examples/sf-taxi.yaml --brokers localhost:9092 --redis localhost:6379 --feed-delivery at-least-once
  hextide run examples/checks/j1.yaml --brokers localhost:9092 --bounded --out again --state other --control hextide-state`,
		Args: arguments(1, 1, "one definition"),
		RunE: func(c *cobra.Command, given []string) error {
			plan, err := load(given[0])
			if err != nil {
				return err
			}
			return unlessStopped(c.Context(), f.run(c, plan))
		},
	}
	f.kafka.add(c)
	f.redis.add(c)
	f.feed.add(c)
	f.serving.add(c)
	flags := c.Flags()
	f.state.add(flags)
	f.state.addFrom(flags)
	folderVar(flags, &f.state.local, "local", "folder of copies of the state's generations. With --state s3://...: what stays on this machine (default "+defaultState+"); with a folder: second copies, from which what a disk damages is put back (on another disk; default none)")
	f.memory.add(flags)
	folderVar(flags, &f.out, "out", "write final rows as a snapshot into this folder too")
	flags.BoolVar(&f.bounded, "bounded", false, "end at the end offsets found at the start")
	flags.StringVar(&f.control, "control", "", "with --bounded: state (folder or s3://...) of the live run whose rows are to be had again: partitions leave the watermark and come back as they did there")
	wholeVar(flags, &f.shards, "shards", 64, 1, maxShards, "number of shards; fixed once there is state")
	wholeVar(flags, &f.workers, "workers", runtime.GOMAXPROCS(0), 1, maxWorkers, "goroutines that run shards; changes no result")
	wholeVar(flags, &f.batch, "batch", 8192, 1, maxBatch, "records a batch; changes no result")
	timeVar(flags, &f.timing.Flush, "flush", 200*time.Millisecond, time.Millisecond, "how long events of open windows may wait before they can be looked up")
	timeVar(flags, &f.timing.Interval, "checkpoint-interval", 10*time.Second, time.Millisecond, "time between checkpoints")
	timeVar(flags, &f.timing.MinPause, "checkpoint-min-pause", time.Second, time.Millisecond, "time from the end of a checkpoint to the next")
	timeVar(flags, &f.timing.Timeout, "checkpoint-timeout", 10*time.Minute, time.Millisecond, "time after which a checkpoint has failed")
	wholeVar(flags, &f.timing.Failures, "checkpoint-failures", 3, 1, math.MaxInt, "checkpoints in a row that may fail before the run is no longer ready")
	timeVar(flags, &f.timing.Drift, "max-drift", time.Hour, time.Second, "event time by which a partition may be ahead of the slowest")
	return c
}

func (f *runFlags) run(c *cobra.Command, plan *pipeline.Plan) error {
	if f.control != "" && !f.bounded {
		return usagef("--control needs --bounded: a live run writes a control log of its own")
	}
	topic, err := f.kafka.named(plan)
	if err != nil {
		return err
	}
	if err := f.serving.check(); err != nil {
		return err
	}
	if err := f.state.check(); err != nil {
		return err
	}
	if err := errors.Join(f.memory.check(), f.feed.check()); err != nil {
		return err
	}
	a, err := f.open(c.Context(), plan)
	if err != nil {
		return err
	}
	defer a.close()
	bound := a.server.Bound()
	slog.Info("the pipeline starts", "pipeline", plan.Name, "topic", topic, "grpc", bound.GRPC, "http", bound.HTTP, "state", f.state.address)
	summary, err := a.work(c.Context())
	if err != nil {
		return f.feed.hinted(plan, named(err))
	}
	slog.Info("the pipeline has ended", "complete", summary.Complete, "epoch", summary.Epoch,
		"read", summary.Counts.Read, "aggregated", summary.Counts.Aggregated, "final", timeText(summary.Final))
	if err := a.finish(c, summary); err != nil {
		return err
	}
	dead, late := filepath.Join(f.state.folder(), "dead"), filepath.Join(f.state.folder(), "late")
	if feed := plan.Sinks.Feed; feed != nil {
		dead, late = "topic "+feed.Topic+".dead", "topic "+feed.Topic+".late"
	}
	sayAside(c, summary, dead, late)
	return nil
}

// open assembles a run that reads the definition's topic, and serves.
func (f *runFlags) open(ctx context.Context, plan *pipeline.Plan) (*assembly, error) {
	source, err := openTopic(ctx, plan, &f.kafka, f.bounded, f.batch)
	if err != nil {
		return nil, err
	}
	a := &assembly{plan: plan, source: source, behind: source.Behind, flags: f}
	if err := a.assemble(ctx); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}
