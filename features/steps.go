package features

import (
	"bytes"
	"math"
	"math/bits"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/exact"
)

// runner computes one step's column.
type runner = func(e *Evaluator, s *step, dst *column.Vector)

// move hands the result's column through, so that Eval returns the last step's.
// Only here do nulls get the slot that a vector promises them: 0.
func move(e *Evaluator, s *step, dst *column.Vector) {
	*dst = *e.arg(s, 0)
	for w, set := range dst.Nulls {
		for ; set != 0; set &= set - 1 {
			i := w<<6 + bits.TrailingZeros64(set)
			switch {
			case i >= e.n || dst.Kind == column.String:
			case dst.Kind == column.Float && math.Float64bits(dst.Floats[i]) != 0: // an input's slots are 0 already, and not ours
				dst.Floats[i] = 0
			case dst.Kind != column.Float && dst.Ints[i] != 0:
				dst.Ints[i] = 0
			}
		}
	}
}

// load hands a variable's column through.
func load(e *Evaluator, s *step, dst *column.Vector) { *dst = *e.in[s.variable] }

// loadDecimal is the nearest float of each decimal.
func loadDecimal(e *Evaluator, s *step, dst *column.Vector) {
	from := e.in[s.variable]
	dst.Floats = sized(dst.Floats, e.n)
	for i := range dst.Floats {
		dst.Floats[i] = exact.FromInt64(from.Ints[i]).Float64(int(s.integer))
	}
	nulls(dst, from)
}

// constant fills a column with one value.
func constant(e *Evaluator, s *step, dst *column.Vector) {
	switch s.kind {
	case column.Float:
		for len(dst.Floats) < e.n {
			dst.Floats = append(dst.Floats, s.float)
		}
		dst.Floats = dst.Floats[:e.n]
	case column.String:
		for dst.Strings.Len() < e.n {
			dst.Strings.Append([]byte(s.text))
		}
		dst.Strings.Ends = dst.Strings.Ends[:e.n]
		dst.Strings.Bytes = dst.Strings.Bytes[:e.n*len(s.text)]
	default:
		for len(dst.Ints) < e.n {
			dst.Ints = append(dst.Ints, s.integer)
		}
		dst.Ints = dst.Ints[:e.n]
	}
}

// null fills a column with nulls.
func null(e *Evaluator, s *step, dst *column.Vector) {
	dst.Reset()
	for i := range e.n {
		switch s.kind {
		case column.Float:
			dst.Floats = append(dst.Floats, 0)
		case column.String:
			dst.Strings.Append(nil)
		default:
			dst.Ints = append(dst.Ints, 0)
		}
		dst.Nulls.Set(i)
	}
}

func toFloat(e *Evaluator, s *step, dst *column.Vector) {
	a := e.arg(s, 0)
	dst.Floats = sized(dst.Floats, e.n)
	for i := range dst.Floats {
		dst.Floats[i] = float64(a.Ints[i])
	}
	nulls(dst, a)
}

// integers computes f, which says whether its result fits.
func integers(f func(a, b int64) (int64, bool)) runner {
	return func(e *Evaluator, s *step, dst *column.Vector) {
		a, b := e.arg(s, 0), e.arg(s, 1)
		dst.Ints = sized(dst.Ints, e.n)
		nulls(dst, a, b)
		for i := range dst.Ints {
			v, fits := f(a.Ints[i], b.Ints[i])
			if dst.Ints[i] = v; !fits {
				dst.Ints[i] = 0
				dst.Nulls.Set(i)
			}
		}
	}
}

var integerOperators = map[string]runner{
	"+": integers(func(a, b int64) (int64, bool) { s := a + b; return s, (s > a) == (b > 0) }),
	"-": integers(func(a, b int64) (int64, bool) { s := a - b; return s, (s < a) == (b > 0) }),
	"*": integers(func(a, b int64) (int64, bool) { p := exact.Mul64(a, b); return p.Int64(), p.FitsInt64() }),
}

var remainder = integers(func(a, b int64) (int64, bool) {
	if b == 0 || b == -1 { // MinInt64 % -1 overflows in hardware
		return 0, b != 0
	}
	return a % b, true
})

// floats computes f; what is not finite is null.
func floats(f func(a, b float64) float64) runner {
	return func(e *Evaluator, s *step, dst *column.Vector) {
		a, b := e.arg(s, 0), e.arg(s, 1)
		dst.Floats = sized(dst.Floats, e.n)
		nulls(dst, a, b)
		for i := range dst.Floats {
			dst.Floats[i] = finite(f(a.Floats[i], b.Floats[i]), dst, i)
		}
	}
}

// finite makes value i null where it is not finite.
func finite(v float64, dst *column.Vector, i int) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		dst.Nulls.Set(i)
		return 0
	}
	return v
}

var floatOperators = map[string]runner{
	"+": floats(func(a, b float64) float64 { return a + b }),
	"-": floats(func(a, b float64) float64 { return a - b }),
	"*": floats(func(a, b float64) float64 { return float64(a * b) }), // the conversion keeps it from being fused
	"/": floats(func(a, b float64) float64 { return a / b }),
}

func onFloats(f func(float64) float64) runner {
	return func(e *Evaluator, s *step, dst *column.Vector) {
		a := e.arg(s, 0)
		dst.Floats = sized(dst.Floats, e.n)
		nulls(dst, a)
		for i := range dst.Floats {
			dst.Floats[i] = finite(f(a.Floats[i]), dst, i)
		}
	}
}

