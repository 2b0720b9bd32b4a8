package geo

// A pentagon, unrolled.
//
// Around a pentagon the grid is a cone: five wedges of 60° instead of six. Cut open along a ray it lies
// flat, with one wedge missing:
//
//	         Y    Z
//	    2     \  /     wedge w lies between the rays at 60°·w and 60°·(w + 1)
//	      \  1 \/  0
//	   3 ——————+——————  X  (the ray that belongs to wedge 0; wedge 4 ends there too)
//	      /  4 /\
//	          /  \  (missing)
//
// Where it is cut is free. For the cells of one wedge choose to leave the sixth of the plane opposite of
// it empty: the two wedges on its left and the two on its right lie flat beside it. Then the distance
// from a cell p of the wedge to any cell q is the flat one. p and q lie in a half-plane of three wedges,
// and a half-plane along the lattice's directions holds a shortest way between any two of its spots.
// The other way around the pentagon, q would be seen in the opposite wedge or beyond, and the distance
// would be |p| + |q|, which is never less.
//
// So every piece with a pentagon has five sheets, one for each wedge, turned so that their own wedge is
// wedge 0 of the sheet. A cell has its spot in its own wedge's sheet. Its images lie in the sheets of
// all wedges, as far as a disk of theirs reaches; the sums of a sheet are those of a flat frame.

// wedges is how many wedges a pentagon has, and gap the one of six that is missing where it is cut
// along X.
const (
	wedges = 5
	gap    = 5
)

// rayOf is the ray on which the pentagon's neighbour, or child, of each digit lies: digit 1 is not there
// and digit 5 closes up.
var rayOf = [7]int{4: 0, 6: 1, 2: 2, 3: 3, 5: 4}

// wedge is the sixth of the plane about the origin that a spot lies in, counterclockwise from X, each
// with its first ray and without its last. The origin lies in wedge 0.
func (s Spot) wedge() uint8 {
	switch {
	case s.X > s.Y && s.Y >= 0:
		return 0
	case s.X > 0 && s.Y >= s.X:
		return 1
	case s.Y > 0 && s.X <= 0:
		return 2
	case s.Y <= 0 && s.X < s.Y:
		return 3
	case s.X < 0 && s.Y <= s.X:
		return 4
	case s.Y < 0:
		return gap
	}
	return 0
}

// closing is how often to turn what lies in the gap, beside a chart at a place, to where it is.
func closing(place Spot) uint8 {
	if place.wedge() < 3 {
		return 5 // below the ray along X: it belongs to the end of wedge 4
	}
	return 1
}

// apex is the five sheets of a pentagon's piece, side by side on the frame's lattice.
type apex struct {
	widest int32 // ring
	left   int32 // X from which on spots are the first sheet's
	width  int32 // of a sheet
}

// sheetsApart is how far apart sheets and pieces lie: enough that sources in different ones make
// different clusters.
func sheetsApart(widest int32) int32 { return 10*widest + 100 }

// sheet is where the pentagon lies in the sheet of a wedge.
func (a *apex) sheet(wedge uint8) Spot {
	return Spot{a.left + int32(wedge)*a.width + a.widest, 0}
}

// unroll gives the wedge in which the cell with a number in a chart lies, its spot about the pentagon in
// that wedge's sheet, and how its chart's own axes are turned there.
func (f *Frame) unroll(in *chart, number int) (wedge uint8, at Spot, turns uint8) {
	turns = in.turns
	closed := closing(in.place)
	if in.pentagon {
		turns, closed = 0, 1
		switch leadingDigit(number) {
		case 4:
			closed = 5
		case 5:
			turns = 5
		}
	}
	at = in.at.plus(f.inner[number].turn(turns))
	if wedge = at.wedge(); wedge == gap {
		at = at.turn(closed)
		turns += closed
		wedge = at.wedge()
	}
	back := (6 - wedge) % 6
	return wedge, at.turn(back), (turns + back) % 6
}

// leadingDigit is the first digit that is not 0 of a number in base 7, or 0.
func leadingDigit(number int) int {
	for number >= 7 {
		number /= 7
	}
	return number
}

// images appends the spots at which a source counts, given its own.
func (f *Frame) images(dst []Spot, at Spot) []Spot {
	for i := range f.apexes {
		a := &f.apexes[i]
		if x := at.X - a.left; x >= 0 && x < wedges*a.width {
			return a.images(dst, uint8(x/a.width), at)
		}
	}
	return append(dst, at)
}

// apexOf is where the pentagon lies in the sheet that holds a box, if one does.
func (f *Frame) apexOf(b *box) (Spot, bool) {
	for i := range f.apexes {
		a := &f.apexes[i]
		from, to := (b.low.X-a.left)/a.width, (b.high.X-a.left)/a.width
		if b.low.X >= a.left && from == to && to < wedges {
			return a.sheet(uint8(from)), true
		}
	}
	return Spot{}, false
}

// images is Frame.images for a spot in a wedge's sheet: in the sheets of that wedge and of the two on
// each side, where they are within the widest ring of the sheet's own wedge.
func (a *apex) images(dst []Spot, wedge uint8, at Spot) []Spot {
	at = at.minus(a.sheet(wedge))
	for _, turns := range [wedges]uint8{0, 1, 2, 4, 5} {
		s := at.turn(turns)
		if s.X < -a.widest || s.Y < -a.widest || s.X-s.Y < -a.widest {
			continue
		}
		// Turned by n wedges to the left, it is seen from the wedge n to the right.
		from := (wedge + wedges - turns) % wedges
		if turns > 3 {
			from = (wedge + 6 - turns) % wedges
		}
		dst = append(dst, a.sheet(from).plus(s))
	}
	return dst
}
