package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
	"github.com/spf13/cobra"
)

// showAgainst says what a run would do with a state if it went on with a plan. It
// changes nothing; what the state cannot follow is an error.
func (k *kept) showAgainst(c *cobra.Command, plan *pipeline.Plan) error {
	state, epochs, err := k.open(c.Context())
	if err != nil {
		return err
	}
	for _, epoch := range slices.Backward(epochs) {
		p, columns, err := against(c.Context(), state, epoch, plan)
		if errors.Is(err, statebackend.ErrDamaged) {
			slog.Warn("an epoch of the state is damaged; the one before is looked at", "state", k.state.address, "damaged", epoch, "error", err)
			continue
		}
		if err != nil {
			return err
		}
		comparison, err := p.Compare(plan)
		if err != nil {
			return err
		}
		say(c, "epoch %d of %s, made with the plan %s, %d shards", epoch, k.state.address, p.PlanHash, p.Shards)
		if err := tabulate(c, comparison, columns); err != nil {
			return err
		}
		err = p.Belongs(plan)
		if n := len(comparison.Refused); n > 0 {
			err = errors.Join(fmt.Errorf("the state cannot go on with this definition: %d of its changes are refused", n), err)
		}
		return err
	}
	return fmt.Errorf("%w: %s", statebackend.ErrNoneWhole, k.state.address)
}

// against reads an epoch's pointer, and which columns would be incomplete; none
// where the state cannot follow.
func against(ctx context.Context, state *statebackend.State, epoch int64, plan *pipeline.Plan) (*stream.Pointer, []stream.IncompleteColumn, error) {
	p, err := state.Pointer(ctx, epoch)
	if err != nil {
		return nil, nil, err
	}
	comparison, err := p.Compare(plan)
	if err != nil || len(comparison.Refused) > 0 {
		return p, nil, err
	}
	columns, err := stream.IncompleteWith(ctx, p, state, plan)
	return p, columns, err
}

// tabulate prints a comparison.
func tabulate(c *cobra.Command, comparison *pipeline.Comparison, columns []stream.IncompleteColumn) error {
	say(c, "%d columns unchanged, %d added, %d removed, %d changes refused", len(comparison.Unchanged), len(comparison.Added), len(comparison.Removed), len(comparison.Refused))
	until := map[string]int64{}
	for _, column := range columns {
		until[column.Column] = column.Until
	}
	out := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
	row := func(what, change, text string) { fmt.Fprintf(out, "%s\t%s\t%s\n", what, change, text) }
	for _, name := range comparison.Added {
		row(name, "added", untilText(until, name))
	}
	for _, name := range comparison.Unchanged {
		if _, is := until[name]; is {
			row(name, "unchanged", untilText(until, name))
		}
	}
	for _, name := range comparison.Removed {
		row(name, "removed", "")
	}
	for _, s := range comparison.Changed {
		row(s.What, "changed", fmt.Sprintf("was %s, is %s", s.Was, s.Is))
	}
	for _, r := range comparison.Refused {
		row(r.What, "refused", fmt.Sprintf("was %s, is %s: %s; %s", r.Was, r.Is, r.Reason, r.WayOut))
	}
	return out.Flush()
}

// untilText says until which window end a column is incomplete.
func untilText(until map[string]int64, name string) string {
	at, is := until[name]
	if !is {
		return "complete at once"
	}
	return "incomplete until " + time.UnixMicro(at).UTC().Format(time.RFC3339)
}
