package ingest

import (
	"math"

	"github.com/hextide/hextide/exact"
)

// power10 holds the powers of ten that shortNumber can ask for; as float64 they are exact.
var power10 = [...]int64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
}

// uintPower10 holds the powers of ten that a part of a plain number can be moved by,
// and floatPower10 those that it can be divided by.
var (
	uintPower10  = [16]uint64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}
	floatPower10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16}
)

// shortNumber reads what nearly all numbers are, in one pass: an optional minus
// and at most 15 digits, with or without a point among them. The number is
// mantissa / 10^fraction. Not ok: package exact decides.
func shortNumber(text []byte) (mantissa int64, fraction int, ok bool) {
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 16 {
		return 0, 0, false
	}
	point := -1
	for i, c := range digits {
		if c-'0' <= 9 {
			mantissa = 10*mantissa + int64(c-'0')
			continue
		}
		if c != '.' || point >= 0 {
			return 0, 0, false
		}
		point = i
	}
	if point < 0 {
		if len(digits) == 16 {
			return 0, 0, false
		}
	} else if fraction = len(digits) - 1 - point; len(digits) == 1 {
		return 0, 0, false
	}
	if len(digits) < len(text) {
		mantissa = -mantissa
		ok = mantissa != 0 // minus zero has a bit of its own
		return mantissa, fraction, ok
	}
	return mantissa, fraction, true
}

// parseFloat is exact.ParseFloat: the nearest float64. Both the mantissa, below
// 2^53, and the power are exact, so the quotient is rounded once.
func parseFloat(text []byte) (float64, error) {
	if mantissa, fraction, ok := shortNumber(text); ok {
		return float64(mantissa) / float64(power10[fraction]), nil
	}
	return exact.ParseFloat(text)
}

// parseDecimal is exact.ParseDecimal: the number times 10^scale, rounded half to even.
func parseDecimal(text []byte, scale int) (int64, error) {
	if mantissa, fraction, ok := shortNumber(text); ok && fraction <= scale && scale-fraction < len(power10) {
		factor := power10[scale-fraction]
		if limit := math.MaxInt64 / factor; mantissa <= limit && mantissa >= -limit {
			return mantissa * factor, nil
		}
	}
	return exact.ParseDecimal(text, scale)
}
