package stream

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
)

// seen is what a visitor was told, measures as text.
type seen struct {
	partitions []HeldPartition
	winners    map[string]testEvent // by partition, span and key
	shards     []HeldShard
	panes      map[string]string // by territory, own, start and cell
	windows    map[string]string // by provisional, start, end and own cell
}

func newSeen() *seen {
	return &seen{winners: map[string]testEvent{}, panes: map[string]string{}, windows: map[string]string{}}
}

func (s *seen) Partition(p HeldPartition) error {
	s.partitions = append(s.partitions, p)
	return nil
}

func (s *seen) Winners(w *HeldWinners) error {
	for i, at := range w.Times {
		e := testEvent{
			time: at, lat: w.Lats[i], lng: w.Lngs[i],
			key: string(w.Fields[0].Strings.At(i)), value: w.Fields[1].Ints[i], x: w.Fields[2].Floats[i],
		}
		s.winners[fmt.Sprint(w.Partition, w.Start, w.End, e.key)] = e
	}
	return nil
}

func (s *seen) Shard(h HeldShard) error {
	s.shards = append(s.shards, h)
	return nil
}

func (s *seen) Pane(p *HeldCells) error {
	for i, c := range p.Cells {
		s.panes[fmt.Sprintf("%x %v %d %x", p.Territory, !p.Own[i], p.Start, uint64(c))] = measuresText(p.Measures, i)
	}
	return nil
}

func (s *seen) Window(w *HeldWindow) error {
	for i, c := range w.Cells {
		if w.Own[i] {
			s.windows[fmt.Sprintf("%v %d %d %x", w.Provisional, w.Start, w.End, uint64(c))] = measuresText(w.Measures, i)
		}
	}
	return nil
}

func (s *seen) Model(*HeldModel) error { return nil }

func measuresText(measures []aggregate.MeasureColumn, i int) (text string) {
	for m := range measures {
		text += measures[m].Sum(i).String() + " "
	}
	return text
}

// counted adds an event to a text of measures: of testPlan's, in their order.
type counted struct{ n, even, low int64 }

func (c counted) add(e testEvent) counted {
	if c.n == 0 {
		c.low = aggregate.None(aggregate.Min)
	}
	c.n++
	if e.value%2 == 0 {
		c.even += e.value
	}
	c.low = min(c.low, aggregate.FloatKey(e.x))
	return c
}

func (c counted) String() string { return fmt.Sprintf("%d %d %d ", c.n, c.even, c.low) }

// stopped runs a plan over a live source and stops it before anything is idle.
func stopped(t *testing.T, plan *pipeline.Plan, dealt [][]arrival) (p *Pointer, store *memoryStore) {
	store = newMemoryStore()
	synctest.Test(t, func(t *testing.T) {
		attempt(t, liveConfig(plan, dealt), store, "", 0, time.Second)
		pointer, err := store.GoOn(t.Context(), nil)
		if err != nil || pointer == nil {
			t.Fatalf("%v, %v", pointer, err)
		}
		p = pointer
	})
	return p, store
}

