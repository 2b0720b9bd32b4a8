// Package oracle computes a plan's rows the plain way: each event is added to
// every row that it belongs to, by H3's own grid disks. It is what tests hold
// the streaming core against, and must never borrow from it.
package oracle

import (
	"cmp"
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/features"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	h3 "github.com/uber/h3-go/v4"
)

// Event is an accepted event: when, where, and what it contributes to each of
// the plan's measures.
type Event struct {
	Time int64 // µs
	Cell geo.Cell
	Adds []int64 // one a measure
}

// Key names a row.
type Key struct {
	End        int64 // µs
	Resolution int
	Cell       geo.Cell
}

// Row is a row's columns, and whether anything is in it: a row for a model's
// sake alone may be all zeros.
type Row struct {
	Live    bool
	Columns []column.Vector // one value each
}

// Result is all rows, and where entities' rows cease.
type Result struct {
	Rows    map[Key]*Row
	Markers map[Key]bool
}

type job struct {
	plan   *pipeline.Plan
	events []Event
	end    int64
	sums   map[Key][]aggregate.MeasureColumn
	live   map[Key]bool
	result Result
}

// Compute computes the rows that end at or before end.
func Compute(plan *pipeline.Plan, events []Event, end int64) Result {
	j := &job{
		plan: plan, events: events, end: end, sums: map[Key][]aggregate.MeasureColumn{}, live: map[Key]bool{},
		result: Result{Rows: map[Key]*Row{}, Markers: map[Key]bool{}},
	}
	for i := range events {
		j.scatter(&events[i])
	}
	forecasts := j.models()
	for key := range j.sums {
		j.result.Rows[key] = j.row(key, forecasts)
	}
	j.markers()
	return j.result
}

// scatter adds an event to every row of cells that it is near, and of its parents.
func (j *job) scatter(e *Event) {
	rings := j.plan.Grid.Rings
	disks, err := h3.Cell(e.Cell).GridDiskDistances(rings[len(rings)-1])
	if err != nil {
		panic(err)
	}
	for distance, cells := range disks {
		for _, c := range cells {
			if c != 0 {
				j.add(e, Key{Resolution: j.plan.Grid.Resolution, Cell: geo.Cell(c)}, distance, j.plan.Grid.Neighborhood || distance == 0)
			}
		}
	}
	for _, r := range j.plan.Grid.Parents {
		parent, err := h3.Cell(e.Cell).Parent(r)
		if err != nil {
			panic(err)
		}
		j.add(e, Key{Resolution: r, Cell: geo.Cell(parent)}, 0, true)
	}
}

// add adds an event to a cell's rows; exists: it makes them exist.
func (j *job) add(e *Event, key Key, distance int, exists bool) {
	pane := j.plan.Pane.Microseconds()
	start := floor(e.Time, pane)
	for key.End = start + pane; key.End <= min(j.end, start+j.plan.WidestWindow().Microseconds()); key.End += pane {
		columns := j.at(key)
		j.live[key] = j.live[key] || exists
		for i := range columns {
			ring, window, m := j.split(i)
			if j.plan.Grid.Rings[ring] >= distance && start >= key.End-j.plan.Windows[window].Microseconds() {
				merge(j.plan.Layout.Measures[m].Kind, &columns[i], e.Adds[m])
			}
		}
	}
}

// split says what column i of at is about.
func (j *job) split(i int) (ring, window, measure int) {
	measures, windows := len(j.plan.Layout.Measures), len(j.plan.Windows)
	return i / measures / windows, i / measures % windows, i % measures
}

// at is a row's measures, by ring, window and measure.
func (j *job) at(key Key) []aggregate.MeasureColumn {
	if columns := j.sums[key]; columns != nil {
		return columns
	}
	columns := make([]aggregate.MeasureColumn, len(j.plan.Grid.Rings)*len(j.plan.Windows)*len(j.plan.Layout.Measures))
	for i := range columns {
		_, _, m := j.split(i)
		none := int64(0)
		if kind := j.plan.Layout.Measures[m].Kind; kind != aggregate.Sum {
			none = aggregate.None(kind)
		}
		columns[i] = aggregate.MeasureColumn{Lo: []uint64{uint64(none)}, Hi: []int64{0}}
	}
	j.sums[key] = columns
	return columns
}

