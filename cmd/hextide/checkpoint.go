package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
	"github.com/spf13/cobra"
)

func newCheckpoint() *cobra.Command {
	c := &cobra.Command{
		Use:   "checkpoint",
		Short: "Look at the checkpoints of a state",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
		Example: `  hextide checkpoint ls --state hextide-state
  hextide checkpoint show 12 --state hextide-state
  hextide checkpoint gc --dry-run --state hextide-state`,
	}
	k := &kept{}
	k.state.add(c.PersistentFlags())
	c.AddCommand(k.list(), k.show(), k.remove(), k.garbage())
	return c
}

// kept is the state that is looked at.
type kept struct{ state stateSettings }

// open finds the epochs of the state, and changes nothing.
func (k *kept) open(ctx context.Context) (*statebackend.State, []int64, error) {
	store, err := k.state.store(k.state.address)
	if err != nil {
		return nil, nil, err
	}
	if _, is := store.(*statebackend.Folder); is {
		switch info, err := os.Stat(k.state.address); {
		case errors.Is(err, os.ErrNotExist):
			return nil, nil, usagef("there is no state folder %s", k.state.address)
		case err != nil:
			return nil, nil, fmt.Errorf("looking at the state folder: %w", err)
		case !info.IsDir():
			return nil, nil, usagef("%s is not a folder", k.state.address)
		}
	}
	state := statebackend.Open(store, statebackend.Options{Grace: orphanGrace})
	epochs, err := state.Pointers(ctx)
	if err == nil && len(epochs) == 0 {
		err = usagef("%s holds no checkpoints", k.state.address)
	}
	return state, epochs, err
}

// of finds the state that keeps an epoch, perhaps as a savepoint alone.
func (k *kept) of(ctx context.Context, text string) (*statebackend.State, int64, error) {
	epoch, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, 0, usagef("%q is no epoch: 'hextide checkpoint ls' lists them", text)
	}
	state, epochs, err := k.open(ctx)
	if err == nil && !slices.Contains(epochs, epoch) {
		if _, err = state.Find(ctx, epoch); err != nil {
			err = usagef("%w", err)
		}
	}
	return state, epoch, err
}

func (k *kept) list() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the epochs that are kept, those of savepoints first",
		Long: `Lists the epochs that are kept, those of savepoints first: BYTES is the size of all
OBJECTS that an epoch consists of, NEW that of those written for it, CHAIN how many
objects the state of one shard or partition consists of, at most.`,
		Example: "  hextide checkpoint ls --state hextide-state",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			state, epochs, err := k.open(c.Context())
			if err != nil {
				return err
			}
			saved, err := state.Savepoints(c.Context())
			if err != nil {
				return err
			}
			out := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(out, "EPOCH\tPIPELINE\tTAKEN\tINCARNATION\tGENERATIONS\tBYTES\tNEW\tOBJECTS\tCHAIN\tEVENTS\tSAVEPOINT")
			for _, s := range saved {
				if s.Err == nil {
					listEpoch(out, s.Pointer, s.Name)
				}
			}
			for _, epoch := range epochs {
				p, err := state.Pointer(c.Context(), epoch)
				if errors.Is(err, fs.ErrNotExist) {
					continue // a run has forgotten it since
				}
				if errors.Is(err, statebackend.ErrDamaged) {
					fmt.Fprintf(out, "%d\tdamaged\n", epoch)
					continue
				}
				if err != nil {
					return err
				}
				listEpoch(out, p, "")
			}
			return out.Flush()
		},
	}
}

func listEpoch(out io.Writer, p *stream.Pointer, savepoint string) {
	s := p.Sizes()
	fmt.Fprintf(out, "%d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n",
		p.Epoch, p.Pipeline, p.Taken, p.Incarnation, len(p.Generations), s.Size, s.Written, s.Objects, s.Longest, p.Counts.Read, savepoint)
}

