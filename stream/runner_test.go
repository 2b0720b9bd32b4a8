package stream

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
)

// city draws events in the order of their times, at some places on both sides of
// a border between territories (36.0° N, 121.3° W), and at some far away.
func city(seed uint64, n int, step int64) []testEvent {
	r := rand.New(rand.NewPCG(seed, 7))
	at := 1_000_000_000 * second
	far := [][2]float64{{37.7, -122.4}, {0.1, 0.1}, {51.5, -0.1}}
	var events []testEvent
	for i := range n {
		at += r.Int64N(2*step + 1)
		e := testEvent{
			time: at, lat: 36 + float64(r.IntN(5))/50, lng: -121.4 + float64(r.IntN(8))/50,
			key: fmt.Sprint("k", r.IntN(n/4+1)), value: int64(i), x: r.NormFloat64(),
		}
		if r.IntN(8) == 0 {
			place := far[r.IntN(len(far))]
			e.lat, e.lng = place[0], place[1]
		}
		events = append(events, e)
	}
	return events
}

// The tests' places are what they are said to be.
func TestPlaces(t *testing.T) {
	in := testIntake(t, 0, 0)
	own, halo := map[geo.Territory]bool{}, 0
	for _, e := range city(1, 300, second) {
		c, err := geo.Index(e.lat, e.lng, in.resolution)
		if err != nil {
			t.Fatal(err)
		}
		own[in.territories.Of(c)] = true
		halo += len(in.territories.Halo(nil, c))
	}
	if len(own) < 4 || halo < 20 {
		t.Errorf("%d territories, %d cells in halos", len(own), halo)
	}
}

// shuffled moves events apart by less than the 5 s that may be out of order, and
// deals them out by key.
func shuffled(events []testEvent, r *rand.Rand, partitions int) [][]arrival {
	type moved struct {
		testEvent
		at int64
	}
	var ms []moved
	for _, e := range events {
		ms = append(ms, moved{e, e.time + r.Int64N(5*second)})
	}
	slices.SortStableFunc(ms, func(a, b moved) int { return int(a.at - b.at) })
	dealt := make([][]arrival, partitions)
	for _, m := range ms {
		h := fnv.New32a()
		h.Write([]byte(m.key))
		p := int(h.Sum32()) % partitions
		dealt[p] = append(dealt[p], arrival{testEvent: m.testEvent})
	}
	return dealt
}

