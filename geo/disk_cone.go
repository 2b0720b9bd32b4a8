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
type cones struct {
	frame  *Frame
	rings  []int
	widest int
	leaves leaves
	groups clusters
	planes []plane // of each cluster
	words  int
	shown  int
	a      []uint64 // word w of spot i at i·words + w
	b      []uint64
	c      []uint64
	found  found
	// For fold:
	sources []Spot
	disk    []diskSpot
	rowAt   []int32 // row + 1 by spot
}

// plane is where a cluster lies in the grids.
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

// times scales to words.
func (c corners) times(words int) corners {
	return corners{c.a0 * words, c.a1 * words, c.b0 * words, c.b1 * words, c.c0 * words, c.c1 * words}
}

func newCones(f *Frame, rings []int) *cones {
	widest := rings[len(rings)-1]
	c := &cones{frame: f, rings: rings, widest: widest, leaves: newLeaves(f)}
	c.groups = newClusters(widest + c.leaves.radius)
	return c
}

// load lays the clusters' planes out and builds the three grids.
func (c *cones) load(s Sources) {
	c.words, c.shown, c.sources = s.Words, s.Shown, s.At
	c.groups.split(s.At, 2*c.widest+1)
	c.planes = c.planes[:0]
	spots := 0
	for i := range c.groups.boxes {
		p := c.layOut(spots, &c.groups.boxes[i])
		spots += int(p.stride) * int(p.height)
		c.planes = append(c.planes, p)
	}
	size := spots * s.Words
	c.a = slices.Grow(c.a[:0], size)[:size]
	c.b = slices.Grow(c.b[:0], size)[:size]
	c.c = slices.Grow(c.c[:0], size)[:size]
	clear(c.b)
	for i, at := range s.At {
		k := c.planes[c.groups.of(at)].index(at) * s.Words
		for w, v := range s.Values[i*s.Words : (i+1)*s.Words] {
			c.b[k+w] += v
		}
	}
	for i := range c.planes {
		c.build(&c.planes[i])
	}
}

// layOut places a cluster's plane: below the sources a margin for the loads at −(2K+1)Z and one row for
// the pass that builds, above them one for those at +2KZ.
func (c *cones) layOut(first int, b *box) plane {
	k := int32(c.widest)
	low := Spot{b.low.X - 2*k - 2, b.low.Y - 2*k - 2}
	return plane{
		first:  first,
		low:    low,
		stride: b.high.X + 2*k - low.X + 1,
		height: b.high.Y + 2*k - low.Y + 1,
		reach:  box{Spot{b.low.X - k, b.low.Y - k}, Spot{b.high.X + k, b.high.Y + k}},
	}
}

// build turns the values, which lie in grid b, into the three grids.
func (c *cones) build(p *plane) {
	margin := 2*c.widest + 2
	row := int(p.stride) * c.words
	start := p.first * c.words
	clear(c.a[start : start+margin*row])
	clear(c.c[start : start+margin*row])
	for y := margin; y < int(p.height); y++ {
		i := start + y*row
		clear(c.a[i : i+margin*c.words])
		clear(c.c[i : i+margin*c.words])
		if c.words == 2 {
			c.buildPairs(i, row, margin)
		} else {
			c.buildRow(i, row, margin)
		}
	}
}

// buildRow builds one row, which begins at index i, from column margin on.
func (c *cones) buildRow(i, row, margin int) {
	w := c.words
	a, b, cc := c.a[i:i+row], c.b[i:i+row], c.c[i:i+row]
	belowA, belowB, belowC := c.a[i-row:i], c.b[i-row:i], c.c[i-row:i]
	below2 := c.b[i-2*row : i-row]
	for x := margin * w; x < row; x++ {
		g := b[x]
		r := g + a[x-w] - belowA[x-w]
		a[x] = r + belowA[x]
		cc[x] = r + belowC[x-w]
		b[x] = g + belowB[x] + belowB[x-w] - below2[x-w]
	}
}

// buildPairs is buildRow for two words a spot, with the row's sums kept in registers.
func (c *cones) buildPairs(i, row, margin int) {
	a, b, cc := c.a[i:i+row], c.b[i:i+row], c.c[i:i+row]
	belowA, belowB, belowC := c.a[i-row:i], c.b[i-row:i], c.c[i-row:i]
	below2 := c.b[i-2*row : i-row]
	var r0, r1 uint64
	for x := 2 * margin; x+1 < len(a); x += 2 {
		g0, g1 := b[x], b[x+1]
		r0 += g0
		r1 += g1
		a[x], a[x+1] = r0+belowA[x], r1+belowA[x+1]
		cc[x], cc[x+1] = r0+belowC[x-2], r1+belowC[x-1]
		b[x] = g0 + belowB[x] + belowB[x-2] - below2[x-2]
		b[x+1] = g1 + belowB[x+1] + belowB[x-1] - below2[x-1]
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
			c.fillRing(columns, at, from, c.planes[run.group].corners(k).times(c.words))
		}
		start = end
	}
}

// fillRing writes the sums over one ring about the spots `at` into the columns, from row `from` on.
func (c *cones) fillRing(columns [][]uint64, at []int32, from int, o corners) {
	w := 0
	for ; w+1 < len(columns); w += 2 {
		c.fillPair(columns[w][from:from+len(at)], columns[w+1][from:from+len(at)], at, w, o)
	}
	if w < len(columns) {
		column := columns[w][from : from+len(at)]
		for i, spot := range at {
			column[i] = c.sum(int(spot)*c.words+w, o)
		}
	}
}

// sum is the disk sum of the word at index q, by the corners of its disk.
func (c *cones) sum(q int, o corners) uint64 {
	return c.a[q+o.a0] + c.a[q+o.a1] - c.b[q+o.b0] - c.b[q+o.b1] - c.c[q+o.c0] - c.c[q+o.c1]
}

// fillPair is sum for the words w and w+1 of many spots.
func (c *cones) fillPair(first, second []uint64, at []int32, w int, o corners) {
	words := c.words
	ga, gb, gc := c.a, c.b, c.c
	second = second[:len(first)]
	at = at[:len(first)]
	for i := range first {
		q := int(at[i])*words + w
		a0, a1 := ga[q+o.a0:q+o.a0+2], ga[q+o.a1:q+o.a1+2]
		b0, b1 := gb[q+o.b0:q+o.b0+2], gb[q+o.b1:q+o.b1+2]
		c0, c1 := gc[q+o.c0:q+o.c0+2], gc[q+o.c1:q+o.c1+2]
		first[i] = a0[0] + a1[0] - b0[0] - b1[0] - c0[0] - c1[0]
		second[i] = a0[1] + a1[1] - b0[1] - b1[1] - c0[1] - c1[1]
	}
}
