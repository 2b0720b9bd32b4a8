package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func newRedis() *cobra.Command {
	c := &cobra.Command{
		Use: "redis", Short: "See to what a running pipeline keeps in Redis",
		Args: cobra.ArbitraryArgs, RunE: group,
		Example: "  hextide redis refill\n  hextide redis refill --server 10.0.0.7:8780",
	}
	c.AddCommand(newRedisRefill())
	return c
}

func newRedisRefill() *cobra.Command {
	address := ""
	c := &cobra.Command{
		Use: "refill", Short: "Write the newest row of every entity to Redis again",
		Long: `Asks a running pipeline to write the newest row of every entity that its serving
store keeps to Redis again, as it writes any row: where Redis has a newer one, that
stays. A run does so by itself when it finds Redis empty; this is for a Redis that
has lost only some of what it had.`,
		Example: "  hextide redis refill\n  hextide redis refill --server 10.0.0.7:8780",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			conn, err := connect(address)
			if err != nil {
				return err
			}
			defer conn.Close()
			told, err := pb.NewHextideClient(conn).RefillRedis(c.Context(), &pb.RefillRedisRequest{})
			if err != nil {
				return called(err)
			}
			for {
				r, err := told.Recv()
				switch {
				case errors.Is(err, io.EOF):
					return errors.New("the server has ended before it was done")
				case err != nil:
					return called(err)
				case !r.Done:
					fmt.Fprintf(c.ErrOrStderr(), "%d of %d entities\n", r.Written, r.Entities)
				default:
					sayRefilled(c, r)
					return nil
				}
			}
		},
	}
	serverVar(c.Flags(), &address)
	return c
}

func sayRefilled(c *cobra.Command, r *pb.RefillRedisResponse) {
	say(c, "%d entities are in Redis again", r.Written)
	if !r.Complete {
		say(c, "the run has not made the rows of all entities since it started: the others come with their next")
	}
}

// RefillRedis writes the rows that the serving store keeps to Redis again.
func (a *assembly) RefillRedis(ctx context.Context, progress func(written, of int)) (int, error) {
	if a.redis == nil {
		return 0, status.Errorf(codes.FailedPrecondition, "the pipeline %s has no Redis sink: its definition names none (sinks: {redis: {}})", a.plan.Name)
	}
	if phase := a.runner.Stats().Phase; phase != stream.PhaseRunning {
		return 0, status.Errorf(codes.Unavailable, "the pipeline is not ready: it is %s", phase)
	}
	n, err := a.redis.Refill(ctx, progress)
	if err != nil {
		return n, status.Errorf(codes.Unavailable, "%v", err)
	}
	return n, nil
}
