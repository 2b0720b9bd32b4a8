package geo

import "slices"

// Grids are the three prefix sums of all planes (disk_cone.go), in memory that is used again.
//
// Words go two by two, a layer for each two: the grids of a layer follow those of the one before. A last
// word without another has a layer of its own.
type Grids struct {
	spots  int // of a layer
	layers int // of pairs
	pairs  prefixes[pair]
	single prefixes[uint64]
}

// prefixes are the three grids: of layers, words 2l and 2l + 1 of spot i are at l·spots + i.
type prefixes[T pair | uint64] struct{ a, b, c []T }

// pair is two words of a spot.
type pair [2]uint64

// plane is where a cluster lies in the grids of a layer.
//
// Invariant: two columns and two rows, or more, lie before the first source. There all cones are empty.
type plane struct {
	first   int   // index of its first spot; where it is sparse: number of its first strip
	low     Spot  // that spot
	stride  int32 // spots a row
	height  int32
	sources Spot // the lowest corner of the box around the sources
	reach   box  // the spots whose disks may meet the sources
	end     int  // index behind the last of those
	sparse  bool // it has no grids (disk_pairs.go)
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

// resize makes room for planes, and clears the grids b for the values.
func (g *Grids) resize(spots, words int) {
	g.spots, g.layers = spots, words/2
	g.pairs.resize(g.layers * spots)
	g.single.resize(words % 2 * spots)
}

func (x *prefixes[T]) resize(size int) {
	x.a = slices.Grow(x.a[:0], size)[:size]
	x.b = slices.Grow(x.b[:0], size)[:size]
	x.c = slices.Grow(x.c[:0], size)[:size]
	clear(x.b)
}

// put adds a value of a word at a spot, before the grids are built.
func (g *Grids) put(spot, word int, v uint64) {
	if word/2 == g.layers {
		g.single.b[spot] += v
		return
	}
	g.pairs.b[word/2*g.spots+spot][word&1] += v
}

// build turns the values on a plane, which lie in the grids b, into the three grids.
func (g *Grids) build(p *plane) {
	for layer := range g.layers {
		g.pairs.build(layer*g.spots+p.first, p, buildPairs)
	}
	if len(g.single.b) > 0 {
		g.single.build(p.first, p, buildSingles)
	}
}

// build is grids.build for a plane that begins at start, with a function that builds one row, but for
// its first spot, where all grids are 0, from the row below and grid b's second below.
func (x *prefixes[T]) build(start int, p *plane, buildRow func(row, below prefixes[T], below2 []T)) {
	row := int(p.stride)
	left, under := int(p.sources.X-p.low.X), int(p.sources.Y-p.low.Y)
	clear(x.a[start : start+under*row])
	clear(x.c[start : start+under*row])
	for y := under; y < int(p.height); y++ {
		i := start + y*row
		clear(x.a[i : i+left])
		clear(x.c[i : i+left])
		from, to := i+left-1, i+row
		buildRow(x.part(from, to), x.part(from-row, to-row), x.b[from-2*row:to-2*row])
	}
}

func (x *prefixes[T]) part(from, to int) prefixes[T] {
	return prefixes[T]{x.a[from:to], x.b[from:to], x.c[from:to]}
}

// buildSingles builds a row. r is its sum so far, d is B(q−Z) − B(q−Y−Z), and z is C(q−Z).
func buildSingles(row, below prefixes[uint64], below2 []uint64) {
	a := row.a
	b, c := row.b[:len(a)], row.c[:len(a)]
	belowA, belowB, belowC, below2 := below.a[:len(a)], below.b[:len(a)], below.c[:len(a)], below2[:len(a)]
	var r, d, z uint64
	for x := 1; x < len(a); x++ {
		g, under := b[x], belowB[x]
		r += g
		a[x] = r + belowA[x]
		c[x] = r + z
		z = belowC[x]
		b[x] = g + under + d
		d = under - below2[x]
	}
}

// buildPairs is buildSingles for pairs.
func buildPairs(row, below prefixes[pair], below2 []pair) {
	a := row.a
	b, c := row.b[:len(a)], row.c[:len(a)]
	belowA, belowB, belowC, below2 := below.a[:len(a)], below.b[:len(a)], below.c[:len(a)], below2[:len(a)]
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

// sum is the disk sum of a word about spot q, by the corners of its disk; or, with q 0, by the spots of
// its loads.
func (g *Grids) sum(q, word int, o corners) uint64 {
	if word/2 == g.layers {
		x := &g.single
		return x.a[q+o.a0] + x.a[q+o.a1] - x.b[q+o.b0] - x.b[q+o.b1] - x.c[q+o.c0] - x.c[q+o.c1]
	}
	x, w := &g.pairs, word&1
	q += word / 2 * g.spots
	return x.a[q+o.a0][w] + x.a[q+o.a1][w] - x.b[q+o.b0][w] - x.b[q+o.b1][w] - x.c[q+o.c0][w] - x.c[q+o.c1][w]
}

// loads are the parts of a layer's grids in which the six loads of a ring's disks lie, each shifted by
// its corner: those of a disk about spot first + q are all at q.
//
// Invariant: all six are equally long.
type loads[T pair | uint64] struct {
	first                  int
	a0, a1, b0, b1, c0, c1 []T
}

// loads is for the disks about the spots of a plane that its sources reach, in a layer.
func (x *prefixes[T]) loads(layer int, p *plane, k int) loads[T] {
	first, o := p.index(p.reach.low), p.corners(k)
	n := p.end - first
	at := layer + first
	return loads[T]{
		first,
		x.a[at+o.a0:][:n], x.a[at+o.a1:][:n],
		x.b[at+o.b0:][:n], x.b[at+o.b1:][:n],
		x.c[at+o.c0:][:n], x.c[at+o.c1:][:n],
	}
}

// fillPairs writes the sums of both words about many spots.
func fillPairs(l *loads[pair], first, second []uint64, at []int32) {
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

// fillSingles is fillPairs for one word.
func fillSingles(l *loads[uint64], column []uint64, at []int32) {
	a0, n := l.a0, len(l.a0)
	a1, b0, b1, c0, c1 := l.a1[:n], l.b0[:n], l.b1[:n], l.c0[:n], l.c1[:n]
	column = column[:len(at)]
	for i, spot := range at {
		q := uint(int(spot) - l.first)
		if q >= uint(len(a0)) {
			return // never
		}
		column[i] = a0[q] + a1[q] - b0[q] - b1[q] - c0[q] - c1[q]
	}
}
