package aggregate

import (
	"fmt"
	"math"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/exact"
)

// None is the key of an extremum of no events: what merging leaves as it is. An
// event of that very value (the largest integer for Min, the smallest for Max)
// looks like no event.
func None(k MeasureKind) int64 {
	if k == Min {
		return math.MaxInt64
	}
	return math.MinInt64
}

// FloatKey maps floats to integers in the same order, -0 with 0. NaN has no key.
func FloatKey(v float64) int64 {
	b := int64(math.Float64bits(v + 0)) // -0 + 0 is 0
	return b ^ int64(uint64(b>>63)>>1)
}

// KeyFloat is the inverse of FloatKey.
func KeyFloat(key int64) float64 {
	return math.Float64frombits(uint64(key ^ int64(uint64(key>>63)>>1)))
}

// ordered returns why a field has no least and greatest value.
func ordered(f Field) string {
	if f.Kind == column.String {
		return fmt.Sprintf("a %s field has no least and greatest value", f.Kind)
	}
	return ""
}

// extremumOf builds min and max.
func extremumOf(kind MeasureKind) func(*Layout, Spec, Field) Aggregate {
	return func(l *Layout, s Spec, f Field) Aggregate {
		a := Aggregate{Kind: column.Int, Measures: []int{l.measure(Measure{Kind: kind, Field: s.Of, Where: s.Where})}}
		value := func(key int64) uint64 { return uint64(key) }
		switch f.Kind {
		case column.Float:
			a.Kind, value = column.Float, func(key int64) uint64 { return math.Float64bits(KeyFloat(key)) }
		case column.Decimal:
			a.Kind, value = column.Float, func(key int64) uint64 { return math.Float64bits(exact.FromInt64(key).Float64(f.Scale)) }
		}
		none := None(kind)
		a.finish = func(in []MeasureColumn, i int) (uint64, bool, bool) {
			key := int64(in[0].Lo[i])
			return value(key), key != none, false
		}
		return a
	}
}
