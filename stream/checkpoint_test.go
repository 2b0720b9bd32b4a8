package stream

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hextide/hextide/geo"
)

// A checkpoint that fails, in the store or in a sink, is counted and ends
// nothing; after some in a row the run says so; a later one succeeds.
func TestFailedCheckpoints(t *testing.T) {
	plan := testPlan(t, 0, 0, 0)
	dealt := live(1)
	synctest.Test(t, func(t *testing.T) {
		store, sink := newMemoryStore(), newMemorySink()
		sink.cannot = 1
		cfg := liveConfig(plan, dealt)
		cfg.Sinks, cfg.Generations, cfg.Control = []Sink{sink}, store, store
		r, err := NewRunner(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := r.Run(t.Context())
			ended <- err
		}()
		time.Sleep(time.Second)
		for i := range 3 {
			if i > 0 { // the first fails in the sink
				store.mu.Lock()
				store.full = 1
				store.mu.Unlock()
			}
			if err := r.Checkpoint(t.Context()); err == nil || !strings.Contains(err.Error(), "no space left") {
				t.Errorf("checkpoint %d: %v", i, err)
			}
		}
		if c := r.Stats().Checkpoint; c.Failed != 3 || c.Completed != 0 || !c.Degraded || c.LastError == "" || !c.Succeeded.IsZero() {
			t.Errorf("%+v", c)
		}
		if err := r.Checkpoint(t.Context()); err != nil {
			t.Error(err)
		}
		if c := r.Stats().Checkpoint; c.Failed != 3 || c.Completed != 1 || c.Degraded || c.Committed != 4 || c.Size == 0 || c.LastError != "" || c.Succeeded.IsZero() {
			t.Errorf("%+v", c)
		}
		succeeded := r.Stats().Checkpoint.Succeeded
		sink.cannot = 1
		time.Sleep(time.Second)
		if err := r.Checkpoint(t.Context()); err == nil {
			t.Error("a sink failed unnoticed")
		}
		if c := r.Stats().Checkpoint; c.LastError == "" || !c.Succeeded.Equal(succeeded) || !c.Ended.After(succeeded) {
			t.Errorf("%+v", c)
		}
		time.Sleep(liveFor)
		r.Stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if err := r.Checkpoint(t.Context()); !errors.Is(err, ErrEnded) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A run refuses state that was made with something else, and says with what.
func TestMismatch(t *testing.T) {
	dealt := shuffled(city(6, 100, second), rand.New(rand.NewPCG(6, 6)), 3)
	store := newMemoryStore()
	run := func(change func(*Config)) error {
		cfg := Config{
			Plan: testPlan(t, 0, 0, 0), Source: &memorySource{partitions: dealt, batch: 10, bounded: true}, Generations: store,
			Sinks: []Sink{newMemorySink()}, Range: Range{Bounded: true}, Shape: Shape{Shards: 8},
		}
		cfg.Sinks[0].(*memorySink).disk = store.disk
		change(&cfg)
		r, err := NewRunner(cfg)
		if err != nil {
			return err
		}
		_, err = r.Run(t.Context())
		return err
	}
	if err := run(func(*Config) {}); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"definition":    func(c *Config) { c.Plan = testPlan(t, second, 0, 0) },
		"shards":        func(c *Config) { c.Shape.Shards = 9 },
		"partitions":    func(c *Config) { c.Source = &memorySource{partitions: dealt[1:], batch: 1, bounded: true} },
		"input has cha": func(c *Config) { c.Source.(*memorySource).about = "other" },
	} {
		if err := run(change); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := run(func(c *Config) { c.Shape.Workers = 5 }); err != nil {
		t.Errorf("other workers: %v", err)
	}
}

// Open windows are answered while the run goes on, and say so.
func TestOpenWindows(t *testing.T) {
	plan := testPlan(t, 0, 0, 0)
	cell, err := geo.Index(37.2, -122.4, 7)
	if err != nil {
		t.Fatal(err)
	}
	at := 1_000_000_000 * second
	source := &memorySource{batch: 1, partitions: [][]arrival{{
		{testEvent: testEvent{time: at, lat: 37.2, lng: -122.4}},
		{testEvent: testEvent{time: at + second, lat: 37.2, lng: -122.4}},
	}}}
	synctest.Test(t, func(t *testing.T) {
		source.started = time.Now()
		r, err := NewRunner(Config{Plan: plan, Source: source, Sinks: []Sink{newMemorySink()}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Open(t.Context(), []geo.Cell{cell}); err == nil {
			t.Error("answered before it ran")
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := r.Run(ctx)
			ended <- err
		}()
		time.Sleep(time.Second) // a flush comes by
		blocks, err := r.Open(t.Context(), []geo.Cell{cell})
		if err != nil || len(blocks) != 1 || len(blocks[0].Cells) != 1 {
			t.Fatalf("%d blocks, %v", len(blocks), err)
		}
		if b := blocks[0]; !b.Open || b.Final || b.Cells[0] != cell || b.Columns[0].Ints[0] != 2 || b.WindowEnd != at+10*second {
			t.Errorf("%+v", b)
		}
		blocks[0].Release()
		s := r.Stats()
		if s.Counts.Read != 2 || s.Partitions[0].Position != 2 || s.Partitions[0].Watermark != at-4*second || s.Phase != PhaseRunning {
			t.Errorf("%+v", s)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Entries of an incarnation that a newer one's start comes before are void.
func TestControlLogHolding(t *testing.T) {
	log := []ControlEntry{
		{Kind: ControlStart, Incarnation: 1, Partition: -1},
		{Kind: ControlLeave, Incarnation: 1, Partition: 0, Next: 10},
		{Kind: ControlStart, Incarnation: 2, Partition: -1},
		{Kind: ControlJoin, Incarnation: 1, Partition: 0, Next: 10, Watermark: 5}, // a zombie's
		{Kind: ControlJoin, Incarnation: 2, Partition: 0, Next: 10, Watermark: 7},
		{Kind: ControlLeave, Incarnation: 2, Partition: 1, Next: 3},
	}
	q := newControlQueue(holding(0, log), 0, 0)
	if _, due := q.due(9); due {
		t.Error("due before its place")
	}
	e, due := q.due(10)
	j, joins := q.due(10)
	if !due || e.Kind != ControlLeave || !joins || j.Watermark != 7 || q.applied != 5 {
		t.Errorf("%+v %+v %d", e, j, q.applied)
	}
	if q := newControlQueue(holding(0, log), 0, 5); len(q.pending) != 0 {
		t.Errorf("applied again: %+v", q.pending)
	}
	rest := append([]ControlEntry{{Kind: ControlStart, Incarnation: 2, Partition: -1}}, log[3:]...) // the first three are not needed
	q = newControlQueue(holding(2, rest), 0, 2)
	if at := q.contained(); at != 4 {
		t.Errorf("contains the log up to %d", at)
	}
	if j, joins := q.due(10); !joins || j.Watermark != 7 || q.applied != 5 || q.contained() < 6 {
		t.Errorf("%+v %d, contains %d", j, q.applied, q.contained())
	}
}

// A partition that comes back is never behind a frontier, whatever the others do
// meanwhile.
func TestJoiningRace(t *testing.T) {
	in := testIntake(t, 0, 0)
	m := newMinimum(in.pane, 0, in.widest, false, 2)
	e := newExchange(m, 1, 1, 1<<16)
	runs, leaves := newTask(in, 0, TaskOptions{From: NoTime}), newTask(in, 1, TaskOptions{From: NoTime})
	done := make(chan struct{})
	go func() {
		defer close(done)
		var out Ingested
		for i := range int64(2000) {
			runs.Batch(makeBatch([]testEvent{{time: (100 + 10*i) * second, lat: 1, lng: 1}}, int(i)), &out)
			e.note(0, runs)
			out.Reset()
		}
	}()
	var out Ingested
	for going := true; going; {
		select {
		case <-done:
			going = false
		default:
		}
		leaves.Leave(&out)
		e.note(1, leaves)
		at := e.join(1, leaves, &out)
		for range 3 {
			if provisional, final := e.frontier(); provisional > at || final > at {
				t.Fatalf("joined at %d, the frontier went on to %d, %d", at, provisional, final)
			}
		}
	}
	if p, _ := e.frontier(); p == NoTime || p == math.MaxInt64 {
		t.Errorf("frontier %d", p)
	}
}

// A barrier that cannot get through in time is called back, and nothing is lost
// or stuck for it.
func TestCheckpointTakesTooLong(t *testing.T) {
	plan := testPlan(t, 0, 20*second, 0)
	dealt := shuffled(city(8, 200, second), rand.New(rand.NewPCG(8, 6)), 3)
	want, _ := bounded(t, Config{Plan: plan, Source: &memorySource{partitions: dealt, batch: 10, bounded: true}})
	synctest.Test(t, func(t *testing.T) {
		store, sink := newMemoryStore(), newMemorySink()
		sink.pace, sink.disk = 400*time.Millisecond, store.disk
		late := false
		r, err := NewRunner(Config{
			Plan: plan, Source: &memorySource{partitions: dealt, batch: 2, bounded: true}, Sinks: []Sink{sink}, Generations: store,
			Progress: func(s Stats) { late = late || strings.Contains(s.Checkpoint.LastError, errTimeout.Error()) },
			Range:    Range{Bounded: true, FinalOnly: true}, Shape: Shape{Workers: 2, Shards: 4, Depth: 1, Queue: 1},
			Timing: Timing{Interval: time.Second, MinPause: time.Second, Timeout: 900 * time.Millisecond, Drift: time.Minute},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c := r.Stats().Checkpoint; c.Failed == 0 || c.Completed == 0 || c.LastError != "" || !late {
			t.Errorf("%+v", c)
		}
		if d := sink.differs(want, math.MaxInt64); d != "" {
			t.Error(d)
		}
	})
}

// An epoch contains the control log up to the first entry that a partition has
// yet to apply again, however much the others have added to it.
func TestEpochContainsControlLog(t *testing.T) {
	plan, dealt := testPlan(t, 0, 0, 0), live(1)
	for next, want := range map[int64]int64{0: 3, 1 << 40: 1} {
		synctest.Test(t, func(t *testing.T) {
			store := newMemoryStore()
			store.incarnation = 1
			store.log = []ControlEntry{
				{Kind: ControlStart, Incarnation: 1, Partition: -1},
				{Kind: ControlLeave, Incarnation: 1, Partition: 0, Next: next, Watermark: NoTime},
			}
			attempt(t, liveConfig(plan, dealt), store, "", 0, time.Second)
			var p Pointer
			if err := json.Unmarshal(store.pointer, &p); err != nil {
				t.Fatal(err)
			}
			if p.Control < want || (want == 1) != (p.Control == 1) || len(store.log) < 3 {
				t.Errorf("of %d entries, one of them to be applied at %d, the epoch contains %d", len(store.log), next, p.Control)
			}
		})
	}
}

// An epoch that contains entries of the control log is not gone on from without
// them: those to come would be taken for them.
func TestControlLogThatIsGone(t *testing.T) {
	plan, dealt := testPlan(t, 0, 0, 0), live(1)
	synctest.Test(t, func(t *testing.T) {
		store := newMemoryStore()
		attempt(t, liveConfig(plan, dealt), store, "", 0, time.Second)
		store.power = &power{}
		cfg := liveConfig(plan, dealt)
		cfg.Sinks, cfg.Generations, cfg.Control = []Sink{newMemorySink()}, store, emptyLog{store}
		r, err := NewRunner(cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "the control log has lost entries: it has 0") {
			t.Errorf("it ends with %v", err)
		}
	})
}

// emptyLog is a control log that has been lost.
type emptyLog struct{ *memoryStore }

func (emptyLog) Entries(context.Context) (int64, []ControlEntry, error) { return 0, nil, nil }
