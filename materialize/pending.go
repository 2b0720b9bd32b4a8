package materialize

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// pending holds, by shard and window end, the blocks of rows that may still be
// revised. Each block is owned once.
type pending map[int32]map[int64][]*stream.Rows

func (p pending) add(rows *stream.Rows) {
	if p[rows.Shard] == nil {
		p[rows.Shard] = map[int64][]*stream.Rows{}
	}
	p[rows.Shard][rows.WindowEnd] = append(p[rows.Shard][rows.WindowEnd], rows)
}

// ends lists a shard's window ends at or before final, ascending.
func (p pending) ends(shard int32, final int64) []int64 {
	var ends []int64
	for end := range p[shard] {
		if end <= final {
			ends = append(ends, end)
		}
	}
	slices.Sort(ends)
	return ends
}

// take hands over the rows of a window end: ascending by cell over all blocks,
// each row once in its last revision.
func (p pending) take(shard int32, end int64) []*stream.Rows { return byCell(p.drop(shard, end)) }

// drop hands over the blocks of a window end as they came.
func (p pending) drop(shard int32, end int64) []*stream.Rows {
	blocks := p[shard][end]
	delete(p[shard], end)
	return blocks
}

// byCell orders the blocks of one window end by cell, each row once in its last
// revision; the blocks are used up.
func byCell(blocks []*stream.Rows) []*stream.Rows {
	slices.SortStableFunc(blocks, func(a, b *stream.Rows) int { return cmp.Compare(a.Cells[0], b.Cells[0]) })
	for i := 1; i < len(blocks); i++ {
		if before := blocks[i-1].Cells; before[len(before)-1] >= blocks[i].Cells[0] {
			return merge(blocks) // revisions, or territories of a region that interleave
		}
	}
	return blocks
}

// at is one row of a block.
type at struct {
	block *stream.Rows
	row   int
}

// merge copies interleaving blocks into new ones and releases them.
func merge(blocks []*stream.Rows) []*stream.Rows {
	var rows []at
	for _, b := range blocks {
		for i := range b.Cells {
			rows = append(rows, at{b, i})
		}
	}
	cell := func(a at) geo.Cell { return a.block.Cells[a.row] }
	slices.SortStableFunc(rows, func(a, b at) int {
		return cmp.Or(cmp.Compare(cell(a), cell(b)), cmp.Compare(b.block.Revision, a.block.Revision))
	})
	rows = slices.CompactFunc(rows, func(a, b at) bool { return cell(a) == cell(b) })
	var pool stream.RowPool
	var merged []*stream.Rows
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && n < stream.BlockRows && alike(rows[0].block, rows[n].block) {
			n++
		}
		merged = append(merged, gather(pool.Get(), rows[:n]))
		rows = rows[n:]
	}
	for _, b := range blocks {
		b.Release()
	}
	return merged
}

// alike tells whether rows of two blocks may stand in one.
func alike(a, b *stream.Rows) bool {
	return a.Resolution == b.Resolution && a.Revision == b.Revision && a.Final == b.Final
}

// gather copies rows of like blocks into dst. They may be of several territories.
func gather(dst *stream.Rows, rows []at) *stream.Rows {
	first := rows[0].block
	dst.Shard, dst.Resolution = first.Shard, first.Resolution
	dst.WindowEnd, dst.Revision, dst.Final, dst.Incarnation = first.WindowEnd, first.Revision, first.Final, first.Incarnation
	dst.Columns = make([]column.Vector, len(first.Columns))
	for c := range dst.Columns {
		dst.Columns[c].Kind = first.Columns[c].Kind
	}
	for i, r := range rows {
		dst.Cells = append(dst.Cells, r.block.Cells[r.row])
		for c := range dst.Columns {
			from, to := &r.block.Columns[c], &dst.Columns[c]
			if from.Kind == column.Float {
				to.Floats = append(to.Floats, from.Floats[r.row])
			} else {
				to.Ints = append(to.Ints, from.Ints[r.row])
			}
			if from.Null(r.row) {
				to.Nulls.Set(i)
			}
		}
	}
	return dst
}

func (p pending) release() {
	for shard, ends := range p {
		for _, blocks := range ends {
			for _, b := range blocks {
				b.Release()
			}
		}
		delete(p, shard)
	}
}

// pendingRows is a block as a checkpoint keeps it.
type pendingRows struct {
	Shard      int32           `json:"shard"`
	Territory  geo.Territory   `json:"territory"`
	Resolution int             `json:"resolution"`
	End        int64           `json:"end_us"`
	Revision   int32           `json:"revision"`
	Final      bool            `json:"final"`
	Cells      []geo.Cell      `json:"cells"`
	Columns    []pendingColumn `json:"columns"`
}

// pendingColumn holds a column's bits, since JSON has no exact floats.
type pendingColumn struct {
	Kind  column.Kind   `json:"kind"`
	Bits  []uint64      `json:"bits"`
	Nulls column.Bitmap `json:"nulls"`
}

// save lists all blocks in a fixed order.
func (p pending) save() []pendingRows {
	var all []pendingRows
	for _, shard := range slices.Sorted(maps.Keys(p)) {
		for _, end := range slices.Sorted(maps.Keys(p[shard])) {
			for _, b := range p[shard][end] {
				all = append(all, saveRows(b))
			}
		}
	}
	return all
}

func saveRows(b *stream.Rows) pendingRows {
	saved := pendingRows{
		Shard: b.Shard, Territory: b.Territory, Resolution: b.Resolution, End: b.WindowEnd,
		Revision: b.Revision, Final: b.Final, Cells: slices.Clone(b.Cells),
	}
	for c := range b.Columns {
		v := &b.Columns[c]
		bits := make([]uint64, v.Len())
		for i := range bits {
			bits[i] = v.Bits(i)
		}
		saved.Columns = append(saved.Columns, pendingColumn{Kind: v.Kind, Bits: bits, Nulls: slices.Clone(v.Nulls)})
	}
	return saved
}

func (p pending) restore(saved pendingRows) {
	rows := new(stream.RowPool).Get()
	rows.Shard, rows.Territory, rows.Resolution = saved.Shard, saved.Territory, saved.Resolution
	rows.WindowEnd, rows.Revision, rows.Final, rows.Cells = saved.End, saved.Revision, saved.Final, saved.Cells
	for _, c := range saved.Columns {
		v := column.Vector{Kind: c.Kind, Nulls: c.Nulls}
		for _, bits := range c.Bits {
			v.AppendBits(bits)
		}
		rows.Columns = append(rows.Columns, v)
	}
	p.add(rows)
}
