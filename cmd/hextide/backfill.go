package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/materialize"
	"github.com/hextide/hextide/models"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
	"github.com/spf13/cobra"
)

// backfillFlags are what a backfill is asked for.
type backfillFlags struct {
	inputs   []string
	out      string
	workers  int
	batch    int
	from, to string
	resume   bool
	noFiles  bool
	progress bool
	interval time.Duration
	minPause time.Duration
	memory   memorySettings
	crash    func(point string)
}

func newBackfill() *cobra.Command {
	f := &backfillFlags{crash: crashPoints()}
	c := &cobra.Command{
		Use:   "backfill FILE --input PATH... --out DIR",
		Short: "Compute history from files into a snapshot",
		Long: `Runs a definition over files, exactly as it would have run live, and writes the
final rows as a snapshot: Parquet files with a manifest. Several files, or a
pattern, are merged by event time. A backfill that was interrupted goes on with
--resume; input or a definition that changed meanwhile is refused.`,
		Example: `  hextide backfill examples/sf-taxi.yaml --input pings.csv.gz --out snapshot
  hextide backfill examples/sf-taxi.yaml --input pings.csv.gz --out snapshot --memory 256MiB
  hextide backfill nyc.yaml --input '2014-*.csv.zst' --out april --from 2014-04-01T00:00:00Z --to 2014-05-01T00:00:00Z`,
		Args: arguments(1, 1, "one definition"),
		RunE: func(c *cobra.Command, given []string) error {
			plan, err := load(given[0])
			if err != nil {
				return err
			}
			return f.run(c, plan)
		},
	}
	flags := c.Flags()
	flags.StringArrayVar(&f.inputs, "input", nil, "file or pattern to read (CSV or JSON lines; plain, gzip or zstd); may be given several times")
	folderVar(flags, &f.out, "out", "folder of the snapshot")
	wholeVar(flags, &f.workers, "workers", runtime.GOMAXPROCS(0), 1, maxWorkers, "goroutines that run shards; changes no result")
	wholeVar(flags, &f.batch, "batch", 8192, 1, maxBatch, "records a batch; changes no result")
	f.memory.add(flags)
	flags.StringVar(&f.from, "from", "", "first event time, RFC 3339; whole panes and dedup spans")
	flags.StringVar(&f.to, "to", "", "event time to stop before, RFC 3339")
	flags.BoolVar(&f.resume, "resume", false, "go on with a backfill that was interrupted")
	flags.BoolVar(&f.noFiles, "no-files", false, "write the manifest with its content_hash alone, no Parquet files")
	flags.BoolVar(&f.progress, "progress", true, "show a progress bar")
	timeVar(flags, &f.interval, "checkpoint-interval", 10*time.Second, time.Millisecond, "time between checkpoints")
	timeVar(flags, &f.minPause, "checkpoint-min-pause", time.Second, time.Millisecond, "time from the end of a checkpoint to the next")
	return c
}

// stateFolder holds a backfill's checkpoints while it works.
const stateFolder = "_state"

func (f *backfillFlags) run(c *cobra.Command, plan *pipeline.Plan) error {
	within, err := f.prepare(plan)
	if err != nil {
		return err
	}
	if done, err := f.finished(c, plan); done || err != nil {
		return err
	}
	state := filepath.Join(f.out, stateFolder)
	limit, err := f.begin(plan, state)
	if err != nil {
		return err
	}
	source, err := ingest.NewFiles(f.inputs, ingest.SchemaOf(&plan.Source), ingest.FileOptions{Batch: f.batch, NotAfter: limit})
	if err != nil {
		return err
	}
	defer source.Close()
	for _, name := range source.Empty() {
		slog.Warn("an input file holds no records", "file", name)
	}
	folder := statebackend.Open(statebackend.NewFolder(vfs.Default, state), statebackend.Options{Pipeline: plan.Name, Logger: slog.Default()})
	if err := folder.Claim(); err != nil {
		return err
	}
	defer folder.Close()
	if err := f.claim(plan, state, limit); err != nil {
		return err
	}
	snapshot, err := materialize.NewSnapshot(f.out, plan, materialize.SnapshotOptions{NoFiles: f.noFiles})
	if err != nil {
		return err
	}
	summary, err := f.work(c.Context(), state, stream.Config{
		Plan: plan, Source: source, Sinks: []stream.Sink{snapshot}, Generations: folder, Logger: slog.Default(), Range: within,
		Shape: stream.Shape{Workers: f.workers}, Timing: stream.Timing{Interval: f.interval, MinPause: f.minPause}, Crash: f.crash,
	})
	if err != nil {
		return hinted(err)
	}
	if !summary.Complete {
		return errors.New("interrupted; what is done is kept: --resume goes on")
	}
	return f.finish(c, plan, source, snapshot, summary, state)
}

// work runs the core, with what is over its memory in the working state.
func (f *backfillFlags) work(ctx context.Context, state string, config stream.Config) (*stream.Summary, error) {
	var err error
	if config.Memory, err = f.memory.open(state); err != nil {
		return nil, err
	}
	bar := newBar("backfill", f.progress)
	config.Progress = func(s stream.Stats) { f.show(bar, s) }
	runner, err := stream.NewRunner(config)
	if err != nil {
		return nil, errors.Join(err, f.memory.close())
	}
	summary, err := runner.Run(ctx)
	bar.end()
	return summary, errors.Join(err, f.memory.close())
}