func negate(e *Evaluator, s *step, dst *column.Vector) {
	a := e.arg(s, 0)
	nulls(dst, a)
	if s.kind == column.Float {
		dst.Floats = sized(dst.Floats, e.n)
		for i := range dst.Floats {
			dst.Floats[i] = -a.Floats[i]
		}
		return
	}
	dst.Ints = sized(dst.Ints, e.n)
	for i := range dst.Ints {
		dst.Ints[i] = fits(-a.Ints[i], a.Ints[i], dst, i)
	}
}

func absolute(e *Evaluator, s *step, dst *column.Vector) {
	a := e.arg(s, 0)
	nulls(dst, a)
	dst.Ints = sized(dst.Ints, e.n)
	for i := range dst.Ints {
		dst.Ints[i] = fits(max(a.Ints[i], -a.Ints[i]), a.Ints[i], dst, i)
	}
}

// fits makes value i null where its operand is the one that has no negative.
func fits(v, operand int64, dst *column.Vector, i int) int64 {
	if operand == math.MinInt64 {
		dst.Nulls.Set(i)
		return 0
	}
	return v
}

// comparing makes the six comparisons of a kind from its order.
func comparing(order func(a, b *column.Vector, i int) int) map[string]runner {
	of := func(holds func(order int) bool) runner {
		return func(e *Evaluator, s *step, dst *column.Vector) {
			a, b := e.arg(s, 0), e.arg(s, 1)
			dst.Ints = sized(dst.Ints, e.n)
			nulls(dst, a, b)
			for i := range dst.Ints {
				dst.Ints[i] = truth(holds(order(a, b, i)))
			}
		}
	}
	return map[string]runner{
		"==": of(func(o int) bool { return o == 0 }), "!=": of(func(o int) bool { return o != 0 }),
		"<": of(func(o int) bool { return o < 0 }), "<=": of(func(o int) bool { return o <= 0 }),
		">": of(func(o int) bool { return o > 0 }), ">=": of(func(o int) bool { return o >= 0 }),
	}
}

var (
	compareIntegers = comparing(func(a, b *column.Vector, i int) int { return ordered(a.Ints[i], b.Ints[i]) })
	compareFloats   = comparing(func(a, b *column.Vector, i int) int { return ordered(a.Floats[i], b.Floats[i]) })
	compareTexts    = comparing(func(a, b *column.Vector, i int) int { return bytes.Compare(a.Strings.At(i), b.Strings.At(i)) })
)

func ordered[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func texts(holds func(a, b []byte) bool) runner {
	return func(e *Evaluator, s *step, dst *column.Vector) {
		a, b := e.arg(s, 0), e.arg(s, 1)
		dst.Ints = sized(dst.Ints, e.n)
		nulls(dst, a, b)
		for i := range dst.Ints {
			dst.Ints[i] = truth(holds(a.Strings.At(i), b.Strings.At(i)))
		}
	}
}

var textOperators = map[string]runner{
	"contains": texts(bytes.Contains), "startsWith": texts(bytes.HasPrefix), "endsWith": texts(bytes.HasSuffix),
}

func not(e *Evaluator, s *step, dst *column.Vector) {
	a := e.arg(s, 0)
	dst.Ints = sized(dst.Ints, e.n)
	nulls(dst, a)
	for i := range dst.Ints {
		dst.Ints[i] = 1 - a.Ints[i]
	}
}

// three computes a connective of three-valued logic; false is 0, true 1, null 2.
func three(table [9]int64) runner {
	return func(e *Evaluator, s *step, dst *column.Vector) {
		a, b := e.arg(s, 0), e.arg(s, 1)
		dst.Ints, dst.Nulls = sized(dst.Ints, e.n), dst.Nulls[:0]
		for i := range dst.Ints {
			v := table[3*third(a, i)+third(b, i)]
			if dst.Ints[i] = v; v == 2 {
				dst.Ints[i] = 0
				dst.Nulls.Set(i)
			}
		}
	}
}

func third(v *column.Vector, i int) int64 {
	if v.Null(i) {
		return 2
	}
	return v.Ints[i]
}

var (
	and = three([9]int64{0, 0, 0, 0, 1, 2, 0, 2, 2})
	or  = three([9]int64{0, 1, 2, 1, 1, 1, 2, 1, 2})
)

func isNull(e *Evaluator, s *step, dst *column.Vector) {
	a := e.arg(s, 0)
	dst.Ints, dst.Nulls = sized(dst.Ints, e.n), dst.Nulls[:0]
	for i := range dst.Ints {
		dst.Ints[i] = truth(a.Null(i))
	}
}

// choose takes the second argument where the first is true, the third where it
// is false, and null where it is null.
func choose(e *Evaluator, s *step, dst *column.Vector) {
	when, a, b := e.arg(s, 0), e.arg(s, 1), e.arg(s, 2)
	pick(e.n, dst, func(i int) *column.Vector {
		switch {
		case when.Null(i):
			return nil
		case when.Ints[i] == 1:
			return a
		}
		return b
	})
}

// otherwise takes the second argument where the first is null.
func otherwise(e *Evaluator, s *step, dst *column.Vector) {
	a, b := e.arg(s, 0), e.arg(s, 1)
	pick(e.n, dst, func(i int) *column.Vector {
		if a.Null(i) {
			return b
		}
		return a
	})
}

// pick takes each value from the column that is named for it; nil is null.
func pick(n int, dst *column.Vector, from func(i int) *column.Vector) {
	dst.Reset()
	for i := range n {
		v := from(i)
		if v == nil || v.Null(i) {
			dst.Nulls.Set(i)
		}
		switch {
		case dst.Kind == column.String && v == nil:
			dst.Strings.Append(nil)
		case dst.Kind == column.String:
			dst.Strings.Append(v.Strings.At(i))
		case v == nil:
			dst.AppendBits(0)
		default:
			dst.AppendBits(v.Bits(i))
		}
	}
}
