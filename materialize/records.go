package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/hextide/hextide/stream"
)

// Records is a sink for dead letters and late records alone, as JSON lines in
// the folders dead and late below a folder: where a run has no other place for
// them. Used by one goroutine.
type Records struct {
	dir  string
	dead *lines
	late *lines
}

var _ stream.Sink = (*Records)(nil)

// NewRecords makes the sink of a folder.
func NewRecords(dir string) *Records {
	return &Records{dir: dir, dead: newLines(dir, "dead"), late: newLines(dir, "late")}
}

// Name is "records".
func (r *Records) Name() string { return "records" }

// recordsState lists the files that are finished.
type recordsState struct {
	Dead      []string `json:"dead"`
	Late      []string `json:"late"`
	DeadBytes []int64  `json:"dead_bytes,omitempty"` // of each
	LateBytes []int64  `json:"late_bytes,omitempty"`
}

// Restore goes on from a checkpoint: files that it lists must be there as they were, and
// others are deleted. Where none of them is there the run goes on from a copy of the
// state, or on another machine, and begins a list of its own.
func (r *Records) Restore(ctx context.Context, state []byte) error {
	var saved recordsState
	if state != nil {
		if err := json.Unmarshal(state, &saved); err != nil {
			return fmt.Errorf("the list of dead letters is damaged: %w", err)
		}
	}
	if all := slices.Concat(saved.Dead, saved.Late); r.dead.none(all) {
		slog.Warn("the dead letters and late records so far are not in this place: those that come are written here", "folder", r.dir, "files", len(all))
		saved = recordsState{}
	}
	if err := errors.Join(r.dead.resume(saved.Dead, saved.DeadBytes), r.late.resume(saved.Late, saved.LateBytes)); err != nil {
		return fmt.Errorf("%w; or, where they are not needed, move the folders dead and late of %s away: the run then begins new ones", err, r.dir)
	}
	listed := map[string]bool{}
	for _, name := range slices.Concat(saved.Dead, saved.Late) {
		listed[name] = true
	}
	if err := removeUnlisted(r.dir, []string{r.dead.folder, r.late.folder}, listed); err != nil {
		return fmt.Errorf("clearing unfinished files of %s: %w", r.dir, err)
	}
	return nil
}

// Write takes an output's dead letters and late records.
func (r *Records) Write(ctx context.Context, o *stream.Output) error {
	return writeRecords(r.dead, r.late, o)
}

// writeRecords writes an output's dead letters and late records as lines. Once
// lines were lost it fails for every output, so that the run ends and a new one
// goes on from the checkpoint before: no later one would succeed.
func writeRecords(dead, late *lines, o *stream.Output) error {
	if err := errors.Join(dead.broken, late.broken); err != nil {
		return err
	}
	for i := range o.Dead {
		if err := dead.write(deadLine(&o.Dead[i])); err != nil {
			return fmt.Errorf("writing a dead letter: %w", err)
		}
	}
	for i := range o.Late {
		if err := late.write(lateLine(&o.Late[i])); err != nil {
			return fmt.Errorf("writing a late record: %w", err)
		}
	}
	return nil
}

// Checkpoint makes the lines so far durable.
func (r *Records) Checkpoint(ctx context.Context, epoch int64) ([]byte, error) {
	if err := errors.Join(r.dead.finish(), r.late.finish()); err != nil {
		return nil, fmt.Errorf("finishing dead letters and late records of %s: %w", r.dir, err)
	}
	return json.Marshal(recordsState{r.dead.files, r.late.files, r.dead.bytes, r.late.bytes})
}

// Close gives up what has not been checkpointed.
func (r *Records) Close() error { return errors.Join(r.dead.abandon(), r.late.abandon()) }
