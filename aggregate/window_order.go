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
// Invariant: ranked and young ascend by cell; they and fresh share none. rank[slot]
// is 1 more than a slot's place in ranked, one of the two below for one in young or
// fresh, and 0 for all others; of ranked slots active has the bit at their place, and
// some that of each word of active that has any, so that few active cells among many
// ranked ones are soon found.
type order struct {
	table  *Table
	list   []Ordered // of what was active when it was made
	stale  bool      // that is not what is active now
	ranked []int32   // slots
	rank   []int32
	active []uint64
	some   []uint64
	young  []Ordered
	fresh  []Ordered // came since list was made, in no order
	spare  []Ordered
	words  []uint64 // spare
	freed  int      // the table's, when the ranks were given
}

// Of slots that are not ranked.
const (
	resting = -1
	working = -2 // active
)

const (
	// As many young cells as ranked ones have words of bits, which are looked at
	// for each list likewise, and some more.
	youngCells = 64
	wordBits   = 64
)

// follow makes room for slots that are new in the table. Where slots were given to
// other cells, none of which is active, all are ranked anew.
func (o *order) follow() {
	t := o.table
	if n := t.Slots() - len(o.rank); n > 0 {
		o.rank = append(o.rank, make([]int32, n+t.Slots()/4)...)
	}
	if o.freed == t.freed {
		return
	}
	o.freed = t.freed
	o.young, o.fresh, o.spare = o.young[:0], o.fresh[:0], o.spare[:0]
	for s, c := range t.cells {
		switch {
		case o.rank[s] == 0:
		case c == 0:
			o.rank[s] = 0
		default:
			o.spare = append(o.spare, Ordered{c, int32(s)})
		}
	}
	slices.SortFunc(o.spare, byCell)
	o.number(o.spare)
}

func byCell(a, b Ordered) int { return cmp.Compare(a.Cell, b.Cell) }

// enter notes that slots have become active.
func (o *order) enter(slots []int32) {
	o.stale = o.stale || len(slots) > 0
	rank, active, some := o.rank, o.active, o.some
	for _, s := range slots {
		if r := rank[s] - 1; r >= 0 {
			w := r / wordBits
			active[w] |= 1 << (r % wordBits)
			some[w/wordBits] |= 1 << (w % wordBits)
			continue
		}
		if rank[s] == 0 {
			o.fresh = append(o.fresh, Ordered{o.table.Cell(s), s})
		}
		rank[s] = working
	}
}

// leave notes that a slot is not active any more.
func (o *order) leave(slot int32) {
	o.stale = true
	if r := o.rank[slot] - 1; r >= 0 {
		o.active[r/wordBits] &^= 1 << (r % wordBits)
	} else {
		o.rank[slot] = resting
	}
}

// empty notes that no slot is active any more.
func (o *order) empty() {
	o.stale = true
	clear(o.active)
	clear(o.some)
	for _, c := range o.young {
		o.rank[c.Slot] = resting
	}
	for _, c := range o.fresh {
		o.rank[c.Slot] = resting
	}
}

// holds tells whether a cell that was ever active is active.
func (o *order) holds(slot int32) bool {
	r := o.rank[slot]
	return r == working || r > 0 && o.active[(r-1)/wordBits]>>((r-1)%wordBits)&1 == 1
}

// now are the active slots by their cells.
func (o *order) now() []Ordered {
	if !o.stale {
		return o.list
	}
	o.stale = false
	o.follow()
	if len(o.fresh) > 0 {
		slices.SortFunc(o.fresh, byCell)
		o.spare = merged(o.spare[:0], o.young, o.fresh)
		o.young, o.spare, o.fresh = o.spare, o.young, o.fresh[:0]
		if len(o.young) > youngCells+len(o.active) {
			o.rankYoung()
		}
	}
	o.spare = o.spare[:0]
	for _, c := range o.young {
		if o.rank[c.Slot] == working {
			o.spare = append(o.spare, c)
		}
	}
	o.read(o.spare)
	return o.list
}

// read makes the list of the ranked cells that are active, and of young ones.
func (o *order) read(young []Ordered) {
	list, ranked, cells := o.list[:0], o.ranked, o.table.cells
	for i, words := range o.some {
		for ; words != 0; words &= words - 1 {
			w := i*wordBits + bits.TrailingZeros64(words)
			word := o.active[w]
			if word == 0 {
				o.some[i] &^= words & -words
			}
			for ; word != 0; word &= word - 1 {
				s := ranked[w*wordBits+bits.TrailingZeros64(word)]
				c := cells[s]
				for len(young) > 0 && young[0].Cell < c {
					list, young = append(list, young[0]), young[1:]
				}
				list = append(list, Ordered{c, s})
			}
		}
	}
	o.list = append(list, young...)
}

// rankYoung ranks the young cells too.
func (o *order) rankYoung() {
	o.spare = o.spare[:0]
	young := o.young
	for _, s := range o.ranked {
		c := o.table.Cell(s)
		for len(young) > 0 && young[0].Cell < c {
			o.spare, young = append(o.spare, young[0]), young[1:]
		}
		o.spare = append(o.spare, Ordered{c, s})
	}
	o.spare, o.young = append(o.spare, young...), o.young[:0]
	o.number(o.spare)
}

// number gives ranks to cells, which ascend, and to no others.
func (o *order) number(cells []Ordered) {
	words := (len(cells) + wordBits - 1) / wordBits
	active := slices.Grow(o.words[:0], words)[:words]
	clear(active)
	words = (words + wordBits - 1) / wordBits
	o.some = slices.Grow(o.some[:0], words)[:words]
	clear(o.some)
	for i, c := range cells {
		if o.holds(c.Slot) {
			w := i / wordBits
			active[w] |= 1 << (i % wordBits)
			o.some[w/wordBits] |= 1 << (w % wordBits)
		}
	}
	o.active, o.words = active, o.active
	o.ranked = o.ranked[:0]
	for i, c := range cells {
		o.rank[c.Slot] = int32(i + 1)
		o.ranked = append(o.ranked, c.Slot)
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
