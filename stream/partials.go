package stream

import (
	"math/bits"
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
)

// accumulation merges events into partials: a table a pane, held until its pane
// is passed on.
//
// Invariant: panes ascend by their start and are not empty.
type accumulation struct {
	measures []aggregate.Measure
	length   int64 // of a pane, µs
	panes    []*paneTable
	last     *paneTable
	free     []*paneTable
	rows     []int32 // of the run being added
}

// events are accepted events in columns, as the accumulation takes them.
type events struct {
	times []int64
	cells []geo.Cell
	// contributions has a column a measure: what each event adds or compares, the
	// measure's identity where it adds nothing; nil: each event counts 1.
	contributions [][]int64
}

// identity is the contribution that changes nothing.
func identity(k aggregate.MeasureKind) int64 {
	if k == aggregate.Sum {
		return 0
	}
	return aggregate.None(k)
}

// add merges events, in runs of one pane each.
func (a *accumulation) add(e *events) {
	a.rows = resize(a.rows, len(e.times))
	for from := 0; from < len(e.times); {
		p := a.at(e.times[from])
		to := from + 1
		for to < len(e.times) && uint64(e.times[to]-p.start) < uint64(a.length) {
			to++
		}
		p.find(a.rows[from:to], e.cells[from:to], a.measures)
		for m := range a.measures {
			var run []int64
			if c := e.contributions[m]; c != nil {
				run = c[from:to]
			}
			p.columns[m].merge(a.measures[m].Kind, a.rows[from:to], run)
		}
		from = to
	}
}

// at is the table of the pane that holds an event time.
func (a *accumulation) at(t int64) *paneTable {
	if p := a.last; p != nil && t >= p.start && t-p.start < a.length {
		return p
	}
	start := floor(t, a.length)
	i, found := slices.BinarySearchFunc(a.panes, start, func(p *paneTable, start int64) int {
		switch {
		case p.start < start:
			return -1
		case p.start > start:
			return 1
		}
		return 0
	})
	if !found {
		a.panes = slices.Insert(a.panes, i, a.fresh(start))
	}
	a.last = a.panes[i]
	return a.last
}

func (a *accumulation) fresh(start int64) *paneTable {
	n := len(a.free)
	if n == 0 {
		return newPaneTable(start, len(a.measures))
	}
	p := a.free[n-1]
	a.free = a.free[:n-1]
	p.start = start
	return p
}

// closed counts the tables, from the oldest, whose panes end at or before a watermark.
func (a *accumulation) closed(watermark int64) int {
	n := 0
	for n < len(a.panes) && a.panes[n].start <= less(watermark, a.length) {
		n++
	}
	return n
}

// drop empties the oldest n tables. As many are used again as a backlog's batch
// may fill at once.
func (a *accumulation) drop(n int) {
	const keptTables = 64
	for _, p := range a.panes[:n] {
		if len(a.free) < keptTables {
			p.reset()
			a.free = append(a.free, p)
		}
	}
	a.panes = slices.Delete(a.panes, 0, n)
	a.last = nil
}

// paneTable holds the partials of one pane: an open-addressed table of cells
// over dense columns.
//
// Invariant: a slot holds 0 or the position of a cell in known; at most half of the
// slots are taken; every cell is in known once, from position 1 on. Row r is that of
// known[r+1].
type paneTable struct {
	start   int64 // µs
	slots   []uint32
	shift   uint       // 64 − log2 of the slots
	known   []geo.Cell // at 0 the one that is looked for
	columns []measureSums
}

const paneSlots = 16 // of a new table

func newPaneTable(start int64, measures int) *paneTable {
	return &paneTable{
		start: start, slots: make([]uint32, paneSlots), shift: 64 - uint(bits.TrailingZeros(paneSlots)),
		known: make([]geo.Cell, 1), columns: make([]measureSums, measures),
	}
}

func (p *paneTable) reset() {
	clear(p.slots)
	p.known = p.known[:1]
	for i := range p.columns {
		p.columns[i].lo, p.columns[i].hi = p.columns[i].lo[:0], nil
	}
}

// cells are the cells of the rows.
func (p *paneTable) cells() []geo.Cell { return p.known[1:] }

