package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hextide/hextide/examples"
	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/pipeline"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newDemo() *cobra.Command {
	flags := &runFlags{shards: 8, workers: runtime.GOMAXPROCS(0), batch: 1024}
	speed := 0.0
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a pipeline on a replayed city, everything embedded",
		Long: `Starts a broker and a Redis in this process, replays two hours of San Francisco's
taxis into the broker, and runs the pipeline of examples/sf-taxi.yaml over it,
with its page and its gRPC service. Needs nothing, leaves nothing behind.`,
		Example: "  hextide demo\n  hextide demo --speed 300",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := flags.serving.check(); err != nil {
				return err
			}
			if err := unlessStopped(c.Context(), runDemo(c, flags, speed)); err != nil {
				return err
			}
			say(c, "ended")
			return nil
		},
	}
	flags.serving.add(c)
	speedVar(c.Flags(), &speed, "speed", 60, 0.001, "so many times as fast as event time")
	return c
}

// runDemo embeds what a live run needs and runs it.
func runDemo(c *cobra.Command, f *runFlags, speed float64) error {
	say(c, "hextide demo: two hours of San Francisco's taxis, %g times as fast as they were", speed)
	folder, err := os.MkdirTemp("", "hextide-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	events := filepath.Join(folder, "events.csv.gz")
	if err := os.WriteFile(events, examples.TaxiEvents, 0o600); err != nil {
		return err
	}
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(0))
	if err != nil {
		return fmt.Errorf("starting the embedded broker: %w", err)
	}
	defer broker.Close()
	cache, err := miniredis.Run()
	if err != nil {
		return fmt.Errorf("starting the embedded Redis: %w", err)
	}
	defer cache.Close()
	plan, err := compile(examples.Taxi, "sf-taxi.yaml")
	if err != nil {
		return err
	}
	f.state.address = filepath.Join(folder, "state")
	f.kafka.cluster.Brokers, f.redis.addresses, f.redis.waiting = broker.ListenAddrs(), []string{cache.Addr()}, 1_000_000
	f.serving.grpc, f.serving.http = free(f.serving.grpc), free(f.serving.http)
	return f.demonstrate(c, plan, events, speed)
}

// free is an address, with a port of its own choice where that one is taken.
func free(address string) string {
	l, err := net.Listen("tcp", address)
	if err == nil {
		_ = l.Close() // it is listened on again at once
		return address
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address // what is wrong with it is told by who listens
	}
	return net.JoinHostPort(host, "0")
}

// demonstrate replays the events while the pipeline runs.
func (f *runFlags) demonstrate(c *cobra.Command, plan *pipeline.Plan, events string, speed float64) error {
	ctx := c.Context()
	topic := plan.Source.Topic
	if err := makeDemoTopic(ctx, f, topic); err != nil {
		return err
	}
	a, err := f.open(ctx, plan)
	if err != nil {
		return err
	}
	defer a.close()
	bound := a.server.Bound()
	say(c, "page    http://%s/", bound.HTTP)
	say(c, "gRPC    %s", bound.GRPC)
	background, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.replay(background, c, plan, events, speed)
	}()
	hinted := make(chan struct{})
	go func() {
		defer close(hinted)
		hint(background, c, a)
	}()
	_, err = a.work(ctx)
	stop()
	<-done
	<-hinted
	return err
}

func makeDemoTopic(ctx context.Context, f *runFlags, topic string) error {
	options, err := f.kafka.cluster.Options()
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	return ingest.MakeTopic(ctx, client, topic, 4, slog.New(slog.DiscardHandler))
}

func (f *runFlags) replay(ctx context.Context, c *cobra.Command, plan *pipeline.Plan, events string, speed float64) {
	_, err := ingest.Simulate(ctx, ingest.SimulateOptions{
		Schema: ingest.SchemaOf(&plan.Source), Inputs: []string{events}, Key: ingest.KeyOf(&plan.Source), Speed: speed,
		Cluster: f.kafka.cluster, Topic: plan.Source.Topic, Log: slog.New(slog.DiscardHandler),
	})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		slog.Error("the replay ended", "error", err)
	default:
		say(c, "the two hours are over; the last rows can still be looked up. Ctrl-C ends the demo")
	}
}

// hint prints lookups to try, once there is a row to look up.
func hint(ctx context.Context, c *cobra.Command, a *assembly) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		latest, err := a.service.Latest(ctx, &pb.LatestRequest{Columns: []string{"n_k2_w5m"}})
		if err != nil || len(latest.Entities) == 0 {
			continue
		}
		best := 0
		for i, n := range latest.Columns[0].Integers {
			if n > latest.Columns[0].Integers[best] {
				best = i
			}
		}
		bound, cell := a.server.Bound(), latest.Entities[best].H3
		say(c, "the first windows have closed: %d cells. Try, in another terminal:", len(latest.Entities))
		say(c, "  go run ./cmd/hextide get %s --server %s", cell, bound.GRPC)
		say(c, "  go run ./cmd/hextide watch %s --server %s --columns n_k0_w1m,busy_share,free_next", cell, bound.GRPC)
		say(c, "  curl -s http://%s/v1/lookup -d '{\"locations\": [{\"lat\": 37.7749, \"lng\": -122.4194}], \"columns\": [\"n_k2_w5m\"]}'", bound.HTTP)
		return
	}
}
