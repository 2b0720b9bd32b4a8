package serving

import (
	"github.com/hextide/hextide/pipeline"
)

// A cell that only a model knows gets a row when the next forecast comes; what the
// last one said holds until then, however long that is.

// forecast tells whether a row holds one.
func forecast(plan *pipeline.Plan, b *block, row int) bool {
	for i := range plan.Models {
		if _, null := b.at(plan.Models[i].First, row); !null {
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
func (s *Store) keep(b *block) {
	known := s.plan.ModelsKnow(b.head.Resolution)
	stays := like(b.head)
	for row := range b.len() {
		switch cell := b.cell(row); {
		case s.latest[cell].block != b:
		case !known || !forecast(s.plan, b, row):
			delete(s.latest, cell)
		default:
			b.unpack(row, stays)
		}
	}
	if len(stays.Cells) == 0 {
		return
	}
	kept := s.packer.block(stays)
	for row, cell := range stays.Cells {
		s.latest[cell] = place{kept, row}
	}
	s.kept[kept] = kept.len()
	s.size.add(kept.size())
}

// replace notes that a row is no longer its cell's newest.
func (s *Store) replace(old *block) {
	left, kept := s.kept[old]
	switch {
	case !kept:
	case left > 1:
		s.kept[old] = left - 1
	default:
		delete(s.kept, old)
		s.size.sub(old.size())
	}
}
