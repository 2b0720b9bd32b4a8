package stream

import (
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
)

// backoffSpec is a backoff's two columns of one window.
type backoffSpec struct {
	column    int // of the value; that of the resolution follows
	size      int // index among the windows
	aggregate int
	count     int   // the measure that counts the aggregate's events
	atLeast   int64 // events
}

// backoffWriter takes aggregates from the finest level that has enough events.
// Levels above a row's are the windows of its ancestors, which run beside those
// of the cells.
type backoffWriter struct {
	shape *shape
	slots [][]int32 // by level above the rows': the row's ancestor there; −1: it holds nothing
	taken []int     // by row: the level that its value is from; none
	parts []aggregate.MeasureColumn
}

// none is the level of a row for which no level has enough events.
const none = -1

// write adds the backoffs' columns of the values' rows, the last of r.Cells.
func (w *backoffWriter) write(r *Rows, em *emission, v *values, level int) (overflows int64) {
	if len(w.shape.backoffs) == 0 {
		return 0
	}
	first := len(r.Cells) - v.n
	if r.Empty {
		for _, s := range w.shape.backoffs {
			appendNulls(&r.Columns[s.column], first, v.n)
			appendNulls(&r.Columns[s.column+1], first, v.n)
		}
		return 0
	}
	w.ancestors(em, level, r.Cells[first:])
	for i := range w.shape.backoffs {
		overflows += w.one(r, em, v, level, &w.shape.backoffs[i])
	}
	return overflows
}

// ancestors finds the rows' ancestors at every level above theirs. An ancestor of
// a cell of the territory lies in it whole, so its windows hold all its events.
func (w *backoffWriter) ancestors(em *emission, level int, cells []geo.Cell) {
	levels := em.t.levels
	w.slots = slices.Grow(w.slots[:0], len(levels))[:len(levels)]
	for l := level; l < len(levels); l++ {
		slots, windows := w.slots[l][:0], em.v.windows[l+1]
		for _, c := range cells {
			parent, _ := c.Parent(levels[l].resolution) // coarser, by the plan
			slot, known := levels[l].table.Find(parent)
			if !known || !windows.Held(slot) {
				slot = none
			}
			slots = append(slots, slot)
		}
		w.slots[l] = slots
	}
}

// one adds one backoff's two columns.
func (w *backoffWriter) one(r *Rows, em *emission, v *values, level int, s *backoffSpec) (overflows int64) {
	w.choose(em, v, level, s)
	a := &w.shape.aggregates[s.aggregate]
	w.parts = w.parts[:0]
	for n, m := range a.Measures {
		w.parts = append(w.parts, aggregate.MeasureColumn{})
		w.gather(&w.parts[n], em, v, level, s.size, m)
	}
	to, from := &r.Columns[s.column], &r.Columns[s.column+1]
	first := to.Len()
	overflows = a.Finish(to, w.parts, v.n)
	for i, l := range w.taken {
		if l == none {
			clearValue(to, first+i)
			appendNulls(from, first+i, 1)
			continue
		}
		resolution := w.shape.resolution
		if l > 0 {
			resolution = em.t.levels[l-1].resolution
		}
		from.Ints = append(from.Ints, int64(resolution))
	}
	return overflows
}

// choose finds the finest level of each row that has enough events.
func (w *backoffWriter) choose(em *emission, v *values, level int, s *backoffSpec) {
	enough := exact.FromInt64(s.atLeast)
	own := v.column(v.number(0, s.size, s.count))
	w.taken = w.taken[:0]
	for i := range v.n {
		taken := none
		if own.Sum(i).Cmp(enough) >= 0 {
			taken = level
		}
		for l := level; taken == none && l < len(em.t.levels); l++ {
			if slot := w.slots[l][i]; slot != none && em.v.windows[l+1].Sum(slot, s.count, s.size).Cmp(enough) >= 0 {
				taken = l + 1
			}
		}
		w.taken = append(w.taken, taken)
	}
}

// gather takes a measure of each row from the level that was chosen.
func (w *backoffWriter) gather(to *aggregate.MeasureColumn, em *emission, v *values, level, size, m int) {
	own := v.column(v.number(0, size, m))
	sums := w.shape.measures[m].Kind == aggregate.Sum
	for i, l := range w.taken {
		value := own.Sum(i)
		if l > level {
			slot, windows := w.slots[l-1][i], em.v.windows[l]
			if sums {
				value = windows.Sum(slot, m, size)
			} else {
				value = exact.FromInt64(windows.Extreme(&em.t.panes, em.t.via(l), slot, m, size))
			}
		}
		to.Lo, to.Hi = append(to.Lo, value.Lo), append(to.Hi, value.Hi)
	}
}

// clearValue makes a value that is there null.
func clearValue(v *column.Vector, i int) {
	if v.Kind == column.Float {
		v.Floats[i] = 0
	} else {
		v.Ints[i] = 0
	}
	v.Nulls.Set(i)
}