// find finds the rows of cells, and adds those that are missing, of identities.
func (p *paneTable) find(rows []int32, cells []geo.Cell, measures []aggregate.Measure) {
	const together = 256 // as many may be new before there is room for others
	for from := 0; from < len(cells); from += together {
		to := min(from+together, len(cells))
		p.reserve(to - from)
		p.search(rows[from:to], cells[from:to])
	}
	for m := range p.columns {
		p.columns[m].grow(measures[m].Kind, len(p.known)-1)
	}
}

// search finds the rows of cells for which there is room. Whether a cell is new is a
// matter of chance, so nothing branches on it: the cell that is looked for lies at 0,
// where an empty slot leads too, and each is written to where the next new one belongs.
func (p *paneTable) search(rows []int32, cells []geo.Cell) {
	known, slots, shift := p.known[:cap(p.known)], p.slots, p.shift&63
	mask := uint64(len(slots) - 1)
	next := uint32(len(p.known))
	for n, c := range cells {
		known[0], known[next] = c, c
		at := c.Hash() >> shift
		r := slots[at&mask]
		for known[r] != c {
			at++
			r = slots[at&mask]
		}
		if r == 0 {
			r = next
		}
		slots[at&mask] = r
		rows[n] = int32(r) - 1
		if r == next {
			next++
		}
	}
	p.known = known[:next]
}

// reserve makes room for so many cells, and one that is not there.
func (p *paneTable) reserve(more int) {
	need := len(p.known) + more
	p.known = slices.Grow(p.known, more+1)
	if 2*need <= len(p.slots) {
		return
	}
	for 2*need > len(p.slots) {
		p.slots = make([]uint32, 4*len(p.slots))
		p.shift -= 2
	}
	mask := uint64(len(p.slots) - 1)
	for r := 1; r < len(p.known); r++ {
		at := p.known[r].Hash() >> p.shift
		for p.slots[at] != 0 {
			at = (at + 1) & mask
		}
		p.slots[at] = uint32(r)
	}
}

// measureSums is one measure of a table's cells, as in aggregate.MeasureColumn.
type measureSums struct {
	lo []uint64
	hi []int64 // nil while every sum fits 64 bits
}

// grow adds identities, up to n rows.
func (s *measureSums) grow(k aggregate.MeasureKind, n int) {
	none := uint64(identity(k))
	old := len(s.lo)
	s.lo = slices.Grow(s.lo, n-old)[:n]
	for i := old; i < n; i++ {
		s.lo[i] = none
	}
	if s.hi != nil {
		s.hi = slices.Grow(s.hi, n-old)[:n]
		clear(s.hi[old:])
	}
}

// merge merges a run of contributions into the rows they belong to.
func (s *measureSums) merge(k aggregate.MeasureKind, rows []int32, contributions []int64) {
	lo := s.lo
	switch {
	case k == aggregate.Min:
		for n, r := range rows {
			lo[r] = uint64(min(int64(lo[r]), contributions[n]))
		}
	case k == aggregate.Max:
		for n, r := range rows {
			lo[r] = uint64(max(int64(lo[r]), contributions[n]))
		}
	case contributions == nil && s.hi == nil: // fewer than 2^63 events
		for _, r := range rows {
			lo[r]++
		}
	default:
		s.sum(rows, contributions)
	}
}

// sum adds contributions in 64 bits up to the first sum that does not fit, from
// there on in 128.
func (s *measureSums) sum(rows []int32, contributions []int64) {
	n := 0
	for ; s.hi == nil && n < len(rows); n++ {
		a, b := int64(s.lo[rows[n]]), contributions[n]
		c := a + b
		if (a^c)&(b^c) < 0 {
			s.widen()
			break
		}
		s.lo[rows[n]] = uint64(c)
	}
	for ; n < len(rows); n++ {
		r := rows[n]
		v := exact.Int128{Hi: s.hi[r], Lo: s.lo[r]}.Add(exact.FromInt64(contributions[n]))
		s.hi[r], s.lo[r] = v.Hi, v.Lo
	}
}

func (s *measureSums) widen() {
	s.hi = make([]int64, len(s.lo))
	for i, lo := range s.lo {
		s.hi[i] = int64(lo) >> 63
	}
}