// bounded runs a bounded source to its end.
func bounded(t testing.TB, cfg Config) (*memorySink, *Summary) {
	t.Helper()
	sink := newMemorySink()
	cfg.Sinks, cfg.Range.Bounded = []Sink{sink}, true
	r, err := NewRunner(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !s.Complete {
		t.Fatal("the run is not complete")
	}
	nothingBeyond(t, r)
	return sink, s
}

// nothingBeyond holds the runner to its word: no partials behind the frontier.
func nothingBeyond(t testing.TB, r *Runner) {
	t.Helper()
	for _, w := range r.workers {
		for _, s := range w.shards {
			if n := s.shard.Stats().Beyond; n > 0 {
				t.Errorf("%d cells came to shard %d after their panes were final", n, s.id)
			}
		}
	}
}

// The rows are those of the events, however they are shuffled, dealt out, cut
// into batches and spread over workers, and however much memory there is.
func TestSameRows(t *testing.T) {
	for _, c := range []struct{ allowed, span int64 }{{0, 0}, {0, 20 * second}, {8 * second, 0}, {8 * second, 20 * second}} {
		t.Run(fmt.Sprintf("allowed=%d,span=%d", c.allowed/second, c.span/second), func(t *testing.T) {
			t.Parallel()
			sameRows(t, testPlan(t, c.allowed, c.span, 0))
		})
	}
}

func sameRows(t *testing.T, plan *pipeline.Plan) {
	const n = 300
	events := city(1, n, second)
	one := [][]arrival{nil}
	for _, e := range events {
		one[0] = append(one[0], arrival{testEvent: e})
	}
	want, summary := bounded(t, Config{Plan: plan, Source: &memorySource{partitions: one, batch: 50, bounded: true}})
	if len(want.rows) < n || summary.Counts.Aggregated+summary.Counts.Duplicates != n || int64(len(want.rows)) != summary.Counts.Rows {
		t.Fatalf("%d rows, %+v", len(want.rows), summary.Counts)
	}
	for seed := range uint64(16) {
		r := rand.New(rand.NewPCG(seed, 1))
		dealt := shuffled(events, r, 1+r.IntN(8))
		pick := func(of ...int) int { return of[r.IntN(len(of))] }
		cfg := Config{Plan: plan, Source: &memorySource{partitions: dealt, bounded: true, batch: pick(1, 7, 100)}}
		cfg.Shape = Shape{Workers: 1 + r.IntN(4), Shards: pick(1, 4, 64), Depth: pick(1, 256), Queue: pick(1, 64)}
		cfg.Timing.Drift = []time.Duration{time.Second, time.Hour}[r.IntN(2)]
		cfg.Range.FinalOnly = r.IntN(2) == 0
		cfg.Memory = Memory{Bytes: int64(pick(0, 1, 10_000)), Table: func(string) Table { return mapTable{} }}
		got, s := bounded(t, cfg)
		if d := got.differs(want, math.MaxInt64); d != "" {
			t.Fatalf("seed %d, %+v: %s", seed, cfg.Shape, d)
		}
		if s.Counts != summary.Counts {
			t.Fatalf("seed %d: got %+v, want %+v", seed, s.Counts, summary.Counts)
		}
	}
}

// An error of a reader or of a sink ends the run with that error.
func TestErrorsEndTheRun(t *testing.T) {
	broken := errors.New("the wire is cut")
	for _, where := range []string{"reader", "sink", "sink checkpoint", "early end"} {
		t.Run(where, func(t *testing.T) {
			source := &memorySource{partitions: shuffled(city(2, 300, second), rand.New(rand.NewPCG(1, 1)), 3), batch: 5, bounded: true}
			sink := newMemorySink()
			cfg := Config{Plan: testPlan(t, 0, 0, 0), Source: source, Sinks: []Sink{sink}, Range: Range{Bounded: true}}
			cfg.Shape = Shape{Workers: 3, Depth: 1, Queue: 1}
			want := broken.Error()
			switch where {
			case "reader":
				source.fail = broken
			case "sink":
				sink.fail = broken
			case "sink checkpoint":
				sink.cannot, want = 1, "no space left"
			case "early end":
				cfg.Range.Bounded, want = false, "not bounded"
			}
			r, err := NewRunner(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("got %v, want %q", err, want)
			}
			if _, err := r.Open(t.Context(), nil); err != nil && !errors.Is(err, ErrEnded) {
				t.Error(err)
			}
		})
	}
}

// A run that is told to stop ends with a checkpoint, and the next one goes on.
func TestStopAndGoOn(t *testing.T) {
	dealt := shuffled(city(3, 400, second), rand.New(rand.NewPCG(4, 1)), 3)
	plan := testPlan(t, 0, 20*second, 0)
	want, _ := bounded(t, Config{Plan: plan, Source: &memorySource{partitions: dealt, batch: 10, bounded: true}})
	synctest.Test(t, func(t *testing.T) {
		store, disk := newMemoryStore(), &memoryDisk{}
		for stops := 0; ; stops++ {
			sink := newMemorySink()
			sink.pace, sink.disk = time.Millisecond, disk
			r, err := NewRunner(Config{
				Plan: plan, Source: &memorySource{partitions: dealt, batch: 3, bounded: true}, Sinks: []Sink{sink},
				Generations: store, Range: Range{Bounded: true}, Timing: Timing{Drift: 30 * time.Second},
				Shape: Shape{Depth: 2, Queue: 1},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
			s, err := r.Run(ctx)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if !s.Complete {
				continue
			}
			if d := sink.differs(want, math.MaxInt64); stops == 0 || d != "" {
				t.Fatalf("stopped %d times: %s", stops, d)
			}
			return
		}
	})
}
