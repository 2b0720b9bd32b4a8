package geo

import "slices"

// pairs sum disks about given rows source by source, where rows and sources are so few on ground so
// wide that to build its grids would cost more: what is empty costs nothing.
//
// The ground is cut into strips, which are parts of a few grid rows; the sources lie strip by strip, up
// one column of strips after the other, so that those of a column within a distance of a spot, by rows,
// are one run of them.
type pairs struct {
	asked    Sources
	rows     []int   // rows given, by cluster
	at       []int   // sources, by cluster
	starts   []int32 // by strip, of all sparse planes: where its sources begin
	order    []placed
	ring     []uint16 // by distance: index of the smallest ring that holds it; one more: none does
	unsorted []placed
}

// placed is a source and where it, or its image, lies.
type placed struct {
	at     Spot
	source int32
}

// What summing costs, in halves of a nanosecond, about: a pair looked at, and a spot of a grid built, by
// word.
const (
	costOfPair = 4
	costOfSpot = 3
)

// pays reports whether pairs cost less than grids for so many rows and sources of a plane.
func (p *plane) pays(rows, sources, widest, words int) bool {
	wide, width, height := 2*widest+1, int(p.stride), int(p.height)
	pairs := rows * sources * min(wide, height) / height * min(wide+1<<stripWidth, width) / width
	return costOfPair*pairs < costOfSpot*words*height*width
}

func newPairs(rings []int) pairs {
	var x pairs
	// A source may lie in a strip that the disk's box only touches.
	for d := range 2*rings[len(rings)-1] + 1<<stripWidth + 1<<stripHeight {
		ring, _ := slices.BinarySearch(rings, d)
		x.ring = append(x.ring, uint16(ring))
	}
	return x
}

// choose finds out for which planes pairs pay.
func (c *cones) choose(s Sources) {
	x := &c.pairs
	x.asked = s
	x.at = zeros(x.at, len(c.planes))
	for _, at := range c.sources {
		x.at[c.groups.of(at)]++
	}
	strips := 0
	for i := range c.planes {
		p := &c.planes[i]
		if p.sparse = p.pays(x.rows[i], x.at[i], c.widest, s.Words); p.sparse {
			p.first = strips
			strips = p.strip(p.column(p.low.X+p.stride-1)+1, p.low.Y)
		}
	}
	x.sort(c, strips)
}

// sort puts the sources of sparse planes in order, by counting.
func (x *pairs) sort(c *cones, strips int) {
	x.starts = zeros(x.starts, strips+2)
	x.order = x.order[:0]
	for i, at := range c.sources {
		if p := &c.planes[c.groups.of(at)]; p.sparse {
			x.starts[p.strip(p.column(at.X), at.Y)+2]++
			x.order = append(x.order, placed{at, int32(c.source(i))})
		}
	}
	for i := range strips {
		x.starts[i+2] += x.starts[i+1]
	}
	x.unsorted = append(x.unsorted[:0], x.order...)
	for _, a := range x.unsorted {
		p := &c.planes[c.groups.of(a.at)]
		next := &x.starts[p.strip(p.column(a.at.X), a.at.Y)+1]
		x.order[*next] = a
		*next++
	}
}

// A strip is so many spots wide and high, as powers of two. Wider and higher ones are fewer to count, and
// hold more sources that are out of reach.
const (
	stripWidth  = 5
	stripHeight = 2
)

// column is the number of the column of strips in which a spot lies.
func (p *plane) column(x int32) int { return int(x-p.low.X) >> stripWidth }

// strip is the number of a strip among those of all sparse planes.
func (p *plane) strip(column int, y int32) int {
	high := int(p.height-1)>>stripHeight + 1
	return p.first + column*high + int(y-p.low.Y)>>stripHeight
}

// about visits the sources that may lie within a distance of a spot of a sparse plane, run by run.
func (x *pairs) about(p *plane, s Spot, distance int32, visit func([]placed)) {
	first, last := max(s.Y-distance, p.low.Y), min(s.Y+distance, p.low.Y+p.height-1)
	end := p.column(min(s.X+distance, p.low.X+p.stride-1))
	for column := p.column(max(s.X-distance, p.low.X)); column <= end; column++ {
		visit(x.order[x.starts[p.strip(column, first)]:x.starts[p.strip(column, last)+1]])
	}
}

// fill writes the sums about given spots of a sparse plane into a block, from row `from` on.
func (x *pairs) fill(c *cones, b *Block, at []Spot, from int, p *plane) {
	for i, s := range at {
		b.row = zeros(b.row, (len(c.rings)+1)*c.shown)
		x.about(p, s, int32(c.widest), func(run []placed) { x.add(b.row, c.shown, s, run) })
		for j, v := range b.row[:len(b.Sums)] {
			if j >= c.shown { // so far each ring holds what no smaller one does
				v += b.row[j-c.shown]
				b.row[j] = v
			}
			b.Sums[j][from+i] = v
		}
	}
}

// add adds the sources of a run to the sums, each to those of the smallest ring that holds it. There is
// no branch on the distance, which no processor could foresee.
func (x *pairs) add(row []uint64, shown int, s Spot, run []placed) {
	words := x.asked.Words
	for w := range shown {
		values, sums, rings := x.asked.Values[w:], row[w:], x.ring
		for i := range run {
			a := &run[i]
			ring := int(rings[Spot{a.at.X - s.X, a.at.Y - s.Y}.distance()])
			sums[ring*shown] += values[int(a.source)*words]
		}
	}
}

// fold is cones.fold for the given rows of a sparse plane.
func (x *pairs) fold(c *cones, at []Spot, from int, p *plane, fold func(row, ring, source int)) {
	for i, s := range at {
		x.about(p, s, int32(c.widest), func(run []placed) {
			for _, a := range run {
				if ring := int(x.ring[Spot{a.at.X - s.X, a.at.Y - s.Y}.distance()]); ring < len(c.rings) {
					fold(from+i, ring, int(a.source))
				}
			}
		})
	}
}

func zeros[T int | int32 | uint64](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}
