package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hextide/hextide/materialize"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/statebackend"
	"github.com/spf13/cobra"
)

func newState() *cobra.Command {
	c := &cobra.Command{
		Use:     "state",
		Short:   "Look at what a state folder holds",
		Args:    cobra.ArbitraryArgs,
		RunE:    group,
		Example: "  hextide state export --state hextide-state --out exported",
	}
	c.AddCommand(newStateExport())
	return c
}

// stateFlags are what an export is asked for.
type stateFlags struct {
	kept
	epoch string
	out   string
}

func newStateExport() *cobra.Command {
	f := &stateFlags{}
	c := &cobra.Command{
		Use:   "export [FILE] --out DIR",
		Short: "Write an epoch of the state as Parquet files",
		Long: `Writes what an epoch holds (positions, frontiers, dedup keys, panes, windows,
models) as Parquet files for DuckDB and the like, by the definition that the state
was made with: the state holds it. FILE is needed for states of older programs
alone; a definition that the state was not made with is refused. Without --epoch it
is the newest epoch that is whole.

The state folder is only read; a run may go on in it. It keeps its newest epochs
alone: where it drops the one that is being read, the export fails, leaves nothing
and says so, and another try takes a newer one.`,
		Example: `  hextide state export --state hextide-state --out exported
  hextide state export --state hextide-state --epoch 12 --out epoch-12
  duckdb -c "SELECT * FROM 'exported/offsets.parquet'"`,
		Args: arguments(0, 1, "at most one definition"),
		RunE: func(c *cobra.Command, given []string) error {
			if len(given) == 0 {
				return f.run(c, nil)
			}
			plan, err := load(given[0])
			if err != nil {
				return err
			}
			return f.run(c, plan)
		},
	}
	flags := c.Flags()
	f.state.add(flags)
	flags.StringVar(&f.epoch, "epoch", "", "epoch to export: 'hextide checkpoint ls' lists them (default: the newest that is whole)")
	folderVar(flags, &f.out, "out", "folder of the export; it must be empty or missing")
	return c
}

func (f *stateFlags) run(c *cobra.Command, plan *pipeline.Plan) error {
	if err := f.checkOut(); err != nil {
		return err
	}
	folder, epochs, err := f.wanted(c.Context())
	if err != nil {
		return err
	}
	var damaged []error
	for _, epoch := range slices.Backward(epochs) {
		m, err := f.export(c.Context(), plan, folder, epoch)
		if err == nil {
			rows := int64(0)
			for _, file := range m.Files {
				rows += file.Rows
			}
			say(c, "%s: epoch %d of %s, taken %s, %d rows in %d files", f.out, m.Epoch, m.Pipeline, m.Taken, rows, len(m.Files))
			return nil
		}
		if f.epoch != "" || !errors.Is(err, statebackend.ErrDamaged) {
			return err
		}
		slog.Warn("an epoch of the state is damaged; the one before is exported", "state", f.state.address, "damaged", epoch, "error", err)
		damaged = append(damaged, err)
	}
	return fmt.Errorf("%w: %s:\n%w", statebackend.ErrNoneWhole, f.state.address, errors.Join(damaged...))
}

// wanted are the epochs to try, the last one first.
func (f *stateFlags) wanted(ctx context.Context) (*statebackend.State, []int64, error) {
	if f.epoch == "" {
		return f.open(ctx)
	}
	folder, epoch, err := f.of(ctx, f.epoch)
	return folder, []int64{epoch}, err
}

// checkOut refuses a folder that holds anything, or that lies in the state folder.
func (f *stateFlags) checkOut() error {
	if f.out == "" {
		return usagef("no folder for the export: --out DIR")
	}
	state, err := filepath.Abs(f.state.folder())
	if err != nil {
		return fmt.Errorf("the folder %s: %w", f.state.folder(), err)
	}
	out, err := filepath.Abs(f.out)
	if err != nil {
		return fmt.Errorf("the folder %s: %w", f.out, err)
	}
	if strings.HasPrefix(out, state+string(filepath.Separator)) {
		return usagef("%s lies in the state folder %s, in which nothing is written", f.out, f.state.folder())
	}
	switch entries, err := os.ReadDir(f.out); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		if info, failed := os.Stat(f.out); failed == nil && !info.IsDir() {
			return usagef("%s is not a folder", f.out)
		}
		return fmt.Errorf("looking at %s: %w", f.out, err)
	case len(entries) > 0:
		return usagef("%s is not empty: name a folder that is, or that is not there yet (what an export left that was killed has no _STATE.json and may be deleted)", f.out)
	}
	return nil
}

// export writes one epoch, by the plan that it was made with where none is given. A
// run that goes on may have dropped it meanwhile.
func (f *stateFlags) export(ctx context.Context, plan *pipeline.Plan, folder *statebackend.State, epoch int64) (*materialize.StateManifest, error) {
	p, err := folder.Find(ctx, epoch)
	if err == nil && plan == nil {
		if p.Definition == "" {
			return nil, usagef("epoch %d is of an older program and does not hold the definition that it was made with: name it, state export FILE", epoch)
		}
		plan, err = p.Plan()
	}
	if err == nil {
		var m *materialize.StateManifest
		if m, err = materialize.ExportState(ctx, f.out, plan, p, folder); err == nil {
			return m, nil
		}
	}
	gone := p == nil || errors.Is(err, statebackend.ErrDamaged) || errors.Is(err, os.ErrNotExist)
	_, missing := folder.Find(ctx, epoch)
	if epochs, failed := folder.Pointers(ctx); gone && missing != nil && failed == nil && !slices.Contains(epochs, epoch) {
		return nil, fmt.Errorf("epoch %d was dropped while it was read, by the run that uses %s (it keeps %v now): export again", epoch, f.state.address, epochs)
	}
	return nil, err
}
