package aggregate

import (
	"cmp"
	"slices"

	"github.com/hextide/hextide/exact"
)

// Entries are measures of cells, the cells given by their slots in a Table. A
// slot below 0 is nobody's: its values count for nothing.
type Entries struct {
	Slots    []int32
	Measures []MeasureColumn // one a measure, aligned with Slots
}

// Pane holds what arrived for one pane, a cell once.
//
// Invariant: index, where there is one, holds 0 or an entry's number plus 1, is
// a power of two long and at most half taken.
type Pane struct {
	Start   int64 // µs
	Own     bool  // it has events of the territory's own cells
	Born    int64 // the version of its owner in which it was made; 0: restored
	Changed int64 // the version in which something was merged last
	Entries
	index []uint32
	outer outer
}

// Merge merges entries, which name each slot once. fresh, as long as they are, is
// set to which of them the pane did not have yet.
func (p *Pane) Merge(measures []Measure, e Entries, fresh []bool) {
	first := len(p.Slots) == 0
	if !first && p.index == nil {
		p.reindex(2 * (len(p.Slots) + len(e.Slots)))
	}
	if first {
		p.room(e)
		if !slices.ContainsFunc(e.Slots, func(s int32) bool { return s < 0 }) {
			p.take(e, fresh)
			return
		}
	}
	for i, slot := range e.Slots {
		fresh[i] = slot >= 0
		if slot < 0 {
			continue
		}
		if !first {
			if at := p.find(slot); at >= 0 {
				fresh[i] = false
				p.fold(measures, at, e, i)
				continue
			}
		}
		p.append(e, i)
		if !first {
			p.note(slot)
		}
	}
}

// fold merges entry i of e into the pane's entry at.
func (p *Pane) fold(measures []Measure, at int, e Entries, i int) {
	for m := range measures {
		to, from := &p.Measures[m], &e.Measures[m]
		switch measures[m].Kind {
		case Min:
			to.Lo[at] = uint64(min(int64(to.Lo[at]), int64(from.Lo[i])))
		case Max:
			to.Lo[at] = uint64(max(int64(to.Lo[at]), int64(from.Lo[i])))
		default:
			to.set(at, to.Sum(at).Add(from.Sum(i)))
		}
	}
}

// room makes place for entries in an empty pane.
func (p *Pane) room(e Entries) {
	if p.Measures == nil {
		p.Measures = make([]MeasureColumn, len(e.Measures))
	}
	p.Slots = slices.Grow(p.Slots, len(e.Slots))
	for m := range p.Measures {
		p.Measures[m].Lo = slices.Grow(p.Measures[m].Lo, len(e.Slots))
	}
}

// take adds all entries of e to an empty pane.
func (p *Pane) take(e Entries, fresh []bool) {
	p.Slots = append(p.Slots, e.Slots...)
	for m := range e.Measures {
		to, from := &p.Measures[m], &e.Measures[m]
		to.Lo = append(to.Lo, from.Lo...)
		if from.Hi != nil {
			to.Hi = append(to.Hi[:0], from.Hi...)
		}
	}
	for i := range fresh {
		fresh[i] = true
	}
}

// append adds entry i of e as a new one.
func (p *Pane) append(e Entries, i int) {
	p.Slots = append(p.Slots, e.Slots[i])
	for m := range e.Measures {
		to, from := &p.Measures[m], &e.Measures[m]
		to.Lo = append(to.Lo, from.Lo[i])
		if from.Hi != nil && to.Hi == nil {
			to.Lo = to.Lo[:len(to.Lo)-1]
			to.widen()
			to.Lo = append(to.Lo, from.Lo[i])
		}
		if to.Hi != nil {
			to.Hi = append(to.Hi, from.Sum(i).Hi)
		}
	}
}

// set stores a sum, in 128 bits from the first one on that needs them.
func (c *MeasureColumn) set(i int, v exact.Int128) {
	if c.Hi == nil && !v.FitsInt64() {
		c.widen()
	}
	c.Lo[i] = v.Lo
	if c.Hi != nil {
		c.Hi[i] = v.Hi
	}
}

