package geo

// cones sums disks on an unfolded frame at six loads a ring, whatever the ring.
//
// The sum over a polygon is a signed sum over the cones at its corners (Brion's theorem). The disk of
// radius K about p is a hexagon with the corners p±KX, p±KY, p±KZ:
//
//	    p+KY ____ p+KZ
//	       /      \                 X = (1, 0)
//	p−KX  /    p   \  p+KX          Y = (0, 1)
//	      \        /                Z = (1, 1) = X + Y
//	       \______/
//	    p−KZ      p−KY
//
// A cone with apex q holds all spots that q reaches by going backwards along two directions. Three
// grids hold, at each q, the sum over one of its cones (prefix sums):
//
//	A(q): back along X and Y      B(q): back along Y and Z      C(q): back along X and Z
//
// and for every centre p and every K (geo's tests hold it against a plain sum over the hexagon)
//
//	S_K(p) = A(p−(K+1)Z) + A(p+KZ) − B(p−KX−Z) − B(p+KX−Y) − C(p−KY−Z) − C(p+KY−X)
//
// One pass over the rows of the frame builds all three; with g the value at q and r the sum of the
// row up to q:
//
//	A(q) = r + A(q−Y)     C(q) = r + C(q−Z)     B(q) = g + B(q−Y) + B(q−Z) − B(q−Y−Z)
//
// All of it wraps modulo 2^64, and the wraps cancel.
//
// Each cluster of sources has grids of its own, on a plane (disk_plane.go) as wide as loads reach. Where
// the rows are given, planes hold sources and rows alone, and loads beyond them go where the same sum is
// found (disk_at.go); and where so few rows stand on so much ground that grids would not pay, there are
// none (disk_pairs.go).
type cones struct {
	frame   *Frame
	rings   []int
	widest  int
	leaves  leaves
	groups  clusters
	planes  []plane // of each cluster
	aligned bool    // planes have rows of the same length
	shown   int
	grids   borrowed
	found   found
	given   []Spot // the rows' spots, where they were given; else none
	sources []Spot // or their images
	images  images
	pairs   pairs
	folding foldScratch
}

// images are what stands in place of the sources where the frame has pentagons.
type images struct {
	at []Spot
	of []int32 // whose image each is
}

func newCones(f *Frame, rings []int, pool GridPool) *cones {
	widest := rings[len(rings)-1]
	c := &cones{frame: f, rings: rings, widest: widest, leaves: newLeaves(f), grids: newBorrowed(pool), pairs: newPairs(rings)}
	c.groups = newClusters(widest + c.leaves.radius)
	return c
}

// load lays the clusters' planes out and builds the three grids.
func (c *cones) load(s Sources) {
	c.shown = s.Shown
	c.mirror(s.At)
	c.groups.split(c.sources, 2*c.widest+4)
	c.planes, c.given = c.planes[:0], c.given[:0]
	for i := range c.groups.boxes {
		c.planes = append(c.planes, c.wide(&c.groups.boxes[i]))
	}
	c.align()
	c.raise(s)
	if c.aligned {
		c.planes[0].end = c.planes[len(c.planes)-1].end
	}
}

// align gives all planes rows of the same length, where that does not cost much: then the loads of a
// disk are as far apart on all of them, and rows of different clusters are filled together, as if they
// were all of the first.
func (c *cones) align() {
	longest, spots, height := int32(0), 0, 0
	for i := range c.planes {
		p := &c.planes[i]
		longest = max(longest, p.stride)
		height += int(p.height)
		spots += int(p.height) * int(p.stride)
	}
	c.aligned = len(c.planes) > 0 && 4*int(longest)*height <= 5*spots
	for i := range c.planes {
		if c.aligned {
			c.planes[i].stride = longest
		}
	}
}

