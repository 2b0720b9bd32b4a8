package geo

import (
	"math/bits"
	"slices"
)

// gathering sums disks where the frame does not unfold, as about two pentagons: it walks from each source to the rows around
// it, over a graph of neighbours that it keeps from pane to pane.
type gathering struct {
	frame   *Frame
	rings   []int
	ids     map[Cell]int32
	cells   []Cell
	around  [][6]int32 // neighbours; −1: a pentagon's sixth
	known   []bool     // whether around is filled
	own     []bool
	walk    breadth
	words   int
	shown   int
	sources []int32
	row     []int32  // by cell: row + 1
	found   []Cell   // the rows
	sums    []uint64 // (row·rings + ring)·words + word
	scratch []Cell
}

// breadth is what a walk in the order of distance needs: the walk that last met each cell, and those
// met, nearest first.
type breadth struct {
	met     []uint32
	current uint32
	queue   []int32
}

func newGathering(f *Frame, rings []int) *gathering {
	return &gathering{frame: f, rings: rings, ids: map[Cell]int32{}}
}

// id numbers a cell.
func (g *gathering) id(c Cell) int32 {
	if id, ok := g.ids[c]; ok {
		return id
	}
	id := int32(len(g.cells))
	_, own := g.frame.Rank(c)
	g.ids[c] = id
	g.cells = append(g.cells, c)
	g.around = append(g.around, [6]int32{})
	g.known = append(g.known, false)
	g.own = append(g.own, own)
	g.row = append(g.row, 0)
	g.walk.met = append(g.walk.met, 0)
	return id
}

// learn fills the neighbours of a cell in.
func (g *gathering) learn(id int32) {
	g.scratch = g.cells[id].Neighbors(g.scratch[:0])
	around := [6]int32{-1, -1, -1, -1, -1, -1}
	for i, near := range g.scratch {
		around[i] = g.id(near)
	}
	g.around[id] = around
	g.known[id] = true
}

// visit calls at for every cell within the widest ring of a cell, with the index of the smallest ring
// that holds it.
func (g *gathering) visit(from int32, at func(id int32, ring int)) {
	w := &g.walk
	w.current++
	w.met[from] = w.current
	w.queue = append(w.queue[:0], from)
	start := 0
	for ring, distance := 0, 0; ; distance++ {
		if distance > g.rings[ring] {
			ring++
		}
		end := len(w.queue)
		for _, id := range w.queue[start:end] {
			at(id, ring)
		}
		if distance == g.rings[len(g.rings)-1] {
			return
		}
		for i := start; i < end; i++ {
			g.step(w.queue[i])
		}
		start = end
	}
}

// step queues the neighbours of a cell that the walk has not met.
func (g *gathering) step(id int32) {
	if !g.known[id] {
		g.learn(id)
	}
	w := &g.walk
	for _, near := range g.around[id] {
		if near >= 0 && w.met[near] != w.current {
			w.met[near] = w.current
			w.queue = append(w.queue, near)
		}
	}
}

// load notes the sources and forgets the rows.
func (g *gathering) load(s Sources) {
	g.words, g.shown = s.Words, s.Shown
	for _, c := range g.found {
		g.row[g.ids[c]] = 0
	}
	g.found, g.sums, g.sources = g.found[:0], g.sums[:0], g.sources[:0]
	for _, at := range s.At {
		g.sources = append(g.sources, g.id(gathered(at)))
	}
}

// addRow makes a cell a row, its sums 0.
func (g *gathering) addRow(id int32) {
	g.found = append(g.found, g.cells[id])
	g.row[id] = int32(len(g.found))
}

func (g *gathering) near(s Sources, e Exists) {
	g.load(s)
	for _, source := range g.sources {
		g.visit(source, func(id int32, _ int) {
			if g.own[id] && g.row[id] == 0 {
				g.addRow(id)
			}
		})
	}
	slices.Sort(g.found)
	g.number()
	g.scatter(s)
	g.keep(e)
}

func (g *gathering) at(s Sources, own []Cell) {
	g.load(s)
	for _, c := range own {
		g.addRow(g.id(c))
	}
	g.scatter(s)
}

