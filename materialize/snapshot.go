package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// Snapshot is a sink that writes final rows as Parquet files and, beside them,
// dead letters and late records as JSON lines. The folder counts as a snapshot
// from Finish on. Used by one goroutine.
type Snapshot struct {
	dir     string
	options SnapshotOptions
	plan    *pipeline.Plan
	layout  *layout
	pending pending
	hash    *stream.ContentHash
	open    map[openKey]*part // by shard and hour
	state   snapshotState
	dead    *lines
	late    *lines
	folders map[string]bool // with entries that are not durable yet
	broken  error           // a file could not be finished: rows that it held are nowhere else
}

// SnapshotOptions of a Snapshot. The zero value is good.
type SnapshotOptions struct {
	NoFiles bool // hash the rows and write none
}

// openKey is what one file holds: an hour of one shard, whose rows come in order.
type openKey struct {
	shard int32
	hour  int64 // hours of unix time
}

// snapshotState is what a resumed run must know.
type snapshotState struct {
	Parts []Part        `json:"parts"`
	Hash  string        `json:"hash"`
	Rows  int64         `json:"rows"`
	Next  int           `json:"next"` // number of the next file
	Dead  []string      `json:"dead"`
	Late  []string      `json:"late"`
	Wait  []pendingRows `json:"wait"` // provisional rows that are not final yet
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
	return &Snapshot{
		dir: dir, options: o, plan: plan, layout: l, pending: pending{}, hash: stream.NewContentHash(plan), open: map[openKey]*part{}, folders: map[string]bool{},
		dead: newLines(dir, "dead"), late: newLines(dir, "late"),
	}, nil
}

// Name is "snapshot".
func (s *Snapshot) Name() string { return "snapshot" }

// Restore goes on from a checkpoint: files that it does not list are deleted.
func (s *Snapshot) Restore(ctx context.Context, state []byte) error {
	if state != nil {
		if err := json.Unmarshal(state, &s.state); err != nil {
			return fmt.Errorf("the snapshot's state is damaged: %w", err)
		}
		if err := s.hash.Parse(s.state.Hash); err != nil {
			return fmt.Errorf("the snapshot's state is damaged: %w", err)
		}
	}
	listed := map[string]bool{}
	for _, p := range s.state.Parts {
		listed[p.Path] = true
	}
	for _, name := range slices.Concat(s.state.Dead, s.state.Late) {
		listed[name] = true
	}
	for _, wait := range s.state.Wait {
		s.pending.restore(wait)
	}
	s.dead.files, s.late.files = s.state.Dead, s.state.Late
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
	if s.broken != nil {
		return s.broken
	}
	for _, rows := range o.Rows {
		if rows.Empty || rows.Open || len(rows.Cells) == 0 {
			continue
		}
		if rows.Final { // nothing of an earlier window end can come any more
			if err := s.settle(rows.Shard, rows.WindowEnd-1); err != nil {
				return err
			}
		}
		rows.Retain()
		s.pending.add(rows)
	}
	if o.Frontier != nil {
		if err := s.settle(o.Frontier.Shard, o.Frontier.Final); err != nil {
			return err
		}
	}
	if s.options.NoFiles {
		return nil
	}
	return writeRecords(s.dead, s.late, o)
}

// settle writes a shard's rows up to a window end, which have all become final.
func (s *Snapshot) settle(shard int32, final int64) error {
	for _, end := range s.pending.ends(shard, final) {
		for _, rows := range s.pending.take(shard, end) {
			s.hash.Add(rows)
			s.state.Rows += int64(len(rows.Cells))
			if s.options.NoFiles {
				rows.Release()
				continue
			}
			p, err := s.part(openKey{shard, end / time.Hour.Microseconds()})
			if err != nil {
				return fmt.Errorf("creating a file in %s: %w", s.dir, err)
			}
			if err := p.add(rows); err != nil {
				return fmt.Errorf("writing %s: %w", p.path, err)
			}
		}
	}
	return nil
}

// part finds the file of an hour; a shard moves on from hour to hour, so the
// file of the hour before is finished.
func (s *Snapshot) part(key openKey) (*part, error) {
	if p, is := s.open[key]; is {
		return p, nil
	}
	for other := range s.open {
		if other.shard == key.shard {
			if err := s.finish(other); err != nil {
				return nil, err
			}
		}
	}
	hour := time.Unix(key.hour*3600, 0).UTC()
	path := filepath.Join(rowsFolder, hour.Format("date=2006-01-02"), hour.Format("hour=15"), fmt.Sprintf("part-%05d.parquet", s.state.Next))
	p, err := newPart(s.dir, path, s.layout)
	if err != nil {
		return nil, err
	}
	s.state.Next++
	s.open[key] = p
	return p, nil
}

func (s *Snapshot) finish(key openKey) error {
	p := s.open[key]
	delete(s.open, key)
	info, err := p.close()
	if err != nil {
		p.abandon()
		s.broken = fmt.Errorf("finishing %s: %w", filepath.Join(s.dir, p.path), err)
		return s.broken
	}
	s.state.Parts = append(s.state.Parts, info)
	for folder := p.path; folder != "."; {
		folder = filepath.Dir(folder)
		s.folders[folder] = true
	}
	return nil
}

// Checkpoint finishes the open files and returns the list of all. Once a file
// could not be finished no later checkpoint succeeds, for its rows are lost: the
// next Write ends the run, and a new one goes on from the checkpoint before.
func (s *Snapshot) Checkpoint(ctx context.Context, epoch int64) ([]byte, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	for key := range s.open {
		if err := s.finish(key); err != nil {
			return nil, err
		}
	}
	for folder := range s.folders {
		if err := syncDir(filepath.Join(s.dir, folder)); err != nil {
			return nil, fmt.Errorf("making the files in %s durable: %w", filepath.Join(s.dir, folder), err)
		}
		delete(s.folders, folder)
	}
	if err := errors.Join(s.dead.finish(), s.late.finish()); err != nil {
		return nil, fmt.Errorf("finishing dead letters and late records of %s: %w", s.dir, err)
	}
	s.state.Dead, s.state.Late = s.dead.files, s.late.files
	s.state.Hash, s.state.Wait = s.hash.String(), s.pending.save()
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
	m.Parts, m.ContentHash = s.state.Parts, s.hash.String()
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
	for key, p := range s.open {
		p.abandon()
		delete(s.open, key)
	}
	s.pending.release()
	return errors.Join(s.dead.abandon(), s.late.abandon())
}
