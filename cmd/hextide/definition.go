package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/hextide/hextide/pipeline"
	"github.com/spf13/cobra"
)

// load reads, checks and compiles a definition.
func load(name string) (*pipeline.Plan, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usagef("there is no definition %s", name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the definition: %w", err)
	}
	return compile(text, name)
}

func compile(text []byte, name string) (*pipeline.Plan, error) {
	plan, err := pipeline.Load(text, name)
	if err != nil {
		return nil, err
	}
	for _, w := range plan.Warnings {
		slog.Warn(w, "definition", name)
	}
	return plan, nil
}

func newValidate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a pipeline definition",
		Long: `Checks a definition and prints every error at once: where it is, what was
expected, and what may have been meant.`,
		Example: "  hextide validate examples/sf-taxi.yaml",
		Args:    arguments(1, 1, "one definition"),
		RunE: func(c *cobra.Command, given []string) error {
			plan, err := load(given[0])
			if err != nil {
				return err
			}
			say(c, "%s: valid, %d columns, plan %s", given[0], len(plan.Columns), plan.Hash)
			return nil
		},
	}
}

func newPlan() *cobra.Command {
	against := &kept{}
	c := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show what a pipeline will compute and what it costs",
		Long: `Shows what a pipeline will compute and what it costs. With --against STATE it
shows instead what a run would do that goes on from that state with this
definition: which columns are added, and until which window end they are
incomplete, which are removed, and what the state cannot follow (exit code 1). The
state is only read; a run may be using it.`,
		Example: `  hextide plan examples/sf-taxi.yaml
  hextide plan examples/sf-taxi.yaml --against hextide-state`,
		Args: arguments(1, 1, "one definition"),
		RunE: func(c *cobra.Command, given []string) error {
			plan, err := load(given[0])
			if err != nil {
				return err
			}
			if against.state.address != "" {
				return against.showAgainst(c, plan)
			}
			_, err = fmt.Fprint(c.OutOrStdout(), plan.Describe())
			return err
		},
	}
	against.state.reach(c.Flags(), "against", "", "state (folder or s3://bucket/prefix) that a run would go on from")
	return c
}

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON schema of definitions",
		Example: "  hextide schema > hextide.schema.json",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			schema, err := pipeline.Schema()
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(append(schema, '\n'))
			return err
		},
	}
}
