package pages

import (
	"math/bits"

	"github.com/hextide/hextide/geo"
)

// NameDigits is how many hexadecimal digits a cell's name has.
const NameDigits = 15

const (
	digitBits   = 4
	unnamedBits = 64 - NameDigits*digitBits // before the first digit of a name; 0 in every cell
)

// AppendDigits appends the hexadecimal digits of a cell from one to another.
func AppendDigits(out []byte, c geo.Cell, from, to int) []byte {
	for at := from; at < to; at++ {
		out = append(out, "0123456789abcdef"[c>>(digitBits*(NameDigits-1-at))&15])
	}
	return out
}

// Digits are those, from one to another, in which the bits of a mask lie; it has one.
func Digits(mask geo.Cell) (from, to int) {
	return shared(mask), NameDigits - bits.TrailingZeros64(uint64(mask))/digitBits
}

// shared is how many digits come before the first bit of a mask.
func shared(mask geo.Cell) int {
	return (max(bits.LeadingZeros64(uint64(mask)), unnamedBits) - unnamedBits) / digitBits
}

// AppendNames appends the names of cells as DELTA_BYTE_ARRAY: how many digits each
// shares with the one before, and the others.
func AppendNames(out []byte, cells []geo.Cell, scratch *[]int64) []byte {
	common := (*scratch)[:0]
	before := ^geo.Cell(0)
	for _, c := range cells {
		common = append(common, int64(shared(c^before)))
		before = c
	}
	out = AppendDeltas(out, common)
	for i := range common {
		common[i] = NameDigits - common[i]
	}
	*scratch = common
	out = AppendDeltas(out, common)
	for i, c := range cells {
		out = AppendDigits(out, c, NameDigits-int(common[i]), NameDigits)
	}
	return out
}
