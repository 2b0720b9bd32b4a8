package aggregate

import "github.com/hextide/hextide/column"

// countOp counts events: int64.
var countOp = op{
	build: func(l *Layout, s Spec, _ Field) Aggregate {
		m := l.measure(Measure{Kind: Sum, Field: -1, Where: s.Where})
		return Aggregate{Kind: column.Int, Zero: true, Measures: []int{m}, finish: finishInteger}
	},
}

// finishInteger is a sum as int64; null where it does not fit.
func finishInteger(in []MeasureColumn, i int) (bits uint64, ok, overflow bool) {
	v := in[0].Sum(i)
	if !v.FitsInt64() {
		return 0, false, true
	}
	return uint64(v.Int64()), true, false
}
