package geo

// The flat lattice beneath H3.
//
// Around any cell, away from pentagons, the grid is the plane's hexagonal lattice. Write X for the
// step of H3's digit 4, Y for that of digit 2, and Z = X + Y; a cell's six neighbours are ±X, ±Y, ±Z:
//
//	        Y    Z
//	          \ /
//	   −X ---- o ---- X
//	          / \
//	       −Z    −Y
//
// One level of the hierarchy multiplies the lattice by an element of norm 7: a parent's centre (x, y)
// becomes x·a + y·b, with a and b turned to one side at odd resolutions (H3's class III) and to the
// other at even ones, and the digits 1 to 6 add one of the six steps. Turning by 60° about a centre
// commutes with all of it. (Sahr, White, Kimerling 2003; H3's documentation, "Hierarchical
// non-containment" and "Coordinate systems".)

// Spot says where a cell lies in its frame: X and Y count steps along the lattice's axes. A frame that
// does not unfold keeps the cell itself in it. Callers keep it beside the cell and hand it back.
type Spot struct{ X, Y int32 }

func (s Spot) plus(o Spot) Spot  { return Spot{s.X + o.X, s.Y + o.Y} }
func (s Spot) minus(o Spot) Spot { return Spot{s.X - o.X, s.Y - o.Y} }

// distance is the grid distance of a spot from the origin, the greatest magnitude of X, Y and X − Y: half the
// sum of all three, of which one is the sum of the others. There is no branch in it, which over scattered
// spots no processor could foresee.
func (s Spot) distance() int { return int(magnitude(s.X)+magnitude(s.Y)+magnitude(s.X-s.Y)) >> 1 }

func magnitude(v int32) int32 {
	sign := v >> 31
	return (v ^ sign) - sign
}

// digitStep is the step that each digit of an H3 index adds.
var digitStep = [7]Spot{{0, 0}, {-1, -1}, {0, 1}, {-1, 0}, {1, 0}, {0, -1}, {1, 1}}

// turning lists the digits counterclockwise, and turnOf is its inverse.
var (
	turning = [6]uint8{4, 6, 2, 3, 1, 5}
	turnOf  = [7]int{1: 4, 2: 2, 3: 3, 4: 0, 5: 5, 6: 1}
)

// turnedDigit[turns][digit] is the digit whose step is that of digit, turned counterclockwise.
var turnedDigit = func() (table [6][7]uint8) {
	for turns := range 6 {
		for digit := 1; digit < 7; digit++ {
			table[turns][digit] = turning[(turnOf[digit]+turns)%6]
		}
	}
	return table
}()

// turn turns a spot about the origin by 60° counterclockwise, turns (0 to 5) times.
func (s Spot) turn(turns uint8) Spot {
	switch turns {
	case 1:
		return Spot{s.X - s.Y, s.X}
	case 2:
		return Spot{-s.Y, s.X - s.Y}
	case 3:
		return Spot{-s.X, -s.Y}
	case 4:
		return Spot{s.Y - s.X, -s.X}
	case 5:
		return Spot{s.Y, s.Y - s.X}
	}
	return s
}

// finer carries the centre of a cell to the lattice of its children, which have the given resolution.
func (s Spot) finer(resolution int) Spot {
	if resolution%2 == 1 {
		return Spot{2*s.X + s.Y, 3*s.Y - s.X}
	}
	return Spot{3*s.X - s.Y, s.X + 2*s.Y}
}

// residueDigit[resolution%2] gives the digit of a spot of that resolution from x + 4y (even) or
// x + 2y (odd) modulo 7: the seven children of a cell have the seven residues.
var residueDigit = func() (table [2][7]uint8) {
	for digit, step := range digitStep {
		table[0][((step.X+4*step.Y)%7+7)%7] = uint8(digit)
		table[1][((step.X+2*step.Y)%7+7)%7] = uint8(digit)
	}
	return table
}()

// coarser splits a spot of the given resolution into its parent's spot and its digit; it undoes finer.
func (s Spot) coarser(resolution int) (Spot, uint8) {
	odd := resolution % 2
	weight := int32(4 - 2*odd)
	digit := residueDigit[odd][((s.X+weight*s.Y)%7+7)%7]
	s = s.minus(digitStep[digit])
	if odd == 1 {
		return Spot{(3*s.X - s.Y) / 7, (s.X + 2*s.Y) / 7}, digit
	}
	return Spot{(2*s.X + s.Y) / 7, (3*s.Y - s.X) / 7}, digit
}

// The bits of an index (H3's documentation, "Cell indexing"): 4 bits of resolution from bit 52, and 3
// bits a digit, the digit of resolution r ending at bit 3·(15 − r). Digits beyond the resolution are 7.

// ancestorAt is the cell of a coarser (or the same) resolution that holds c.
func ancestorAt(c Cell, resolution int) Cell {
	unused := Cell(1)<<(3*(15-resolution)) - 1
	return c&^(0xf<<52) | Cell(resolution)<<52 | unused
}

// digitsBelow reads the digits of c, a cell of resolution coarse + depth, below resolution coarse as
// one number in base 7.
func digitsBelow(c Cell, coarse, depth int) int {
	number := 0
	for level := coarse + 1; level <= coarse+depth; level++ {
		number = number*7 + int(c>>(3*(15-level)))&7
	}
	return number
}

// descendant is the cell `depth` levels below c whose digits there are a number in base 7.
func descendant(c Cell, coarse, depth, number int) Cell {
	fine := coarse + depth
	c = c&^(0xf<<52) | Cell(fine)<<52
	for level := fine; level > coarse; level-- {
		shift := 3 * (15 - level)
		c = c&^(7<<shift) | Cell(number%7)<<shift
		number /= 7
	}
	return c
}

// deleted reports that an index names no cell: a pentagon has no children in the direction of digit 1.
func deleted(c Cell, resolution int) bool {
	if !ancestorAt(c, 0).IsPentagon() {
		return false
	}
	for level := 1; level <= resolution; level++ {
		if digit := c >> (3 * (15 - level)) & 7; digit != 0 {
			return digit == 1
		}
	}
	return false
}

// power7 is 7^n.
func power7(n int) int {
	power := 1
	for range n {
		power *= 7
	}
	return power
}
