package main

import (
	"errors"
	"io"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/spf13/cobra"
)

func newWatch() *cobra.Command {
	flags := &serverFlags{}
	within := ""
	c := &cobra.Command{
		Use:   "watch [CELL...]",
		Short: "Print rows of a running pipeline as they change",
		Long: `Prints the rows of cells, of a region, or of everything as they are made, until
it is interrupted.`,
		Example: `  hextide watch 89283082837ffff
  hextide watch --within 85283083fffffff --columns n_k0_w1m --json`,
		Args: arguments(0, 10_000, "cells"),
		RunE: func(c *cobra.Command, given []string) error {
			conn, err := connect(flags.address)
			if err != nil {
				return err
			}
			defer conn.Close()
			changes, err := pb.NewHextideClient(conn).Watch(c.Context(), &pb.WatchRequest{H3: given, Within: within, Columns: flags.columns})
			if err != nil {
				return called(err)
			}
			for {
				change, err := changes.Recv()
				if errors.Is(err, io.EOF) || c.Context().Err() != nil {
					return nil
				}
				if err != nil {
					return called(err)
				}
				if err := flags.show(c, change, change); err != nil {
					return err
				}
			}
		},
	}
	flags.add(c)
	c.Flags().StringVar(&within, "within", "", "all cells below this coarser cell")
	return c
}
