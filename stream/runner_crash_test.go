package stream

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hextide/hextide/pipeline"
)

// crasher cuts the power when a point is visited for the n-th time.
type crasher struct {
	store  *memoryStore
	point  string
	n      int
	runner *Runner
}

func (c *crasher) crash(point string) {
	if point != c.point {
		return
	}
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	if c.n--; c.n == 0 {
		c.store.power.cut()
		if c.runner != nil {
			c.runner.Abort()
		}
	}
}

// attempt runs until the end, a stop, or a crash; crashed tells of the last.
func attempt(t *testing.T, cfg Config, store *memoryStore, point string, n int, stop time.Duration) (sink *memorySink, s *Summary, crashed bool) {
	sink = newMemorySink()
	sink.pace, sink.disk = 5*time.Millisecond, store.disk
	store.power = &power{}
	c := &crasher{store: store, point: point, n: n}
	cfg.Sinks, cfg.Generations, cfg.Control, cfg.Crash = []Sink{sink}, store, store, c.crash
	r, err := NewRunner(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.runner = r
	if stop > 0 {
		timer := time.AfterFunc(stop, r.Stop)
		defer timer.Stop()
	}
	if store.abortAfter > 0 {
		timer := time.AfterFunc(store.abortAfter, func() { c.store.power.cut(); r.Abort() })
		defer timer.Stop()
	}
	s, err = r.Run(t.Context())
	cut := store.power.on() != nil
	nothingBeyond(t, r)
	if err != nil && !cut {
		t.Fatal(err)
	}
	if s != nil {
		s.Control = slices.Clone(store.log)
	}
	return sink, s, cut
}

// live is a source whose partitions fall silent for longer than idle_after and
// come back, some with events that are late by then.
func live(seed uint64) [][]arrival {
	r := rand.New(rand.NewPCG(seed, 3))
	dealt := shuffled(city(seed, 150, second), r, 3)
	for p := range dealt {
		start := dealt[p][0].time
		pause := time.Duration(0)
		for i := range dealt[p] {
			a := &dealt[p][i]
			if r.IntN(25) == 0 {
				pause += time.Duration(r.Int64N(int64(40 * time.Second)))
			}
			a.after = time.Duration(a.time-start)*time.Microsecond/4 + pause
			if i > 0 {
				a.after = max(a.after, dealt[p][i-1].after)
			}
		}
	}
	return dealt
}

const liveFor = 10 * time.Minute

// liveConfig runs a live source with short periods.
func liveConfig(plan *pipeline.Plan, dealt [][]arrival) Config {
	return Config{
		Plan: plan, Source: &memorySource{partitions: dealt, batch: 4, started: time.Now()},
		Shape:  Shape{Workers: 2, Shards: 8, Depth: 4, Queue: 2},
		Timing: Timing{Interval: 3 * time.Second, MinPause: time.Second, Idle: 10 * time.Second, Flush: time.Second},
	}
}

// replayed holds a live run's sink against the bounded replay of what it read,
// with its control log.
func replayed(t *testing.T, plan *pipeline.Plan, dealt [][]arrival, sink *memorySink, s *Summary, times int) {
	t.Helper()
	for batch := range times {
		again, r := bounded(t, Config{
			Plan: plan, Replay: s.Control, Shape: Shape{Workers: 1 + batch, Shards: 8},
			Source: &memorySource{partitions: dealt, batch: 1 + 20*batch, bounded: true},
		})
		if r.Counts.Late != s.Counts.Late || r.Counts.Read != s.Counts.Read {
			t.Errorf("replayed %+v, live %+v", r.Counts, s.Counts)
		}
		if d := again.differs(sink, s.Final); d != "" || len(sink.rows) == 0 {
			t.Fatalf("%d rows; replayed %s", len(sink.rows), d)
		}
	}
}

// A partition that goes idle and comes back gives the same rows when it is read
// again with its control log.
func TestReplayWithControlLog(t *testing.T) {
	left, late := 0, int64(0)
	for seed := range uint64(12) {
		allowed, span := int64(seed%2)*3*second, int64(seed%3)*10*second
		plan := testPlan(t, allowed, span, 0)
		dealt := live(seed)
		synctest.Test(t, func(t *testing.T) {
			sink, s, _ := attempt(t, liveConfig(plan, dealt), newMemoryStore(), "", 0, liveFor)
			for _, e := range s.Control {
				if e.Kind == ControlJoin {
					left++
				}
			}
			late += s.Counts.Late
			replayed(t, plan, dealt, sink, s, 3)
		})
	}
	if left < 12 || late == 0 {
		t.Errorf("partitions came back %d times, %d late events: this tests nothing", left, late)
	}
}

// Crashed at every point, and started again, a live run loses and doubles nothing.
func TestCrashLive(t *testing.T) {
	visited := map[string]bool{}
	for i, point := range CrashPoints {
		for _, n := range []int{1, 4} {
			plan := testPlan(t, int64((i+n)%2)*4*second, int64(i%3)*10*second, 0)
			dealt := live(uint64(i % 4))
			synctest.Test(t, func(t *testing.T) {
				store := newMemoryStore()
				cfg := liveConfig(plan, dealt)
				for {
					sink, s, crashed := attempt(t, cfg, store, point, n, liveFor)
					if !crashed {
						replayed(t, plan, dealt, sink, s, 1)
						return
					}
					visited[point] = true
					if n = n + 2; n > 7 {
						n = 0
					}
				}
			})
		}
	}
	for _, point := range CrashPoints {
		if !visited[point] && point != CrashBeforeEnd && point != CrashAfterEnd && !strings.HasPrefix(point, "transaction:") {
			t.Errorf("never crashed at %s", point)
		}
	}
}

// Aborted at any moment, and started again, it is the same.
func TestAbortLive(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 9))
		plan := testPlan(t, int64(seed%2)*4*second, int64(seed%3)*10*second, 0)
		dealt := live(seed)
		synctest.Test(t, func(t *testing.T) {
			store := newMemoryStore()
			cfg := liveConfig(plan, dealt)
			for range 5 {
				store.abortAfter = time.Duration(r.Int64N(int64(40 * time.Second)))
				attempt(t, cfg, store, "", 0, liveFor)
			}
			store.abortAfter = 0
			sink, s, _ := attempt(t, cfg, store, "", 0, liveFor)
			replayed(t, plan, dealt, sink, s, 1)
		})
	}
}

