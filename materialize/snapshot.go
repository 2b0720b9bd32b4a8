package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// Snapshot is a sink that writes final rows as Parquet files and, beside them,
// dead letters and late records as JSON lines. The folder counts as a snapshot
// from Finish on. Used by one goroutine; the files are made by others.
type Snapshot struct {
	dir      string
	options  SnapshotOptions
	plan     *pipeline.Plan
	pending  pending
	settled  map[int32]int64  // how far each shard's rows are final
	hours    map[int64]*batch // gathered, by hour of the window ends
	gathered int              // rows in hours
	handed   []*batch         // files since the last checkpoint, by number
	crew     *crew
	state    snapshotState
	dead     *lines
	late     *lines
	broken   error // a file could not be finished: rows that it held are nowhere else
}

// hourLength is the span of window ends that share a folder, µs.
const hourLength = int64(time.Hour / time.Microsecond)

// SnapshotOptions of a Snapshot. The zero value is good.
type SnapshotOptions struct {
	NoFiles bool // hash the rows and write none
}

// snapshotState is what a resumed run must know.
type snapshotState struct {
	Plan  string        `json:"plan"` // its hash; empty in older states
	Parts []Part        `json:"parts"`
	Hash  string        `json:"hash"`
	Rows  int64         `json:"rows"`
	Next  int           `json:"next"` // number of the next file
	Wait  []pendingRows `json:"wait"` // provisional rows that are not final yet
	recordsState
}

var _ stream.Sink = (*Snapshot)(nil)

// rowsFolder holds the Parquet files below a snapshot's folder.
const rowsFolder = "rows"

// NewSnapshot makes the sink of a folder; Restore says whether it begins or goes on.
func NewSnapshot(dir string, plan *pipeline.Plan, o SnapshotOptions) (*Snapshot, error) {
	l, err := newLayout(plan)
	if err != nil {
		return nil, err
	}
	c, err := newCrew(dir, l, plan)
	if err != nil {
		return nil, err
	}
	return &Snapshot{
		dir: dir, options: o, plan: plan, pending: pending{}, settled: map[int32]int64{}, hours: map[int64]*batch{},
		crew: c, dead: newLines(dir, "dead"), late: newLines(dir, "late"),
	}, nil
}

// Name is "snapshot".
func (s *Snapshot) Name() string { return "snapshot" }

// Restore goes on from a checkpoint: files that it lists must be there, and
// others are deleted.
func (s *Snapshot) Restore(ctx context.Context, state []byte) error {
	if state != nil {
		if err := json.Unmarshal(state, &s.state); err != nil {
			return fmt.Errorf("the snapshot's state is damaged: %w", err)
		}
		if s.state.Plan != "" && s.state.Plan != s.plan.Hash {
			return fmt.Errorf("the snapshot in %s has the columns of the definition %s, this one is %s: give it a folder of its own (--out)", s.dir, s.state.Plan, s.plan.Hash)
		}
		if err := s.crew.hash.Parse(s.state.Hash); err != nil {
			return fmt.Errorf("the snapshot's state is damaged: %w", err)
		}
		s.crew.rows = s.state.Rows
	}
	listed := map[string]bool{}
	if err := errors.Join(present(s.dir, s.state.Parts), s.dead.resume(s.state.Dead, s.state.DeadBytes), s.late.resume(s.state.Late, s.state.LateBytes)); err != nil {
		return err
	}
	for _, p := range s.state.Parts {
		listed[p.Path] = true
	}
	for _, name := range slices.Concat(s.state.Dead, s.state.Late) {
		listed[name] = true
	}
	for _, wait := range s.state.Wait {
		s.pending.restore(wait)
	}
	if err := removeUnlisted(s.dir, []string{rowsFolder, "dead", "late"}, listed); err != nil {
		return fmt.Errorf("clearing unfinished files of %s: %w", s.dir, err)
	}
	return nil
}

// removeUnlisted deletes the files below some folders that no checkpoint lists.
func removeUnlisted(dir string, folders []string, listed map[string]bool) error {
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, path)
			if err != nil || listed[filepath.ToSlash(name)] {
				return err
			}
			return os.Remove(path)
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Write takes rows, and writes those that have become final.
func (s *Snapshot) Write(ctx context.Context, o *stream.Output) error {
	if s.broken == nil {
		s.broken = s.crew.failed()
	}
	if s.broken != nil {
		return s.broken
	}
	for _, rows := range o.Rows {
		if rows.Empty || rows.Open || len(rows.Cells) == 0 {
			continue
		}
		if rows.Final { // nothing of an earlier window end can come any more
			s.settle(rows.Shard, rows.WindowEnd-1)
		}
		rows.Retain()
		s.pending.add(rows)
	}
	if o.Frontier != nil {
		s.settle(o.Frontier.Shard, o.Frontier.Final)
	}
	if s.options.NoFiles {
		return nil
	}
	return writeRecords(s.dead, s.late, o)
}

