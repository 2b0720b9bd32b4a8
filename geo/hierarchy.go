package geo

import (
	"fmt"
	"slices"
)

// mostChildren bounds what Children makes: 7^10, two gigabytes of them.
const mostChildren = 282475249

// Parent returns the cell of a coarser (or the same) resolution that H3's hierarchy puts c into. The
// errors match ErrCell or ErrResolution.
func (c Cell) Parent(resolution int) (Cell, error) {
	if uint(resolution) > uint(c.Resolution()) || !c.Valid() {
		return 0, c.errHierarchy(resolution, 0, c.Resolution())
	}
	return c&^levelBits | Cell(resolution)<<levelShift | unusedDigits(resolution), nil
}

// CenterChild returns the cell of a finer (or the same) resolution at the centre of c. The errors match
// ErrCell or ErrResolution.
func (c Cell) CenterChild(resolution int) (Cell, error) {
	if resolution < c.Resolution() || resolution > MaxResolution || !c.Valid() {
		return 0, c.errHierarchy(resolution, c.Resolution(), MaxResolution)
	}
	digits := unusedDigits(c.Resolution()) &^ unusedDigits(resolution)
	return c&^levelBits&^digits | Cell(resolution)<<levelShift, nil
}

// ChildCount returns how many cells of a finer (or the same) resolution c has. The errors match ErrCell
// or ErrResolution.
func (c Cell) ChildCount(resolution int) (int, error) {
	if resolution < c.Resolution() || resolution > MaxResolution || !c.Valid() {
		return 0, c.errHierarchy(resolution, c.Resolution(), MaxResolution)
	}
	count := 1
	for range resolution - c.Resolution() {
		count *= 7
	}
	if c.IsPentagon() {
		count = 1 + 5*((count-1)/6)
	}
	return count, nil
}

// Children appends the cells of a finer (or the same) resolution that have c as their parent, ascending.
// The errors match ErrCell or ErrResolution, the latter also for more than 7^10 children.
func (c Cell) Children(dst []Cell, resolution int) ([]Cell, error) {
	count, err := c.ChildCount(resolution)
	if err != nil {
		return dst, err
	}
	if count > mostChildren {
		return dst, fmt.Errorf("children of %s at resolution %d: %d are too many, %w", c, resolution, count, ErrResolution)
	}
	dst = slices.Grow(dst, count)
	child, _ := c.CenterChild(resolution)
	pentagon := c.IsPentagon()
	finest := 3 * uint(MaxResolution-resolution)
	for range count {
		dst = append(dst, child)
		// Count up in octal; a digit of 7 carries.
		at := finest
		child += 1 << at
		for child>>at&7 == 7 && at < digitBits {
			child += 1 << at
			at += 3
		}
		if pentagon && child.leading() == 1 {
			child += 1 << at // the whole sector is missing
		}
	}
	return dst, nil
}

// errHierarchy says why c has no relative at a resolution outside low to high.
func (c Cell) errHierarchy(resolution, low, high int) error {
	if !c.Valid() {
		return errCell(c)
	}
	if uint(resolution) > MaxResolution {
		return errResolution(resolution)
	}
	return fmt.Errorf("cell %s: %d: %w between %d and %d", c, resolution, ErrResolution, low, high)
}
