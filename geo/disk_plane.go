package geo

import "slices"

// grids are the three prefix sums of all planes (disk_cone.go).
//
// Words go two by two, a layer for each two: the grids of a layer follow those of the one before. The
// second word of the last layer may be nobody's.
type grids struct {
	spots int    // of a layer
	a     []pair // words 2l and 2l + 1 of spot i at l·spots + i
	b     []pair
	c     []pair
}

// pair is two words of a spot.
type pair [2]uint64

// plane is where a cluster lies in the grids of a layer.
//
// Invariant: two columns and two rows, or more, lie before the first source. There all cones are empty.
type plane struct {
	first   int   // index of its first spot
	low     Spot  // that spot
	stride  int32 // spots a row
	height  int32
	sources Spot // the lowest corner of the box around the sources
	reach   box  // the spots whose disks may meet the sources
}

// hold makes the plane hold a box, and what lies before it.
func (p *plane) hold(b box) {
	p.low = Spot{b.low.X - 2, b.low.Y - 2}
	p.stride, p.height = b.high.X-p.low.X+1, b.high.Y-p.low.Y+1
}

// holds reports whether a spot is on the plane.
func (p *plane) holds(s Spot) bool {
	return uint32(s.X-p.low.X) < uint32(p.stride) && uint32(s.Y-p.low.Y) < uint32(p.height)
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

// resize makes room for planes, and clears grid b for the values.
func (g *grids) resize(spots, layers int) {
	g.spots = spots
	size := layers * spots
	g.a = slices.Grow(g.a[:0], size)[:size]
	g.b = slices.Grow(g.b[:0], size)[:size]
	g.c = slices.Grow(g.c[:0], size)[:size]
	clear(g.b)
}

// build turns a layer's values on a plane, which lie in grid b, into the three grids.
func (g *grids) build(layer int, p *plane) {
	row := int(p.stride)
	left, below := int(p.sources.X-p.low.X), int(p.sources.Y-p.low.Y)
	start := layer*g.spots + p.first
	clear(g.a[start : start+below*row])
	clear(g.c[start : start+below*row])
	for y := below; y < int(p.height); y++ {
		i := start + y*row
		clear(g.a[i : i+left])
		clear(g.c[i : i+left])
		from, to := i+left-1, i+row
		buildRow(g.a[from:to], g.b[from:to], g.c[from:to],
			g.a[from-row:to-row], g.b[from-row:to-row], g.c[from-row:to-row], g.b[from-2*row:to-2*row])
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

// sum is the disk sum of one of the two words at index q, by the corners of its disk.
func (g *grids) sum(q, word int, o corners) uint64 {
	w := word & 1
	return g.a[q+o.a0][w] + g.a[q+o.a1][w] - g.b[q+o.b0][w] - g.b[q+o.b1][w] - g.c[q+o.c0][w] - g.c[q+o.c1][w]
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
func (g *grids) loadsOf(layer int, p *plane, k int) loads {
	first, o := p.index(p.reach.low), p.corners(k)
	n := p.index(p.reach.high) - first + 1
	at := layer*g.spots + first
	return loads{
		first,
		g.a[at+o.a0:][:n], g.a[at+o.a1:][:n],
		g.b[at+o.b0:][:n], g.b[at+o.b1:][:n],
		g.c[at+o.c0:][:n], g.c[at+o.c1:][:n],
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
