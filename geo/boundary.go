package geo

import "math"

// LatLng is a place in degrees: latitude within ±90, longitude within ±180.
type LatLng struct{ Lat, Lng float64 }

// Center returns the middle of a cell in degrees, NaN for an invalid cell. It is the same to the last
// bit on every machine.
func (c Cell) Center() (lat, lng float64) {
	if !c.Valid() {
		return math.NaN(), math.NaN()
	}
	at := c.onFace()
	place := at.latLng()
	return place.Lat, place.Lng
}

// Boundary appends the corners of a cell, counterclockwise: six, or of a pentagon five, and one more
// for each side that is bent where it crosses an edge of the icosahedron (only odd resolutions have
// such). Nothing is appended for an invalid cell. It is the same to the last bit on every machine.
func (c Cell) Boundary(dst []LatLng) []LatLng {
	if !c.Valid() {
		return dst
	}
	center := c.onFace()
	odd := c.Resolution() % 2
	if c.IsPentagon() {
		return center.pentagon(dst, cornerSteps[odd][:5], odd == 1)
	}
	return center.hexagon(dst, cornerSteps[odd][:], odd == 1)
}

// cornerSteps are those of a cell of even and of odd resolution from its centre, in thirds of the steps of
// its own resolution, or of the next finer one.
var cornerSteps = [2][6]Spot{
	{{2, 1}, {1, 2}, {-1, 1}, {-2, -1}, {-1, -2}, {1, -1}},
	{{5, 4}, {1, 5}, {-4, 1}, {-5, -4}, {-1, -5}, {4, -1}},
}

// faceSpot is a spot of the lattice of a face, at an even resolution or a third of its steps.
type faceSpot struct {
	face uint8
	at   Spot
	unit int32 // steps from the centre of the face towards a corner, half way
}

// Sides of a face, in the order of faceAcross. Its corners lie in the directions of its axes i, j, k.
const (
	sideIJ = iota
	sideKI
	sideJK
)

// faceAcross[face][side] is the face beyond a side (H3 4.4.1, faceijk.c, faceNeighbors).
var faceAcross = [20][3]uint8{
	{4, 1, 5}, {0, 2, 6}, {1, 3, 7}, {2, 4, 8}, {3, 0, 9},
	{10, 14, 0}, {11, 10, 1}, {12, 11, 2}, {13, 12, 3}, {14, 13, 4},
	{5, 6, 15}, {6, 7, 16}, {7, 8, 17}, {8, 9, 18}, {9, 5, 19},
	{16, 19, 10}, {17, 15, 11}, {18, 16, 12}, {19, 17, 13}, {15, 18, 14},
}

// crossing is how a spot's coordinates change across a side: turned, then moved by units.
type crossing struct {
	turns uint8
	by    Spot
}

// crossings[belt][side]: the ten faces of the belt all point to a pole with their j and k sides; the five
// around each pole meet there.
var crossings = [2][3]crossing{
	{{1, Spot{0, -2}}, {5, Spot{2, 2}}, {3, Spot{-2, 0}}},
	{{3, Spot{2, 2}}, {3, Spot{0, -2}}, {3, Spot{-2, 0}}},
}

// beyond measures how far a spot is from the centre of its face towards a side: the side is at 2 units.
func (s Spot) beyond(side int) int32 {
	switch side {
	case sideIJ:
		return s.X + s.Y
	case sideKI:
		return s.X - 2*s.Y
	}
	return s.Y - 2*s.X
}

// side is the side towards which the spot lies.
func (s Spot) side() int {
	k := -min(0, s.X, s.Y)
	switch {
	case k == 0:
		return sideIJ
	case s.Y+k > 0:
		return sideJK
	}
	return sideKI
}

// across gives a spot in the coordinates of the face beyond a side.
func (f faceSpot) across(side int) faceSpot {
	belt := 0
	if f.face >= 5 && f.face < 15 {
		belt = 1
	}
	c := crossings[belt][side]
	by := Spot{c.by.X * f.unit, c.by.Y * f.unit}
	return faceSpot{faceAcross[f.face][side], f.at.turn(c.turns).plus(by), f.unit}
}

// home gives a spot that may lie beyond a side on the face where it lies.
func (f faceSpot) home() faceSpot {
	if side := f.at.side(); f.at.beyond(side) > 2*f.unit {
		return f.across(side)
	}
	return f
}

// homeAround is home around a corner, where five faces meet.
func (f faceSpot) homeAround() faceSpot {
	for range 5 {
		next := f.home()
		if next.face == f.face {
			break
		}
		f = next
	}
	return f
}

