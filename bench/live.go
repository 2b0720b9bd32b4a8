package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// setting is what the live benchmark was asked for.
type setting struct {
	data, binary, definition, brokers string
	rate                              int // events/s
	seconds                           int
}

// add names the flags that every measurement over a broker has.
func (s *setting) add(flags *flag.FlagSet) {
	flags.StringVar(&s.data, "data", "", "gzip file of taxi events, for their places")
	flags.StringVar(&s.binary, "binary", "bin/hextide", "the program to measure")
	flags.StringVar(&s.definition, "definition", "examples/checks/j3-live.yaml", "the pipeline")
	flags.StringVar(&s.brokers, "brokers", "", "a running Kafka broker")
	flags.IntVar(&s.rate, "rate", 50_000, "events a second")
}

// pipeline makes a topic of four partitions and is the command that reads it.
func (s *setting) pipeline(ctx context.Context, address, state string, more ...string) (topic string, command *exec.Cmd, err error) {
	if s.brokers == "" {
		return "", nil, errors.New("--brokers: the address of a broker (scripts/kafka.sh start prints it)")
	}
	topic = fmt.Sprintf("bench-%d", time.Now().UnixNano())
	if err := makeTopic(ctx, s.brokers, topic, 4); err != nil {
		return "", nil, fmt.Errorf("making the topic %s: %w", topic, err)
	}
	arguments := []string{"run", s.definition, "--brokers", s.brokers, "--topic", topic,
		"--grpc", address, "--http", "", "--state", state, "--log-level", "warn"}
	return topic, exec.CommandContext(ctx, s.binary, append(arguments, more...)...), nil
}

// producer sends events to a topic, which happen at the places of the data when a clock
// says. Its client is the caller's to close.
func (s *setting) producer(topic string, clock func() time.Time) (*producer, error) {
	places, err := readPlaces(s.data)
	if err != nil {
		return nil, fmt.Errorf("reading places from %s: %w", s.data, err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(s.brokers, ",")...), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(2*time.Millisecond), kgo.MaxBufferedRecords(1<<20))
	if err != nil {
		return nil, err
	}
	return &producer{client: client, places: places, rate: s.rate, clock: clock}, nil
}

// live starts a pipeline over four partitions of a real broker, keeps events
// flowing at a steady rate, and measures from this process, the second one:
// lookups in turn with an empty handler in a third process that returns as many
// bytes; and how long after being produced an event can be read.
func live(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	var s setting
	s.add(flags)
	flags.IntVar(&s.seconds, "seconds", 60, "how long to measure")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	state, err := os.MkdirTemp("", "hextide-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	topic, pipeline, err := s.pipeline(ctx, address, state)
	if err != nil {
		return err
	}
	server, done, err := startAll(ctx, pipeline, address)
	if err != nil {
		return err
	}
	defer done()
	return s.measure(ctx, topic, server)
}

// servers are the connections to the pipeline and to the empty handler.
type servers struct {
	client pb.HextideClient
	empty  *emptyClient
}

// startAll starts the pipeline and the empty handler and waits for both.
func startAll(ctx context.Context, pipeline *exec.Cmd, address string) (*servers, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	emptyAddress, err := freeAddress()
	if err != nil {
		return nil, nil, err
	}
	endPipeline, err := begin(pipeline)
	if err != nil {
		return nil, nil, err
	}
	endHandler, err := begin(exec.CommandContext(ctx, self, "empty", "--address", emptyAddress))
	if err != nil {
		endPipeline()
		return nil, nil, err
	}
	done := func() {
		endPipeline()
		endHandler()
	}
	conns := make([]*grpc.ClientConn, 2)
	for i, a := range []string{address, emptyAddress} {
		if conns[i], err = grpc.NewClient(a, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
			done()
			return nil, nil, err
		}
	}
	s := &servers{client: pb.NewHextideClient(conns[0]), empty: &emptyClient{conns[1]}}
	waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := s.client.Describe(waiting, &pb.DescribeRequest{}, grpc.WaitForReady(true)); err != nil {
		done()
		return nil, nil, fmt.Errorf("waiting for the pipeline: %w", err)
	}
	if _, err := s.empty.call(waiting, 1, grpc.WaitForReady(true)); err != nil {
		done()
		return nil, nil, fmt.Errorf("waiting for the empty handler: %w", err)
	}
	return s, done, nil
}

// begin starts a process, which end ends.
func begin(process *exec.Cmd) (end func(), err error) {
	attach(process)
	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", process.Args[0], err)
	}
	return func() {
		_ = process.Process.Signal(os.Interrupt) // it may have ended already
		_ = process.Wait()                       // how it ended does not matter any more
	}, nil
}

// attach lets a command say what it has to say here, and end as it does by hand.
func attach(c *exec.Cmd) {
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
}

// measure lets events flow, waits until rows are there, and measures.
func (s *setting) measure(ctx context.Context, topic string, server *servers) error {
	producer, err := s.producer(topic, time.Now)
	if err != nil {
		return err
	}
	defer producer.client.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var flow errgroup.Group
	flow.Go(func() error { return producer.run(ctx) })
	cells, err := waitForRows(ctx, server.client)
	if err != nil {
		return err
	}
	fmt.Printf("rows are there; measuring for %d s at %d events/s over 4 partitions\n", s.seconds, s.rate)
	result := &figures{}
	limit, cancel := context.WithTimeout(ctx, time.Duration(s.seconds)*time.Second)
	defer cancel()
	var measuring errgroup.Group
	measuring.Go(func() error { return result.lookups(limit, server, cells) })
	measuring.Go(func() error { return result.freshness(limit, server.client, producer) })
	err = measuring.Wait()
	stop()
	if err = firstOf(err, flow.Wait()); err != nil {
		return err
	}
	result.print(producer)
	return nil
}

// waitForRows waits until closed rows can be read, and returns their cells.
func waitForRows(ctx context.Context, client pb.HextideClient) ([]uint64, error) {
	for {
		latest, err := client.Latest(ctx, &pb.LatestRequest{Columns: []string{"n_k0_w1m"}}, grpc.MaxCallRecvMsgSize(256<<20))
		if err != nil {
			return nil, err
		}
		if len(latest.Entities) > 1000 {
			cells := make([]uint64, len(latest.Entities))
			for i, e := range latest.Entities {
				cells[i] = e.Cell
			}
			return cells, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func makeTopic(ctx context.Context, brokers, topic string, partitions int32) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...))
	if err != nil {
		return err
	}
	defer client.Close()
	response, err := kadm.NewClient(client).CreateTopic(ctx, partitions, 1, nil, topic)
	return firstOf(err, response.Err)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), l.Close()
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
