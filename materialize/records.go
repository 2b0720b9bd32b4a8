package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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
	Dead []string `json:"dead"`
	Late []string `json:"late"`
}

// Restore goes on from a checkpoint: files that it does not list are deleted.
func (r *Records) Restore(ctx context.Context, state []byte) error {
	var saved recordsState
	if state != nil {
		if err := json.Unmarshal(state, &saved); err != nil {
			return fmt.Errorf("the list of dead letters is damaged: %w", err)
		}
	}
	r.dead.files, r.late.files = saved.Dead, saved.Late
	listed := map[string]bool{}
	for _, name := range append(append([]string{}, saved.Dead...), saved.Late...) {
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
	return json.Marshal(recordsState{r.dead.files, r.late.files})
}

// Close gives up what has not been checkpointed.
func (r *Records) Close() error { return errors.Join(r.dead.abandon(), r.late.abandon()) }
