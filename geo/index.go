package geo

import (
	"fmt"
	"math"
)

// From a place to a cell without trigonometry in the way.
//
// A place is a point p of the unit sphere (sphere.go). It lies on the face of the icosahedron whose
// centre c is nearest. Seen from the middle of the earth it falls on that face's plane at p / (p·c):
//
//	           p
//	 ____c____/___   plane of the face
//	     |   /
//	     |  /
//	     | /
//	     o
//
// There the cells are a hexagonal lattice. Measure along three directions 120° apart, each across one
// of the pairs of sides of the cells, in half cells, so that P + Q + R = 0:
//
//	P = p·A / p·c    Q = p·B / p·c    R = −P − Q
//
// with vectors A and B for each face and resolution, in which scale and turn are contained. The lines
// where P, Q or R is whole cut the plane into triangles, six around the centre of each cell; so their
// floors say which cell it is:
//
//	     ______
//	    /\    /\       x = −⌊(⌊R⌋ − ⌊Q⌋ + 1) / 3⌋
//	   /  \  /  \      y =  ⌊(⌊Q⌋ − ⌊P⌋ + 1) / 3⌋
//	  /____\/____\
//	  \    /\    /     (Spot X and Y, frame_lattice.go)
//	   \  /  \  /
//	    \/____\/
//
// Two levels of the hierarchy multiply the lattice by exactly 7, four by 49. So the remainders of x and
// y by 49 give four digits from a table; the rest is the lattice of the resolution four levels up. At
// resolution 0 or 1 the face's table has the base cell and how its axes are turned.
//
// No product is fused with a sum (float64()), so a place has the same cell on every machine. Figures
// beside H3's own library differ only where rounding there decides, closer than 1e-10° to an edge.

// Index returns the cell that a place lies in: latitude within ±90°, longitude within ±180°. The errors
// match ErrLatLng or ErrResolution.
func Index(lat, lng float64, resolution int) (Cell, error) {
	if uint(resolution) > MaxResolution {
		return 0, errResolution(resolution)
	}
	if !OnEarth(lat, lng) {
		return 0, fmt.Errorf("latitude %v, longitude %v: %w", lat, lng, ErrLatLng)
	}
	p, region := place(lat, lng)
	face := region
	if region >= onEdge {
		face = faceMap.face(region, p)
	}
	l := &levels[resolution]
	x, y := l.nearest(face, &p)
	return l.cell(face, x, y), nil
}

// lens maps the points of a face to the lattice of a resolution.
type lens struct{ centre, a, b vector }

// nearCentre is the cosine of about 0.06°, 6 km.
const nearCentre = 1 - 5e-7

// centreStretch is by how much H3 errs in the distance of a point from the centre of its face, so that
// cells are the same there too. H3 takes that angle from its cosine, which changes so little near the
// centre that its last bit is worth up to 0.1 m.
func (l *lens) centreStretch(p *vector) float64 {
	away := plus(*p, 1, l.centre, -1)
	square := away.dot(&away)
	if square == 0 {
		return 1
	}
	cosine := 1 - float64(square*0.5)
	return math.Sqrt((1 - cosine) * (1 + cosine) / (square * (1 - float64(square*0.25))))
}

// level is what indexing at one resolution needs.
type level struct {
	lenses [20]lens
	// positive is added to P, Q and R, so that truncation is ⌊⌋: a little more than they ever are, since
	// the sum's last bit counts.
	positive float64
	// finer carries a spot down to the next resolution from which steps of four levels lead up to 0 or 1:
	// x·[0] + y·[1], x·[2] + y·[3]. Where there is nothing to do, there is one.
	finer  [4]int32
	there  bool
	origin int32 // added to x and y there to make them positive: middle at the end of the steps
	steps  int   // of four digits
	lowest uint  // where the first step's digits go, three bits higher than in a cell
	fours  *[6][49 * 49]uint16
	bases  *[20][256]faceBase
	rest   Cell // mode, resolution, and the digits not used
}

// nearest is the spot of a face's lattice nearest to where a point falls.
func (l *level) nearest(face uint8, p *vector) (x, y int32) {
	on := &l.lenses[face]
	depth := p.dot(&on.centre)
	stretch := 1 / depth
	if depth > nearCentre {
		stretch *= on.centreStretch(p)
	}
	along, across := float64(p.dot(&on.a)*stretch), float64(p.dot(&on.b)*stretch)
	f1, f2, f3 := int64(along+l.positive), int64(across+l.positive), int64(l.positive-(along+across))
	const more = 3 << 26
	return more/3 - int32(uint32(f3-f2+(more+1))/3), int32(uint32(f2-f1+(more+1))/3) - more/3
}

// cellsInRadius is the radius of the sphere in steps of resolution 0 (H3: INV_RES0_U_GNOMONIC).
const cellsInRadius = 2.61803398874989588842

var levels = func() *[MaxResolution + 1]level {
	const (
		root3   = 1.73205080756887729353 // √3
		root7   = 2.64575131106459059050 // √7
		sinTurn = 0.32732683535398857190 // of the turn of odd resolutions: √(3/28)
		cosTurn = 0.94491118252306806804 // √(25/28)
	)
	table := new([MaxResolution + 1]level)
	scale := cellsInRadius
	for r := range table {
		l := &table[r]
		for f := range l.lenses {
			x, y := faces[f].along, faces[f].across
			if r%2 == 1 {
				x, y = plus(x, cosTurn, y, sinTurn), plus(y, cosTurn, x, -sinTurn)
			}
			l.lenses[f] = lens{faces[f].centre, plus(x, scale, y, -scale*root3), plus(x, scale, y, scale*root3)}
		}
		l.positive = float64(6 * power7((r+1)/2))
		l.finer = [4][4]int32{{1, 0, 0, 1}, {1, 0, 0, 1}, {7, 0, 0, 7}, {3, -1, 1, 2}}[r%4]
		l.there = r%4 < 2
		l.steps = (r + 2) / 4
		coarse := 0
		if r%4 == 1 {
			coarse = 1
		}
		l.origin = int32(middle * power7(2*l.steps))
		l.lowest = uint(48 - 12*l.steps - 3*coarse)
		l.fours = &fours[coarse]
		l.bases = &faceBasesAt[coarse]
		l.rest = cellMode | Cell(r)<<levelShift | unusedDigits(r)
		scale = cellsInRadius * float64(power7((r+1)/2))
		if r%2 == 0 {
			scale = float64(scale * root7)
		}
	}
	return table
}()

