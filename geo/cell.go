package geo

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// Cell is an H3 index (https://h3geo.org): 64 bits, mode 1. The zero value is no cell.
//
//	bit  63  62…59  58…56  55…52        51…45       44…42    …    2…0
//	     0   1      0      resolution   base cell   digit 1  …    digit 15
//
// Each digit, 0 to 6, says which of its parent's seven children a cell is; digits finer than the
// resolution are 7.
//
// Methods of an invalid Cell return an error where they can, else zero values; they never panic.
type Cell uint64

// Resolutions go from 0, the base cells, to MaxResolution, cells of about 0.9 m².
const MaxResolution = 15

// What was wrong with the input. Errors of this package say which value it was and match one of these
// with errors.Is.
var (
	ErrLatLng     = errors.New("not a place on earth")
	ErrResolution = errors.New("not a resolution")
	ErrCell       = errors.New("not an H3 cell")
	ErrDistance   = errors.New("no common local coordinates")
)

const (
	digitBits    = 45                // the low bits that hold the digits
	everyOne     = 0o111111111111111 // bit 0 of each digit
	everyDigit   = 1<<digitBits - 1
	cellMode     = Cell(1) << 59
	baseShift    = digitBits
	levelShift   = 52
	levelBits    = Cell(15) << levelShift
	oneLevelDown = Cell(1) << levelShift
)

// unusedDigits has all bits of the digits that a resolution does not use, usedDigits of those it does.
func unusedDigits(resolution int) Cell { return 1<<(3*uint(MaxResolution-resolution)&63) - 1 }
func usedDigits(resolution int) Cell   { return everyDigit &^ unusedDigits(resolution) }

// Valid reports that c is an H3 cell.
func (c Cell) Valid() bool {
	base := c.base()
	if c>>56 != cellMode>>56 || base >= 122 {
		return false
	}
	sevens := c & (c >> 1) & (c >> 2) & everyOne
	if sevens != unusedDigits(c.Resolution())&everyOne {
		return false
	}
	return !pentagonBase(base) || c.leading() != 1
}

// Resolution returns 0 to 15.
func (c Cell) Resolution() int { return int(c>>levelShift) & 15 }

// BaseCell returns the number, 0 to 121, of the cell of resolution 0 whose descendant c is.
func (c Cell) BaseCell() int { return int(c>>baseShift) & 127 }

// Hash spreads cells over 64 bits, the upper ones best. Cells of one region have
// most bits in common and differ in regular steps, which one multiplication alone
// maps to regular steps again; so there are two with the halves folded between.
func (c Cell) Hash() uint64 {
	h := uint64(c) * 0x9e3779b97f4a7c15
	return (h ^ h>>32) * 0xd6e8feb86659fd93
}

func (c Cell) base() uint8 { return uint8(c>>baseShift) & 127 }

// IsPentagon reports that c is one of the twelve pentagons of its resolution.
func (c Cell) IsPentagon() bool {
	return pentagonBase(c.base()) && c&usedDigits(c.Resolution()) == 0
}

// pentagonBases has a bit for each base cell that is a pentagon.
var pentagonBases = func() (set [2]uint64) {
	for base := range baseCells {
		if baseCells[base].near[1] == noBase {
			set[base>>6] |= 1 << (base & 63)
		}
	}
	return set
}()

func pentagonBase(base uint8) bool { return pentagonBases[base>>6&1]>>(base&63)&1 != 0 }

// leading is the coarsest digit that is not 0, or 0.
func (c Cell) leading() uint8 {
	digits := uint64(c & usedDigits(c.Resolution()))
	if digits == 0 {
		return 0
	}
	return uint8(digits >> ((bits.Len64(digits) - 1) / 3 * 3))
}

// turned turns the digits of c counterclockwise by 60° each turn, 0 to 5.
//
// The bits of a digit stand for the axes i, j, k at 0°, 120° and 240°. So a turn by 120° moves each
// bit to the next, and one by 180° negates the bits, of all digits at once; 0 stays 0.
func (c Cell) turned(turns uint8) Cell {
	used := usedDigits(c.Resolution())
	d := c & used
	switch turns {
	case 1, 4:
		d = d<<1&(6*everyOne) | d>>2&everyOne
	case 2, 5:
		d = d>>1&(3*everyOne) | d&everyOne<<2
	}
	if turns&1 != 0 {
		d ^= 7 * ((d | d>>1 | d>>2) & everyOne)
	}
	return c&^used | d
}

// turnedAround is turned about a pentagon, where the sector of digit 1 is missing and is skipped.
func (c Cell) turnedAround(turns uint8) Cell {
	for ; turns > 0; turns-- {
		if c = c.turned(1); c.leading() == 1 {
			c = c.turned(1)
		}
	}
	return c
}

// String returns the 15 hexadecimal digits by which H3 writes a cell.
func (c Cell) String() string {
	var text [16]byte
	written := strconv.AppendUint(text[:0], uint64(c), 16)
	if len(written) >= 15 {
		return string(written)
	}
	return fmt.Sprintf("%015x", uint64(c))
}

// ParseCell reads what String writes. The error matches ErrCell.
func ParseCell(s string) (Cell, error) {
	bits, err := strconv.ParseUint(s, 16, 64)
	if c := Cell(bits); err == nil && c.Valid() {
		return c, nil
	}
	const shown = 40
	if len(s) > shown {
		s = s[:shown] + "…"
	}
	return 0, fmt.Errorf("%q: %w", s, ErrCell)
}

func errCell(c Cell) error { return fmt.Errorf("%x: %w", uint64(c), ErrCell) }

func errResolution(resolution int) error {
	return fmt.Errorf("%d: %w, which go from 0 to %d", resolution, ErrResolution, MaxResolution)
}
