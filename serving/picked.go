package serving

import (
	"cmp"
	"slices"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// picked are rows taken out of a store: under its lock only their places are
// noted, and answers are made from them without it. The frontiers are those from
// before the rows, so that no row that has changed since is called final.
type picked struct {
	rows     []row
	at       *frontiers
	complete bool // a cell without a row has none
}

// row is a cell and the place of a row of it; where there is none, that has no block.
type row struct {
	cell geo.Cell
	place
}

// begin starts picking, under the store's lock.
func (s *Store) begin(n int) *picked {
	return &picked{rows: make([]row, 0, n), at: s.frontiers, complete: s.complete}
}

// newest picks the newest row of each of some cells.
func (s *Store) newest(cells []geo.Cell) *picked {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := s.begin(len(cells))
	for _, cell := range cells {
		p.rows = append(p.rows, row{cell, s.latest[cell]})
	}
	return p
}

// Cells are those with a row, ascending.
func (s *Store) Cells() []geo.Cell {
	s.mu.RLock()
	cells := make([]geo.Cell, 0, len(s.latest))
	for cell := range s.latest {
		cells = append(cells, cell)
		if len(cells)%pickAtOnce == 0 {
			s.mu.RUnlock()
			s.mu.RLock()
		}
	}
	s.mu.RUnlock()
	slices.Sort(cells)
	return cells
}

// Newest visits the newest row of each of some cells that has one. The block is
// the visitor's until it returns.
func (s *Store) Newest(cells []geo.Cell, visit func(rows *stream.Rows, row int)) {
	var columns []column.Vector // memory
	for _, r := range s.newest(cells).rows {
		if r.block == nil {
			continue
		}
		for i := range columns {
			columns[i].Reset()
		}
		rows := like(r.block.head)
		rows.Columns = columns
		r.block.unpack(r.row, rows)
		columns = rows.Columns
		visit(rows, 0)
	}
}

// Complete tells whether the store has been told of every row since a restart.
func (s *Store) Complete() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.complete
}

// pickAtOnce is how many cells a reader of all looks at before it lets the
// writer in.
const pickAtOnce = 4096

// current picks the newest rows of a resolution within a cell (0: everywhere)
// that are not markers, ascending by cell.
func (s *Store) current(resolution int, within geo.Cell) *picked {
	p := s.pickCurrent(resolution, within)
	slices.SortFunc(p.rows, func(a, b row) int { return cmp.Compare(a.cell, b.cell) })
	return p
}

func (s *Store) pickCurrent(resolution int, within geo.Cell) *picked {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, seen := s.begin(0), 0
	for cell, at := range s.latest {
		if head := at.block.head; !head.Empty && head.Resolution == resolution && below(cell, within) {
			p.rows = append(p.rows, row{cell, at})
		}
		if seen++; seen%pickAtOnce == 0 { // what the map becomes meanwhile, the loop goes on with
			s.mu.RUnlock()
			s.mu.RLock()
		}
	}
	return p
}

// history picks the rows of a cell with window ends in (from, to], oldest first.
func (s *Store) history(cell geo.Cell, from, to int64) *picked {
	s.mu.RLock()
	p := s.begin(0)
	s.mu.RUnlock()
	for more := true; more; {
		from, more = s.pickAfter(p, cell, from, to)
	}
	return p
}

// pickAfter picks a cell's row of the first pane in (from, to], if it has one.
func (s *Store) pickAfter(p *picked, cell geo.Cell, from, to int64) (end int64, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	next := s.after(from)
	if next == nil || next.end > to {
		return to, false
	}
	if at, found := next.find(cell); found {
		p.rows = append(p.rows, row{cell, at})
	}
	return next.end, true
}

// after is the first pane with a later window end; nil: none.
func (s *Store) after(end int64) *pane {
	i, _ := slices.BinarySearchFunc(s.panes, end, func(p *pane, end int64) int {
		if p.end <= end {
			return -1
		}
		return 1
	})
	if i == len(s.panes) {
		return nil
	}
	return s.panes[i]
}

// find returns the newest revision of a cell's row in a pane.
func (p *pane) find(cell geo.Cell) (best place, found bool) {
	for _, b := range p.blocks {
		if row, is := b.find(cell); is && (!found || !newer(best.block, b)) {
			best, found = place{b, row}, true
		}
	}
	return best, found
}

// blocksAfter are the blocks of the first pane in (from, to]; none: there is no
// such pane.
func (s *Store) blocksAfter(from, to int64) (blocks []*block, end int64, at *frontiers) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	next := s.after(from)
	if next == nil || next.end > to {
		return nil, to, s.frontiers
	}
	return next.blocks, next.end, s.frontiers // blocks may come after these, and change none
}

// collect gathers the newest revision of each row of a pane's blocks whose
// resolution is wanted, ascending by cell.
func collect(blocks []*block, resolution int) (rows []row) {
	for _, b := range slices.Backward(blocks) { // of equal ones the last to come
		if b.head.Resolution != resolution {
			continue
		}
		for i := range b.len() {
			rows = append(rows, row{b.cell(i), place{b, i}})
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.cell, b.cell), cmp.Compare(b.block.head.Revision, a.block.head.Revision))
	})
	return slices.CompactFunc(rows, func(a, b row) bool { return a.cell == b.cell })
}
