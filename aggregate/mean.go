package aggregate

import "github.com/hextide/hextide/column"

// meanOp is the exact sum divided by the number of events, rounded once:
// float64, null where no event counts.
var meanOp = op{
	needsField: true,
	check:      summable,
	build: func(l *Layout, s Spec, f Field) Aggregate {
		sum := l.measure(Measure{Kind: Sum, Field: s.Of, Where: s.Where})
		count := l.measure(Measure{Kind: Sum, Field: -1, Where: s.Where})
		return Aggregate{Kind: column.Float, Measures: []int{sum, count}, finish: func(in []MeasureColumn, i int) (uint64, bool, bool) {
			n := in[1].Sum(i)
			if !n.FitsInt64() || n.Int64() <= 0 {
				return 0, false, false
			}
			return floatBits(in[0].Sum(i).Ratio(f.Scale, n.Int64()))
		}}
	},
}
