package serving

import (
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// A cell that only a model knows gets a row when the next forecast comes; what the
// last one said holds until then, however long that is.

// forecast tells whether a row holds one.
func forecast(plan *pipeline.Plan, rows *stream.Rows, row int) bool {
	for i := range plan.Models {
		if !rows.Columns[plan.Models[i].First].Null(row) {
			return true
		}
	}
	return false
}

// toldBy is the window end with which a shard that has closed its panes after an
// end has told the rows of all its cells: those with events have one at the next
// end, those that only a model knows when it forecasts next.
func toldBy(plan *pipeline.Plan, end int64) int64 {
	by := end + 1
	pane, trail := plan.Pane.Microseconds(), plan.FinalLag().Microseconds()
	for i := range plan.Models {
		step := plan.Models[i].Window().Microseconds()
		next := floor(end-trail, step) + step + trail
		by = max(by, -floor(-next, pane))
	}
	return by
}

// floor rounds down to a multiple.
func floor(a, unit int64) int64 {
	if r := a % unit; r < 0 {
		return a - r - unit
	}
	return a - a%unit
}

// keep copies what must stay of a block that goes: the newest rows of cells that
// a model knows. The copies belong to no pane and go when newer rows have come.
func (s *Store) keep(block *stream.Rows) {
	known := s.plan.ModelsKnow(block.Resolution)
	var kept *stream.Rows
	for row, cell := range block.Cells {
		switch {
		case s.latest[cell].block != block:
		case !known || !forecast(s.plan, block, row):
			delete(s.latest, cell)
		default:
			if kept == nil {
				kept = like(block)
			}
			s.latest[cell] = place{block: kept, row: len(kept.Cells)}
			copyRow(kept, block, row)
		}
	}
	if kept != nil {
		s.kept[kept] = len(kept.Cells)
		s.bytes += blockBytes(kept)
	}
}

// replace notes that a row is no longer its cell's newest.
func (s *Store) replace(old *stream.Rows) {
	left, kept := s.kept[old]
	switch {
	case !kept:
	case left > 1:
		s.kept[old] = left - 1
	default:
		delete(s.kept, old)
		s.bytes -= blockBytes(old)
	}
}

// like is an empty block of the same kind, in memory of its own.
func like(r *stream.Rows) *stream.Rows {
	c := &stream.Rows{
		Shard: r.Shard, Territory: r.Territory, Resolution: r.Resolution, WindowEnd: r.WindowEnd, Revision: r.Revision,
		Final: r.Final, Empty: r.Empty, Incarnation: r.Incarnation, ComputedAt: r.ComputedAt,
		Columns: make([]column.Vector, len(r.Columns)),
	}
	for i := range c.Columns {
		c.Columns[i].Kind = r.Columns[i].Kind
	}
	return c
}

// copyRow appends a row of a block of the same kind.
func copyRow(to, from *stream.Rows, row int) {
	for i := range to.Columns {
		c, v := &to.Columns[i], &from.Columns[i]
		if v.Null(row) {
			c.Nulls.Set(len(to.Cells))
		}
		if v.Kind == column.Float {
			c.Floats = append(c.Floats, v.Floats[row])
		} else {
			c.Ints = append(c.Ints, v.Ints[row])
		}
	}
	to.Cells = append(to.Cells, from.Cells[row])
}
