package stream

import (
	"math"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// Partials are the mergeable aggregates of one pane of one territory from one
// source partition. Merging is associative and commutative, so any split of the
// same events into partials gives the same panes.
type Partials struct {
	Territory geo.Territory
	Halo      bool  // the cells are a neighbour's, copied for this territory's rings
	Pane      int64 // the pane's start, µs
	Cells     []geo.Cell
	Measures  []aggregate.MeasureColumn // one a measure of the plan's layout, aligned with Cells
}

// Watermark is how far one partition is. Both are NoTime before the first event.
type Watermark struct {
	Provisional int64 // µs; every event before it has been passed on, or will be late
	Final       int64 // µs; Provisional less allowed_lateness; with dedup both are the same
	Idle        bool  // the partition has left the minimum
}

// NoTime stands for "before all time" in watermarks and frontiers.
const NoTime = math.MinInt64

// Frontier is how far a shard's event time is complete: no row with a window
// end at or before Final will ever change, none at or before Provisional will
// be seen for the first time except by late events.
type Frontier struct {
	Shard       int32
	Incarnation int64
	Provisional int64 // µs
	Final       int64 // µs
}
