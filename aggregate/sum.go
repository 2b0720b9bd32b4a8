package aggregate

import "github.com/hextide/hextide/column"

// sumOp sums a field exactly in 128 bits. Sums of integers and booleans are
// int64; sums of decimals are the float64 nearest to the exact value.
var sumOp = op{
	needsField: true,
	check:      summable,
	build: func(l *Layout, s Spec, f Field) Aggregate {
		m := l.measure(Measure{Kind: Sum, Field: s.Of, Where: s.Where})
		if f.Kind != column.Decimal {
			return Aggregate{Kind: column.Int, Zero: true, Measures: []int{m}, finish: finishInteger}
		}
		return Aggregate{Kind: column.Float, Zero: true, Measures: []int{m}, finish: func(in []MeasureColumn, i int) (uint64, bool, bool) {
			return floatBits(in[0].Sum(i).Float64(f.Scale))
		}}
	},
}