func (c *MeasureColumn) widen() {
	c.Hi = make([]int64, len(c.Lo), cap(c.Lo))
	for i, lo := range c.Lo {
		c.Hi[i] = int64(lo) >> 63
	}
}

// Reset empties the pane for another start and keeps its memory.
func (p *Pane) Reset(start int64) {
	p.Start, p.Own, p.Slots, p.index = start, false, p.Slots[:0], nil
	p.Born, p.Changed = 0, 0
	for m := range p.Measures {
		p.Measures[m].Lo, p.Measures[m].Hi = p.Measures[m].Lo[:0], nil
	}
}

func slotStart(slot int32, size int) int { return int(uint32(slot)*0x9e3779b1) & (size - 1) }

func (p *Pane) find(slot int32) int {
	for at := slotStart(slot, len(p.index)); p.index[at] != 0; at = (at + 1) & (len(p.index) - 1) {
		if i := p.index[at] - 1; p.Slots[i] == slot {
			return int(i)
		}
	}
	return -1
}

// note enters the last entry into the index.
func (p *Pane) note(slot int32) {
	if 2*len(p.Slots) > len(p.index) {
		p.reindex(2 * len(p.Slots))
		return
	}
	p.place(slot, len(p.Slots))
}

func (p *Pane) place(slot int32, number int) {
	at := slotStart(slot, len(p.index))
	for p.index[at] != 0 {
		at = (at + 1) & (len(p.index) - 1)
	}
	p.index[at] = uint32(number)
}

// reindex builds an index for at least n entries.
func (p *Pane) reindex(n int) {
	size := 16
	for size < 2*n {
		size *= 2
	}
	p.index = make([]uint32, size)
	for i, slot := range p.Slots {
		p.place(slot, i+1)
	}
}

// Panes are a territory's panes.
//
// Invariant: they ascend by their start.
type Panes struct {
	list    []*Pane
	free    []*Pane
	outside Outside // nil: all entries stay in memory
	inside  []*Pane // where there is an outside: each pane in memory once, and some that are not
	movable []*Pane
	buffer  []byte
}

// At is the pane that begins at a time, made in a version where there is none.
func (ps *Panes) At(start, version int64) *Pane {
	i := ps.search(start)
	if i < len(ps.list) && ps.list[i].Start == start {
		return ps.list[i]
	}
	p := ps.empty()
	p.Reset(start)
	p.Born = version
	ps.list = slices.Insert(ps.list, i, p)
	if ps.outside != nil {
		ps.enlist(p)
	}
	return p
}

func (ps *Panes) empty() *Pane {
	n := len(ps.free)
	if n == 0 {
		return &Pane{}
	}
	p := ps.free[n-1]
	ps.free = ps.free[:n-1]
	return p
}

// Between are the panes that begin in [from, to), ascending; valid until the next At
// or Drop. Their entries may be outside: Each shows them.
func (ps *Panes) Between(from, to int64) []*Pane {
	if from >= to {
		return nil
	}
	return ps.list[ps.search(from):ps.search(to)]
}

// All are all panes, ascending. Their entries may be outside.
func (ps *Panes) All() []*Pane { return ps.list }

// Drop forgets the panes that begin before a time. As many are used again as a
// backlog may add at once.
func (ps *Panes) Drop(before int64) {
	const kept = 64
	n := ps.search(before)
	for _, p := range ps.list[:n] {
		if ps.outside != nil {
			ps.dropped(p)
		} else if len(ps.free) < kept {
			ps.free = append(ps.free, p)
		}
	}
	ps.list = slices.Delete(ps.list, 0, n)
}

func (ps *Panes) search(start int64) int {
	// Almost always the newest or the oldest is asked for.
	n := len(ps.list)
	if n == 0 || start > ps.list[n-1].Start {
		return n
	}
	if start <= ps.list[0].Start {
		return 0
	}
	i, _ := slices.BinarySearchFunc(ps.list, start, func(p *Pane, start int64) int { return cmp.Compare(p.Start, start) })
	return i
}
