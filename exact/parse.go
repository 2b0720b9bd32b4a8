package exact

import (
	"errors"
	"math"
	"strconv"
)

var (
	// ErrSyntax says that a text is no number of the kind asked for.
	ErrSyntax = errors.New("not a number")
	// ErrRange says that a number does not fit the type asked for.
	ErrRange = errors.New("number out of range")
)

// decimal is where the parts of a decimal text lie: digits [first, last) with at most one point among
// them, and the power of ten of the last digit.
type decimal struct {
	negative    bool
	first, last int
	digits      int // digits in all, leading zeros too
	exponent    int // of the last digit; held to ±exponentLimit
}

// exponentLimit holds exponents small enough to add and to count with; texts of so many digits do not
// occur.
const exponentLimit = 1 << 30

// scan reads [+-] digits [. digits] [(e|E) [+-] digits], with at least one digit before the exponent.
func scan(text []byte) (decimal, error) {
	var d decimal
	at := 0
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		d.negative = text[0] == '-'
		at = 1
	}
	d.first = at
	fraction, point := 0, false
	for ; at < len(text); at++ {
		c := text[at]
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		d.digits++
		if point {
			fraction++
		}
	}
	d.last = at
	if d.digits == 0 {
		return d, ErrSyntax
	}
	exponent, ok := 0, true
	if at < len(text) {
		exponent, ok = scanExponent(text[at:])
	}
	if !ok {
		return d, ErrSyntax
	}
	d.exponent = max(-exponentLimit, min(exponentLimit, exponent-fraction))
	return d, nil
}

// scanExponent reads (e|E) [+-] digits to the end of the text.
func scanExponent(text []byte) (int, bool) {
	if text[0] != 'e' && text[0] != 'E' {
		return 0, false
	}
	text = text[1:]
	sign := 1
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	if len(text) == 0 {
		return 0, false
	}
	value := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		value = min(10*value+int(c-'0'), exponentLimit)
	}
	return sign * value, true
}

// ParseDecimal reads a decimal text (sign, digits, point, exponent) and returns it times 10^scale,
// rounded half to even; scale is 0 to MaxScale. ErrSyntax where it is no such text (surrounding space,
// inf and nan among them), ErrRange where the result is no int64. It does not allocate.
func ParseDecimal(text []byte, scale int) (int64, error) {
	d, err := scan(text)
	if err != nil {
		return 0, err
	}
	var value uint64
	place := d.digits - 1 + d.exponent + scale // power of ten of the digit at hand, of the result's unit
	half, rest := byte(0), false
	for _, c := range text[d.first:d.last] {
		if c == '.' {
			continue
		}
		digit := c - '0'
		switch {
		case place >= 0:
			if value > (math.MaxUint64-9)/10 {
				return 0, ErrRange
			}
			value = 10*value + uint64(digit)
		case place == -1:
			half = digit
		default:
			rest = rest || digit != 0
		}
		place--
	}
	for ; place >= 0 && value != 0; place-- {
		if value > math.MaxInt64/10+1 {
			return 0, ErrRange
		}
		value *= 10
	}
	if half > 5 || half == 5 && (rest || value&1 == 1) {
		value++
	}
	return signed(value, d.negative)
}

// ParseInt reads a whole number in decimal: an optional sign and digits, nothing else. It does not
// allocate. Errors as ParseDecimal.
func ParseInt(text []byte) (int64, error) {
	negative := false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		text = text[1:]
	}
	if len(text) == 0 {
		return 0, ErrSyntax
	}
	var value uint64
	over := false
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, ErrSyntax
		}
		over = over || value > (math.MaxUint64-9)/10
		value = 10*value + uint64(c-'0')
	}
	if over {
		return 0, ErrRange
	}
	return signed(value, negative)
}

// signed gives a magnitude its sign.
func signed(magnitude uint64, negative bool) (int64, error) {
	switch {
	case negative && magnitude <= 1<<63:
		return -int64(magnitude), nil
	case !negative && magnitude < 1<<63:
		return int64(magnitude), nil
	}
	return 0, ErrRange
}

// smallPow10 holds the powers of ten that are exact in a float64.
var smallPow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// ParseFloat reads a decimal text and returns the nearest float64, ties to even. Up to 15 significant
// digits with a small exponent it neither allocates nor takes more than one rounding: an integer below
// 2^53 times or by an exact power of ten. ErrSyntax for inf, nan, hexadecimal and anything else that is
// no decimal text; ErrRange where it is too large; what is too small becomes 0.
func ParseFloat(text []byte) (float64, error) {
	d, err := scan(text)
	if err != nil {
		return 0, err
	}
	var mantissa uint64
	significant := 0
	for _, c := range text[d.first:d.last] {
		if c == '.' {
			continue
		}
		if significant > 0 || c != '0' {
			significant++
		}
		if significant > 15 {
			break
		}
		mantissa = 10*mantissa + uint64(c-'0')
	}
	if significant > 15 || d.exponent < -22 || d.exponent > 22 {
		value, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return 0, ErrRange // the syntax is known to be good
		}
		return value, nil
	}
	value := float64(mantissa)
	if d.exponent < 0 {
		value /= smallPow10[-d.exponent]
	} else {
		value *= smallPow10[d.exponent]
	}
	if d.negative {
		value = -value
	}
	return value, nil
}
