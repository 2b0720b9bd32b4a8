package serving

import (
	"maps"

	"github.com/hextide/hextide/stream"
)

// frontiers are those of all shards at a moment. They never change: a store
// replaces them.
type frontiers struct {
	shards      map[int32]stream.Frontier
	provisional int64 // the least of them, µs; NoTime before the first
	final       int64
}

// with are the frontiers after one more has come.
func (f *frontiers) with(news ...stream.Frontier) *frontiers {
	after := &frontiers{shards: maps.Clone(f.shards), provisional: stream.NoTime, final: stream.NoTime}
	if after.shards == nil {
		after.shards = map[int32]stream.Frontier{}
	}
	for _, n := range news {
		after.shards[n.Shard] = n
	}
	first := true
	for _, n := range after.shards {
		if first || n.Provisional < after.provisional {
			after.provisional = n.Provisional
		}
		if first || n.Final < after.final {
			after.final = n.Final
		}
		first = false
	}
	return after
}

// cover tells whether a block's rows will never change.
func (f *frontiers) cover(rows *stream.Rows) bool {
	told, known := f.shards[rows.Shard]
	return rows.Final || known && rows.WindowEnd <= told.Final
}
