package stream

import (
	"sync/atomic"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
)

// BlockRows is the greatest number of rows in one Rows: small enough for a
// block of 54 columns to stay in a core's cache between its maker and its reader.
const BlockRows = 256

// Rows is a block of rows of one window end, in columns. Blocks of one shard
// and window end come in ascending order of (resolution descending, cell).
//
// Invariant: Cells ascend; every column has len(Cells) values.
type Rows struct {
	Shard       int32
	Territory   geo.Territory
	Resolution  int
	WindowEnd   int64 // µs, exclusive
	Revision    int32 // 0 provisional (or final at once), 1 changed since
	Final       bool
	Open        bool // computed on demand from panes that are not closed
	Empty       bool // markers: the entities' rows have ceased; counts are 0, the models' columns hold
	Incarnation int64
	ComputedAt  int64 // µs, wall clock, set by the runner; no part of the row
	Cells       []geo.Cell
	Columns     []column.Vector // the plan's columns, in order; Int or Float

	refs atomic.Int32
	pool *RowPool
}

// Retain adds an owner; each owner calls Release once.
func (r *Rows) Retain() { r.refs.Add(1) }

// Release gives up one ownership; after the last the block is used again.
func (r *Rows) Release() {
	if r.refs.Add(-1) == 0 && r.pool != nil {
		r.pool.put(r)
	}
}

// Output is what a shard's or a task's step leaves for the sinks. Frontier
// comes after all rows it covers.
type Output struct {
	Rows     []*Rows
	Frontier *Frontier // nil: unchanged
	Dead     []DeadLetter
	Late     []LateRecord
}
