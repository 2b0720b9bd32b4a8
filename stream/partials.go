package stream

import (
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

// paneTable holds the partials of one pane, in columns.
type paneTable struct {
	start   int64             // µs
	rows    numbers[geo.Cell] // of cells
	columns []measureSums
}

func newPaneTable(start int64, measures int) *paneTable {
	return &paneTable{start: start, rows: newNumbers[geo.Cell](), columns: make([]measureSums, measures)}
}

func (p *paneTable) reset() {
	p.rows.reset()
	for i := range p.columns {
		p.columns[i].lo, p.columns[i].hi = p.columns[i].lo[:0], nil
	}
}

// cells are the cells of the rows.
func (p *paneTable) cells() []geo.Cell { return p.rows.words() }

// find finds the rows of cells, and adds those that are missing, of identities.
func (p *paneTable) find(rows []int32, cells []geo.Cell, measures []aggregate.Measure) {
	p.rows.of(rows, cells)
	for m := range p.columns {
		p.columns[m].grow(measures[m].Kind, len(p.cells()))
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