// number gives the rows their numbers again.
func (g *gathering) number() {
	for i, c := range g.found {
		g.row[g.ids[c]] = int32(i) + 1
	}
}

// scatter adds each source to the rows around it.
func (g *gathering) scatter(s Sources) {
	width := len(g.rings) * g.words
	g.sums = slices.Grow(g.sums, len(g.found)*width)[:len(g.found)*width]
	clear(g.sums)
	for i, source := range g.sources {
		values := s.Values[i*g.words : (i+1)*g.words]
		g.visit(source, func(id int32, ring int) {
			row := int(g.row[id]) - 1
			if row < 0 {
				return
			}
			sums := g.sums[row*width+ring*g.words:][:g.words]
			for w, v := range values {
				sums[w] += v
			}
		})
	}
	// So far each ring holds what no smaller one does.
	for row := range g.found {
		sums := g.sums[row*width : (row+1)*width]
		for i := g.words; i < width; i++ {
			sums[i] += sums[i-g.words]
		}
	}
}

// keep drops the rows for which the sum that e names is 0.
func (g *gathering) keep(e Exists) {
	width := len(g.rings) * g.words
	kept := 0
	for row, c := range g.found {
		sums := g.sums[row*width : (row+1)*width]
		if sums[width-g.words+e.Word]&e.Mask == 0 {
			g.row[g.ids[c]] = 0
			continue
		}
		g.found[kept] = c
		copy(g.sums[kept*width:], sums)
		kept++
	}
	g.found, g.sums = g.found[:kept], g.sums[:kept*width]
	g.number()
}

func (g *gathering) rows() []Cell { return g.found }

// rest: a gathering borrows nothing.
func (g *gathering) rest() bool { return false }

func (g *gathering) fill(b *Block, first int) {
	b.shape(len(g.rings), g.shown)
	width := len(g.rings) * g.words
	for i := range b.Cells {
		sums := g.sums[(first+i)*width:]
		for ring := range g.rings {
			for w := range g.shown {
				b.Column(ring, w)[i] = sums[ring*g.words+w]
			}
		}
	}
}

func (g *gathering) fold(fold func(row, ring, source int)) {
	for i, source := range g.sources {
		g.visit(source, func(id int32, ring int) {
			if row := g.row[id]; row > 0 {
				fold(int(row)-1, ring, i)
			}
		})
	}
}

// Gather visits every cell within the widest of the rings (ascending) of a valid cell once, nearest
// first, with the index of the smallest ring that holds it: the disks of one cell, anywhere on earth.
func Gather(c Cell, rings []int, visit func(ring int, near Cell)) {
	if len(rings) == 0 {
		return
	}
	var fewCells [32]Cell
	var fewMet [64]Cell
	var around [6]Cell
	cells, met := append(fewCells[:0], c), cellSet(fewMet[:])
	met.add(c)
	start, last := 0, rings[len(rings)-1]
	for ring, distance := 0, 0; ; distance++ {
		if distance > rings[ring] {
			ring++
		}
		end := len(cells)
		for _, near := range cells[start:end] {
			visit(ring, near)
		}
		if distance == last || start == end {
			return
		}
		if room := end + 6*(distance+1); 2*room > len(met) {
			met = newCellSet(room, cells)
		}
		for i := start; i < end; i++ {
			for _, near := range cells[i].Neighbors(around[:0]) {
				if met.add(near) {
					cells = append(cells, near)
				}
			}
		}
		start = end
	}
}

// cellSet is an open-addressed set of cells, a power of two long and at most half full; 0 is no cell.
type cellSet []Cell

// newCellSet makes a set with room for so many cells and more, holding those given.
func newCellSet(room int, cells []Cell) cellSet {
	s := make(cellSet, 1<<bits.Len(uint(8*room)))
	for _, c := range cells {
		s.add(c)
	}
	return s
}

// add reports whether the cell was not in the set before.
func (s cellSet) add(c Cell) bool {
	mask := uint64(len(s) - 1)
	for i := c.Hash() >> 32; ; i++ {
		switch s[i&mask] {
		case 0:
			s[i&mask] = c
			return true
		case c:
			return false
		}
	}
}
