package geo

import (
	"slices"
	"sort"
)

// leaves are the small blocks of cells (49 where the grid is fine enough) in which the own cells of a
// frame are visited in ascending order: the offsets from the block's centre, turned all six ways.
type leaves struct {
	radius int // of a block
	spots  [6][]Spot
	bits   []Cell // what each cell of the block adds to the index of the block's first
}

// leafLevels is how many resolutions a block spans.
const leafLevels = 2

func newLeaves(f *Frame) leaves {
	depth := min(leafLevels, f.depth)
	l := leaves{radius: innerRadius(depth)}
	origin := descendant(f.charts[0].cell, f.coarse, f.depth, 0)
	for i, s := range f.inner[:power7(depth)] {
		for turns := range l.spots {
			l.spots[turns] = append(l.spots[turns], s.turn(uint8(turns)))
		}
		l.bits = append(l.bits, descendant(f.charts[0].cell, f.coarse, f.depth, i)^origin)
	}
	return l
}

// found are the rows of a pane, on an unfolded frame.
type found struct {
	cells []Cell
	at    []int32 // index of the row's spot
	runs  []rowRun
}

// rowRun is a run of rows of one cluster (-1: of none), up to the next one's first row.
type rowRun struct {
	first int
	group int32
}

func (f *found) reset() {
	f.cells, f.at, f.runs = f.cells[:0], f.at[:0], f.runs[:0]
}

func (f *found) add(c Cell, group int32, index int) {
	if n := len(f.runs); n == 0 || f.runs[n-1].group != group {
		f.runs = append(f.runs, rowRun{len(f.cells), group})
	}
	f.cells = append(f.cells, c)
	f.at = append(f.at, int32(index))
}

// run is the run that a row is in, and the row after its last.
func (f *found) run(row int) (rowRun, int) {
	next := sort.Search(len(f.runs), func(i int) bool { return f.runs[i].first > row })
	if next == len(f.runs) {
		return f.runs[next-1], len(f.cells)
	}
	return f.runs[next-1], f.runs[next].first
}

// find makes every own cell a row for which the sum that e names is not 0, in ascending order: chart
// by chart, block by block, leaving out those with no source near.
func (c *cones) find(e Exists) {
	f := c.frame
	size := len(c.leaves.bits)
	reach := int32(innerRadius(f.depth) + c.widest)
	for i := range f.charts[:f.own] {
		ch := &f.charts[i]
		if !c.groups.any(ch.at, reach) {
			continue
		}
		for block := 0; block < len(f.inner); block += size {
			centre := ch.at.plus(f.inner[block].turn(ch.turns))
			if group := c.groups.near(centre); group >= 0 {
				first := descendant(ch.cell, f.coarse, f.depth, block)
				c.findBlock(group, centre, c.leaves.spots[ch.turns], first, e)
			}
		}
	}
}

// findBlock is find for the cells of one block, which all can meet the sources of one cluster only.
func (c *cones) findBlock(group int32, centre Spot, leaves []Spot, first Cell, e Exists) {
	p := &c.planes[group]
	o := p.corners(c.widest).times(c.words)
	for i, leaf := range leaves {
		at := centre.plus(leaf)
		if !p.reach.holds(at) {
			continue
		}
		index := p.index(at)
		if c.sum(index*c.words+e.Word, o)&e.Mask != 0 {
			c.found.add(first|c.leaves.bits[i], group, index)
		}
	}
}

// diskSpot is a spot of a disk about the origin, with the index of the smallest ring that holds it.
type diskSpot struct {
	at   Spot
	ring int
}

// diskSpots are the spots of the widest ring's disk.
func diskSpots(rings []int) []diskSpot {
	var spots []diskSpot
	k := int32(rings[len(rings)-1])
	for y := -k; y <= k; y++ {
		for x := max(-k, y-k); x <= min(k, y+k); x++ {
			s := Spot{x, y}
			ring, _ := slices.BinarySearch(rings, s.distance())
			spots = append(spots, diskSpot{s, ring})
		}
	}
	return spots
}

// fold goes from each source to the rows about it, through a grid of row numbers.
func (c *cones) fold(fold func(row, ring, source int)) {
	if c.disk == nil {
		c.disk = diskSpots(c.rings)
	}
	spots := len(c.a) / max(c.words, 1)
	c.rowAt = slices.Grow(c.rowAt[:0], spots)[:spots]
	clear(c.rowAt)
	for start := 0; start < len(c.found.cells); {
		run, end := c.found.run(start)
		for row := start; row < end && run.group >= 0; row++ {
			c.rowAt[c.found.at[row]] = int32(row) + 1
		}
		start = end
	}
	for source, s := range c.sources {
		p := &c.planes[c.groups.of(s)]
		for _, d := range c.disk {
			if row := c.rowAt[p.index(s.plus(d.at))]; row > 0 {
				fold(int(row)-1, d.ring, source)
			}
		}
	}
}
