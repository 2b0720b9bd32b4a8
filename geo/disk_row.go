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
	f.begin(group)
	f.cells = append(f.cells, c)
	f.at = append(f.at, int32(index))
}

// begin lets the rows to come be of a cluster.
func (f *found) begin(group int32) {
	if n := len(f.runs); n == 0 || f.runs[n-1].group != group {
		f.runs = append(f.runs, rowRun{len(f.cells), group})
	}
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
	look := finder{group: -1, word: e.Word, mask: e.Mask}
	for i := range f.charts[:f.own] {
		ch := &f.charts[i]
		if ch.apex > 0 {
			c.findUnrolled(&look, ch)
			continue
		}
		if !c.groups.any(ch.at, reach) {
			continue
		}
		for block := 0; block < len(f.inner); block += size {
			centre := ch.at.plus(f.inner[block].turn(ch.turns))
			if group := c.groups.near(centre); group >= 0 {
				look.at(c, group)
				first := descendant(ch.cell, f.coarse, f.depth, block)
				c.findBlock(&look, centre, c.leaves.spots[ch.turns], c.leaves.bits, first)
			}
		}
	}
}

// findUnrolled is find for a chart of a piece with a pentagon: a block that lies in one wedge as
// elsewhere, others by sevens, and those that do not lie in one wedge cell by cell.
func (c *cones) findUnrolled(look *finder, ch *chart) {
	size, bits := len(c.leaves.bits), c.leaves.bits
	for block := 0; block < len(c.frame.inner); block += size {
		first := descendant(ch.cell, c.frame.coarse, c.frame.depth, block)
		if c.findInWedge(look, ch, block, int32(c.leaves.radius), bits, first) {
			continue
		}
		for i := 0; i < size; i += 7 {
			seven := bits[i:min(i+7, size)]
			if len(seven) == 7 && c.findInWedge(look, ch, block+i, 1, seven, first) {
				continue
			}
			for j := range seven {
				c.findInWedge(look, ch, block+i+j, 0, seven[j:j+1], first)
			}
		}
	}
}

// findInWedge is find for the cells about the one with a number in a chart, as many as there are bits,
// none farther than radius; false if they may lie in two wedges.
func (c *cones) findInWedge(look *finder, ch *chart, number int, radius int32, bits []Cell, first Cell) bool {
	wedge, at, turns := c.frame.unroll(ch, number)
	if radius > 0 && (at.Y < radius || at.X-at.Y <= radius) {
		return false
	}
	if ch.pentagon && leadingDigit(number) == 1 {
		return true // there are no such cells
	}
	centre := c.frame.apexes[ch.apex-1].sheet(wedge).plus(at)
	if group := c.groups.near(centre); group >= 0 {
		look.at(c, group)
		c.findBlock(look, centre, c.leaves.spots[turns][:len(bits)], bits, first)
	}
	return true
}

// finder is what looking for rows about the sources of one cluster needs.
type finder struct {
	group  int32
	run    int32 // the cluster as one of which its rows are filled
	plane  *plane
	near   box // about which a disk one wider than the widest may meet the sources
	word   int // of which the sum is not 0
	mask   uint64
	widest corners
	beyond corners // of one wider
	inner  corners // of one narrower
	core   corners // of one narrower by the radius of a whole block
}

// at goes to another cluster.
func (f *finder) at(c *cones, group int32) {
	if f.group == group {
		return
	}
	f.group, f.run, f.plane = group, group, &c.planes[group]
	if c.aligned {
		f.run = 0
	}
	f.near = f.plane.reach.widened(1)
	f.widest, f.beyond = f.plane.corners(c.widest), f.plane.corners(c.widest+1)
	f.inner, f.core = f.plane.corners(max(c.widest-1, 0)), f.plane.corners(max(c.widest-c.leaves.radius, 0))
}

// findBlock is find for the cells of one block, which all can meet the sources of one cluster only.
//
// Where the disk about the centre that is narrower by the block's radius holds something, all of them
// exist. Else they come in sevens, a centre and its neighbours: where the disk one narrower about that
// holds something, all seven exist; where the disk one wider holds nothing, none of them.
func (c *cones) findBlock(f *finder, centre Spot, leaves []Spot, bits []Cell, first Cell) {
	if len(leaves) == 1 || c.widest == 0 {
		c.findEach(f, centre, leaves, bits, first)
		return
	}
	whole := len(leaves) > 7 && c.widest >= c.leaves.radius && f.near.holds(centre)
	if whole && f.asks(c, centre, &f.core) {
		c.findAll(f, centre, leaves, bits, first)
		return
	}
	for i := 0; i < len(leaves); i += 7 {
		at := centre.plus(leaves[i])
		switch {
		case !f.near.holds(at):
		case f.asks(c, at, &f.inner):
			c.findAll(f, centre, leaves[i:i+7], bits[i:i+7], first)
		case f.asks(c, at, &f.beyond):
			c.findEach(f, centre, leaves[i:i+7], bits[i:i+7], first)
		}
	}
}

// asks reports whether a disk about a spot holds something.
func (f *finder) asks(c *cones, at Spot, disk *corners) bool {
	return c.grids.sum(f.plane.index(at), f.word, *disk)&f.mask != 0
}

// findAll makes rows of all the cells.
func (c *cones) findAll(f *finder, centre Spot, leaves []Spot, bits []Cell, first Cell) {
	x := &c.found
	x.begin(f.run)
	index, stride := f.plane.index(centre), int(f.plane.stride)
	for i, leaf := range leaves {
		x.cells = append(x.cells, first|bits[i])
		x.at = append(x.at, int32(index+int(leaf.Y)*stride+int(leaf.X)))
	}
}

// findEach asks about every cell.
func (c *cones) findEach(f *finder, centre Spot, leaves []Spot, bits []Cell, first Cell) {
	for i, leaf := range leaves {
		at := centre.plus(leaf)
		if !f.plane.reach.holds(at) {
			continue
		}
		if f.asks(c, at, &f.widest) {
			c.found.add(first|bits[i], f.run, f.plane.index(at))
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

// foldScratch is what folding needs.
type foldScratch struct {
	disk  []diskSpot
	rowAt []int32 // row + 1 by spot
}

// fold goes from each source to the rows about it, through a grid of row numbers.
func (c *cones) fold(fold func(row, ring, source int)) {
	x := &c.folding
	if x.disk == nil {
		x.disk = diskSpots(c.rings)
	}
	x.rowAt = slices.Grow(x.rowAt[:0], c.grids.spots)[:c.grids.spots]
	clear(x.rowAt)
	for start := 0; start < len(c.found.cells); {
		run, end := c.found.run(start)
		if run.group >= 0 && c.planes[run.group].sparse {
			c.pairs.fold(c, c.given[start:end], start, &c.planes[run.group], fold)
			start = end
			continue
		}
		for row := start; row < end && run.group >= 0; row++ {
			index := int(c.found.at[row])
			if len(c.given) > 0 {
				index = c.planes[run.group].index(c.given[row])
			}
			x.rowAt[index] = int32(row) + 1
		}
		start = end
	}
	for i, s := range c.sources {
		source := c.source(i)
		p := &c.planes[c.groups.of(s)]
		if p.sparse {
			continue
		}
		for _, d := range x.disk {
			near := s.plus(d.at)
			if !p.holds(near) {
				continue
			}
			if row := x.rowAt[p.index(near)]; row > 0 {
				fold(int(row)-1, d.ring, source)
			}
		}
	}
}