// What an epoch holds is what was read: positions, the panes that a window may
// still need, and the windows over them, provisional ones among them.
func TestVisitPanes(t *testing.T) {
	plan := testPlan(t, 3*second, 0, 0)
	dealt := shuffled(city(5, 400, second), rand.New(rand.NewPCG(5, 1)), 3)
	p, store := stopped(t, plan, dealt)
	s := newSeen()
	if err := VisitState(t.Context(), plan, p, store, s); err != nil {
		t.Fatal(err)
	}
	for i, at := range s.partitions {
		if at.Position != p.Partitions[i].Position || at.Counts.Read != at.Position || at.Counts.Aggregated != at.Position {
			t.Errorf("%+v, the pointer is at %+v", at, p.Partitions[i])
		}
	}
	in, err := newIntake(plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range s.shards {
		if h.Asked.Final > p.Final || h.Asked.Final < h.Closed.Final || h.Asked.Provisional < h.Closed.Provisional {
			t.Errorf("%+v, the pipeline is at %d", h, p.Final)
		}
	}
	panes, windows := map[string]counted{}, map[string]counted{}
	for _, e := range flat(dealt, p) {
		c, err := geo.Index(e.lat, e.lng, in.resolution)
		if err != nil {
			t.Fatal(err)
		}
		start := e.time / in.pane * in.pane
		for n, to := range append([]geo.Territory{in.territories.Of(c)}, in.territories.Halo(nil, c)...) {
			k := fmt.Sprintf("%x %v %d %x", to, n > 0, start, uint64(c))
			panes[k] = panes[k].add(e)
		}
		for end := start + in.pane; end <= start+2*in.pane; end += in.pane {
			for _, size := range []int64{in.pane, 2 * in.pane} {
				for _, provisional := range []bool{false, true} {
					if k := fmt.Sprintf("%v %d %d %x", provisional, end-size, end, uint64(c)); start >= end-size {
						windows[k] = windows[k].add(e)
					}
				}
			}
		}
	}
	holdsThose(t, "pane", s.panes, panes)
	holdsThose(t, "window", s.windows, windows)
	noneMissing(t, s.panes, panes, p.Final)
	provisional := 0
	for k := range s.windows {
		if k[0] == 't' {
			provisional++
		}
	}
	if provisional == 0 || provisional == len(s.windows) {
		t.Errorf("%d of %d windows are provisional: this tests nothing", provisional, len(s.windows))
	}
}

// noneMissing holds that every pane that begins at or after a time is there.
func noneMissing(t *testing.T, got map[string]string, want map[string]counted, from int64) {
	t.Helper()
	for k := range want {
		var start int64
		var to, cell uint64
		var halo bool
		if _, err := fmt.Sscanf(k, "%x %v %d %x", &to, &halo, &start, &cell); err != nil {
			t.Fatal(err)
		}
		if _, there := got[k]; !there && start >= from {
			t.Errorf("pane %s is missing", k)
		}
	}
}

// holdsThose holds what was seen against what it should be.
func holdsThose(t *testing.T, what string, got map[string]string, want map[string]counted) {
	t.Helper()
	if len(got) < 20 {
		t.Errorf("%d cells of a %s: this tests nothing", len(got), what)
	}
	for k, text := range got {
		if text != want[k].String() {
			t.Fatalf("%s %s: %s, not %s", what, k, text, want[k])
		}
	}
}

// flat are the events before an epoch's positions.
func flat(dealt [][]arrival, p *Pointer) (all []testEvent) {
	for i, records := range dealt {
		for _, a := range records[:p.Partitions[i].Position] {
			all = append(all, a.testEvent)
		}
	}
	return all
}

// The winners of open dedup spans are those of what was read.
func TestVisitWinners(t *testing.T) {
	const span = 20 * second
	plan := testPlan(t, 0, span, 0)
	dealt := shuffled(city(6, 400, second), rand.New(rand.NewPCG(6, 1)), 3)
	p, store := stopped(t, plan, dealt)
	s := newSeen()
	if err := VisitState(t.Context(), plan, p, store, s); err != nil {
		t.Fatal(err)
	}
	want := map[string]testEvent{}
	for i, records := range dealt {
		for _, e := range records[:p.Partitions[i].Position] {
			start := e.time / span * span
			if start+span <= s.partitions[i].Watermark {
				continue // closed
			}
			k := fmt.Sprint(i, start, start+span, e.key)
			if old, there := want[k]; !there || first(e.testEvent, old) {
				want[k] = e.testEvent
			}
		}
	}
	if len(want) < 5 || len(s.winners) != len(want) {
		t.Errorf("%d winners, not %d", len(s.winners), len(want))
	}
	for k, e := range want {
		if s.winners[k] != e {
			t.Errorf("%s: %+v, not %+v", k, s.winners[k], e)
		}
	}
}

// History's shards have no provisional rows; their state is read as well, and what
// reads as neither is refused.
func TestVisitHistory(t *testing.T) {
	plan := testPlan(t, 3*second, 0, 0)
	for _, finalOnly := range []bool{false, true} {
		s, err := NewShard(plan, 0, ShardOptions{FinalOnly: finalOnly})
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range city(7, 100, second) {
			cell, err := geo.Index(e.lat, e.lng, plan.Grid.Resolution)
			if err != nil {
				t.Fatal(err)
			}
			pane := 10 * second
			part := &Partials{Territory: plan.Grid.Territories.Of(cell), Pane: e.time / pane * pane, Cells: []geo.Cell{cell}, Measures: make([]aggregate.MeasureColumn, len(plan.Layout.Measures))}
			for m := range part.Measures {
				part.Measures[m].Lo = []uint64{uint64(i)}
			}
			if err := s.Merge(part); err != nil {
				t.Fatal(err)
			}
			s.Advance(e.time-5*second, e.time-8*second)
			for more := true; more; {
				if more, err = s.Step(&Output{}, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		entries := s.Save(Everything).Entries()
		again, err := restoreShard(plan, 0, entries)
		if err != nil || again.options.FinalOnly != finalOnly {
			t.Fatalf("history %v: %v", finalOnly, err)
		}
		for i, e := range again.Save(Everything).Entries() {
			if !bytes.Equal(e.Value, entries[i].Value) {
				t.Errorf("history %v: %x is another", finalOnly, e.Key)
			}
		}
		entries[1].Value = entries[1].Value[:len(entries[1].Value)-1]
		if _, err := restoreShard(plan, 0, entries); !errors.Is(err, ErrState) {
			t.Errorf("damaged: %v", err)
		}
	}
}

// The state of another definition is refused.
func TestVisitMismatch(t *testing.T) {
	p, store := stopped(t, testPlan(t, 0, 0, 0), shuffled(city(8, 50, second), rand.New(rand.NewPCG(8, 1)), 3))
	if err := VisitState(t.Context(), testPlan(t, second, 0, 0), p, store, newSeen()); !errors.Is(err, ErrMismatch) {
		t.Error(err)
	}
}
