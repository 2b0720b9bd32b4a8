package geo

import "slices"

// unfolding puts a frame's charts beside one another, piece by piece.
type unfolding struct {
	frame  *Frame
	placed []bool
	queue  []int32 // charts placed, in the order of placing
	pieces []int   // where each piece begins in queue
	taken  map[piecePlace]bool
}

type piecePlace struct {
	piece int
	place Spot
}

// unfold lays all charts out; false if they do not lie flat, but for a pentagon in a piece.
func (f *Frame) unfold() bool {
	u := unfolding{frame: f, placed: make([]bool, len(f.charts)), taken: map[piecePlace]bool{}}
	for i := range f.charts {
		if f.charts[i].pentagon && !u.place(i) {
			return false
		}
	}
	for i := range f.charts {
		if !u.placed[i] && !u.place(i) {
			return false
		}
	}
	u.layOut()
	return true
}

// place puts every chart of a piece on the charts' lattice about one of them, going from neighbour to
// neighbour; false if two ways around disagree, two charts lie at one place, or a second pentagon is
// met.
func (u *unfolding) place(first int) bool {
	if u.placed[first] {
		return false
	}
	f, piece := u.frame, len(u.pieces)
	u.pieces = append(u.pieces, len(u.queue))
	number := int16(0)
	if f.charts[first].pentagon {
		f.apexes = append(f.apexes, apex{})
		number = int16(len(f.apexes))
	}
	u.placed[first] = true
	u.queue = append(u.queue, int32(first))
	for next := u.pieces[piece]; next < len(u.queue); next++ {
		c := &f.charts[u.queue[next]]
		c.apex = number
		here := piecePlace{piece, c.place}
		if u.taken[here] || !u.placeAround(c) {
			return false
		}
		u.taken[here] = true
	}
	return true
}

// placeAround places the neighbours of a placed chart; false if one already lies elsewhere or turned
// otherwise.
func (u *unfolding) placeAround(from *chart) bool {
	f := u.frame
	for digit := uint8(1); digit < 7; digit++ {
		near := stepTo(from.cell, digit)
		k, ok := f.byCell[near]
		if !ok {
			continue
		}
		to := &f.charts[k]
		direction := (turnOf[digit] + int(from.turns)) % 6
		if from.pentagon {
			direction = rayOf[digit]
		}
		place := from.place.plus(digitStep[turning[direction]])
		if to.pentagon {
			if !u.placed[k] || to.place != place {
				return false
			}
			continue
		}
		// The step back, in the neighbour's axes, is the opposite of this one, in the piece's.
		turns := uint8((direction + 3 + 6 - turnOf[stepBack(near, from.cell)]) % 6)
		if from.apex > 0 && place.wedge() == gap {
			turn := closing(from.place)
			place, turns = place.turn(turn), (turns+turn)%6
		}
		if u.placed[k] {
			if to.place != place || to.turns != turns {
				return false
			}
			continue
		}
		u.placed[k] = true
		to.place, to.turns = place, turns
		u.queue = append(u.queue, k)
	}
	return true
}

// layOut puts the pieces, and the sheets of those with a pentagon, side by side on the cells' lattice,
// farther apart than any disk reaches.
func (u *unfolding) layOut() {
	f := u.frame
	radius, widest := int32(innerRadius(f.depth)), int32(f.territories.widest)
	apart := sheetsApart(widest)
	right := int32(0)
	for i, start := range u.pieces {
		end := len(u.queue)
		if i+1 < len(u.pieces) {
			end = u.pieces[i+1]
		}
		charts := u.queue[start:end]
		var xs []int32
		far := 0
		for _, k := range charts {
			c := &f.charts[k]
			c.at = c.place
			for level := f.coarse + 1; level <= f.resolution; level++ {
				c.at = c.at.finer(level)
			}
			xs = append(xs, c.at.X)
			far = max(far, c.at.distance())
		}
		if n := f.charts[charts[0]].apex; n > 0 {
			a := apex{widest: widest, left: right, width: int32(far) + radius + widest + apart}
			f.apexes[n-1] = a
			right += wedges * a.width
			continue
		}
		shift := right + radius - slices.Min(xs)
		for _, k := range charts {
			f.charts[k].at.X += shift
		}
		right += slices.Max(xs) - slices.Min(xs) + 2*radius + apart
	}
}
