package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// shipping measures checkpoints, restarts and deliveries of the program as a
// process beside a real broker: what a checkpoint costs with a large state, how
// long after SIGKILL the first new row can be read, and how old rows are when they
// can be.
type shipping struct {
	brokers, binary string
	folder          string // of the state, of its copies, and of the definitions
	topic           string // of the history
	history         history
	rounds          int
	wait            time.Duration
	arguments       []string // of the program, besides those of each run
	runs            int      // so far, to name what belongs to each
}

// shippedPlan has a day's windows over minutes, and sums of six measures.
const shippedPlan = `
version: 1
name: shipped
source:
  format: csv
  topic: t
  event_time: {field: ts, unit: us}
  location: {lat: lat, lng: lng}
  fields: {fare: int, tip: int, toll: int, length: int, taken: int, waited: int}
  out_of_order: 10s
grid: {resolution: 9, rings: [0], emit: cell}
windows: {pane: 1m, sizes: [5m, 60m, %dm]}
aggregates:
  - {name: n, op: count}
  - {name: fare, op: sum, of: fare}
  - {name: tip, op: sum, of: tip}
  - {name: toll, op: sum, of: toll}
  - {name: length, op: sum, of: length}
  - {name: taken, op: sum, of: taken}
  - {name: waited, op: sum, of: waited}
`

func kafka(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	s := &shipping{}
	flags.StringVar(&s.brokers, "brokers", "", "a running Kafka broker")
	flags.StringVar(&s.binary, "binary", "bin/hextide", "the program to measure")
	flags.StringVar(&s.folder, "folder", "", "where the state is kept, to be used again with the same broker; default: a temporary folder")
	flags.IntVar(&s.rounds, "rounds", 2, "runs with checkpoints, in turn with as many without")
	flags.DurationVar(&s.wait, "for", 40*time.Second, "how long each run lasts")
	cells := flags.Int("cells", 20_000, "active cells a pane")
	flags.Int64Var(&s.history.panes, "panes", 1440, "panes that are kept, of a minute each")
	flags.Int64Var(&s.history.events, "events", 66_000_000, "events of the backlog")
	flags.Int64Var(&s.history.dense, "dense", 8, "events a cell and pane of the backlog")
	only := flags.String("only", "cost,recovery,latency", "what to measure")
	with := flags.String("with", "", "further arguments of the program")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if s.brokers == "" {
		return errors.New("--brokers: the address of a broker (scripts/kafka.sh start prints it)")
	}
	s.arguments = strings.Fields(*with)
	if s.folder == "" {
		folder, err := os.MkdirTemp("", "hextide-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		s.folder = folder
	}
	var err error
	if s.history.cells, err = stepCells(*cells); err != nil {
		return err
	}
	for _, what := range strings.Split(*only, ",") {
		measure := map[string]func(context.Context) error{"cost": s.cost, "recovery": s.recovery, "latency": s.latency}[what]
		if measure == nil {
			return fmt.Errorf("--only: cost, recovery or latency, not %q", what)
		}
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the state and the backlog behind it, unless the folder has them.
func (s *shipping) prepare(ctx context.Context) error {
	if s.topic != "" {
		return nil
	}
	note := filepath.Join(s.folder, "topic")
	if text, err := os.ReadFile(note); err == nil {
		s.topic = string(text)
		return s.describe(ctx)
	}
	topic := fmt.Sprintf("bench-%d", time.Now().UnixNano())
	if err := makeTopic(ctx, s.brokers, topic, historyPartitions); err != nil {
		return fmt.Errorf("making the topic %s: %w", topic, err)
	}
	s.topic = topic
	s.history.begin(time.Now())
	if err := s.history.produce(ctx, s.brokers, topic, 0, s.history.before()); err != nil {
		return err
	}
	if err := s.fill(ctx); err != nil {
		return err
	}
	if err := s.history.produce(ctx, s.brokers, topic, s.history.before(), s.history.before()+s.history.events); err != nil {
		return err
	}
	if err := os.WriteFile(note, []byte(topic), 0o600); err != nil {
		return err
	}
	return s.describe(ctx)
}

// fill makes the state: without a feed, since a day of rows is much to write.
func (s *shipping) fill(ctx context.Context) error {
	began := time.Now()
	p, err := s.start(ctx, filepath.Join(s.folder, "state"), "", "--checkpoint-interval", "20s")
	if err != nil {
		return err
	}
	defer p.kill()
	if err := p.until(ctx, 50*time.Millisecond, func(n *now) bool { return n.Events >= uint64(s.history.before()) }); err != nil {
		return err
	}
	fmt.Printf("the state was made of %d events in %s\n", s.history.before(), time.Since(began).Round(time.Second))
	return p.stop()
}

// describe tells how large the state is.
func (s *shipping) describe(ctx context.Context) error {
	p, err := newestPointer(ctx, filepath.Join(s.folder, "state"), "shipped")
	if err != nil {
		return err
	}
	sizes := p.Sizes()
	fmt.Printf("state: %d MB of entries, %d MB of files; %d cells a pane of a minute, %d panes; the backlog: %d million events, %d of each cell and pane\n",
		sizes.Live/1e6, sizes.Size/1e6, len(s.history.cells), s.history.panes, s.history.events/1e6, s.history.dense)
	return nil
}

// newestPointer reads the newest pointer of a state that a process may be using.
func newestPointer(ctx context.Context, folder, name string) (*stream.Pointer, error) {
	s := statebackend.Open(statebackend.NewFolder(vfs.Default, folder), statebackend.Options{Pipeline: name})
	epochs, err := s.Pointers(ctx)
	if err != nil || len(epochs) == 0 {
		return nil, errors.Join(err, errors.New("no epoch is kept"))
	}
	return s.Pointer(ctx, slices.Max(epochs))
}

// copied is a copy of the state, to begin a run with. What never changes is linked.
func (s *shipping) copied() (string, error) {
	to := filepath.Join(s.folder, fmt.Sprintf("run-%d", s.runs))
	from := filepath.Join(s.folder, "state")
	return to, filepath.WalkDir(from, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(name, from))
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case strings.HasSuffix(name, ".sst"):
			return os.Link(name, target)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
}

// forget removes the topics of a feed.
func (s *shipping) forget(ctx context.Context, feed string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(s.brokers, ",")...))
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = kadm.NewClient(client).DeleteTopics(ctx, feed, feed+".dead", feed+".late", feed+".epochs")
	return err
}
