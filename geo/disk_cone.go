package geo

import "slices"

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
// Each cluster of sources has grids of its own: the box of its sources, and around it a margin that is
// as wide as loads reach. Below and to the left of the sources all cones are empty; a row beyond them
// is computed like the rest.
//
// Words go two by two, a layer for each two: the grids of a layer follow those of the one before. The
// second word of the last layer may be nobody's.
type cones struct {
	frame   *Frame
	rings   []int
	widest  int
	leaves  leaves
	groups  clusters
	planes  []plane // of each cluster
	shown   int
	spots   int    // of a layer
	a       []pair // words 2l and 2l + 1 of spot i at l·spots + i
	b       []pair
	c       []pair
	found   found
	sources []Spot // or their images
	images  images
	folding foldScratch
}

// images are what stands in place of the sources where the frame has pentagons.
type images struct {
	at []Spot
	of []int32 // whose image each is
}

// pair is two words of a spot.
type pair [2]uint64

// plane is where a cluster lies in the grids of a layer.
type plane struct {
	first  int   // index of its first spot
	low    Spot  // that spot
	stride int32 // spots a row
	height int32
	reach  box // the spots whose disks may meet the sources
}

// index is the index of a spot.
func (p *plane) index(s Spot) int {
	return p.first + int(s.Y-p.low.Y)*int(p.stride) + int(s.X-p.low.X)
}

// corners are the distances, in spots, from a disk's centre to its six loads.
type corners struct{ a0, a1, b0, b1, c0, c1 int }

func (p *plane) corners(k int) corners {
	w := int(p.stride)
	return corners{
		a0: -(k + 1) * (w + 1), // −(K+1)Z
		a1: k * (w + 1),        // +KZ
		b0: -k - 1 - w,         // −KX − Z
		b1: k - w,              // +KX − Y
		c0: -k*w - 1 - w,       // −KY − Z
		c1: k*w - 1,            // +KY − X
	}
}

func newCones(f *Frame, rings []int) *cones {
	widest := rings[len(rings)-1]
	c := &cones{frame: f, rings: rings, widest: widest, leaves: newLeaves(f)}
	c.groups = newClusters(widest + c.leaves.radius)
	return c
}

