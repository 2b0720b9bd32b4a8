package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memoryTopic is where committers make things visible: all of an epoch or nothing.
type memoryTopic struct {
	mu        sync.Mutex
	committed Committed
	records   []string       // what a reader sees, in order
	rows      map[rowKey]int // how often each is there at revision 0
	fence     int
	failing   map[int]bool // by number of the commit: it fails; true: after it came about
	commits   int
}

// memoryCommitter is a memorySink that commits to a topic.
type memoryCommitter struct {
	*memorySink
	topic *memoryTopic
	power *power
	fence int

	mu     sync.Mutex
	open   []*memoryRecord
	sealed []*memoryRecord
	epoch  int64 // sealed last
}

type memoryRecord struct {
	text string
	row  *rowKey
}

var errCommit = errors.New("the commit failed")

func (c *memoryCommitter) Fence(context.Context) (*Committed, error) {
	c.topic.mu.Lock()
	defer c.topic.mu.Unlock()
	c.topic.fence++
	c.fence = c.topic.fence
	committed := c.topic.committed
	c.mu.Lock()
	defer c.mu.Unlock()
	if committed.Epoch == c.epoch && c.epoch > 0 {
		c.sealed = nil
	}
	return &committed, c.power.on()
}

func (c *memoryCommitter) Write(ctx context.Context, o *Output) error {
	c.mu.Lock()
	for _, r := range o.Rows {
		for _, cell := range r.Cells {
			text := fmt.Sprintf("%d/%d revision %d of %d, empty %t", r.Resolution, cell, r.Revision, r.WindowEnd, r.Empty)
			c.open = append(c.open, &memoryRecord{text, &rowKey{r.WindowEnd, r.Resolution, cell}})
		}
	}
	for _, d := range o.Dead {
		c.open = append(c.open, &memoryRecord{fmt.Sprintf("dead %d/%d", d.Partition, d.Position), nil})
	}
	for _, l := range o.Late {
		c.open = append(c.open, &memoryRecord{fmt.Sprintf("late %d/%d", l.Partition, l.Position), nil})
	}
	c.mu.Unlock()
	return c.memorySink.Write(ctx, o)
}

func (c *memoryCommitter) Checkpoint(ctx context.Context, epoch int64) ([]byte, error) {
	c.mu.Lock()
	c.sealed, c.open, c.epoch = append(c.sealed, c.open...), nil, epoch
	c.mu.Unlock()
	return c.memorySink.Checkpoint(ctx, epoch)
}

