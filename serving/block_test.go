package serving

import (
	"math"
	"slices"
	"testing"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
	"pgregory.net/rapid"
)

// A block has the rows that it was made of, each is found by its cell, and nothing
// else is.
func TestBlockIsItsRows(t *testing.T) {
	cells := cellsOf(t, 600)
	var p packer
	rapid.Check(t, func(rt *rapid.T) {
		from := &stream.Rows{
			Shard: 3, Territory: 4, Resolution: 9, WindowEnd: noon, Revision: 1, Final: true, Empty: rapid.Bool().Draw(rt, "empty"),
			Incarnation: 5, ComputedAt: 6, Columns: []column.Vector{{Kind: column.Int}, {Kind: column.Float}},
		}
		for i := 0; i < len(cells) && len(from.Cells) < stream.BlockRows; i += rapid.IntRange(1, 40).Draw(rt, "step") {
			from.Cells = append(from.Cells, cells[i])
		}
		for c := range from.Columns {
			for i := range from.Cells {
				bits := uint64(0)
				if rapid.IntRange(0, 9).Draw(rt, "null") == 0 {
					from.Columns[c].Nulls.Set(i)
				} else if bits = rapid.Uint64Range(0, 99).Draw(rt, "value"); c == 1 {
					bits = math.Float64bits(float64(bits) / 10)
				}
				from.Columns[c].AppendBits(bits)
			}
		}
		b := p.block(from)
		again := like(b.head)
		for i := range b.len() {
			b.unpack(i, again)
		}
		for c := range again.Columns {
			for i := range again.Cells {
				if got, want := &again.Columns[c], &from.Columns[c]; got.Kind != want.Kind || got.Bits(i) != want.Bits(i) || got.Null(i) != want.Null(i) {
					rt.Fatalf("column %d, row %d: %x, null %v", c, i, got.Bits(i), got.Null(i))
				}
			}
		}
		if !slices.Equal(again.Cells, from.Cells) || len(again.Columns) != 2 {
			rt.Fatalf("%d cells of %d", len(again.Cells), len(from.Cells))
		}
		if !sameHead(again, from) {
			rt.Fatalf("%+v of %+v", again, from)
		}
		for _, cell := range append([]geo.Cell{0, math.MaxUint64}, cells...) {
			want, is := slices.BinarySearch(from.Cells, cell)
			if row, found := b.find(cell); found != is || found && row != want {
				rt.Fatalf("%s is row %d, %v", cell, row, found)
			}
		}
	})
}

// sameHead compares what is one for all rows of a block.
func sameHead(a, b *stream.Rows) bool {
	return a.Shard == b.Shard && a.Territory == b.Territory && a.Resolution == b.Resolution && a.WindowEnd == b.WindowEnd && a.Revision == b.Revision &&
		a.Final == b.Final && a.Empty == b.Empty && a.Incarnation == b.Incarnation && a.ComputedAt == b.ComputedAt
}
