package aggregate

import (
	"math/bits"
	"slices"

	"github.com/hextide/hextide/geo"
)

// Table numbers cells: a slot is small, and a cell keeps its slot while anything
// refers to it. What is kept of a cell lies in columns by slot.
//
// Invariant: index holds 0 or a slot's number plus 1; at most half of it is
// taken; a cell has one slot; the cell of a free slot is 0.
type Table struct {
	index []uint32
	shift uint // 64 − log2 of the index
	cells []geo.Cell
	free  []int32
	freed int // how often slots were taken from cells
}

const tableIndex = 64 // of a new table

// NewTable makes an empty table.
func NewTable() *Table {
	t := &Table{}
	t.resize(tableIndex)
	return t
}

// Slots is the number that all slots are below.
func (t *Table) Slots() int { return len(t.cells) }

// Len is the number of cells.
func (t *Table) Len() int { return len(t.cells) - len(t.free) }

// Cell is the cell of a slot, 0 if the slot is free.
func (t *Table) Cell(slot int32) geo.Cell { return t.cells[slot] }

// Find looks a cell up.
func (t *Table) Find(c geo.Cell) (slot int32, ok bool) {
	mask := uint64(len(t.index) - 1)
	for at := t.start(c); t.index[at] != 0; at = (at + 1) & mask {
		if s := t.index[at] - 1; t.cells[s] == c {
			return int32(s), true
		}
	}
	return -1, false
}

// FindAll looks cells up and appends their slots, −1 for those that have none.
func (t *Table) FindAll(dst []int32, cells []geo.Cell) []int32 {
	dst = slices.Grow(dst, len(cells))
	index, known, shift := t.index, t.cells, t.shift
	mask := uint64(len(index) - 1)
	for _, c := range cells {
		slot := int32(-1)
		for at := c.Hash() >> shift & mask; index[at] != 0; at = (at + 1) & mask {
			if s := index[at] - 1; known[s] == c {
				slot = int32(s)
				break
			}
		}
		dst = append(dst, slot)
	}
	return dst
}

// Add looks a cell up and gives it a slot where it has none.
func (t *Table) Add(c geo.Cell) (slot int32, added bool) {
	mask := uint64(len(t.index) - 1)
	at := t.start(c)
	for ; t.index[at] != 0; at = (at + 1) & mask {
		if s := t.index[at] - 1; t.cells[s] == c {
			return int32(s), false
		}
	}
	if n := len(t.free); n > 0 {
		slot, t.free = t.free[n-1], t.free[:n-1]
		t.cells[slot] = c
	} else {
		slot = int32(len(t.cells))
		t.cells = append(t.cells, c)
	}
	t.index[at] = uint32(slot + 1)
	if 2*t.Len() > len(t.index) {
		t.resize(2 * len(t.index))
	}
	return slot, true
}

// Clear forgets all cells: the next ones get the slots 0, 1 and so on.
func (t *Table) Clear() {
	clear(t.index)
	t.freed++
	t.cells, t.free = t.cells[:0], t.free[:0]
}

// Full tells that the next cell makes the table grow: the time to look for slots
// that are no longer used.
func (t *Table) Full() bool { return 2*(t.Len()+1) > len(t.index) }

// Keep frees every slot that is not used.
func (t *Table) Keep(used func(slot int32) bool) {
	t.freed++
	for s, c := range t.cells {
		if c != 0 && !used(int32(s)) {
			t.cells[s] = 0
			t.free = append(t.free, int32(s))
		}
	}
	t.resize(len(t.index))
}

// start is where a cell's search begins.
func (t *Table) start(c geo.Cell) uint64 { return c.Hash() >> t.shift }

// resize builds an index of a size, a power of two.
func (t *Table) resize(size int) {
	t.index = make([]uint32, size)
	t.shift = 64 - uint(bits.TrailingZeros(uint(size)))
	mask := uint64(size - 1)
	for s, c := range t.cells {
		if c == 0 {
			continue
		}
		at := t.start(c)
		for t.index[at] != 0 {
			at = (at + 1) & mask
		}
		t.index[at] = uint32(s + 1)
	}
}