// settle gathers a shard's rows up to a window end, which have all become
// final, and hands over the hours that are complete.
func (s *Snapshot) settle(shard int32, final int64) {
	for _, end := range s.pending.ends(shard, final) {
		hour := end / hourLength
		b := s.hours[hour]
		if b == nil {
			b = &batch{}
			s.hours[hour] = b
		}
		for _, r := range s.pending.drop(shard, end) {
			b.blocks = append(b.blocks, r)
			b.rows += len(r.Cells)
			s.gathered += len(r.Cells)
		}
	}
	if last, is := s.settled[shard]; !is || final > last {
		s.settled[shard] = final
		if !is || final/hourLength > last/hourLength { // it may have been the last shard in an hour
			s.complete()
		}
	}
	full := groupRows
	if s.options.NoFiles {
		full = hashRows
	}
	for s.gathered >= full {
		s.hand(s.firstHour())
	}
}

// complete hands over the hours that every shard seen so far has left behind.
// Rows that come for one of them nevertheless go into another file of it.
func (s *Snapshot) complete() {
	least := int64(math.MaxInt64)
	for _, final := range s.settled {
		least = min(least, final)
	}
	for len(s.hours) > 0 {
		hour := s.firstHour()
		if least/hourLength <= hour {
			return
		}
		s.hand(hour)
	}
}

// firstHour is the first of the hours that are gathered.
func (s *Snapshot) firstHour() int64 {
	first := int64(math.MaxInt64)
	for hour := range s.hours {
		first = min(first, hour)
	}
	return first
}

// hand gives an hour's rows to the crew, as a file of their own.
func (s *Snapshot) hand(hour int64) {
	b := s.hours[hour]
	delete(s.hours, hour)
	s.gathered -= b.rows
	if !s.options.NoFiles {
		at := time.UnixMicro(hour * hourLength).UTC()
		b.path = filepath.Join(rowsFolder, at.Format("date=2006-01-02"), at.Format("hour=15"), fmt.Sprintf("part-%05d.parquet", s.state.Next))
		s.state.Next++
		s.handed = append(s.handed, b)
	}
	s.crew.hand(b)
}

// Checkpoint finishes all files and returns their list. Once a file could not
// be finished no later checkpoint succeeds, for its rows are lost: the next Write
// ends the run, and a new one goes on from the checkpoint before.
func (s *Snapshot) Checkpoint(ctx context.Context, epoch int64) ([]byte, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	for _, hour := range slices.Sorted(maps.Keys(s.hours)) {
		s.hand(hour)
	}
	if s.broken = s.crew.wait(); s.broken != nil {
		return nil, s.broken
	}
	if err := s.crew.sync(s.handed); err != nil {
		s.broken = fmt.Errorf("making the files in %s durable: %w", s.dir, err)
		return nil, s.broken
	}
	for _, b := range s.handed {
		s.state.Parts = append(s.state.Parts, b.info)
	}
	s.handed = s.handed[:0]
	if err := errors.Join(s.dead.finish(), s.late.finish()); err != nil {
		return nil, fmt.Errorf("finishing dead letters and late records of %s: %w", s.dir, err)
	}
	s.state.recordsState = recordsState{s.dead.files, s.late.files, s.dead.bytes, s.late.bytes}
	s.state.Plan = s.plan.Hash
	s.state.Hash, s.state.Rows, s.state.Wait = s.crew.hash.String(), s.crew.rows, s.pending.save()
	state, err := json.Marshal(s.state)
	if err != nil {
		return nil, fmt.Errorf("encoding the state of the snapshot %s: %w", s.dir, err)
	}
	return state, nil
}

// Finish writes the manifest, with what only the snapshot knows filled in. All
// rows must have been checkpointed.
func (s *Snapshot) Finish(m *Manifest) error {
	m.Version, m.Pipeline, m.PlanHash, m.Definition = ManifestVersion, s.plan.Name, s.plan.Hash, s.plan.Text
	m.Parts, m.ContentHash = s.state.Parts, s.state.Hash
	m.Counts.Rows = s.state.Rows
	m.Columns = nil
	for _, c := range s.plan.Columns {
		m.Columns = append(m.Columns, ManifestColumn{Name: c.Name, Kind: kindName(c.Kind)})
	}
	if err := writeManifest(s.dir, m); err != nil {
		return fmt.Errorf("writing the manifest of %s: %w", s.dir, err)
	}
	return nil
}

// Close gives up what has not been checkpointed.
func (s *Snapshot) Close() error {
	for hour, b := range s.hours {
		b.release()
		delete(s.hours, hour)
	}
	_ = s.crew.wait() // whatever it says, those files are not listed anywhere
	for _, b := range s.handed {
		b.abandon()
	}
	s.pending.release()
	return errors.Join(s.dead.abandon(), s.late.abandon())
}
