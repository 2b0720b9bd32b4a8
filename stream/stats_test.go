package stream

import (
	"math"
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// What does not fit its column is counted, while it runs and over restarts.
func TestStatsCountOverflows(t *testing.T) {
	var events []arrival
	for i := range int64(4) {
		events = append(events, arrival{testEvent: testEvent{time: 1_000_000_000*second + i, lat: 37, lng: -122, value: math.MaxInt64 - 1}})
	}
	store := newMemoryStore()
	for range 2 {
		sink := newMemorySink()
		sink.disk = store.disk
		r, err := NewRunner(Config{
			Plan: testPlan(t, 0, 0, 0), Source: &memorySource{partitions: [][]arrival{events}, batch: 1, bounded: true},
			Sinks: []Sink{sink}, Generations: store, Range: Range{Bounded: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Stats().Counts.Overflows; got == 0 || got != s.Counts.Overflows {
			t.Errorf("%d overflows in the figures, %d in the summary", got, s.Counts.Overflows)
		}
	}
}

// Partials that break the frontier's word are dropped, and not in silence.
func TestStatsCountWhatIsDropped(t *testing.T) {
	w, parts := openWorker(t)
	s := w.shards[0].shard
	s.End(math.MaxInt64 / 2)
	for more := true; more; {
		var out Output
		var err error
		if more, err = s.Step(&out, nil); err != nil {
			t.Fatal(err)
		}
	}
	p := &Partials{Territory: parts[0].id, Cells: []geo.Cell{parts[0].cells[0]}}
	for range s.shape.measures {
		p.Measures = append(p.Measures, aggregate.MeasureColumn{Lo: []uint64{1}})
	}
	if err := w.merge(p); err != nil {
		t.Fatal(err)
	}
	if got := w.stats.beyond.Load(); got != 1 {
		t.Errorf("%d cells are counted", got)
	}
}
