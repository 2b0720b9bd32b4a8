package exact

import "math"

// Exp and Log follow the table-driven method of P. T. P. Tang (ACM Transactions on Mathematical
// Software 15(2), 1989, and 16(4), 1990): reduce to within a small step of a table's entry, a short
// polynomial there, and the table's value in two pieces.

const (
	// ln 2 / 64 in two pieces; the first has 36 bits, so that its multiples by integers below 2^17 are exact.
	stepHigh = 0x1.62e42fefap-07
	stepLow  = 0x1.cf79abc9e3b3ap-46
	stepsOne = 0x1.71547652b82fep+06 // 64 / ln 2

	// ln 2 in two pieces; the first is a multiple of 2^-42.
	ln2High = 0x1.62e42fefa38p-01
	ln2Low  = 0x1.ef35793c7673p-45

	roundingShift = 0x1.8p52 // x + this − this is x rounded to the nearest integer, for |x| < 2^51

	expOverflow  = 0x1.62e42fefa39efp+09  // e^x is above every float64 beyond it
	expUnderflow = -0x1.74910d52d3051p+09 // e^x rounds to 0 below it
)

// Exp is e^x with an error below 1 ulp; +Inf beyond the largest float64, 0 below the smallest, NaN for
// NaN.
func Exp(x float64) float64 {
	switch {
	case x != x:
		return x
	case x > expOverflow:
		return math.Inf(1)
	case x < expUnderflow:
		return 0
	}
	n := float64(x*stepsOne) + roundingShift - roundingShift
	r := (x - float64(n*stepHigh)) - float64(n*stepLow) // within ±ln 2 / 128
	p := 1.0/120 + float64(r*(1.0/720))
	p = 1.0/24 + float64(r*p)
	p = 1.0/6 + float64(r*p)
	p = 1.0/2 + float64(r*p)
	p = r + float64(float64(r*r)*p)
	k := int(n)
	entry := &exp2Table[k&63]
	y := entry[0] + (entry[1] + float64(entry[0]*p))
	k >>= 6
	if k > -1020 && k < 1020 {
		return math.Float64frombits(math.Float64bits(y) + uint64(k)<<52)
	}
	return math.Ldexp(y, k)
}

// Log is the natural logarithm of x with an error below 1 ulp; −Inf for 0, NaN below 0 and for NaN,
// +Inf for +Inf.
func Log(x float64) float64 {
	switch {
	case x != x || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case x > math.MaxFloat64:
		return x
	}
	if d := x - 1; d > -1.0/32 && d < 1.0/32 {
		return logNearOne(d)
	}
	k := 0
	if x < 0x1p-1022 {
		x *= 0x1p54
		k = -54
	}
	b := math.Float64bits(x)
	k += int(b>>52) - 1023
	m := math.Float64frombits(b&(1<<52-1) | 1023<<52)
	j := (b>>44&0xff + 1) >> 1
	f := 1 + float64(float64(j)*(1.0/128))
	d := m - f // exact
	u := float64(2*d) / (m + f)
	v := float64(u * u)
	p := 1.0/80 + float64(v*(1.0/448))
	p = 1.0/12 + float64(v*p)
	p = float64(float64(u*v) * p)
	entry := &logTable[j]
	high := float64(float64(k)*ln2High) + entry[0] // exact
	low := entry[1] + float64(float64(k)*ln2Low)
	return high + (u + (p + low))
}

// logNearOne is ln(1 + d) for |d| < 1/32 by its series, in which d itself carries all but a few bits.
func logNearOne(d float64) float64 {
	p := 1.0/11 - float64(d*(1.0/12))
	p = 1.0/10 - float64(d*p)
	p = 1.0/9 - float64(d*p)
	p = 1.0/8 - float64(d*p)
	p = 1.0/7 - float64(d*p)
	p = 1.0/6 - float64(d*p)
	p = 1.0/5 - float64(d*p)
	p = 1.0/4 - float64(d*p)
	p = 1.0/3 - float64(d*p)
	square := float64(d * d)
	return d - (float64(.5*square) - float64(float64(square*d)*p))
}

// HalfLife is 2^(−1/h): what is left after one step of what halves in h steps. h is above 0.
func HalfLife(h float64) float64 { return Exp(-math.Ln2 / h) }
