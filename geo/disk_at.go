package geo

// at makes given cells the rows.
//
// Few rows may stand on wide ground, so the planes hold no margin for loads: only sources and rows.
// Beyond the plane a cone holds what it holds at the nearest spot from which it sees the same of it:
//
//	A   the spot straight left of it, or below, on the plane's edge
//	B   beyond the right edge: back along Z to that edge
//	C   above the upper edge: back along Z to that edge
//
// and below or left of the plane it is empty.
func (c *cones) at(s Sources, own []Cell) {
	c.shown = s.Shown
	c.mirror(s.At)
	c.groups.split(c.sources, 2)
	c.planes, c.given = c.planes[:0], c.given[:0]
	for i := range c.groups.boxes {
		b := &c.groups.boxes[i]
		c.planes = append(c.planes, plane{sources: b.low, reach: b.widened(int32(c.widest))})
	}
	c.found.reset()
	c.pairs.rows = zeros(c.pairs.rows, len(c.planes))
	f := c.frame
	var last cursor
	for _, cell := range own {
		at := f.spot(&f.charts[f.chartOf(cell, &last)], digitsBelow(cell, f.coarse, f.depth))
		group := c.groups.near(at)
		if group >= 0 && !c.planes[group].reach.holds(at) {
			group = -1
		}
		if group >= 0 {
			c.groups.boxes[group].hold(at)
			c.pairs.rows[group]++
		}
		c.given = append(c.given, at)
		c.found.add(cell, group, 0)
	}
	for i := range c.planes {
		c.planes[i].hold(c.groups.boxes[i])
	}
	c.choose(s)
	c.raise(s)
}

// fillGiven writes the sums over one ring about given spots into the columns, from row `from` on.
func (c *cones) fillGiven(columns [][]uint64, at []Spot, from int, p *plane, k int) {
	for i, s := range at {
		o := p.within(s, int32(k))
		for w, column := range columns {
			column[from+i] = c.grids.sum(0, w, o)
		}
	}
}

// within are the spots of the six loads of a disk about a spot of the plane, none of them beyond it.
func (p *plane) within(s Spot, k int32) corners {
	x, y := s.X-p.low.X, s.Y-p.low.Y
	left, below := max(x-k-1, 0), max(y-k-1, 0)
	right, above := min(x+k, p.stride-1), min(y+k, p.height-1)
	beyondRight, beyondTop := x+k-right, y+k-above
	first, row := p.first, int(p.stride)
	return corners{
		a0: first + int(below)*row + int(left),
		a1: first + int(above)*row + int(right),
		b0: first + int(y-1)*row + int(left),
		b1: first + int(max(y-1-beyondRight, 0))*row + int(right),
		c0: first + int(below)*row + int(x-1),
		c1: first + int(above)*row + int(max(x-1-beyondTop, 0)),
	}
}
