package geo

import "slices"

// Digits 1 to 6 as directions, 60° apart: 4, 6, 2, 3, 1, 5 counterclockwise (frame_lattice.go).

// stepped[class][digit][direction] is what a step does to one digit: the new digit in the low three
// bits, and above them the step that the parent makes in turn, 0 if none. class is the resolution
// modulo 2.
var stepped = func() (table [2][8][8]uint8) {
	for class := range 2 {
		for digit := range 7 {
			for direction := range 7 {
				parent, to := digitStep[digit].plus(digitStep[direction]).coarser(class)
				table[class][digit][direction] = to | uint8(slices.Index(digitStep[:], parent))<<3
			}
		}
	}
	return table
}()

// Neighbor returns the cell next to c in the direction of a digit, 1 to 6, of c's own axes, and how
// often to turn a direction, 60° counterclockwise each, from c's axes into the neighbour's to go on
// straight. There is none (0) in direction 1 of a pentagon, and none of an invalid cell.
func (c Cell) Neighbor(direction int) (near Cell, turns int) {
	if direction < 1 || direction > 6 || !c.Valid() {
		return 0, 0
	}
	near, t := c.step(uint8(direction))
	return near, int(t)
}

// Neighbors appends the six, or of a pentagon five, cells that share an edge with c, in the order of
// their directions.
func (c Cell) Neighbors(dst []Cell) []Cell {
	if !c.Valid() {
		return dst
	}
	return c.neighbors(dst)
}

func (c Cell) neighbors(dst []Cell) []Cell {
	for direction := uint8(1); direction < 7; direction++ {
		if near, _ := c.step(direction); near != 0 {
			dst = append(dst, near)
		}
	}
	return dst
}

// step is Neighbor for a valid cell and direction.
//
// Adding the step to the finest digit gives a digit and a step of the parent, and so on up: like a sum
// with carries. Mostly it ends within a level or two.
func (c Cell) step(direction uint8) (near Cell, turns uint8) {
	near = c
	resolution := c.Resolution()
	at := 3 * uint(MaxResolution-resolution)
	for r := resolution; r > 0; r-- {
		digit := uint8(near>>at) & 7
		move := stepped[r&1][digit][direction&7]
		near ^= Cell(move&7^digit) << (at & 63)
		if direction = move >> 3; direction == 0 {
			if pentagonBase(c.base()) {
				return c.stepInPentagon(near)
			}
			return near, 0
		}
		at += 3
	}
	return c.stepBase(near, direction)
}

// stepInPentagon ends a step that stays in the descendants of a pentagon of resolution 0.
func (c Cell) stepInPentagon(near Cell) (Cell, uint8) {
	if near.leading() != 1 {
		return near, 0
	}
	// The step enters the sector that is missing; what is next to it closes up.
	switch c.leading() {
	case 3:
		return near.turned(1), 1
	case 5:
		return near.turned(5), 5
	}
	return 0, 0
}

// stepBase ends a step that leaves the base cell, whose digits it has changed, in a direction.
func (c Cell) stepBase(near Cell, direction uint8) (Cell, uint8) {
	from := c.base()
	in := &baseCells[from]
	turns := uint8(0)
	if in.near[direction] == noBase {
		if c.leading() == 0 {
			return 0, 0
		}
		// Out of the missing sector: 60° on lies what really is there.
		direction = 5
		near = near.turned(1)
		turns = 1
	}
	base, axes := in.near[direction], in.turns[direction]
	near = near&^(127<<baseShift) | Cell(base)<<baseShift
	if !pentagonBase(base) {
		return near.turned(axes), (turns + axes) % 6
	}
	closed := near.leading() == 1
	if closed {
		if clockwiseFaces[base]>>in.face&1 != 0 {
			near = near.turned(5)
		} else {
			near = near.turned(1)
		}
	}
	near = near.turnedAround(axes)
	if polarPentagon(base) {
		// All neighbours have their i axis towards it; 8 and 118 are those on the seam.
		if from != 8 && from != 118 && near.leading() != 3 {
			turns++
		}
	} else if near.leading() == 5 && !closed {
		turns++
	}
	return near, (turns + axes) % 6
}

func polarPentagon(base uint8) bool { return pentagonBase(base) && clockwiseFaces[base] == 0 }