// A source that has got more partitions is read on: they come in at the global
// watermark, crashes or not, and the same is said by a replay of all of them.
func TestNewPartitions(t *testing.T) {
	joined, late := 0, int64(0)
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 4))
		plan := testPlan(t, int64(seed%2)*4*second, int64(seed%3)*10*second, 0)
		dealt := live(seed)
		synctest.Test(t, func(t *testing.T) {
			store := newMemoryStore()
			cfg := liveConfig(plan, dealt)
			all := cfg.Source.(*memorySource)
			fewer := *all
			fewer.partitions = dealt[:1+seed%2]
			cfg.Source = &fewer
			attempt(t, cfg, store, "", 0, time.Duration(5+r.IntN(30))*time.Second)
			cfg.Source = all
			for _, point := range []string{CrashJoined, CrashJoinDurable, CrashBeforeCommit} {
				attempt(t, cfg, store, point, 1, 20*time.Second)
			}
			sink, s, _ := attempt(t, cfg, store, "", 0, liveFor)
			if len(s.Partitions) != len(dealt) {
				t.Errorf("%d partitions", len(s.Partitions))
			}
			for _, e := range s.Control {
				if e.Kind == ControlJoin && e.Next == 0 && e.Watermark != NoTime {
					joined++
				}
			}
			late += s.Counts.Late
			replayed(t, plan, dealt, sink, s, 2)
		})
	}
	if joined < 8 || late == 0 {
		t.Errorf("%d partitions came in, %d late events: this tests nothing", joined, late)
	}
}

