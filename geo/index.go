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
// resolution 0 the face's table has the base cell and how its axes are turned.
//
// No product is fused with a sum (float64()), so a place has the same cell on every machine. Figures
// beside H3's own library differ only where rounding there decides, closer than 1e-10° to an edge.

// Index returns the cell that a place lies in: latitude within ±90°, longitude within ±180°. The errors
// match ErrLatLng or ErrResolution.
func Index(lat, lng float64, resolution int) (Cell, error) {
	if uint(resolution) > MaxResolution {
		return 0, errResolution(resolution)
	}
	if !onEarth(lat, lng) {
		return 0, fmt.Errorf("latitude %v, longitude %v: %w", lat, lng, ErrLatLng)
	}
	p, region := place(lat, lng)
	face := region
	if region >= onEdge {
		face = faceMap.face(region, p)
	}
	l := &levels[resolution]
	x, y := l.lenses[face].nearest(&p)
	return l.cell(face, x, y), nil
}

// lens maps the points of a face to the lattice of a resolution.
type lens struct{ centre, a, b vector }

// nearest is the spot of the lattice nearest to where a point falls.
func (l *lens) nearest(p *vector) (x, y int32) {
	// Made positive, so that truncation is ⌊⌋ : |P| < 2^23 everywhere. A multiple of 3, as is `more`.
	const (
		positive = 3 << 23
		more     = 3 << 26
	)
	depth := p.dot(&l.centre)
	stretch := 1 / depth
	if depth > nearCentre {
		stretch *= l.centreStretch(p)
	}
	along, across := float64(p.dot(&l.a)*stretch), float64(p.dot(&l.b)*stretch)
	f1, f2, f3 := int64(along+positive), int64(across+positive), int64(positive-(along+across))
	return more/3 - int32(uint32(f3-f2+(more+1))/3), int32(uint32(f2-f1+(more+1))/3) - more/3
}

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
	// finer carries a spot to the next resolution that is a multiple of 4: x·[0] + y·[1], x·[2] + y·[3].
	finer  [4]int32
	origin int32 // added to x and y there to make them positive: 3 at resolution 0
	steps  int   // of four digits
	head   Cell  // mode and resolution
	tail   Cell  // the digits not used
}

var levels = func() *[MaxResolution + 1]level {
	const (
		unit    = 2.61803398874989588842 // cells of resolution 0 in the radius (H3: INV_RES0_U_GNOMONIC)
		root3   = 1.73205080756887729353 // √3
		root7   = 2.64575131106459059050 // √7
		sinTurn = 0.32732683535398857190 // of the turn of odd resolutions: √(3/28)
		cosTurn = 0.94491118252306806804 // √(25/28)
	)
	table := new([MaxResolution + 1]level)
	scale := unit
	for r := range table {
		l := &table[r]
		for f := range l.lenses {
			x, y := faces[f].along, faces[f].across
			if r%2 == 1 {
				x, y = plus(x, cosTurn, y, sinTurn), plus(y, cosTurn, x, -sinTurn)
			}
			l.lenses[f] = lens{faces[f].centre, plus(x, scale, y, -scale*root3), plus(x, scale, y, scale*root3)}
		}
		l.finer = [4][4]int32{{1, 0, 0, 1}, {21, -7, 7, 14}, {7, 0, 0, 7}, {3, -1, 1, 2}}[r%4]
		l.steps = (r + 3) / 4
		l.origin = int32(3 * power7(2*l.steps))
		l.head = cellMode | Cell(r)<<levelShift
		l.tail = unusedDigits(r)
		scale = unit * float64(power7((r+1)/2))
		if r%2 == 0 {
			scale = float64(scale * root7)
		}
	}
	return table
}()

// fours[49·x + y] splits the spot (x, y), 0 to 48, by four levels: 12 bits of digits, and above them x
// and y, each plus 1, of its ancestor there.
var fours = func() (table [49 * 49]uint16) {
	for i := range table {
		s := Spot{int32(i / 49), int32(i % 49)}
		for resolution := 4; resolution > 0; resolution-- {
			var digit uint8
			s, digit = s.coarser(resolution)
			table[i] |= uint16(digit) << (3 * (4 - resolution))
		}
		table[i] |= uint16(s.X+1)<<12 | uint16(s.Y+1)<<14
	}
	return table
}()

// cell is the cell at a spot of a face's lattice.
func (l *level) cell(face uint8, spotX, spotY int32) Cell {
	x := uint32(spotX*l.finer[0] + spotY*l.finer[1] + l.origin)
	y := uint32(spotX*l.finer[2] + spotY*l.finer[3] + l.origin)
	digits := Cell(0)
	at := 48 - 12*uint(l.steps)
	for range l.steps {
		upX, upY := x/49, y/49
		four := fours[(x-49*upX)*49+(y-49*upY)]
		digits |= Cell(four&0xfff) << (at & 63)
		at += 12
		x, y = upX+uint32(four>>12&3)-1, upY+uint32(four>>14)-1
	}
	digits >>= 3 // sixteen of them, of which H3 has fifteen
	base := &faceCells[face][(y*8+x)&63]
	if base.pentagon {
		return l.onPentagon(base, face, digits)
	}
	// Cell.turned, for all turns at once: a branch here would be guessed wrongly too often.
	digits = digits&base.keep | (digits<<1&(6*everyOne)|digits>>2&everyOne)&base.left | (digits>>1&(3*everyOne)|digits&everyOne<<2)&base.right
	digits ^= 7 * ((digits | digits>>1 | digits>>2) & everyOne) & base.flip
	return l.head | l.tail | base.head | digits
}

// onPentagon is the cell with some digits, in a face's axes, of a base cell that is a pentagon. What
// would lie in its missing sector belongs to the sector beside, on the side from which the face reaches
// it.
func (l *level) onPentagon(base *faceCell, face uint8, digits Cell) Cell {
	c := l.head | l.tail | base.head | digits
	if c.leading() == 1 {
		if clockwiseFaces[c.base()]>>face&1 != 0 {
			c = c.turned(5)
		} else {
			c = c.turned(1)
		}
	}
	return c.turnedAround(base.turns)
}

// faceCell is a base cell as seen from a face, and how its digits turn: which of the terms of
// Cell.turned hold.
type faceCell struct {
	head                    Cell
	keep, left, right, flip Cell
	turns                   uint8
	pentagon                bool
}

// faceCells[face][8·y + x], with x and y 1 to 5, is faceBases with x and y 3 less.
var faceCells = func() *[20][64]faceCell {
	table := new([20][64]faceCell)
	for face := range faceBases {
		for y, row := range faceBases[face] {
			for x, base := range row {
				c := faceCell{head: Cell(base.base) << baseShift, turns: base.turns, pentagon: pentagonBase(base.base)}
				switch base.turns % 3 {
				case 0:
					c.keep = everyDigit
				case 1:
					c.left = everyDigit
				default:
					c.right = everyDigit
				}
				if base.turns%2 == 1 {
					c.flip = everyDigit
				}
				table[face][8*(y+1)+x+1] = c
			}
		}
	}
	return table
}()
