package stream

import (
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/features"
	"github.com/hextide/hextide/geo"
)

// columnWriter turns the measures of a block's rows into their columns:
// aggregates, backoffs, models, then features, which may use all of them.
//
// A parent's row has the same columns, of the parent as one cell. What a ring
// wider than the cell would hold is null there, and so are models' columns;
// features are computed from what there is.
type columnWriter struct {
	shape      *shape
	evaluators []*features.Evaluator
	inputs     []*column.Vector
	parts      []aggregate.MeasureColumn
	from       []int32 // by row: where a model has it, −1: nowhere
	backoffs   backoffWriter
}

func newColumnWriter(sh *shape) columnWriter {
	w := columnWriter{shape: sh, backoffs: backoffWriter{shape: sh}}
	for _, f := range sh.features {
		w.evaluators = append(w.evaluators, features.NewEvaluator(f.program))
	}
	return w
}

// prepare gives a block the plan's columns, empty.
func (w *columnWriter) prepare(r *Rows) {
	if len(r.Columns) != len(w.shape.kinds) {
		r.Columns = make([]column.Vector, len(w.shape.kinds))
	}
	for i, kind := range w.shape.kinds {
		r.Columns[i].Kind = kind
	}
}

// write adds the values' rows, the last of r.Cells, to the columns of aggregates,
// backoffs and models; it returns how many values are null because they do not fit.
func (w *columnWriter) write(r *Rows, em *emission, v *values, level int) (overflows int64) {
	w.prepare(r)
	first := len(r.Cells) - v.n
	for i := 0; i < len(w.shape.finals); i++ {
		if n := w.unpack(r, v, w.shape.finals[i:]); n > 0 {
			i += n - 1
			continue
		}
		f := &w.shape.finals[i]
		to := &r.Columns[f.column]
		if level > 0 && w.shape.rings[f.ring] != 0 {
			appendNulls(to, first, v.n)
			continue
		}
		overflows += w.finish(f, v, to)
	}
	overflows += w.backoffs.write(r, em, v, level)
	for i, m := range em.t.models {
		f := m.current(em.end)
		if level > 0 {
			f = nil
		}
		w.model(&w.shape.models[i], f, r, first)
	}
	return overflows
}

// appendNulls adds n nulls to a column that has first values.
func appendNulls(to *column.Vector, first, n int) {
	for i := first; i < first+n; i++ {
		to.AppendBits(0)
		to.Nulls.Set(i)
	}
}

// finish adds an aggregate's column.
func (w *columnWriter) finish(f *finalSpec, v *values, to *column.Vector) (overflows int64) {
	a := &w.shape.aggregates[f.aggregate]
	if a.Plain() {
		n := len(to.Ints)
		to.Ints = slices.Grow(to.Ints, v.n)[:n+v.n]
		if v.integers(to.Ints[n:], v.number(f.ring, f.size, a.Measures[0])) {
			return 0
		}
		to.Ints = to.Ints[:n]
	}
	w.parts = w.parts[:0]
	for _, m := range a.Measures {
		w.parts = append(w.parts, v.column(v.number(f.ring, f.size, m)))
	}
	return a.Finish(to, w.parts, v.n)
}

// model adds a model's columns.
func (w *columnWriter) model(spec *modelSpec, f *forecast, r *Rows, first int) {
	columns := r.Columns[spec.column:][:modelColumns]
	if f == nil {
		for i := range columns {
			appendNulls(&columns[i], first, len(r.Cells)-first)
		}
		return
	}
	w.find(f.cells, r.Cells[first:])
	o := &f.out
	w.floats(&columns[modelMu], o.Mu, first)
	w.ints(&columns[modelLo], o.Lo, first)
	w.ints(&columns[modelHi], o.Hi, first)
	w.ints(&columns[modelAt], o.At, first)
	w.ints(&columns[modelMiss], o.Miss, first)
	w.floats(&columns[modelUp], o.Up, first)
	w.floats(&columns[modelDown], o.Down, first)
	w.floats(&columns[modelUpStart], o.UpStart, first)
	w.floats(&columns[modelDownStart], o.DownStart, first)
	miss := &columns[modelMiss]
	for i, at := range w.from {
		if at >= 0 && !o.MissValid[at] {
			miss.Ints[first+i] = 0
			miss.Nulls.Set(first + i)
		}
	}
}

// The columns of a demand model, in their order.
const (
	modelMu = iota
	modelLo
	modelHi
	modelAt
	modelMiss
	modelUp
	modelDown
	modelUpStart
	modelDownStart
	modelColumns
)

// find sets from to where cells are among a model's; both ascend.
func (w *columnWriter) find(known, cells []geo.Cell) {
	w.from = slices.Grow(w.from[:0], len(cells))
	at := 0
	if len(cells) > 0 {
		at, _ = slices.BinarySearch(known, cells[0])
	}
	for _, c := range cells {
		for at < len(known) && known[at] < c {
			at++
		}
		if at < len(known) && known[at] == c {
			w.from = append(w.from, int32(at))
			continue
		}
		w.from = append(w.from, -1)
	}
}

// taken adds a model's values of the rows from first on, null where it has none.
func taken[T any](to []T, nulls *column.Bitmap, values []T, from []int32, first int) []T {
	for i, at := range from {
		var v T
		if at < 0 {
			nulls.Set(first + i)
		} else {
			v = values[at]
		}
		to = append(to, v)
	}
	return to
}

func (w *columnWriter) floats(to *column.Vector, values []float64, first int) {
	to.Floats = taken(to.Floats, &to.Nulls, values, w.from, first)
}

func (w *columnWriter) ints(to *column.Vector, values []int64, first int) {
	to.Ints = taken(to.Ints, &to.Nulls, values, w.from, first)
}

// features fills the features' columns, in the definition's order.
func (w *columnWriter) features(r *Rows) {
	n := len(r.Cells)
	w.inputs = w.inputs[:0]
	for i := range r.Columns {
		w.inputs = append(w.inputs, &r.Columns[i])
	}
	for i, f := range w.shape.features {
		result, to := w.evaluators[i].Eval(w.inputs, n), &r.Columns[f.column]
		for row := range n {
			if result.Null(row) {
				to.AppendBits(0)
				to.Nulls.Set(row)
				continue
			}
			to.AppendBits(result.Bits(row))
		}
	}
}