// load lays the clusters' planes out and builds the three grids.
func (c *cones) load(s Sources) {
	c.shown = s.Shown
	c.mirror(s.At)
	c.groups.split(c.sources, c.margin())
	c.planes, c.spots = c.planes[:0], 0
	for i := range c.groups.boxes {
		p := c.layOut(c.spots, &c.groups.boxes[i])
		c.spots += int(p.stride) * int(p.height)
		c.planes = append(c.planes, p)
	}
	layers := (s.Words + 1) / 2
	size := layers * c.spots
	c.a = slices.Grow(c.a[:0], size)[:size]
	c.b = slices.Grow(c.b[:0], size)[:size]
	c.c = slices.Grow(c.c[:0], size)[:size]
	clear(c.b)
	for i, at := range c.sources {
		k := c.planes[c.groups.of(at)].index(at)
		i = c.source(i)
		for w, v := range s.Values[i*s.Words : (i+1)*s.Words] {
			c.b[w/2*c.spots+k][w&1] += v
		}
	}
	for layer := range layers {
		for i := range c.planes {
			c.build(layer, &c.planes[i])
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

// margin is how far around the sources the grids go: a disk, the disk of a load, one more for the
// disks that find asks about, and below and to the left the row that building begins with.
func (c *cones) margin() int { return 2*c.widest + 4 }

// layOut places a cluster's plane.
func (c *cones) layOut(first int, b *box) plane {
	k, margin := int32(c.widest), int32(c.margin())
	low := Spot{b.low.X - margin, b.low.Y - margin}
	return plane{
		first:  first,
		low:    low,
		stride: b.high.X + margin - low.X - 1,
		height: b.high.Y + margin - low.Y - 1,
		reach:  box{Spot{b.low.X - k, b.low.Y - k}, Spot{b.high.X + k, b.high.Y + k}},
	}
}

// build turns a layer's values, which lie in grid b, into the three grids.
func (c *cones) build(layer int, p *plane) {
	margin, row := c.margin(), int(p.stride)
	start := layer*c.spots + p.first
	clear(c.a[start : start+margin*row])
	clear(c.c[start : start+margin*row])
	for y := margin; y < int(p.height); y++ {
		i := start + y*row
		clear(c.a[i : i+margin])
		clear(c.c[i : i+margin])
		from, to := i+margin-1, i+row
		buildRow(c.a[from:to], c.b[from:to], c.c[from:to],
			c.a[from-row:to-row], c.b[from-row:to-row], c.c[from-row:to-row], c.b[from-2*row:to-2*row])
	}
}

// buildRow builds a row of the three grids, but for its first spot, where all are 0, from the row below
// and grid b's second below. d is B(q−Z) − B(q−Y−Z), and z is C(q−Z).
func buildRow(a, b, c, belowA, belowB, belowC, below2 []pair) {
	b, c = b[:len(a)], c[:len(a)]
	belowA, belowB, belowC, below2 = belowA[:len(a)], belowB[:len(a)], belowC[:len(a)], below2[:len(a)]
	var r, d, z pair
	for x := 1; x < len(a); x++ {
		g, under := &b[x], &belowB[x]
		r[0] += g[0]
		r[1] += g[1]
		a[x][0] = r[0] + belowA[x][0]
		a[x][1] = r[1] + belowA[x][1]
		c[x][0] = r[0] + z[0]
		c[x][1] = r[1] + z[1]
		z = belowC[x]
		g[0] += under[0] + d[0]
		g[1] += under[1] + d[1]
		d[0] = under[0] - below2[x][0]
		d[1] = under[1] - below2[x][1]
	}
}

func (c *cones) near(s Sources, e Exists) {
	c.load(s)
	c.found.reset()
	c.find(e)
}

func (c *cones) at(s Sources, own []Cell) {
	c.load(s)
	c.found.reset()
	for _, cell := range own {
		at, _ := c.frame.Position(cell)
		group := c.groups.near(at)
		if group >= 0 && !c.planes[group].reach.holds(at) {
			group = -1
		}
		index := 0
		if group >= 0 {
			index = c.planes[group].index(at)
		}
		c.found.add(cell, group, index)
	}
}

func (b *box) holds(s Spot) bool {
	return s.X >= b.low.X && s.X <= b.high.X && s.Y >= b.low.Y && s.Y <= b.high.Y
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
		for i, k := range c.rings {
			columns := b.Sums[i*c.shown : (i+1)*c.shown]
			if run.group < 0 {
				for _, column := range columns {
					clear(column[from:to])
				}
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
	to := from + len(at)
	for w := 0; w < len(columns); w += 2 {
		if w+1 < len(columns) {
			l := c.loadsOf(w/2, p, k)
			l.fill(columns[w][from:to], columns[w+1][from:to], at)
			continue
		}
		column, o := columns[w][from:to], p.corners(k)
		for i, spot := range at {
			column[i] = c.sum(w/2*c.spots+int(spot), w&1, o)
		}
	}
}

// sum is the disk sum of one of the two words at index q, by the corners of its disk.
func (c *cones) sum(q, word int, o corners) uint64 {
	w := word & 1
	return c.a[q+o.a0][w] + c.a[q+o.a1][w] - c.b[q+o.b0][w] - c.b[q+o.b1][w] - c.c[q+o.c0][w] - c.c[q+o.c1][w]
}

// loads are the parts of a layer's grids in which the six loads of a ring's disks lie, each shifted by
// its corner: those of a disk about spot first + q are all at q.
//
// Invariant: all six are equally long.
type loads struct {
	first                  int
	a0, a1, b0, b1, c0, c1 []pair
}

// loadsOf is for the disks about the spots of a plane that its sources reach.
func (c *cones) loadsOf(layer int, p *plane, k int) loads {
	first, o := p.index(p.reach.low), p.corners(k)
	n := p.index(p.reach.high) - first + 1
	at := layer*c.spots + first
	return loads{
		first,
		c.a[at+o.a0:][:n], c.a[at+o.a1:][:n],
		c.b[at+o.b0:][:n], c.b[at+o.b1:][:n],
		c.c[at+o.c0:][:n], c.c[at+o.c1:][:n],
	}
}

// fill is sum for both words of many spots.
func (l *loads) fill(first, second []uint64, at []int32) {
	a0, n := l.a0, len(l.a0)
	a1, b0, b1, c0, c1 := l.a1[:n], l.b0[:n], l.b1[:n], l.c0[:n], l.c1[:n]
	first, second = first[:len(at)], second[:len(at)]
	for i, spot := range at {
		q := uint(int(spot) - l.first)
		if q >= uint(len(a0)) {
			return // never: it spares six checks
		}
		first[i] = a0[q][0] + a1[q][0] - b0[q][0] - b1[q][0] - c0[q][0] - c1[q][0]
		second[i] = a0[q][1] + a1[q][1] - b0[q][1] - b1[q][1] - c0[q][1] - c1[q][1]
	}
}
