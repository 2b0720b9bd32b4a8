package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// newRoot puts the command tree together.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "hextide",
		Short: "Features and online models over H3 cells and event-time windows",
		Long: `hextide turns a stream of located events into features and online models over
H3 cells and event-time windows, and serves them while they are fresh. The same
definition runs live and over history, and the two give the same bytes.

Every flag can be set in the environment (--keep-memory is HEXTIDE_KEEP_MEMORY)
or in a file hextide.yaml beside where the command runs; a flag on the command
line comes first, then the environment, then the file.

Exit codes: 0 done, 1 failed, 2 wrong usage.`,
		Example: `  hextide demo
  hextide backfill examples/sf-taxi.yaml --input events.csv.gz --out snapshot
  hextide run examples/sf-taxi.yaml --brokers localhost:9092 --redis localhost:6379`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: configure,
		Args:              cobra.ArbitraryArgs,
		RunE:              group,
	}
	root.PersistentFlags().String("config", "", "file of settings (default: hextide.yaml in this folder, where there is one)")
	root.PersistentFlags().String("log-level", "info", "debug, info, warn or error")
	root.PersistentFlags().String("log-format", "text", "text or json")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w\nSee 'hextide %s --help'", err, strings.TrimPrefix(c.CommandPath(), "hextide "))
	})
	root.AddCommand(
		newDemo(), newRun(), newSimulate(), newBackfill(), newDiff(), newGet(), newWatch(), newStatus(),
		newValidate(), newPlan(), newSchema(), newCheckpoint(), newSavepoint(), newState(), newRedis(), newVersion(),
	)
	return root
}

// group is what a command that only holds others does by itself.
func group(c *cobra.Command, given []string) error {
	if len(given) == 0 {
		return c.Help()
	}
	text := fmt.Sprintf("%s has no command %q", c.CommandPath(), given[0])
	if near := c.SuggestionsFor(given[0]); len(near) > 0 {
		text += fmt.Sprintf(" (did you mean %q?)", near[0])
	}
	return usagef("%s\nSee '%s --help'", text, c.CommandPath())
}

// configure fills the flags that were not given from the environment and the
// settings file, and sets up logging.
func configure(c *cobra.Command, _ []string) error {
	v := viper.New()
	v.SetEnvPrefix("HEXTIDE")
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	if err := readSettings(v, c); err != nil {
		return err
	}
	var failed error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || !v.IsSet(f.Name) || f.Name == "help" {
			return
		}
		for _, value := range settingValues(v, f) {
			if err := c.Flags().Set(f.Name, value); err != nil {
				failed = errors.Join(failed, usagef("the setting %s (environment or settings file): %w", f.Name, err))
			}
		}
	})
	if failed != nil {
		return failed
	}
	return setUpLogging(c)
}

// settingValues is what a setting holds: several values for a flag that may be
// given several times.
func settingValues(v *viper.Viper, f *pflag.Flag) []string {
	if _, many := f.Value.(pflag.SliceValue); many {
		if text, is := v.Get(f.Name).(string); is {
			return strings.Split(text, ",")
		}
		return v.GetStringSlice(f.Name)
	}
	return []string{v.GetString(f.Name)}
}

func readSettings(v *viper.Viper, c *cobra.Command) error {
	name, err := c.Flags().GetString("config")
	if err != nil {
		return err
	}
	if name == "" {
		name = os.Getenv("HEXTIDE_CONFIG")
	}
	v.SetConfigFile(cmp.Or(name, "hextide.yaml"))
	err = v.ReadInConfig()
	if name == "" && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return usagef("reading the settings: %w", err)
	}
	return checkSettings(v, c.Root())
}

// checkSettings refuses keys of the settings file that no command has a flag for.
func checkSettings(v *viper.Viper, root *cobra.Command) error {
	known := map[string]bool{}
	for _, command := range append(root.Commands(), root) {
		command.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
		command.PersistentFlags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
	}
	for _, key := range v.AllKeys() {
		if v.InConfig(key) && !known[key] {
			return usagef("%s sets %q, which is no setting of any command", v.ConfigFileUsed(), key)
		}
	}
	return nil
}

func setUpLogging(c *cobra.Command) error {
	var level slog.Level
	text, _ := c.Flags().GetString("log-level") // the flag is defined above
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return usagef("--log-level is debug, info, warn or error, not %q", text)
	}
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler
	switch format, _ := c.Flags().GetString("log-format"); format {
	case "text":
		handler = slog.NewTextHandler(os.Stderr, options)
	case "json":
		handler = slog.NewJSONHandler(os.Stderr, options)
	default:
		return usagef("--log-format is text or json, not %q", format)
	}
	slog.SetDefault(slog.New(handler))
	quietLibraries()
	return nil
}

// arguments checks the number of a command's arguments, with a usage error.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if len(given) < least || len(given) > most {
			return usagef("%s takes %s\nSee '%s --help'", c.CommandPath(), what, c.CommandPath())
		}
		return nil
	}
}

// say prints a line for the user; standard output that has gone is the
// caller's affair.
func say(c *cobra.Command, format string, values ...any) {
	fmt.Fprintf(c.OutOrStdout(), format+"\n", values...)
}

// unlessStopped leaves out the error of a live run that was stopped while it
// began, which is as good an end as a later one: its state is as it was.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
