package geo

import "fmt"

// Local coordinates unfold the lattice around an origin: the descendants of the origin's base cell and
// of the base cells around that one. Around a pentagon H3 leaves out what it cannot unfold for sure, and
// so do we: the figures, and where there are none, are H3's (4.4.1, localij.c), from which the tables
// of turns are taken.

// unfoldTurns[leading][direction] is how often, 60° clockwise, what lies in a direction of a pentagon is
// turned, as seen from a cell in the sector of a leading digit. Digit 1 is the missing sector.
var unfoldTurns = [7][7]uint8{
	2: {5: 1},
	3: {4: 1, 5: 1},
	4: {3: 5},
	5: {2: 5, 3: 5},
}

// foldTurns[leading][direction] undoes unfoldTurns, counterclockwise, for an origin on a pentagon;
// foldBeside and foldBesidePole for an origin beside one, in direction [from] of it.
var (
	foldTurns      = [7][7]uint8{2: {1: 1}, 3: {1: 1, 5: 1}, 4: {1: 5}, 5: {1: 5, 3: 5}}
	foldBeside     = [7][7]uint8{2: {1: 1}, 3: {1: 1, 5: 1}, 4: {1: 5}, 5: {1: 1, 3: 5, 4: 1, 5: 1}}
	foldBesidePole = [7][7]uint8{
		2: {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1},
		3: {1: 1, 5: 1},
		4: {1: 1, 4: 1, 5: 1, 6: 1},
		5: {1: 1, 3: 5, 4: 1, 5: 1},
		6: {1: 1, 2: 1, 4: 1, 5: 1, 6: 1},
	}
)

// foldedAway[a] has a bit for each direction that does not unfold from direction a of a pentagon.
var foldedAway = [7]uint8{2: 1<<4 | 1<<5, 3: 1<<4 | 1<<6, 4: 1<<2 | 1<<3, 5: 1<<2 | 1<<6, 6: 1<<3 | 1<<5}

// LocalIJ returns the coordinates of c in the lattice around an origin: i counts steps in direction 4, j
// in direction 2 of the origin's base cell. They compare only with coordinates from the same origin. The
// errors match ErrCell, ErrResolution (c has another one than the origin) or ErrDistance (too far, or
// beyond a pentagon).
func LocalIJ(origin, c Cell) (i, j int, err error) {
	s, err := localSpot(origin, c)
	return int(s.X), int(s.Y), err
}

// Distance returns the grid distance of two cells of a resolution. The errors match ErrCell,
// ErrResolution or ErrDistance, as in LocalIJ.
func Distance(a, b Cell) (int, error) {
	to, err := localSpot(a, b)
	if err != nil {
		return 0, err
	}
	from, err := localSpot(a, a)
	if err != nil {
		return 0, err
	}
	return to.minus(from).distance(), nil
}

func errDistance(origin, c Cell) error { return fmt.Errorf("%s and %s: %w", origin, c, ErrDistance) }

// directionTo is the direction from a base cell to another one beside it, 0 to itself, 7 if none.
func directionTo(from, to uint8) uint8 {
	for direction, near := range baseCells[from].near {
		if near == to {
			return uint8(direction)
		}
	}
	return 7
}

// turnedDirection turns a direction clockwise; about a pentagon it skips the missing sector.
func turnedDirection(direction, turns uint8, pentagon bool) uint8 {
	for range turns {
		if direction = turnedDigit[5][direction]; direction == 1 && pentagon {
			direction = turnedDigit[5][direction]
		}
	}
	return direction
}

// turnedBackAround undoes turnedAround.
func (c Cell) turnedBackAround(turns uint8) Cell {
	for range turns {
		if c = c.turned(5); c.leading() == 1 {
			c = c.turned(5)
		}
	}
	return c
}