// Crashed at every point, and started again, a bounded run gives the rows of an
// undisturbed one.
func TestCrashBounded(t *testing.T) {
	for _, span := range []int64{0, 20 * second} {
		plan := testPlan(t, 0, span, 0)
		dealt := shuffled(city(6, 150, second), rand.New(rand.NewPCG(6, 6)), 3)
		want, summary := bounded(t, Config{Plan: plan, Source: &memorySource{partitions: dealt, batch: 10, bounded: true}})
		visited := map[string]bool{}
		for _, point := range CrashPoints {
			for _, n := range []int{1, 2, 5} {
				synctest.Test(t, func(t *testing.T) {
					store := newMemoryStore()
					for {
						sink, s, crashed := attempt(t, Config{
							Plan: plan, Source: &memorySource{partitions: dealt, batch: 4, bounded: true},
							Shape:  Shape{Workers: 2, Shards: 8, Depth: 2, Queue: 1},
							Timing: Timing{Interval: 20 * time.Millisecond, MinPause: 10 * time.Millisecond, Drift: time.Minute},
							Range:  Range{Bounded: true, FinalOnly: n == 2, Once: n == 5},
						}, store, point, n, 0)
						if crashed {
							visited[point] = true
							n = 0
							continue
						}
						if d := sink.differs(want, math.MaxInt64); d != "" || s.Counts != summary.Counts {
							t.Errorf("after a crash at %s: %+v, not %+v; %s", point, s.Counts, summary.Counts, d)
						}
						return
					}
				})
			}
		}
		for _, point := range CrashPoints {
			if !visited[point] && !strings.HasPrefix(point, "control:") && !strings.HasPrefix(point, "transaction:") {
				t.Errorf("never crashed at %s", point)
			}
		}
	}
}

// A run that nothing goes on after keeps nothing at its end: what would be done
// again is what came since the epoch before, and it gives the same rows.
func TestOnce(t *testing.T) {
	plan := testPlan(t, 0, 20*second, 0)
	dealt := shuffled(city(6, 150, second), rand.New(rand.NewPCG(6, 6)), 3)
	want, summary := bounded(t, Config{Plan: plan, Source: &memorySource{partitions: dealt, batch: 10, bounded: true}})
	epochs := map[int64]bool{}
	for _, interval := range []time.Duration{time.Hour, 20 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			store, ends := newMemoryStore(), []string(nil)
			for range 3 { // the second and third as if the one before had died before its outputs were whole
				objects := len(store.objects)
				sink, s, _ := attempt(t, Config{
					Plan: plan, Source: &memorySource{partitions: dealt, batch: 4, bounded: true}, Shape: Shape{Workers: 2, Shards: 8, Depth: 2, Queue: 1},
					Timing: Timing{Interval: interval, MinPause: 10 * time.Millisecond, Drift: time.Minute}, Range: Range{Bounded: true, FinalOnly: true, Once: true},
				}, store, "", 0, 0)
				if d := sink.differs(want, math.MaxInt64); d != "" || s.Counts != summary.Counts || !s.Complete {
					t.Errorf("%+v, not %+v; %s", s.Counts, summary.Counts, d)
				}
				kept := &Pointer{}
				if store.pointer != nil {
					if err := json.Unmarshal(store.pointer, kept); err != nil {
						t.Fatal(err)
					}
				}
				for name := range store.objects {
					if strings.Split(name, "/")[2] == strconv.FormatInt(s.Epoch, 10) { // owner/epoch/number
						ends = append(ends, name)
					}
				}
				if kept.Epoch >= s.Epoch || len(ends) > 0 || interval == time.Hour && len(store.objects) > objects {
					t.Errorf("epoch %d is kept after the end of epoch %d, with %v", kept.Epoch, s.Epoch, ends)
				}
				epochs[kept.Epoch] = true
			}
		})
	}
	if len(epochs) < 2 {
		t.Errorf("kept %v: nothing was gone on from", epochs)
	}
}
