package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/materialize"
	"github.com/hextide/hextide/pipeline"
	"github.com/spf13/cobra"
)

// finished refuses a folder that holds a snapshot; --resume has nothing to do
// there where it is the snapshot that is asked for.
func (f *backfillFlags) finished(c *cobra.Command, plan *pipeline.Plan) (bool, error) {
	if _, err := os.Stat(filepath.Join(f.out, materialize.ManifestName)); err != nil {
		return false, nil
	}
	if !f.resume {
		return false, usagef("%s holds a finished snapshot", f.out)
	}
	m, err := materialize.ReadManifest(f.out)
	if err == nil {
		err = f.asked(c.Context(), plan, m)
	}
	if err == nil {
		err = m.Check(f.out)
	}
	if err != nil {
		return false, err
	}
	say(c, "%s is finished", f.out)
	return true, os.RemoveAll(filepath.Join(f.out, stateFolder))
}

// asked refuses a finished snapshot of another definition, range or input.
func (f *backfillFlags) asked(ctx context.Context, plan *pipeline.Plan, m *materialize.Manifest) error {
	was := begun{From: m.Range[0], To: m.Range[1], NoFiles: f.noFiles, PlanHash: m.PlanHash}
	if m.Counts.Rows > 0 {
		was.NoFiles = m.NoFiles()
	}
	if err := f.same(plan, was); err != nil {
		return err
	}
	source, err := ingest.NewFiles(f.inputs, ingest.SchemaOf(&plan.Source), ingest.FileOptions{})
	if err != nil {
		return err
	}
	defer source.Close()
	description, err := json.Marshal(m.Source)
	if err == nil {
		err = source.Resume(ctx, description)
	}
	if err != nil {
		return fmt.Errorf("%s is finished, and was made from other input: %w", f.out, err)
	}
	return nil
}

// same refuses what the folder's backfill was not asked for.
func (f *backfillFlags) same(plan *pipeline.Plan, was begun) error {
	if plan.Hash != was.PlanHash {
		return fmt.Errorf("the backfill in %s was begun with the definition %s; this one is %s", f.out, was.PlanHash, plan.Hash)
	}
	if !sameTime(f.from, was.From) || !sameTime(f.to, was.To) {
		return fmt.Errorf("the backfill in %s was begun with --from %q --to %q, not --from %q --to %q", f.out, was.From, was.To, f.from, f.to)
	}
	if f.noFiles != was.NoFiles {
		return fmt.Errorf("the backfill in %s was begun with --no-files=%t, not --no-files=%t", f.out, was.NoFiles, f.noFiles)
	}
	return nil
}

// sameTime tells whether two flags that are times, or not given, mean the same.
func sameTime(a, b string) bool {
	if a == b {
		return true
	}
	at, err := time.Parse(time.RFC3339, a)
	other, too := time.Parse(time.RFC3339, b)
	return err == nil && too == nil && at.Equal(other)
}

// hinted adds to an error that it helps to resume, where it does: where the run
// was interrupted, or the system failed it and may not do so again. What is
// missing or is another stays so.
func hinted(err error) error {
	var system syscall.Errno
	if errors.Is(err, context.Canceled) || errors.As(err, &system) && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w\nWhat is done is kept: --resume goes on", err)
	}
	return err
}