func localSpot(origin, c Cell) (Spot, error) {
	for _, cell := range [2]Cell{origin, c} {
		if !cell.Valid() {
			return Spot{}, errCell(cell)
		}
	}
	if origin.Resolution() != c.Resolution() {
		return Spot{}, fmt.Errorf("%s beside %s: %d: %w of both", c, origin, c.Resolution(), ErrResolution)
	}
	from, to := origin.base(), c.base()
	onPentagon := pentagonBase(from)
	if from == to {
		at := c.spotFrom(Spot{})
		if onPentagon {
			a, b := origin.leading(), c.leading()
			if foldedAway[a]>>b&1 != 0 {
				return Spot{}, errDistance(origin, c)
			}
			at = at.turn((6 - unfoldTurns[a][b]) % 6)
		}
		return at, nil
	}
	direction, back := directionTo(from, to), directionTo(to, from)
	if direction == 7 {
		return Spot{}, errDistance(origin, c)
	}
	// In the axes of the origin's base cell.
	axes, toPentagon := baseCells[from].turns[direction], pentagonBase(to)
	back = turnedDirection(back, axes, toPentagon)
	turned := c.turned((6 - axes) % 6)
	if toPentagon {
		turned = c.turnedBackAround(axes)
	}
	away, turns, all := false, uint8(0), uint8(0)
	if onPentagon {
		leading := origin.leading()
		away = foldedAway[leading]>>direction&1 != 0
		turns = unfoldTurns[leading][direction]
		all = turns
	} else if toPentagon {
		leading := turned.leading()
		away = foldedAway[leading]>>back&1 != 0
		turns = unfoldTurns[back][leading]
	}
	if away {
		return Spot{}, errDistance(origin, c)
	}
	base := digitStep[direction]
	for level := 1; level <= c.Resolution(); level++ {
		base = base.finer(level)
	}
	return turned.spotFrom(Spot{}).turn((6 - turns) % 6).plus(base.turn((6 - all) % 6)), nil
}

// FromLocalIJ returns the cell at coordinates that LocalIJ gives for an origin. The errors match ErrCell
// or ErrDistance (no cell, or too far).
func FromLocalIJ(origin Cell, i, j int) (Cell, error) {
	if !origin.Valid() {
		return 0, errCell(origin)
	}
	const far = 1 << 26 // beyond all base cells beside any, at resolution 15
	if max(i, j) > far || min(i, j) < -far {
		return 0, errLocal(origin, i, j)
	}
	resolution := origin.Resolution()
	s := Spot{int32(i), int32(j)}
	c := origin &^ usedDigits(resolution)
	for level, at := resolution, 3*uint(MaxResolution-resolution); level > 0; level-- {
		var digit uint8
		s, digit = s.coarser(level)
		c |= Cell(digit) << at
		at += 3
	}
	if s.distance() > 1 {
		return 0, errLocal(origin, i, j)
	}
	direction := uint8(0)
	for digit, step := range digitStep {
		if step == s {
			direction = uint8(digit)
		}
	}
	c, ok := c.folded(origin, direction)
	if !ok || !c.Valid() {
		return 0, errLocal(origin, i, j)
	}
	return c, nil
}

func errLocal(origin Cell, i, j int) error {
	return fmt.Errorf("(%d, %d) around %s: %w", i, j, origin, ErrDistance)
}

// folded puts a cell with digits in the axes of the origin's base cell into the base cell in a
// direction, and undoes the turns of localSpot; false where nothing is.
func (c Cell) folded(origin Cell, direction uint8) (Cell, bool) {
	from := origin.base()
	leading := origin.leading()
	if direction == 0 {
		if pentagonBase(from) {
			c = c.turned(foldTurns[leading][c.leading()])
		}
		return c, true
	}
	turns := uint8(0)
	if pentagonBase(from) && origin.Resolution() > 0 {
		turns = foldTurns[leading][direction]
		for range turns {
			direction = turnedDigit[1][direction]
		}
	}
	base := baseCells[from].near[direction]
	if base == noBase {
		return 0, false
	}
	c = c&^(127<<baseShift) | Cell(base)<<baseShift
	axes := baseCells[from].turns[direction]
	if !pentagonBase(base) {
		return c.turned(turns).turned(axes), true
	}
	c = c.turned(axes)
	fold := &foldBeside
	if polarPentagon(base) {
		fold = &foldBesidePole
	}
	return c.turnedAround(fold[directionTo(base, from)][c.leading()]), true
}