func (k *kept) show() *cobra.Command {
	return &cobra.Command{
		Use: "show EPOCH", Short: "Show one epoch's pointer as JSON",
		Long: `Shows one epoch's pointer as JSON, with the sizes of what it names. How long its
commit took is known to the next one: it is there as timing.before.`,
		Example: "  hextide checkpoint show 12 --state hextide-state",
		Args:    arguments(1, 1, "one epoch"),
		RunE: func(c *cobra.Command, given []string) error {
			state, epoch, err := k.of(c.Context(), given[0])
			if err != nil {
				return err
			}
			p, err := state.Find(c.Context(), epoch)
			if err != nil {
				return err
			}
			sinks := map[string]string{}
			for name, state := range p.Sinks {
				sinks[name] = fmt.Sprintf("%d bytes", len(state))
			}
			encoder := json.NewEncoder(c.OutOrStdout())
			encoder.SetIndent("", "  ")
			return encoder.Encode(struct {
				*stream.Pointer
				Sinks map[string]string     `json:"sinks"` // a sink's state can be large; its size says enough here
				Size  stream.CheckpointSize `json:"size"`
			}{p, sinks, p.Sizes()})
		},
	}
}

func (k *kept) remove() *cobra.Command {
	return &cobra.Command{
		Use: "rm EPOCH", Short: "Forget an epoch; the newest that is whole cannot be", Example: "  hextide checkpoint rm 11 --state hextide-state",
		Args: arguments(1, 1, "one epoch"),
		RunE: func(c *cobra.Command, given []string) error {
			state, epoch, err := k.of(c.Context(), given[0])
			if err != nil {
				return err
			}
			if err := state.Claim(); err != nil {
				return err // a running process owns the folder
			}
			defer state.Close()
			if err := state.Remove(c.Context(), epoch); err != nil {
				return err
			}
			say(c, "epoch %d is forgotten", epoch)
			return nil
		},
	}
}

func (k *kept) garbage() *cobra.Command {
	dry, older := false, time.Duration(0)
	c := &cobra.Command{
		Use: "gc", Short: "Delete what no epoch that is kept reaches",
		Long: `Lists the objects that no epoch names any more, with bytes and age, and deletes
those that are old enough. A run does so by itself whenever it has committed an
epoch; this is for a state that none is using. With --dry-run nothing is deleted,
and a run may be using the state: what it is writing for an epoch to come is then
among the list. In a bucket it may do so anyway, if --older is more than a
checkpoint takes.`,
		Example: "  hextide checkpoint gc --dry-run --state hextide-state\n  hextide checkpoint gc --older 24h --state hextide-state",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			state, _, err := k.open(c.Context())
			if err != nil {
				return err
			}
			var garbage []statebackend.Listed
			if dry {
				garbage, err = state.Garbage(c.Context())
			} else if err = state.Claim(); err == nil {
				defer state.Close()
				garbage, err = state.RemoveGarbage(c.Context(), time.Now().Add(-older))
			}
			if errors.Is(err, statebackend.ErrDamaged) {
				return fmt.Errorf("%w; it may name anything, so nothing is garbage while it is there: a run that is started goes back behind a damaged epoch, 'hextide savepoint rm' removes a damaged savepoint", err)
			}
			if err != nil {
				return err
			}
			return listGarbage(c, state, garbage, dry)
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "delete nothing")
	timeVar(c.Flags(), &older, "older", time.Hour, 0, "spare what was written more recently than so long ago")
	return c
}

func listGarbage(c *cobra.Command, state *statebackend.State, garbage []statebackend.Listed, dry bool) error {
	out := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
	if len(garbage) > 0 {
		fmt.Fprintln(out, "OBJECT\tBYTES\tAGE")
	}
	bytes := int64(0)
	for _, g := range garbage {
		fmt.Fprintf(out, "%s/%s\t%d\t%s\n", state, g.Name, g.Size, time.Since(g.Modified).Round(time.Second))
		bytes += g.Size
	}
	if err := out.Flush(); err != nil {
		return err
	}
	done := "deleted"
	if dry {
		done = "unreached"
	}
	say(c, "%d objects of %d bytes %s", len(garbage), bytes, done)
	return nil
}