// prepare checks the flags.
func (f *backfillFlags) prepare(plan *pipeline.Plan) (stream.Range, error) {
	within := stream.Range{Bounded: true, FinalOnly: true, Once: true}
	if len(f.inputs) == 0 {
		return within, usagef("no input: --input PATH")
	}
	if f.out == "" {
		return within, usagef("no folder for the snapshot: --out DIR")
	}
	if err := f.memory.check(); err != nil {
		return within, err
	}
	var err error
	if within.From, err = boundary(plan, "from", f.from); err != nil {
		return within, err
	}
	if within.To, err = boundary(plan, "to", f.to); err != nil {
		return within, err
	}
	if within.From != 0 && within.To != 0 && within.From >= within.To {
		return within, usagef("--from %s is not before --to %s", f.from, f.to)
	}
	return within, nil
}

// boundary reads a time at which a range may begin or end; 0: none is given.
func boundary(plan *pipeline.Plan, flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, usagef("--%s is a time like 2008-05-21T00:00:00Z, not %q", flag, text)
	}
	us := at.UnixMicro()
	if us%plan.Pane.Microseconds() != 0 {
		return 0, usagef("--%s %s is not at the border of a pane of %s", flag, text, pipeline.FormatDuration(plan.Pane))
	}
	if d := plan.Source.Dedup; d != nil && us%d.Within.Microseconds() != 0 {
		return 0, usagef("--%s %s is not at the border of a dedup span of %s", flag, text, pipeline.FormatDuration(d.Within))
	}
	return us, nil
}

// begun is what a resumed backfill must share with the run that began it.
type begun struct {
	NotAfter int64  `json:"not_after_us"` // when it began: later event times are dead letters
	From     string `json:"from"`
	To       string `json:"to"`
	NoFiles  bool   `json:"no_files"`
	PlanHash string `json:"plan_hash"`
}

const begunName = "begun.json"

// begin finds out when the backfill began, and refuses a folder that it cannot
// go on in or begin in. Nothing is written yet: the input may turn out wrong.
func (f *backfillFlags) begin(plan *pipeline.Plan, state string) (limit int64, err error) {
	entries, err := os.ReadDir(f.out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("looking at %s: %w", f.out, err)
	}
	content, err := os.ReadFile(filepath.Join(state, begunName))
	started := err == nil
	switch {
	case f.resume && !started:
		return 0, usagef("%s holds no backfill to resume", f.out)
	case !f.resume && started:
		return 0, usagef("%s holds a backfill that has not finished: --resume goes on with it", f.out)
	case !f.resume && len(entries) > 0 && !(len(entries) == 1 && entries[0].Name() == stateFolder): // killed before it had begun
		return 0, usagef("%s is not empty", f.out)
	case !f.resume:
		return time.Now().UnixMicro(), nil
	}
	var b begun
	if err := json.Unmarshal(content, &b); err != nil {
		return 0, fmt.Errorf("the state of the backfill in %s is damaged: %w", f.out, err)
	}
	return b.NotAfter, f.same(plan, b)
}

// claim writes down when a new backfill began.
func (f *backfillFlags) claim(plan *pipeline.Plan, state string, limit int64) error {
	if f.resume {
		return nil
	}
	content, err := json.Marshal(begun{NotAfter: limit, From: f.from, To: f.to, NoFiles: f.noFiles, PlanHash: plan.Hash})
	if err == nil {
		err = writeDurable(filepath.Join(state, begunName), content)
	}
	if err != nil {
		return fmt.Errorf("beginning in %s: %w", f.out, err)
	}
	return nil
}

func (f *backfillFlags) show(bar *bar, s stream.Stats) {
	for _, p := range s.Partitions {
		bar.bytes(p.Bytes, p.Size, s.Counts.Read)
	}
}

// finish writes the manifest and removes the working state.
func (f *backfillFlags) finish(c *cobra.Command, plan *pipeline.Plan, source *ingest.Files, snapshot *materialize.Snapshot, s *stream.Summary, state string) error {
	m := &materialize.Manifest{
		Code:   materialize.Code{Version: codeVersion(), Go: runtime.Version(), TimeZoneData: models.TimeZoneData},
		Source: s.Source, Limit: timeText(source.NotAfter()), Range: [2]string{f.from, f.to}, Control: s.Control, Counts: s.Counts,
		Frontier: materialize.Frontier{Provisional: timeText(s.Provisional), Final: timeText(s.Final)},
	}
	f.crash(crashBeforeManifest)
	if err := snapshot.Finish(m); err != nil {
		return err
	}
	f.crash(crashAfterManifest)
	if err := os.RemoveAll(state); err != nil {
		return fmt.Errorf("removing the working state: %w", err)
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	slog.Debug("memory", "allocations", memory.Mallocs, "allocations_per_event", float64(memory.Mallocs)/float64(max(1, s.Counts.Read)), "heap_bytes", memory.HeapSys,
		"moved_out", s.Memory.MovedOut, "read_back", s.Memory.ReadBack)
	say(c, "%s: %d rows from %d records in %s", f.out, m.Counts.Rows, m.Counts.Read, s.Took.Round(time.Millisecond))
	say(c, "content_hash %s", m.ContentHash)
	sayAside(c, s, filepath.Join(f.out, "dead"), filepath.Join(f.out, "late"))
	return nil
}
