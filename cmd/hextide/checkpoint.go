package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/statebackend"
	"github.com/spf13/cobra"
)

func newCheckpoint() *cobra.Command {
	c := &cobra.Command{
		Use:   "checkpoint",
		Short: "Look at the checkpoints of a state folder",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
		Example: `  hextide checkpoint ls --state hextide-state
  hextide checkpoint show 12 --state hextide-state`,
	}
	state := c.PersistentFlags().String("state", "hextide-state", "state folder")
	open := func() (*statebackend.Folder, error) {
		if _, err := vfs.Default.Stat(*state); err != nil {
			return nil, usagef("there is no state folder %s", *state)
		}
		return statebackend.Open(vfs.Default, *state, statebackend.Options{}), nil
	}
	c.AddCommand(checkpointList(open), checkpointShow(open), checkpointRemove(open))
	return c
}

func checkpointList(open func() (*statebackend.Folder, error)) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the epochs that are kept", Example: "  hextide checkpoint ls --state hextide-state",
		Args: arguments(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			folder, err := open()
			if err != nil {
				return err
			}
			epochs, err := folder.Pointers()
			if err != nil {
				return err
			}
			out := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(out, "EPOCH\tPIPELINE\tTAKEN\tINCARNATION\tGENERATIONS\tBYTES\tEVENTS")
			for _, epoch := range epochs {
				p, err := folder.Pointer(epoch)
				if err != nil {
					return err
				}
				bytes := int64(0)
				for _, object := range p.Generations {
					bytes += object.Size
				}
				fmt.Fprintf(out, "%d\t%s\t%s\t%d\t%d\t%d\t%d\n", p.Epoch, p.Pipeline, p.Taken, p.Incarnation, len(p.Generations), bytes, p.Counts.Read)
			}
			return out.Flush()
		},
	}
}

func epochOf(text string) (int64, error) {
	epoch, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, usagef("%q is no epoch: 'hextide checkpoint ls' lists them", text)
	}
	return epoch, nil
}

func checkpointShow(open func() (*statebackend.Folder, error)) *cobra.Command {
	return &cobra.Command{
		Use: "show EPOCH", Short: "Show one epoch's pointer as JSON", Example: "  hextide checkpoint show 12 --state hextide-state",
		Args: arguments(1, 1, "one epoch"),
		RunE: func(c *cobra.Command, given []string) error {
			epoch, err := epochOf(given[0])
			if err != nil {
				return err
			}
			folder, err := open()
			if err != nil {
				return err
			}
			p, err := folder.Pointer(epoch)
			if err != nil {
				return err
			}
			for name, state := range p.Sinks { // a sink's state can be large; its size says enough here
				p.Sinks[name] = fmt.Appendf(nil, "%d bytes", len(state))
			}
			encoder := json.NewEncoder(c.OutOrStdout())
			encoder.SetIndent("", "  ")
			return encoder.Encode(p)
		},
	}
}

func checkpointRemove(open func() (*statebackend.Folder, error)) *cobra.Command {
	return &cobra.Command{
		Use: "rm EPOCH", Short: "Forget an epoch; the newest cannot be", Example: "  hextide checkpoint rm 11 --state hextide-state",
		Args: arguments(1, 1, "one epoch"),
		RunE: func(c *cobra.Command, given []string) error {
			epoch, err := epochOf(given[0])
			if err != nil {
				return err
			}
			folder, err := open()
			if err != nil {
				return err
			}
			if _, _, err := folder.Start(c.Context()); err != nil {
				return err // a running process owns the folder
			}
			defer folder.Close()
			if err := folder.Remove(epoch); err != nil {
				return err
			}
			say(c, "epoch %d is forgotten", epoch)
			return nil
		},
	}
}