// fours[resolution modulo 2][turns][49·x + y] splits the spot (x, y), 0 to 48, by four levels: 12 bits
// of digits, turned as turnings says, and above them x and y, each plus 1, of its ancestor there.
var fours = func() (table [2][6][49 * 49]uint16) {
	for class := range table {
		for i := range 49 * 49 {
			s, digits := Spot{int32(i / 49), int32(i % 49)}, Cell(0)
			for up := range 4 {
				var digit uint8
				s, digit = s.coarser(class + 4 - up)
				digits |= Cell(digit) << (3 * up)
			}
			for turns := range table[class] {
				table[class][turns][i] = uint16(turnings[turns].of(digits)) | uint16(s.X+1)<<12 | uint16(s.Y+1)<<14
			}
		}
	}
	return table
}()

// by49 is n/49, rounded down, of what is less than 2^31.
func by49(n uint64) uint64 { return n * (1<<37/49 + 1) >> 37 }

// cell is the cell at a spot of a face's lattice.
func (l *level) cell(face uint8, spotX, spotY int32) Cell {
	x, y := l.first(spotX, spotY)
	digits, at := Cell(0), l.lowest
	for range l.steps {
		var i uint64
		i, x, y = l.fourUp(x, y)
		digits |= Cell(l.fours[0][i]&0xfff) << (at & 63)
		at += 12
	}
	base := l.base(face, x, y)
	digits = (digits | Cell(base.digit)<<digitBits) >> 3
	c := l.rest | Cell(base.base)<<baseShift
	if base.pentagon {
		return onPentagon(c|digits, face, base.turns)
	}
	return c | turnings[base.turns&7].of(digits)
}

// base is what lies at the spot where a face's steps end.
func (l *level) base(face uint8, x, y uint64) faceBase { return l.bases[face][(y*16+x)&255] }

// first is where the steps of four levels begin for a spot.
func (l *level) first(spotX, spotY int32) (x, y uint64) {
	if !l.there {
		spotX, spotY = spotX*l.finer[0]+spotY*l.finer[1], spotX*l.finer[2]+spotY*l.finer[3]
	}
	return uint64(spotX + l.origin), uint64(spotY + l.origin)
}

// fourUp is a spot's place in fours, and its ancestor four levels up.
func (l *level) fourUp(x, y uint64) (i, upX, upY uint64) {
	upX, upY = by49(x), by49(y)
	i = 49*x + y - (49*49*upX + 49*upY)
	four := uint64(l.fours[0][i])
	return i, upX + four>>12&3 - 1, upY + four>>14 - 1
}

// turnTerms says which of the terms of Cell.turned hold.
type turnTerms struct{ keep, left, right, flip Cell }

// of is Cell.turned of digits, for all turns at once: a branch here would be guessed wrongly too often.
func (t *turnTerms) of(digits Cell) Cell {
	digits = digits&t.keep | (digits<<1&(6*everyOne)|digits>>2&everyOne)&t.left | (digits>>1&(3*everyOne)|digits&everyOne<<2)&t.right
	return digits ^ 7*((digits|digits>>1|digits>>2)&t.flip)
}

// turnings are for 0 to 5 turns.
var turnings = [8]turnTerms{
	0: {keep: everyDigit},
	1: {left: everyDigit, flip: everyOne},
	2: {right: everyDigit},
	3: {keep: everyDigit, flip: everyOne},
	4: {left: everyDigit},
	5: {right: everyDigit, flip: everyOne},
}

// onPentagon turns a cell with digits in a face's axes into those of its base cell, a pentagon. What
// would lie in the missing sector belongs to the sector beside, on the side from which the face reaches
// it.
func onPentagon(c Cell, face, turns uint8) Cell {
	if c.leading() == 1 {
		if clockwiseFaces[c.base()]>>face&1 != 0 {
			c = c.turned(5)
		} else {
			c = c.turned(1)
		}
	}
	return c.turnedAround(turns)
}

// faceBase is what lies at a spot of a face's lattice at resolution 0 or 1.
type faceBase struct {
	base, turns uint8
	digit       uint8 // at resolution 1
	pentagon    bool
}

// middle is what x and y have too much in the index of faceBasesAt.
const middle = 8

// faceBasesAt[resolution][face][16·y + x].
var faceBasesAt = func() *[2][20][256]faceBase {
	table := new([2][20][256]faceBase)
	for i := range 256 {
		for coarse := range 2 {
			s, digit := Spot{int32(i%16 - middle), int32(i/16 - middle)}, uint8(0)
			if coarse == 1 {
				s, digit = s.coarser(1)
			}
			if s.distance() > 2 {
				continue // beyond the face
			}
			for face := range faceBases {
				base := faceBases[face][s.Y+2][s.X+2]
				table[coarse][face][i] = faceBase{base.base, base.turns, digit, pentagonBase(base.base)}
			}
		}
	}
	return table
}()
