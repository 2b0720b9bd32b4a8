package stream

import (
	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
)

// predicate evaluates a boolean expression over n rows of fields: bit i of the
// result is set where row i passes. dst is memory to use again.
type predicate func(fields []column.Vector, n int, dst column.Bitmap) column.Bitmap

// intake is what an ingest task must know of a plan.
type intake struct {
	pane        int64 // µs
	outOfOrder  int64 // µs
	allowed     int64 // allowed_lateness, µs
	span        int64 // of dedup, µs; 0: none
	notBefore   int64 // µs
	widest      int64 // widest window, µs
	idleAfter   int64 // µs
	keys        []int // fields of the dedup key
	kinds       []column.Kind
	byCell      bool
	resolution  int
	filter      predicate // nil: every event passes
	wheres      []predicate
	measures    []aggregate.Measure
	territories *geo.Territories
}
