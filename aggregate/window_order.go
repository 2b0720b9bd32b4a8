package aggregate

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/hextide/hextide/geo"
)

// Ordered is an active cell.
type Ordered struct {
	Cell geo.Cell
	Slot int32
}

// order keeps the active slots of windows by their cells, without sorting them at
// every pane: each cell that was ever active has a rank, and those that are active
// now are the bits that are set, read from the first to the last.
//
// Cells that come later wait beside the ranked ones until there are some, and are
// ranked together: to rank is to pass over all of them.
//
// Invariant: ranked and young ascend by cell and share none; rank[slot] is 1 more
// than a cell's place in ranked, below 0 for one in young or fresh and 0 for all
// others; of ranked cells active has the bit at their place.
type order struct {
	list   []Ordered // of what was active when it was made
	stale  bool      // that is not what is active now
	ranked []Ordered
	rank   []int32
	active []uint64
	young  []Ordered
	fresh  []Ordered // came since list was made, in no order
	spare  []Ordered
	freed  int // the table's, when the ranks were given
}

const (
	notRanked = -1
	// As many young cells as ranked ones have words of bits, which are looked at
	// for each list likewise, and some more.
	youngCells = 64
	wordBits   = 64
)

// follow makes room for slots that are new in the table, and forgets cells that
// have lost theirs: none of them is active.
func (o *order) follow(t *Table, held []int32) {
	if o.freed != t.freed {
		o.freed = t.freed
		gone := func(c Ordered) bool { return t.Cell(c.Slot) != c.Cell }
		o.ranked, o.young = slices.DeleteFunc(o.ranked, gone), slices.DeleteFunc(o.young, gone)
		o.fresh = slices.DeleteFunc(o.fresh, gone)
		clear(o.rank)
		for _, c := range o.fresh {
			o.rank[c.Slot] = notRanked
		}
		o.number(held)
	}
	if n := len(held) - len(o.rank); n > 0 {
		o.rank = append(o.rank, make([]int32, n)...)
	}
}

// enter notes that slots have become active.
func (o *order) enter(slots []int32, t *Table) {
	o.stale = o.stale || len(slots) > 0
	rank, active := o.rank, o.active
	for _, s := range slots {
		if r := rank[s] - 1; r >= 0 {
			active[r/wordBits] |= 1 << (r % wordBits)
		} else if r == -1 {
			rank[s] = notRanked
			o.fresh = append(o.fresh, Ordered{t.Cell(s), s})
		}
	}
}

// leave notes that a slot is not active any more.
func (o *order) leave(slot int32) {
	o.stale = true
	if r := o.rank[slot] - 1; r >= 0 {
		o.active[r/wordBits] &^= 1 << (r % wordBits)
	}
}

// empty notes that no slot is active any more.
func (o *order) empty() {
	o.stale = true
	clear(o.active)
}

// now are the active slots by their cells; held is above 0 for them.
func (o *order) now(held []int32) []Ordered {
	if !o.stale {
		return o.list
	}
	o.stale = false
	if len(o.fresh) > 0 {
		slices.SortFunc(o.fresh, func(a, b Ordered) int { return cmp.Compare(a.Cell, b.Cell) })
		o.spare = merged(o.spare[:0], o.young, o.fresh)
		o.young, o.spare, o.fresh = o.spare, o.young, o.fresh[:0]
		if len(o.young) > youngCells+len(o.active) {
			o.number(held)
		}
	}
	o.spare = o.spare[:0]
	for _, c := range o.young {
		if held[c.Slot] > 0 {
			o.spare = append(o.spare, c)
		}
	}
	o.read(o.spare)
	return o.list
}

// read makes the list of the ranked cells that are active, and of young ones.
func (o *order) read(young []Ordered) {
	list, ranked := o.list[:0], o.ranked
	for w, word := range o.active {
		for ; word != 0; word &= word - 1 {
			c := ranked[w*wordBits+bits.TrailingZeros64(word)]
			for len(young) > 0 && young[0].Cell < c.Cell {
				list, young = append(list, young[0]), young[1:]
			}
			list = append(list, c)
		}
	}
	o.list = append(list, young...)
}

// number gives all cells ranks, the young ones too.
func (o *order) number(held []int32) {
	o.spare = merged(o.spare[:0], o.ranked, o.young)
	o.ranked, o.spare, o.young = o.spare, o.ranked, o.young[:0]
	words := (len(o.ranked) + wordBits - 1) / wordBits
	o.active = slices.Grow(o.active[:0], words)[:words]
	clear(o.active)
	for i, c := range o.ranked {
		o.rank[c.Slot] = int32(i + 1)
		if held[c.Slot] > 0 {
			o.active[i/wordBits] |= 1 << (i % wordBits)
		}
	}
}

// merged merges two ascending lists.
func merged(dst, a, b []Ordered) []Ordered {
	for _, c := range a {
		for len(b) > 0 && b[0].Cell < c.Cell {
			dst, b = append(dst, b[0]), b[1:]
		}
		dst = append(dst, c)
	}
	return append(dst, b...)
}
