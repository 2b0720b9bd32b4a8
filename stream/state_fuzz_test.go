package stream

import (
	"errors"
	"strings"
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
)

// fuzzedPlan has all that a shard's state can hold.
func fuzzedPlan(f testing.TB) *pipeline.Plan {
	plan, err := pipeline.Load([]byte(`
version: 1
name: fuzzed
source:
  format: csv
  topic: t
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {a: int}
  allowed_lateness: 10m
grid: {resolution: 3, rings: [0, 1], parents: [2]}
windows: {pane: 5m, sizes: [5m, 15m]}
aggregates: [{name: n, op: count}, {name: s, op: sum, of: a}, {name: lo, op: min, of: a}]
models: [{name: next, kind: demand, target: n_k0_w5m}]
`), "fuzzed.yaml")
	if err != nil {
		f.Fatal(err)
	}
	return plan
}

// lived is the state of a shard in the middle of things: of two territories,
// numbers of 128 bits, provisional rows, a forecast.
func lived(f *testing.F, plan *pipeline.Plan) []Entry {
	s, err := NewShard(plan, 0, ShardOptions{})
	if err != nil {
		f.Fatal(err)
	}
	pane := plan.Pane.Microseconds()
	for i := range int64(12) {
		for _, lat := range []float64{37.7, 40.7} {
			cell, err := geo.Index(lat, -122.4+float64(i), plan.Grid.Resolution)
			if err != nil {
				f.Fatal(err)
			}
			p := &Partials{Territory: plan.Grid.Territories.Of(cell), Pane: (1000 + i/2) * pane, Cells: []geo.Cell{cell}}
			for m := range plan.Layout.Measures {
				c := aggregate.MeasureColumn{Lo: []uint64{uint64(3 + i)}}
				if m == 1 {
					c.Hi = []int64{i}
				}
				p.Measures = append(p.Measures, c)
			}
			if err := s.Merge(p); err != nil {
				f.Fatal(err)
			}
		}
		s.Advance((999+i/2)*pane, (997+i/2)*pane)
		for more := true; more; {
			var out Output
			if more, err = s.Step(&out, nil); err != nil {
				f.Fatal(err)
			}
		}
	}
	return s.Save(Everything).Entries()
}

// Whatever stands in a shard's state: it is refused with ErrState, or it is a
// state that can be saved and restored again.
func FuzzShardRestore(f *testing.F) {
	plan := fuzzedPlan(f)
	tables := map[byte]bool{}
	for _, e := range lived(f, plan) {
		f.Add(e.Key, e.Value)
		tables[e.Key[0]] = true
	}
	if len(tables) != 6 {
		f.Fatalf("entries of %d tables", len(tables))
	}
	restored := func(t *testing.T, entries []Entry) (*Shard, error) {
		s, err := NewShard(plan, 0, ShardOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s, s.Restore(entries)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		s, err := restored(t, []Entry{{Key: key, Value: value}})
		if err != nil {
			return
		}
		if _, err := restored(t, s.Save(Everything).Entries()); err != nil {
			t.Fatal(err)
		}
	})
}

// The same of a task's state, and of the place in the control log beside it.
func FuzzTaskRestore(f *testing.F) {
	var out Ingested
	lived := newTask(testIntake(f, 10*second, 20*second), 0, TaskOptions{From: NoTime})
	for i := range int64(30) {
		lived.Batch(makeBatch([]testEvent{{time: (100 + i) * second, lat: 1, lng: float64(i % 7), key: string(rune('a' + i%5)), value: i}}, int(i)), &out)
	}
	lived.Flush(&out)
	q := controlQueue{applied: 3}
	spans := 0
	saved := lived.Save(Everything)
	q.save(saved)
	for _, e := range saved.Entries() {
		f.Add(e.Key, e.Value)
		if strings.HasPrefix(string(e.Key), dedupTable) {
			spans++
		}
	}
	if spans < 2 {
		f.Fatalf("%d spans", spans)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		_, rest, err := takeApplied([]Entry{{Key: key, Value: value}})
		if err == nil {
			task := newTask(testIntake(t, 10*second, 20*second), 0, TaskOptions{From: NoTime})
			if err = task.Restore(rest); err == nil {
				again := newTask(testIntake(t, 10*second, 20*second), 0, TaskOptions{From: NoTime})
				if err := again.Restore(task.Save(Everything).Entries()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err != nil && !errors.Is(err, ErrState) {
			t.Fatalf("untyped: %v", err)
		}
	})
}