// onFace is the centre of a valid cell on the face where it lies, at its own resolution if that is
// even, else at the next.
func (c Cell) onFace() faceSpot {
	resolution := c.Resolution()
	pentagon := pentagonBase(c.base())
	leading := c.leading()
	if pentagon && leading == 5 {
		c = c.turned(5) // the sector beside the missing one, as the home face has it
	}
	base := &baseCells[c.base()]
	f := faceSpot{face: base.face, at: c.spotFrom(base.home), unit: int32(power7((resolution + 1) / 2))}
	if resolution%2 == 1 {
		f.at = f.at.finer(resolution + 1)
	}
	if !pentagon {
		return f.home()
	}
	if side := f.at.side(); leading == 4 && side == sideKI && f.at.beyond(side) > 2*f.unit {
		// Over the missing sector: turn about the pentagon, the face's corner on the i axis.
		corner := Spot{2 * f.unit, 0}
		f.at = f.at.minus(corner).turn(5).plus(corner)
		f = f.across(side)
	}
	return f.homeAround()
}

// spotFrom is the spot of a cell on the lattice on which its base cell has the given spot.
func (c Cell) spotFrom(base Spot) Spot {
	at := 3 * MaxResolution
	for level := 1; level <= c.Resolution(); level++ {
		at -= 3
		base = base.finer(level).plus(digitStep[c>>at&7])
	}
	return base
}

// latLng is where a spot lies on earth.
func (f *faceSpot) latLng() LatLng { return f.between(f.at, 0) }

// between is where the place a share of the way from the spot to another one of the same lattice lies.
func (f *faceSpot) between(to Spot, share float64) LatLng {
	const (
		across = 0.86602540378443864676 / cellsInRadius // √3/2
		along  = 1 / cellsInRadius
	)
	x := float64(f.at.X) + float64(share*float64(to.X-f.at.X))
	y := float64(f.at.Y) + float64(share*float64(to.Y-f.at.Y))
	on := &faces[f.face]
	unit := float64(f.unit)
	p := plus(on.along, float64((x-y/2)*along)/unit, on.across, float64(y*across)/unit)
	return plus(on.centre, 1, p, 1).latLng()
}

// hexagon appends the corners of a cell around a centre, and the bends between, seen from the face of
// the centre.
func (f faceSpot) hexagon(dst []LatLng, around []Spot, bent bool) []LatLng {
	f.at, f.unit = Spot{3 * f.at.X, 3 * f.at.Y}, 3*f.unit
	var last, lastHome faceSpot
	for i := 0; i <= len(around); i++ {
		here := f
		here.at = f.at.plus(around[i%len(around)])
		home := here.home()
		if i > 0 && bent && home.face != lastHome.face {
			over := home.face
			if over == f.face {
				over = lastHome.face
			}
			dst = last.bend(dst, here.at, over)
		}
		if i < len(around) {
			dst = append(dst, home.latLng())
		}
		last, lastHome = here, home
	}
	return dst
}

// pentagon appends the corners of a cell around a corner of the icosahedron. All its sides cross an
// edge; where they are bent, that shows.
func (f faceSpot) pentagon(dst []LatLng, around []Spot, bent bool) []LatLng {
	f.at, f.unit = Spot{3 * f.at.X, 3 * f.at.Y}, 3*f.unit
	var last faceSpot
	for i := 0; i <= len(around); i++ {
		here := f
		here.at = f.at.plus(around[i%len(around)])
		here = here.homeAround()
		if side := here.sideTo(last.face); i > 0 && bent && side >= 0 {
			dst = last.bend(dst, here.across(side).at, here.face)
		}
		if i < len(around) {
			dst = append(dst, here.latLng())
		}
		last = here
	}
	return dst
}

// bend appends where the way to another spot of the same lattice crosses the side to another face,
// unless one of them lies on it.
func (f faceSpot) bend(dst []LatLng, to Spot, over uint8) []LatLng {
	side := f.sideTo(over)
	if side < 0 {
		return dst
	}
	from, end, limit := f.at.beyond(side), to.beyond(side), 2*f.unit
	if from == limit || end == limit {
		return dst
	}
	return append(dst, f.between(to, float64(limit-from)/float64(end-from)))
}

// sideTo is the side beyond which a face lies, -1 if none.
func (f faceSpot) sideTo(face uint8) int {
	for side, over := range faceAcross[f.face] {
		if over == face {
			return side
		}
	}
	return -1
}
