package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/statebackend"
	"github.com/spf13/cobra"
)

func newSavepoint() *cobra.Command {
	c := &cobra.Command{
		Use:   "savepoint",
		Short: "Keep epochs of a state under names, and copy them",
		Long: `A savepoint is an epoch of a state that is kept, with all that it names, until it
is removed. It may be made and removed while a run uses the state.`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
		Example: `  hextide savepoint create --state hextide-state --name before-upgrade
  hextide savepoint ls --state hextide-state
  hextide run examples/sf-taxi.yaml --brokers localhost:9092 --from-savepoint before-upgrade
  hextide savepoint export before-upgrade --state hextide-state --to s3://bucket/trial --as sf-taxi-trial`,
	}
	k := &kept{}
	k.state.add(c.PersistentFlags())
	c.AddCommand(k.createSavepoint(), k.listSavepoints(), k.removeSavepoint(), k.exportSavepoint())
	return c
}

func (k *kept) createSavepoint() *cobra.Command {
	name, running := "", ""
	c := &cobra.Command{
		Use: "create", Short: "Keep the newest epoch under a name",
		Long: `Keeps the newest epoch of a state, which a run may be using. With --http, where
that run serves HTTP, it is asked to take a checkpoint first, and that one is kept.`,
		Example: `  hextide savepoint create --state hextide-state --name before-upgrade
  hextide savepoint create --state s3://bucket/taxi --http localhost:8781`,
		Args: arguments(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if name != "" {
				if err := statebackend.SavepointName(name); err != nil {
					return usagef("%w", err)
				}
			}
			state, epochs, err := k.open(c.Context())
			if err != nil {
				return err
			}
			wanted := int64(0)
			if running != "" {
				if wanted, err = askCheckpoint(c.Context(), running); err != nil {
					return fmt.Errorf("asking the run at %s for a checkpoint: %w", running, err)
				}
				if newest := slices.Max(epochs); newest >= wanted {
					return fmt.Errorf("the run has just committed epoch %d, but %s had epoch %d before: is it that run's state?", wanted, state, newest)
				}
			}
			return saveNewest(c, state, name, wanted)
		},
	}
	c.Flags().StringVar(&name, "name", "", "name of the savepoint (default epoch-N)")
	c.Flags().StringVar(&running, "http", "", "host:port of the run that uses the state: it takes a checkpoint first")
	return c
}

// askCheckpoint asks a run to take a checkpoint and returns its epoch.
func askCheckpoint(ctx context.Context, address string) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/checkpoint", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(content))
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", response.Status, text)
	}
	return strconv.ParseInt(text, 10, 64)
}

// saveTries is how often an epoch is looked for: each time the run that uses the
// state may forget it.
const saveTries = 10

// saveNewest makes a savepoint of the newest epoch that can be read, which must be
// at least the one wanted.
func saveNewest(c *cobra.Command, state *statebackend.State, name string, wanted int64) error {
	err := errors.New("there is no epoch that can be read")
	for range saveTries {
		p, failed := state.NewestPointer(c.Context())
		if failed != nil {
			return failed
		}
		if p == nil {
			return err
		}
		if p.Epoch < wanted {
			return fmt.Errorf("the run has committed epoch %d, the newest in %s is %d: is it that run's state?", wanted, state, p.Epoch)
		}
		as := name
		if as == "" {
			as = fmt.Sprintf("epoch-%d", p.Epoch)
		}
		if err = state.Save(c.Context(), as, p.Epoch); err == nil {
			say(c, "savepoint %s: epoch %d of %s, taken %s", as, p.Epoch, p.Pipeline, p.Taken)
			return nil
		}
		if !errors.Is(err, statebackend.ErrForgotten) {
			return err
		}
	}
	return err
}

// named makes wrong usage of a name that cannot be, or that no savepoint has, and of an
// epoch that is not kept.
func named(err error) error {
	if errors.Is(err, statebackend.ErrNoSavepoint) || errors.Is(err, statebackend.ErrNoEpoch) {
		return usagef("%w", err)
	}
	return err
}

func (k *kept) listSavepoints() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the savepoints of a state", Example: "  hextide savepoint ls --state hextide-state",
		Args: arguments(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			state, _, err := k.open(c.Context())
			if err != nil {
				return err
			}
			all, err := state.Savepoints(c.Context())
			if err != nil {
				return err
			}
			out := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(out, "NAME\tEPOCH\tPIPELINE\tTAKEN\tEVENTS")
			for _, s := range all {
				if s.Err != nil {
					fmt.Fprintf(out, "%s\tdamaged\n", s.Name)
					continue
				}
				fmt.Fprintf(out, "%s\t%d\t%s\t%s\t%d\n", s.Name, s.Pointer.Epoch, s.Pointer.Pipeline, s.Pointer.Taken, s.Pointer.Counts.Read)
			}
			return out.Flush()
		},
	}
}

func (k *kept) removeSavepoint() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "Forget a savepoint",
		Long: `Forgets a savepoint. What it alone names is deleted by the run that uses the
state when it commits its next epoch, or by 'hextide checkpoint gc'.`,
		Example: "  hextide savepoint rm before-upgrade --state hextide-state",
		Args:    arguments(1, 1, "one savepoint"),
		RunE: func(c *cobra.Command, given []string) error {
			state, _, err := k.open(c.Context())
			if err == nil {
				err = state.RemoveSavepoint(c.Context(), given[0])
			}
			if err != nil {
				return named(err)
			}
			say(c, "the savepoint %s is forgotten", given[0])
			return nil
		},
	}
}

func (k *kept) exportSavepoint() *cobra.Command {
	to, as := "", ""
	c := &cobra.Command{
		Use: "export NAME --to STATE", Short: "Copy a savepoint to a place of its own, to go on from there",
		Long: `Copies one epoch, with all that it names, into an empty folder or place in a
bucket: 'hextide run --state' goes on from it. With --as the copy is another
pipeline's, to try a change beside production: it begins with outputs of its own,
and only a definition of that name goes on from it, which thereby has its own keys
in Redis. Where the definition writes a feed, give it a topic of its own too: one with
the original's is refused.`,
		Example: `  hextide savepoint export before-upgrade --state hextide-state --to s3://bucket/taxi
  hextide savepoint export before-upgrade --state hextide-state --to trial-state --as sf-taxi-trial
  hextide run sf-taxi-trial.yaml --brokers localhost:9092 --state trial-state`,
		Args: arguments(1, 1, "one savepoint"),
		RunE: func(c *cobra.Command, given []string) error {
			if to == "" {
				return usagef("no place for the copy: --to FOLDER or --to s3://bucket/prefix")
			}
			if as != "" && !pipeline.IsName(as) {
				return usagef("--as %q: a pipeline's name is of lower-case letters, digits and hyphens, a letter first", as)
			}
			state, _, err := k.open(c.Context())
			if err != nil {
				return err
			}
			store, err := k.state.store(to)
			if err != nil {
				return err
			}
			begun := time.Now()
			p, err := state.Export(c.Context(), given[0], store, as)
			if err != nil {
				return named(err)
			}
			bytes := p.Sizes().Size
			say(c, "%s: epoch %d of %s, %d generations of %d bytes in %s", to, p.Epoch, p.Pipeline, len(p.Generations), bytes, time.Since(begun).Round(time.Millisecond))
			return nil
		},
	}
	c.Flags().StringVar(&to, "to", "", "empty folder, or s3://bucket/prefix, of the copy")
	c.Flags().StringVar(&as, "as", "", "name of the pipeline that the copy is to be (default: the same)")
	return c
}