func (c *memoryCommitter) Commit(_ context.Context, p *Pointer) error {
	c.topic.mu.Lock()
	defer c.topic.mu.Unlock()
	if err := c.power.on(); err != nil {
		return err
	}
	if c.fence != c.topic.fence {
		return fmt.Errorf("%w: fenced off", errCommit)
	}
	c.topic.commits++
	after, fails := c.topic.failing[c.topic.commits]
	if fails && !after {
		return errCommit
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.sealed {
		c.topic.records = append(c.topic.records, r.text)
		if r.row != nil {
			c.topic.rows[*r.row]++
		}
	}
	c.topic.committed = *p.Commits()
	if fails {
		return errCommit
	}
	c.sealed = nil
	return nil
}

func (c *memoryCommitter) GoBack(_ context.Context, p *Pointer, quiet bool) error {
	c.topic.mu.Lock()
	defer c.topic.mu.Unlock()
	c.topic.committed = *p.Commits()
	return c.power.on()
}

func (c *memoryCommitter) Silent() map[int32]Frontiers { return nil }

// twice lists what a reader sees more than once.
func (t *memoryTopic) twice() []string {
	seen := map[string]int{}
	for _, text := range t.records {
		seen[text]++
	}
	var twice []string
	for text, n := range seen {
		if n > 1 {
			twice = append(twice, text)
		}
	}
	slices.Sort(twice)
	return twice
}

// attemptCommitting is attempt with a sink that commits.
func attemptCommitting(t *testing.T, cfg Config, store *memoryStore, topic *memoryTopic, point string, n int, stop time.Duration) (*memorySink, *Summary, bool) {
	sink := newMemorySink()
	sink.pace, sink.disk = 5*time.Millisecond, store.disk
	store.power = &power{}
	c := &crasher{store: store, point: point, n: n}
	cfg.Sinks = []Sink{&memoryCommitter{memorySink: sink, topic: topic, power: store.power}}
	cfg.Generations, cfg.Control, cfg.Crash = store, store, c.crash
	r, err := NewRunner(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.runner = r
	timer := time.AfterFunc(stop, r.Stop)
	defer timer.Stop()
	s, err := r.Run(t.Context())
	cut := store.power.on() != nil
	if err != nil && !cut {
		t.Fatal(err)
	}
	if s != nil {
		s.Control = slices.Clone(store.log)
	}
	return sink, s, cut
}

// Crashed at every point, with commits that fail, and some that seem to, a reader
// of what is committed sees each row, revision, dead letter and late record once,
// and the pointer and what is committed say the same.
func TestCrashCommitting(t *testing.T) {
	visited := map[string]bool{}
	late := int64(0)
	for i, point := range CrashPoints {
		plan := testPlan(t, int64(1+i%2)*4*second, 0, 0)
		dealt := live(uint64(i % 4))
		synctest.Test(t, func(t *testing.T) {
			store, topic := newMemoryStore(), &memoryTopic{rows: map[rowKey]int{}, failing: map[int]bool{2: false, 3: true, 9: true, 12: false}}
			cfg := liveConfig(plan, dealt)
			for n := 1; ; n = max(0, n-1) {
				sink, s, crashed := attemptCommitting(t, cfg, store, topic, point, n, liveFor)
				visited[point] = visited[point] || crashed
				if crashed {
					continue
				}
				replayed(t, plan, dealt, sink, s, 1)
				late += s.Counts.Late
				agreesWith(t, topic, sink, store)
				return
			}
		})
	}
	for _, point := range CrashPoints {
		if !visited[point] && point != CrashBeforeEnd && point != CrashAfterEnd {
			t.Errorf("never crashed at %s", point)
		}
	}
	if late == 0 {
		t.Error("nothing was late: this tests little")
	}
}

// agreesWith holds what a reader sees against all rows, and against the pointer.
func agreesWith(t *testing.T, topic *memoryTopic, sink *memorySink, store *memoryStore) {
	t.Helper()
	if twice := topic.twice(); len(twice) > 0 {
		t.Fatalf("%d things came twice: %v", len(twice), twice[:min(10, len(twice))])
	}
	for key := range sink.rows {
		if topic.rows[key] == 0 {
			t.Fatalf("the row %v is not there", key)
		}
	}
	p := &Pointer{}
	if err := json.Unmarshal(store.pointer, p); err != nil || !p.Is(&topic.committed) || !p.Transactional {
		t.Errorf("the pointer is %s (%v), committed is %s", p.Commits(), err, &topic.committed)
	}
}

// tidy is a store that deletes, with each pointer, what no pointer names.
type tidy struct {
	*memoryStore
	t       *testing.T
	failing int           // so many pointers fail
	written map[int64]int // objects, by epoch
}

func (s *tidy) Write(ctx context.Context, epoch int64, g *Generation) (Chain, error) {
	s.mu.Lock()
	s.written[epoch]++
	s.mu.Unlock()
	return s.memoryStore.Write(ctx, epoch, g)
}

func (s *tidy) Commit(ctx context.Context, p *Pointer) error {
	s.mu.Lock()
	fails := s.failing > 0
	s.failing--
	for epoch, objects := range s.written {
		if epoch > p.Epoch && !fails {
			s.t.Errorf("%d objects of epoch %d were written before the pointer of epoch %d", objects, epoch, p.Epoch)
		}
	}
	s.mu.Unlock()
	if fails {
		return errCommit
	}
	return s.memoryStore.Commit(ctx, p)
}

// An epoch that is committed, and whose pointer is not there, gets its pointer
// before anything of the next one is written.
func TestPointerBeforeTheNextEpoch(t *testing.T) {
	plan := testPlan(t, 0, 0, 0)
	synctest.Test(t, func(t *testing.T) {
		store, topic := newMemoryStore(), &memoryTopic{rows: map[rowKey]int{}}
		generations := &tidy{memoryStore: store, t: t, failing: 3, written: map[int64]int{}}
		cfg := liveConfig(plan, live(1))
		cfg.Generations, cfg.Control = generations, store
		cfg.Sinks = []Sink{&memoryCommitter{memorySink: newMemorySink(), topic: topic, power: store.power}}
		r, err := NewRunner(cfg)
		if err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Minute, r.Stop)
		defer timer.Stop()
		if s, err := r.Run(t.Context()); err != nil || s.Epoch != topic.committed.Epoch || generations.failing > 0 {
			t.Errorf("%+v, %v; committed is epoch %d; %d pointers are yet to fail", s, err, topic.committed.Epoch, generations.failing)
		}
	})
}

// patient is a committer that takes nothing more behind a barrier before the
// barrier's checkpoint is over.
type patient struct {
	*memoryCommitter
	t      *testing.T
	run    *Runner
	over   int64 // epoch
	waits  int
	failed int
}

func (c *patient) Write(ctx context.Context, o *Output) error {
	c.mu.Lock()
	sealed := c.epoch
	c.mu.Unlock()
	if sealed > c.over {
		c.over = sealed
		ended := c.run.Ended(sealed)
		if !ready(ended) {
			c.waits++
		}
		<-ended
		if status := c.run.Stats().Checkpoint; status.Epoch < sealed {
			c.t.Errorf("the checkpoint of epoch %d is not over, the last that is is that of epoch %d", sealed, status.Epoch)
		} else if status.Committed < sealed {
			c.failed++
		}
		if !ready(c.run.Ended(sealed + 1)) {
			c.t.Errorf("a sink would wait for epoch %d, of which it has no barrier yet", sealed+1)
		}
	}
	return c.memoryCommitter.Write(ctx, o)
}

// A sink may wait behind a barrier for the end of its checkpoint, also where that
// fails.
func TestSinkWaitsForCheckpoint(t *testing.T) {
	plan := testPlan(t, 0, 0, 0)
	synctest.Test(t, func(t *testing.T) {
		store, topic := newMemoryStore(), &memoryTopic{rows: map[rowKey]int{}, failing: map[int]bool{2: false}}
		sink := &patient{memoryCommitter: &memoryCommitter{memorySink: newMemorySink(), topic: topic, power: store.power}, t: t}
		cfg := liveConfig(plan, live(1))
		cfg.Generations, cfg.Control, cfg.Sinks = &slowly{store}, store, []Sink{sink}
		var err error
		if sink.run, err = NewRunner(cfg); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(liveFor, sink.run.Stop)
		defer timer.Stop()
		s, err := sink.run.Run(t.Context())
		if err != nil || s.Epoch != topic.committed.Epoch || sink.waits < 2 || sink.failed == 0 {
			t.Errorf("%+v, %v; committed is epoch %d; the sink has waited %d times, %d checkpoints failed", s, err, topic.committed.Epoch, sink.waits, sink.failed)
		}
	})
}

// slowly is a store that takes its time over generations.
type slowly struct{ *memoryStore }

func (s *slowly) Write(ctx context.Context, epoch int64, g *Generation) (Chain, error) {
	time.Sleep(2 * time.Second)
	return s.memoryStore.Write(ctx, epoch, g)
}
