package exact

import (
	"math"
	"math/bits"
)

// Int128 is a 128-bit two's complement integer, Hi·2^64 + Lo. The zero value is 0.
//
// Arithmetic wraps modulo 2^128: a sum of fewer than 2^64 int64 values cannot
// overflow, and a partial sum that wraps still ends at the right total.
type Int128 struct {
	Hi int64
	Lo uint64
}

// FromInt64 is v as an Int128.
func FromInt64(v int64) Int128 { return Int128{Hi: v >> 63, Lo: uint64(v)} }

// Mul64 is the exact product of two int64 values.
func Mul64(a, b int64) Int128 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	// The unsigned product of the two's complements exceeds the signed one by 2^64·b where a < 0, and
	// by 2^64·a where b < 0.
	return Int128{Hi: int64(hi) - (a>>63)&b - (b>>63)&a, Lo: lo}
}

// Add is a + b.
func (a Int128) Add(b Int128) Int128 {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	return Int128{Hi: a.Hi + b.Hi + int64(carry), Lo: lo}
}

// Sub is a − b.
func (a Int128) Sub(b Int128) Int128 {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	return Int128{Hi: a.Hi - b.Hi - int64(borrow), Lo: lo}
}

// Neg is −a.
func (a Int128) Neg() Int128 { return Int128{}.Sub(a) }

// MulInt64 is a·v modulo 2^128.
func (a Int128) MulInt64(v int64) Int128 {
	hi, lo := bits.Mul64(a.Lo, uint64(v))
	return Int128{Hi: int64(hi) + a.Hi*v + (v>>63)*int64(a.Lo), Lo: lo}
}

// Cmp is −1, 0 or 1 as a is below, equal to or above b.
func (a Int128) Cmp(b Int128) int {
	switch {
	case a == b:
		return 0
	case a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo:
		return -1
	}
	return 1
}

// IsZero reports a = 0.
func (a Int128) IsZero() bool { return a == Int128{} }

// Sign is −1, 0 or 1.
func (a Int128) Sign() int {
	switch {
	case a.Hi < 0:
		return -1
	case a.IsZero():
		return 0
	}
	return 1
}

// FitsInt64 reports that a is the value of an int64.
func (a Int128) FitsInt64() bool { return a.Hi == int64(a.Lo)>>63 }

// Int64 is a's low 64 bits, which is a itself where FitsInt64.
func (a Int128) Int64() int64 { return int64(a.Lo) }

// abs is |a| as an unsigned 128-bit integer; right for −2^127 too.
func (a Int128) abs() (hi, lo uint64) {
	if a.Hi < 0 {
		a = a.Neg()
	}
	return uint64(a.Hi), a.Lo
}

// String is a in decimal.
func (a Int128) String() string {
	const chunk = 1e18
	hi, lo := a.abs()
	var text [40]byte
	at := len(text)
	for {
		var rest uint64
		top := hi / chunk
		lo, rest = bits.Div64(hi%chunk, lo, chunk)
		hi = top
		last := hi == 0 && lo == 0
		for digits := 0; digits < 18 && (!last || rest > 0); digits++ {
			at--
			text[at] = byte('0' + rest%10)
			rest /= 10
		}
		if last {
			break
		}
	}
	if at == len(text) {
		return "0"
	}
	if a.Hi < 0 {
		at--
		text[at] = '-'
	}
	return string(text[at:])
}

// pow10 holds the powers of ten that are an int64.
var pow10 = func() (table [MaxScale + 1]uint64) {
	table[0] = 1
	for i := 1; i < len(table); i++ {
		table[i] = 10 * table[i-1]
	}
	return table
}()

// MaxScale is the largest number of digits after the point of a scaled integer.
const MaxScale = 18

// Float64 is the float64 nearest to a / 10^scale, ties to even; scale is 0 to MaxScale.
func (a Int128) Float64(scale int) float64 { return a.Ratio(scale, 1) }

