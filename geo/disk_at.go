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
	for _, cell := range own {
		at, _ := c.frame.Position(cell)
		group := c.groups.near(at)
		if group >= 0 && !c.planes[group].reach.holds(at) {
			group = -1
		}
		if group >= 0 {
			c.groups.boxes[group].hold(at)
		}
		c.given = append(c.given, at)
		c.found.add(cell, group, 0)
	}
	for i := range c.planes {
		c.planes[i].hold(c.groups.boxes[i])
	}
	c.raise(s)
}

// fillGiven writes the sums over one ring about given spots into the columns, from row `from` on.
func (c *cones) fillGiven(columns [][]uint64, at []Spot, from int, p *plane, k int) {
	g := &c.grids
	for i, s := range at {
		o := p.within(s, int32(k))
		for w, column := range columns {
			layer, w := w/2*g.spots, w&1
			column[from+i] = g.a[layer+o.a0][w] + g.a[layer+o.a1][w] - g.b[layer+o.b0][w] -
				g.b[layer+o.b1][w] - g.c[layer+o.c0][w] - g.c[layer+o.c1][w]
		}
	}
}

// within are the indices of the six loads of a disk about a spot of the plane, none of them beyond it.
func (p *plane) within(s Spot, k int32) corners {
	x, y := s.X-p.low.X, s.Y-p.low.Y
	left, below := max(x-k-1, 0), max(y-k-1, 0)
	right, above := min(x+k, p.stride-1), min(y+k, p.height-1)
	beyondRight, beyondTop := x+k-right, y+k-above
	at := func(x, y int32) int { return p.first + int(y)*int(p.stride) + int(x) }
	return corners{
		a0: at(left, below),
		a1: at(right, above),
		b0: at(left, y-1),
		b1: at(right, max(y-1-beyondRight, 0)),
		c0: at(x-1, below),
		c1: at(max(x-1-beyondTop, 0), above),
	}
}
