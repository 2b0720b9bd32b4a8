package serving

import (
	"reflect"
	"sort"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// block is a block of rows as a store keeps it, packed. It never changes.
type block struct {
	head   *stream.Rows  // what is one for all its rows: no cells, no columns
	values column.Packed // the cells, then the columns
}

// packer makes blocks, one after another.
type packer struct {
	values column.Packer
	cells  column.Vector
}

// block packs a block of rows.
func (p *packer) block(rows *stream.Rows) *block {
	p.cells.Kind, p.cells.Ints = column.Int, p.cells.Ints[:0]
	for _, cell := range rows.Cells {
		p.cells.Ints = append(p.cells.Ints, int64(cell))
	}
	p.values.Reset(len(rows.Cells))
	p.values.Add(&p.cells)
	for i := range rows.Columns {
		p.values.Add(&rows.Columns[i])
	}
	return &block{like(rows), p.values.Block()}
}

// like is what is one for all rows of a block.
func like(r *stream.Rows) *stream.Rows {
	return &stream.Rows{
		Shard: r.Shard, Territory: r.Territory, Resolution: r.Resolution, WindowEnd: r.WindowEnd, Revision: r.Revision,
		Final: r.Final, Empty: r.Empty, Incarnation: r.Incarnation, ComputedAt: r.ComputedAt,
	}
}

func (b *block) len() int { return b.values.Len() }

func (b *block) cell(row int) geo.Cell {
	bits, _ := b.values.At(0, row)
	return geo.Cell(bits)
}

// at is a value's bits, as column.Vector has them, and whether it is null.
func (b *block) at(column, row int) (bits uint64, null bool) { return b.values.At(column+1, row) }

// find is the row of a cell.
func (b *block) find(cell geo.Cell) (row int, found bool) {
	row = sort.Search(b.len(), func(i int) bool { return b.cell(i) >= cell })
	return row, row < b.len() && b.cell(row) == cell
}

// unpack appends a row to rows of the same kind, which may have none yet.
func (b *block) unpack(row int, to *stream.Rows) {
	if columns := b.values.Columns() - 1; len(to.Columns) != columns {
		to.Columns = make([]column.Vector, columns)
	}
	for i := range to.Columns {
		v := &to.Columns[i]
		v.Kind = b.values.Kind(i + 1)
		bits, null := b.at(i, row)
		if null {
			v.Nulls.Set(len(to.Cells))
		}
		v.AppendBits(bits)
	}
	to.Cells = append(to.Cells, b.cell(row))
}

// bytes is the memory that the block takes.
func (b *block) bytes() int64 { return b.size().all }

func (b *block) size() size {
	packed := b.values.Bytes()
	return size{all: int64(headBytes + packed), packed: int64(packed)}
}

// size is the memory of blocks.
type size struct {
	all    int64 // bytes
	packed int64 // those of them in which there are no pointers
}

func (s *size) add(more size) { *s = size{s.all + more.all, s.packed + more.packed} }
func (s *size) sub(less size) { *s = size{s.all - less.all, s.packed - less.packed} }

var headBytes = int(reflect.TypeFor[block]().Size() + reflect.TypeFor[stream.Rows]().Size())
