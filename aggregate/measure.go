package aggregate

import (
	"slices"

	"github.com/hextide/hextide/exact"
)

// MeasureKind says how two values of a measure merge.
type MeasureKind uint8

// The kinds of measures.
const (
	Sum MeasureKind = iota // integers; merging adds, and subtracting is its inverse
	Min                    // ordered keys; merging takes the smaller, no inverse
	Max                    // ordered keys; merging takes the larger, no inverse
)

// Measure is what is stored and merged per cell and pane. Aggregates are
// finished from one or more measures; equal measures are shared.
type Measure struct {
	Kind  MeasureKind
	Field int // index of the field summed or compared; -1: each event counts 1
	Where int // index of the plan's where program; -1: every event
}

// MeasureColumn is one measure's values for a run of cells. A sum is a 128-bit
// two's complement integer; while all of a column fit 64 bits, Hi is nil and Lo
// holds them as int64. An extremum is an ordered int64 key in Lo, its identity
// (MaxInt64 for Min, MinInt64 for Max) standing for "no event".
type MeasureColumn struct {
	Lo []uint64
	Hi []int64
}

// Sum returns value i of a sum.
func (c *MeasureColumn) Sum(i int) exact.Int128 {
	if c.Hi == nil {
		return exact.FromInt64(int64(c.Lo[i]))
	}
	return exact.Int128{Hi: c.Hi[i], Lo: c.Lo[i]}
}

// Pick makes the column that of some entries of another, in their order.
func (c *MeasureColumn) Pick(from *MeasureColumn, entries []int32) {
	c.Lo = slices.Grow(c.Lo[:0], len(entries))
	for _, i := range entries {
		c.Lo = append(c.Lo, from.Lo[i])
	}
	if from.Hi == nil {
		c.Hi = nil
		return
	}
	c.Hi = make([]int64, len(entries))
	for to, i := range entries {
		c.Hi[to] = from.Hi[i]
	}
}