// wide is the plane of a cluster for whatever rows its sources reach. Those of a pentagon's sheet are in
// the sheet's own wedge.
func (c *cones) wide(b *box) plane {
	p := plane{sources: b.low, reach: b.widened(int32(c.widest))}
	if at, ok := c.frame.apexOf(b); ok {
		p.reach.low = Spot{max(p.reach.low.X, at.X), max(p.reach.low.Y, at.Y)}
	}
	// A disk one wider than the widest about a spot one beyond those is asked for, and its load is one
	// farther; and there is the plane's own margin.
	far := int32(c.widest) + 3
	p.hold(box{
		Spot{min(p.reach.low.X-far, b.low.X), min(p.reach.low.Y-far, b.low.Y)},
		Spot{max(p.reach.high.X+far, b.high.X), max(p.reach.high.Y+far, b.high.Y)},
	})
	return p
}

// raise places the sources' values on the planes and builds the grids.
func (c *cones) raise(s Sources) {
	spots := 0
	for i := range c.planes {
		p := &c.planes[i]
		if p.sparse {
			continue
		}
		p.first = spots
		p.end = p.index(p.reach.high) + 1
		spots += int(p.stride) * int(p.height)
	}
	c.grids.borrow(spots * s.Words)
	g := c.grids.Grids
	g.resize(spots, s.Words)
	for i, at := range c.sources {
		p := &c.planes[c.groups.of(at)]
		if p.sparse {
			continue
		}
		spot := p.index(at)
		i = c.source(i)
		for w, v := range s.Values[i*s.Words : (i+1)*s.Words] {
			g.put(spot, w, v)
		}
	}
	for i := range c.planes {
		if p := &c.planes[i]; !p.sparse {
			g.build(p)
		}
	}
}

// mirror takes the sources, or their images.
func (c *cones) mirror(at []Spot) {
	c.sources = at
	m := &c.images
	m.at, m.of = m.at[:0], m.of[:0]
	if len(c.frame.apexes) == 0 {
		return
	}
	for i, s := range at {
		m.at = c.frame.images(m.at, s)
		for len(m.of) < len(m.at) {
			m.of = append(m.of, int32(i))
		}
	}
	c.sources = m.at
}

// source is the source that c.sources[i] is, or is an image of.
func (c *cones) source(i int) int {
	if len(c.images.of) > 0 {
		return int(c.images.of[i])
	}
	return i
}

func (c *cones) near(s Sources, e Exists) {
	c.load(s)
	c.found.reset()
	c.find(e)
}

func (c *cones) rows() []Cell { return c.found.cells }

func (c *cones) fill(b *Block, first int) {
	b.shape(len(c.rings), c.shown)
	last := first + len(b.Cells)
	for start := first; start < last; {
		run, end := c.found.run(start)
		end = min(end, last)
		at := c.found.at[start:end]
		from, to := start-first, end-first
		if run.group >= 0 && c.planes[run.group].sparse {
			c.pairs.fill(c, b, c.given[start:end], from, &c.planes[run.group])
			start = end
			continue
		}
		for i, k := range c.rings {
			columns := b.Sums[i*c.shown : (i+1)*c.shown]
			if run.group < 0 {
				for _, column := range columns {
					clear(column[from:to])
				}
				continue
			}
			if len(c.given) > 0 {
				c.fillGiven(columns, c.given[start:end], from, &c.planes[run.group], k)
				continue
			}
			c.fillRing(columns, at, from, &c.planes[run.group], k)
		}
		start = end
	}
}

// fillRing writes the sums over one ring about the spots `at` of a plane into the columns, from row
// `from` on.
func (c *cones) fillRing(columns [][]uint64, at []int32, from int, p *plane, k int) {
	g, to := &c.grids, from+len(at)
	for w := 0; w < len(columns); w += 2 {
		switch column := columns[w][from:to]; {
		case w/2 == g.layers:
			l := g.single.loads(0, p, k)
			fillSingles(&l, column, at)
		case w+1 < len(columns):
			l := g.pairs.loads(w/2*g.spots, p, k)
			fillPairs(&l, column, columns[w+1][from:to], at)
		default: // the other word of the pair is not shown
			o := p.corners(k)
			for i, spot := range at {
				column[i] = g.sum(int(spot), w, o)
			}
		}
	}
}
