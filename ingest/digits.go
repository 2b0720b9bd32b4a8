package ingest

import (
	"encoding/binary"
	"math/bits"
)

// number is what a text begins with: digits, perhaps with a minus before and a
// point among them. It is mantissa / 10^fraction.
type number struct {
	mantissa int64
	digits   int // 0: it is no number, or a longer one
	fraction int // digits behind the point
	end      int // bytes of the text
}

// anyNumber reads the number that a text of window bytes or more begins with. It
// has up to 16 digits.
func anyNumber(text []byte) number {
	i := 0
	if text[0] == '-' {
		i = 1
	}
	mantissa, digits := leadingDigits(text[i:])
	i += digits
	if digits == 8 {
		more, n := leadingDigits(text[i:])
		mantissa, digits, i = mantissa*uintPower10[n&15]+more, digits+n, i+n
	}
	if digits == 0 {
		return number{}
	}
	fraction := 0
	if text[i] == '.' {
		var more uint64
		more, fraction = leadingDigits(text[i+1:])
		mantissa, digits, i = mantissa*uintPower10[fraction&15]+more, digits+fraction, i+1+fraction
		if fraction == 8 {
			more, n := leadingDigits(text[i:])
			mantissa, digits, i, fraction = mantissa*uintPower10[n&15]+more, digits+n, i+n, fraction+n
		}
		if fraction == 0 || digits > 16 {
			return number{}
		}
	}
	n := number{mantissa: int64(mantissa), digits: digits, fraction: fraction, end: i}
	if text[0] == '-' {
		n.mantissa = -n.mantissa
	}
	return n
}

// leadingDigits reads the digits that a text of 8 bytes or more begins with: the
// number that they are, and how many they are, 8 at most.
func leadingDigits(text []byte) (value uint64, digits int) {
	x := binary.LittleEndian.Uint64(text) ^ lowBits*'0'
	digits = bits.TrailingZeros64(noDigits(x)) >> 3
	return joined(x << (64 - 8*digits)), digits
}

// noDigits marks the bytes of a word that are not below 10 by their highest bits.
// The lowest mark is right: a sum carries into a byte only from one that has a mark.
func noDigits(x uint64) uint64 {
	return (x + lowBits*(128-10) | x) & highBits
}

// joined is the number of 8 digits, each a byte below 10, the lowest byte the most
// significant: neighbours are put together to 4 pairs, 2 fours, and one.
func joined(x uint64) uint64 {
	x = x * (10<<8 + 1) >> 8
	x = x & 0x00ff00ff00ff00ff * (100<<16 + 1) >> 16
	return x & 0x0000ffff0000ffff * (10000<<32 + 1) >> 32
}
