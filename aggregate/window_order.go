package aggregate

import (
	"cmp"
	"slices"

	"github.com/hextide/hextide/geo"
)

// Ordered is an active cell.
type Ordered struct {
	Cell geo.Cell
	Slot int32
}

// Order keeps the active slots of windows by their cells. From pane to pane most
// of them stay: only those that are new are sorted, and merged in.
//
// Invariant: list ascends by cell; fresh holds each slot that became active since
// the last update.
type Order struct {
	list  []Ordered
	fresh []int32
	added []Ordered
	spare []Ordered
}

func (o *Order) update(held []int32, t *Table) {
	o.added = o.added[:0]
	for _, s := range o.fresh {
		if held[s] > 0 {
			o.added = append(o.added, Ordered{t.Cell(s), s})
		}
	}
	o.fresh = o.fresh[:0]
	slices.SortFunc(o.added, func(a, b Ordered) int { return cmp.Compare(a.Cell, b.Cell) })
	merged, next := o.spare[:0], 0
	for _, a := range o.list {
		if held[a.Slot] == 0 {
			continue
		}
		for next < len(o.added) && o.added[next].Cell < a.Cell {
			merged = append(merged, o.added[next])
			next++
		}
		merged = append(merged, a)
	}
	merged = append(merged, o.added[next:]...)
	o.list, o.spare = merged, o.list
}
