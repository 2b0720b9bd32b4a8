package models

import (
	"slices"

	"github.com/hextide/hextide/geo"
)

// parents numbers the parents of a city's cells and holds their sums of one window. The numbers are of
// no account: each parent's sums run over its own cells, ascending.
type parents struct {
	number map[geo.Cell]int32
	sums   []parentSum
}

// parentSum is what a parent's cells add up to.
type parentSum struct {
	rate   float64 // p_π
	came   float64 // Σ α
	factor float64 // q_π / p_π
}

func newParents() parents { return parents{number: map[geo.Cell]int32{}} }

// of is the number of a cell's parent at a resolution.
func (p *parents) of(cell geo.Cell, resolution int) int32 {
	parent, err := cell.Parent(resolution)
	if err != nil {
		parent = cell // no cell of the model's resolution: a parent of its own
	}
	number, known := p.number[parent]
	if !known {
		number = int32(len(p.sums))
		p.number[parent] = number
		p.sums = append(p.sums, parentSum{})
	}
	return number
}

func (p *parents) clear() { clear(p.sums) }

// join takes the unknown ones among the cells in, each as one that was always there and silent.
func (d *Demand) join(cells []geo.Cell, unknown int) {
	before := len(d.cells)
	joined, joining := make([]geo.Cell, 0, unknown), make([]int32, 0, unknown)
	known := 0
	for _, cell := range cells {
		for known < before && d.cells[known] < cell {
			known++
		}
		if known == before || d.cells[known] != cell {
			joined = append(joined, cell)
			joining = append(joining, int32(known))
		}
	}
	d.renumber(joining)
	d.grow(before + len(joined))
	for from, to, next := before-1, len(d.cells)-1, len(joined)-1; next >= 0; to-- {
		if from >= 0 && d.cells[from] > joined[next] {
			d.cells[to], d.states[to] = d.cells[from], d.states[from]
			from--
			continue
		}
		d.cells[to] = joined[next]
		d.states[to] = newCellState(d.clock, int32(before+next))
		d.states[to].parent = d.parents.of(joined[next], d.options.Parent)
		next--
	}
	d.linkAll(joined)
}

// renumber moves the neighbours' positions up by the number of cells that join before them: joining
// holds, ascending, the position before which each joins.
func (d *Demand) renumber(joining []int32) {
	for c := range d.states {
		state := &d.states[c]
		for i, n := range state.neighbours[:state.degree] {
			lower, _ := slices.BinarySearch(joining, n+1)
			state.neighbours[i] = n + int32(lower)
		}
	}
}

// grow makes room for n cells.
func (d *Demand) grow(n int) {
	d.cells = slices.Grow(d.cells, n-len(d.cells))[:n]
	d.states = slices.Grow(d.states, n-len(d.states))[:n]
	d.counts = slices.Grow(d.counts, n-len(d.counts))[:n]
	d.ahead = slices.Grow(d.ahead, n-len(d.ahead))[:n]
}

// linkAll makes neighbours of new cells and those that they touch.
func (d *Demand) linkAll(joined []geo.Cell) {
	var touching [6]geo.Cell
	for _, cell := range joined {
		c, _ := slices.BinarySearch(d.cells, cell)
		for _, near := range cell.Neighbors(touching[:0]) {
			if n, known := slices.BinarySearch(d.cells, near); known {
				d.states[c].link(int32(n))
				d.states[n].link(int32(c))
			}
		}
	}
}

// link adds a neighbour, once, in ascending order.
func (s *cellState) link(n int32) {
	links := s.neighbours[:s.degree]
	at, known := slices.BinarySearch(links, n)
	if known || int(s.degree) == len(s.neighbours) {
		return
	}
	copy(s.neighbours[at+1:s.degree+1], links[at:])
	s.neighbours[at] = n
	s.degree++
}
