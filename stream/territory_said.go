package stream

import (
	"cmp"
	"slices"

	"github.com/hextide/hextide/geo"
	"github.com/zeebo/xxh3"
)

// said is what provisional rows told at one window end: what a final close
// compares with, to tell again only what has changed.
//
// Invariant: rows and markers ascend by cell.
type said struct {
	end    int64 // µs
	born   int64 // version of the shard; 0: restored
	levels []saidLevel
}

// saidLevel is a said's part at one resolution.
type saidLevel struct {
	rows    []saidRow
	markers []geo.Cell
}

// saidRow is one row: the hash of its record, and whether anything is in it.
type saidRow struct {
	cell geo.Cell
	hash xxh3.Uint128
	live bool
}

// saidList holds what was said since the final close.
//
// Invariant: list ascends by end.
type saidList struct {
	list  []*said
	spare []*said
}

// begin makes the place for what is said at a window end, later than all before.
// It changes no more once its pane is closed.
func (l *saidList) begin(end, version int64, levels int) *said {
	s := &said{levels: make([]saidLevel, levels)}
	if n := len(l.spare); n > 0 {
		s, l.spare = l.spare[n-1], l.spare[:n-1]
	}
	s.end, s.born = end, version
	for i := range s.levels {
		s.levels[i].rows, s.levels[i].markers = s.levels[i].rows[:0], s.levels[i].markers[:0]
	}
	l.list = append(l.list, s)
	return s
}

// at is what was said at a window end; nil: nothing.
func (l *saidList) at(end int64) *said {
	i, found := slices.BinarySearchFunc(l.list, end, func(s *said, end int64) int { return cmp.Compare(s.end, end) })
	if !found {
		return nil
	}
	return l.list[i]
}

// until is what was said at or before a window end.
func (l *saidList) until(end int64) []*said {
	n := 0
	for n < len(l.list) && l.list[n].end <= end {
		n++
	}
	return l.list[:n]
}

// drop forgets what was said at or before a window end.
func (l *saidList) drop(end int64) {
	if n := len(l.until(end)); n > 0 {
		l.spare = append(l.spare, l.list[:n]...)
		l.list = slices.Delete(l.list, 0, n)
	}
}

// live appends the cells whose rows had something in them.
func (s *said) live(dst []geo.Cell, level int) []geo.Cell {
	if s == nil {
		return dst
	}
	for _, r := range s.levels[level].rows {
		if r.live {
			dst = append(dst, r.cell)
		}
	}
	return dst
}

// row finds what was said of a cell, searching on from a cursor: cells must be
// asked for in ascending order.
func (s *said) row(level int, cursor *int, c geo.Cell) *saidRow {
	if s == nil {
		return nil
	}
	rows := s.levels[level].rows
	for *cursor < len(rows) && rows[*cursor].cell < c {
		*cursor++
	}
	if *cursor < len(rows) && rows[*cursor].cell == c {
		return &rows[*cursor]
	}
	return nil
}

// marked tells whether a cell was told that its row had ceased.
func (s *said) marked(level int, c geo.Cell) bool {
	if s == nil {
		return false
	}
	_, found := slices.BinarySearch(s.levels[level].markers, c)
	return found
}

func (l *saidLevel) save(w *entryWriter) {
	w.number(uint64(len(l.rows)))
	before := geo.Cell(0)
	for _, r := range l.rows {
		w.number(uint64(r.cell - before))
		before = r.cell
		w.bit(r.live)
		w.fixed(r.hash.Lo)
		w.fixed(r.hash.Hi)
	}
	w.cells(l.markers)
}

func (l *saidLevel) load(r *entryReader) {
	at := geo.Cell(0)
	for n := r.length(18); n > 0; n-- {
		at += geo.Cell(r.number())
		row := saidRow{cell: at, live: r.bit()}
		row.hash = xxh3.Uint128{Lo: r.fixed(), Hi: r.fixed()}
		l.rows = append(l.rows, row)
	}
	l.markers = r.cells()
}
