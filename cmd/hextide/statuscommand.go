package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func newStatus() *cobra.Command {
	address, asJSON, timeout := "", false, time.Duration(0)
	c := &cobra.Command{
		Use: "status", Short: "Show how a running pipeline and its last checkpoints are doing",
		Long: `Shows how a running pipeline is doing, and where its last 20 checkpoints spent their
time, each part that of the slowest: start_delay until the barrier's turn at a
partition, alignment until the other partitions had it too, saving (a partition or a
worker stands still), async until that is durable, of which upload was the writing,
sinks, and commit. BYTES is the size of all OBJECTS that a checkpoint consists of, NEW
that of those written for it; LONGEST CHAIN is how many objects a restart reads for
one shard or partition, at most.`,
		Example: "  hextide status\n  hextide status --server 10.0.0.7:8780 --json",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			conn, err := connect(address)
			if err != nil {
				return err
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			s, err := pb.NewHextideClient(conn).Status(ctx, &pb.StatusRequest{})
			if err != nil {
				return called(err)
			}
			if asJSON {
				text, err := protojson.Marshal(s)
				if err != nil {
					return err
				}
				return json.NewEncoder(c.OutOrStdout()).Encode(json.RawMessage(text))
			}
			return showStatus(c, s)
		},
	}
	serverVar(c.Flags(), &address)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	timeVar(c.Flags(), &timeout, "timeout", 5*time.Second, time.Millisecond, "how long to wait for the answer")
	return c
}

func showStatus(c *cobra.Command, s *pb.StatusResponse) error {
	state := s.Phase
	if s.Degraded {
		state += ", degraded: checkpoints fail"
	}
	out := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintf(out, "state\t%s\nevents\t%d (%.0f/s)\nrows\t%d\n", state, s.Events, s.EventsPerSecond, s.Rows)
	fmt.Fprintf(out, "watermark\t%s (%s behind the newest event)\n", stampText(s.Watermark), s.Lag.AsDuration())
	fmt.Fprintf(out, "dead letters, late\t%d, %d\n", s.DeadLetters, s.Late)
	if f := s.LastFailure; f != nil {
		fmt.Fprintf(out, "last failed checkpoint\tepoch %d at %s: %s\n", f.Epoch, stampText(f.At), f.Error)
	}
	if err := out.Flush(); err != nil || len(s.Checkpoints) == 0 {
		return err
	}
	fmt.Fprintf(out, "\nEPOCH\tENDED\tBYTES\tNEW\tOBJECTS\tLONGEST CHAIN\t%s\tSLOWEST SHARD\tERROR\n", strings.ToUpper(strings.Join(stream.CheckpointParts, "\t")))
	for _, k := range s.Checkpoints {
		fmt.Fprintf(out, "%d\t%s\t%d\t%d\t%d\t%d", k.Epoch, stampText(k.Ended), k.Bytes, k.NewBytes, k.Objects, k.LongestChain)
		for _, p := range k.Parts {
			fmt.Fprintf(out, "\t%s", secondsText(p.Seconds))
		}
		fmt.Fprintf(out, "\t%d (%s)\t%s\n", k.SlowestShard, secondsText(k.SlowestShardSeconds), k.Error)
	}
	return out.Flush()
}

func secondsText(s float64) string {
	return time.Duration(s * 1e9).Round(10 * time.Microsecond).String()
}

func stampText(t *timestamppb.Timestamp) string {
	if t == nil {
		return "none yet"
	}
	return t.AsTime().Format(time.RFC3339)
}