// around lists the directions of a walk counterclockwise around a ring that begins in direction 4.
var around = [6]uint8{2, 3, 1, 5, 4, 6}

// Disk appends all cells within grid distance k of c, c first, ring by ring. The order within a ring is
// fixed: a walk around it, or ascending where a pentagon is in the disk. Nothing is appended for an
// invalid cell or a negative k.
func Disk(dst []Cell, c Cell, k int) []Cell {
	if k < 0 || !c.Valid() {
		return dst
	}
	start := len(dst)
	if k < 1<<15 {
		dst = slices.Grow(dst, 3*k*(k+1)+1)
	}
	flat := !c.IsPentagon()
	dst = append(dst, c)
	at, turns := c, uint8(0)
	for ring := 1; ring <= k && flat; ring++ {
		var turned uint8
		at, turned = at.step(turnedDigit[turns][4])
		turns = (turns + turned) % 6
		if flat = !at.IsPentagon(); flat {
			dst, at, turns, flat = walkRing(dst, at, turns, ring)
		}
	}
	if !flat {
		dst, _ = spread(dst[:start], c, k)
	}
	return dst
}

// walkRing appends the cells of a ring from the one in direction 4; false if it met a pentagon.
func walkRing(dst []Cell, at Cell, turns uint8, ring int) ([]Cell, Cell, uint8, bool) {
	for _, direction := range around {
		straight := turnedDigit[turns][direction]
		for range ring {
			dst = append(dst, at)
			near, turned := at.step(straight)
			if near.IsPentagon() {
				return dst, at, turns, false
			}
			if at = near; turned != 0 {
				turns = (turns + turned) % 6
				straight = turnedDigit[turns][direction]
			}
		}
	}
	return dst, at, turns, true
}

// Ring appends the cells at grid distance k of c, in a fixed order: a walk around, or ascending where a
// pentagon is within. Nothing is appended for an invalid cell or a negative k.
func Ring(dst []Cell, c Cell, k int) []Cell {
	if k < 0 || !c.Valid() {
		return dst
	}
	if k == 0 {
		return append(dst, c)
	}
	start := len(dst)
	if ringed, ok := flatRing(dst, c, k); ok {
		return ringed
	}
	dst, last := spread(dst[:start], c, k)
	return dst[:start+copy(dst[start:], dst[last:])]
}

// flatRing walks out to a ring and around it; false where pentagons may be within. One pentagon alone
// does not let the walk end where it began; two or more need a disk as wide as they are apart, 4 cells
// at resolution 0 and √7 times as many with each further one.
func flatRing(dst []Cell, c Cell, k int) ([]Cell, bool) {
	if apart := int64(power7(c.Resolution())); int64(k) > 1<<30 || int64(k)*int64(k) >= 3*apart || c.IsPentagon() {
		return dst, false
	}
	at, turns := c, uint8(0)
	for range k {
		near, turned := at.step(turnedDigit[turns][4])
		if near.IsPentagon() {
			return dst, false
		}
		at, turns = near, (turns+turned)%6
	}
	dst, end, _, ok := walkRing(slices.Grow(dst, 6*k), at, turns, k)
	return dst, ok && end == at
}

// spread appends the disk around c from neighbour to neighbour, each ring ascending, and says where the
// last ring begins.
//
// What touches a ring lies in the ring before it, in itself or in the next.
func spread(dst []Cell, c Cell, k int) (disk []Cell, last int) {
	before, ring := len(dst), len(dst)
	dst = append(dst, c)
	for range k {
		end := len(dst)
		for i := ring; i < end; i++ {
			for direction := uint8(1); direction < 7; direction++ {
				near, _ := dst[i].step(direction)
				if near == 0 {
					continue
				}
				if _, ok := slices.BinarySearch(dst[ring:end], near); ok {
					continue
				}
				if _, ok := slices.BinarySearch(dst[before:ring], near); !ok {
					dst = append(dst, near)
				}
			}
		}
		slices.Sort(dst[end:])
		dst = dst[:end+len(slices.Compact(dst[end:]))]
		before, ring = ring, end
		if end == len(dst) {
			break // all around the earth
		}
	}
	return dst, ring
}
