package geo

import "slices"

// Halo appends the territories other than c's own that have a cell within the widest ring of c:
// ascending, each once. A table answers, but for rings so wide that they reach across a territory and
// for the border of a pentagon's: there the whole disk is asked.
func (t *Territories) Halo(dst []Territory, c Cell) []Territory {
	if t.widest == 0 {
		return dst
	}
	own, first := t.Of(c), len(dst)
	if t.borders == nil {
		return t.gatherHalo(dst, c, own)
	}
	near := t.borders.near[digitsBelow(c, t.coarse, t.resolution-t.coarse)]
	if near == 0 {
		return dst
	}
	home := ancestorAt(c, t.coarse)
	if home.IsPentagon() {
		return t.gatherHalo(dst, c, own)
	}
	for direction := uint8(1); direction < 7; direction++ {
		if near>>direction&1 == 0 {
			continue
		}
		id := t.Of(stepTo(home, direction))
		if id != own && !slices.Contains(dst[first:], id) {
			dst = append(dst, id)
		}
	}
	slices.Sort(dst[first:])
	return dst
}

// gatherHalo is Halo by asking every cell of the disk.
func (t *Territories) gatherHalo(dst []Territory, c Cell, own Territory) []Territory {
	first := len(dst)
	Gather(c, []int{t.widest}, func(_ int, near Cell) {
		id := t.Of(near)
		if id != own && !slices.Contains(dst[first:], id) {
			dst = append(dst, id)
		}
	})
	slices.Sort(dst[first:])
	return dst
}

// borders tells of each cell of a plain territory which of the six territories around have a cell
// within the widest ring: bit d for the one in direction d of the territory's own axes. All plain
// territories of one resolution have the same shape on the lattice, so one table does for all.
//
// A pentagon's centre is farther from the cells of the territories around than the ring, so no disk
// that begins there meets it, and those disks are flat. In the pentagon's own territory a cell without
// a bit is inside, as everywhere; where there is one, its direction may lie in the missing sector.
type borders struct {
	near []uint8 // by the number that digitsBelow gives a cell
}

// newBorders makes the table; nil where the widest ring reaches farther than the territories around, or
// a pentagon's centre from one of those.
func newBorders(t *Territories) *borders {
	depth := t.resolution - t.coarse
	radius := innerRadius(depth)
	if t.widest == 0 || spanOf(2, depth) <= t.widest+2*radius || spanOf(1, depth) <= t.widest+radius {
		return nil
	}
	inner := innerSpots(t.coarse, depth)
	reached := newReach(inner, Spot{1, 0}, t.coarse, t.resolution, t.widest)
	b := &borders{near: make([]uint8, len(inner))}
	for i, s := range inner {
		for turns := range uint8(6) {
			if reached.marks[reached.index(s.turn((6-turns)%6))] {
				b.near[i] |= 1 << turning[turns]
			}
		}
	}
	return b
}

// reach marks the spots, within a square about the origin, that are near a territory beside it.
type reach struct {
	radius int32 // of the square
	width  int32
	marks  []bool
}

// newReach marks what lies within k of the territory whose place, on the territories' lattice, is
// given, by a walk outwards from its cells. The square holds the territory about the origin and all
// within k of that, and so every shortest way of that length.
func newReach(inner []Spot, place Spot, coarse, resolution, k int) *reach {
	r := &reach{radius: int32(innerRadius(resolution-coarse) + k)}
	r.width = 2*r.radius + 1
	r.marks = make([]bool, int(r.width)*int(r.width))
	for level := coarse + 1; level <= resolution; level++ {
		place = place.finer(level)
	}
	var edge, next []Spot
	for _, s := range inner {
		edge = r.mark(s.plus(place), edge)
	}
	for range k {
		for _, s := range edge {
			for _, step := range digitStep[1:] {
				next = r.mark(s.plus(step), next)
			}
		}
		edge, next = next, edge[:0]
	}
	return r
}

// mark marks a spot and, where it was not marked before, appends it to edge.
func (r *reach) mark(s Spot, edge []Spot) []Spot {
	if uint32(s.X+r.radius) >= uint32(r.width) || uint32(s.Y+r.radius) >= uint32(r.width) {
		return edge
	}
	if i := r.index(s); !r.marks[i] {
		r.marks[i] = true
		edge = append(edge, s)
	}
	return edge
}

// index is where a spot within the square is marked.
func (r *reach) index(s Spot) int { return int(s.Y+r.radius)*int(r.width) + int(s.X+r.radius) }