// Ratio is the float64 nearest to a / (10^scale · n), ties to even, rounded once: the mean of n values
// whose sum is a. scale is 0 to MaxScale, n above 0.
func (a Int128) Ratio(scale int, n int64) float64 {
	hi, lo := a.abs()
	dhi, dlo := bits.Mul64(pow10[scale], uint64(n))
	var q float64
	switch {
	case hi|lo == 0:
		return 0
	case hi|dhi == 0 && (lo|dlo)>>53 == 0:
		q = float64(lo) / float64(dlo) // both exact, so the division rounds once
	case dhi == 0:
		q = divideBy64(hi, lo, dlo)
	default:
		q = divideBy128(hi, lo, dhi, dlo)
	}
	if a.Hi < 0 {
		return -q
	}
	return q
}

// normalise shifts a number above 0 up until its top bit is set, and says by how many bits.
func normalise(hi, lo uint64) (uint64, uint64, int) {
	shift := bits.LeadingZeros64(hi)
	if hi == 0 {
		shift = 64 + bits.LeadingZeros64(lo)
		return lo << (shift - 64), 0, shift
	}
	return hi<<shift | lo>>(64-shift), lo << shift, shift
}

// divideBy64 is the float64 nearest to m / d, both above 0.
func divideBy64(mhi, mlo, d uint64) float64 {
	mhi, mlo, up := normalise(mhi, mlo)
	down := bits.LeadingZeros64(d)
	d <<= down
	exponent := down - up
	carry := uint64(0)
	if mhi >= d {
		carry, mhi = 1, mhi-d
	}
	q, rest := bits.Div64(mhi, mlo, d)
	sticky := rest != 0
	if carry == 1 {
		sticky = sticky || q&1 == 1
		q = 1<<63 | q>>1
		exponent++
	}
	return roundTo53(q, sticky, exponent)
}

// divideBy128 is the float64 nearest to m / d, both above 0, by shifting and subtracting.
func divideBy128(mhi, mlo, dhi, dlo uint64) float64 {
	mhi, mlo, up := normalise(mhi, mlo)
	dhi, dlo, down := normalise(dhi, dlo)
	exponent := down - up
	if mhi < dhi || mhi == dhi && mlo < dlo { // keep the quotient within [1, 2)
		exponent--
	} else {
		lo, borrow := bits.Sub64(mlo, dlo, 0)
		mhi, _ = bits.Sub64(mhi, dhi, borrow)
		mlo = lo
		q, sticky := quotientBits(1, 63, mhi, mlo, dhi, dlo)
		return roundTo53(q, sticky, exponent-63)
	}
	q, sticky := quotientBits(0, 64, mhi, mlo, dhi, dlo)
	return roundTo53(q, sticky, exponent-63)
}

// quotientBits appends the next `count` bits of m / d, m < d, to q, and says whether anything is left.
func quotientBits(q uint64, count int, mhi, mlo, dhi, dlo uint64) (uint64, bool) {
	for range count {
		over := mhi >> 63
		mhi, mlo = mhi<<1|mlo>>63, mlo<<1
		lo, borrow := bits.Sub64(mlo, dlo, 0)
		hi, borrow := bits.Sub64(mhi, dhi, borrow)
		q <<= 1
		if over == 1 || borrow == 0 {
			mhi, mlo = hi, lo
			q |= 1
		}
	}
	return q, mhi|mlo != 0
}

// roundTo53 is the float64 nearest to (q + something in (0, 1) where sticky) · 2^exponent, for q with
// its top bit set.
func roundTo53(q uint64, sticky bool, exponent int) float64 {
	kept, dropped := q>>11, q&(1<<11-1)
	const half = 1 << 10
	if dropped > half || dropped == half && (sticky || kept&1 == 1) {
		kept++
	}
	return math.Ldexp(float64(kept), exponent+11) // exact: far from underflow and overflow
}