func merge(kind aggregate.MeasureKind, c *aggregate.MeasureColumn, v int64) {
	switch kind {
	case aggregate.Min:
		c.Lo[0] = uint64(min(int64(c.Lo[0]), v))
	case aggregate.Max:
		c.Lo[0] = uint64(max(int64(c.Lo[0]), v))
	default:
		sum := c.Sum(0).Add(exact.FromInt64(v))
		c.Lo[0], c.Hi[0] = sum.Lo, sum.Hi
	}
}

// row finishes a row's columns.
func (j *job) row(key Key, forecasts forecasts) *Row {
	r := &Row{Live: j.live[key], Columns: make([]column.Vector, len(j.plan.Columns))}
	parent := key.Resolution != j.plan.Grid.Resolution
	in := make([]*column.Vector, len(r.Columns))
	for i, c := range j.plan.Columns {
		v := &r.Columns[i]
		v.Kind, in[i] = c.Kind, v
		switch {
		case c.Origin == pipeline.FromModel && !parent:
			forecasts.put(v, c, key)
		case c.Origin == pipeline.FromModel || c.Origin == pipeline.FromAggregate && parent && j.plan.Grid.Rings[c.Ring] > 0:
			null(v)
		case c.Origin == pipeline.FromAggregate:
			j.finish(v, c, key)
		case c.Origin == pipeline.FromBackoff:
			j.backoff(v, c, key)
		}
	}
	for i, c := range j.plan.Columns {
		if c.Origin != pipeline.FromFeature {
			continue
		}
		result := features.NewEvaluator(j.plan.Features[c.Index].Program).Eval(in, 1)
		if result.Null(0) {
			null(in[i])
			continue
		}
		in[i].AppendBits(result.Bits(0))
	}
	return r
}

func null(v *column.Vector) {
	v.AppendBits(0)
	v.Nulls.Set(0)
}

func (j *job) finish(v *column.Vector, c pipeline.Column, key Key) {
	a := &j.plan.Layout.Aggregates[c.Index]
	all := j.at(key)
	var parts []aggregate.MeasureColumn
	for _, m := range a.Measures {
		parts = append(parts, all[(c.Ring*len(j.plan.Windows)+c.Window)*len(j.plan.Layout.Measures)+m])
	}
	a.Finish(v, parts, 1)
}

// backoff takes an aggregate from the first of a row's cell and its ancestors,
// fine to coarse, that has enough events.
func (j *job) backoff(v *column.Vector, c pipeline.Column, key Key) {
	b, g := &j.plan.Backoffs[c.Index], &j.plan.Grid
	for _, r := range append([]int{g.Resolution}, g.Parents...) {
		if r > key.Resolution {
			continue
		}
		ancestor, err := h3.Cell(key.Cell).Parent(r)
		if err != nil {
			panic(err)
		}
		at := Key{End: key.End, Resolution: r, Cell: geo.Cell(ancestor)}
		all := j.sums[at]
		if all == nil || all[c.Window*len(j.plan.Layout.Measures)+b.Count].Sum(0).Cmp(exact.FromInt64(b.AtLeast)) < 0 {
			continue
		}
		if c.Output == 1 {
			v.AppendBits(uint64(r))
			return
		}
		j.finish(v, pipeline.Column{Index: b.Aggregate, Window: c.Window}, at)
		return
	}
	null(v)
}

// markers are where an entity had a row with something in it, and has none.
func (j *job) markers() {
	pane := j.plan.Pane.Microseconds()
	for key, row := range j.result.Rows {
		held := key.Resolution != j.plan.Grid.Resolution || row.Live || j.ringed(key)
		next := Key{key.End + pane, key.Resolution, key.Cell}
		if held && j.result.Rows[next] == nil && next.End <= j.end {
			j.result.Markers[next] = true
		}
	}
	// With emit: cell, rows that exist for no reason must go.
	for key := range j.result.Markers {
		if j.result.Rows[key] != nil {
			delete(j.result.Markers, key)
		}
	}
}

// ringed tells whether the widest ring and window of a row hold an event.
func (j *job) ringed(key Key) bool {
	all := j.sums[key]
	return !all[len(all)-len(j.plan.Layout.Measures)+aggregate.Events].Sum(0).IsZero()
}

// Sorted are the keys in the order of window end, resolution from fine to
// coarse, and cell.
func Sorted[V any](m map[Key]V) []Key {
	keys := make([]Key, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.End, b.End), -cmp.Compare(a.Resolution, b.Resolution), cmp.Compare(a.Cell, b.Cell))
	})
	return keys
}

func floor(t, step int64) int64 {
	r := t % step
	if r < 0 {
		r += step
	}
	return t - r
}
