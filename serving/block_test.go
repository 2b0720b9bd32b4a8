package serving

import (
	"math"
	"runtime"
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
		var unpacked []int // some of the rows
		for i := rapid.IntRange(0, 2).Draw(rt, "first"); i < b.len(); i += rapid.IntRange(1, 3).Draw(rt, "every") {
			b.unpack(i, again)
			unpacked = append(unpacked, i)
		}
		for i, row := range unpacked {
			for c := range again.Columns {
				if got, want := &again.Columns[c], &from.Columns[c]; got.Kind != want.Kind || got.Bits(i) != want.Bits(row) || got.Null(i) != want.Null(row) {
					rt.Fatalf("column %d, row %d: %x, null %v", c, row, got.Bits(i), got.Null(i))
				}
			}
			if again.Cells[i] != from.Cells[row] {
				rt.Fatalf("row %d is of %s", row, again.Cells[i])
			}
		}
		if len(again.Cells) != len(unpacked) || len(b.head.Cells) != 0 {
			rt.Fatalf("%d rows of %d", len(again.Cells), len(unpacked))
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

// A block says what it takes of the heap, with few rows as with many.
func TestBlockBytes(t *testing.T) {
	plan := planOf(t, "0, 1, 2", "1m, 2m, 4m")
	for _, rows := range []int{1, 256} {
		from := blockOf(plan, noon, 0, 1, cellsOf(t, rows)...)
		for c := range from.Columns {
			for i := range from.Columns[c].Ints {
				from.Columns[c].Ints[i] = int64(i * c)
			}
		}
		var p packer
		p.block(from)
		blocks := make([]*block, 4000)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range blocks {
			blocks[i] = p.block(from)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		all, heap := float64(len(blocks))*float64(blocks[0].bytes()), float64(after.HeapAlloc-before.HeapAlloc)
		if heap < .8*all || heap > 1.25*all {
			t.Errorf("%d rows: %.0f bytes of the heap, and %.0f are said", rows, heap, all)
		}
		if s := blocks[0].size(); s.packed != int64(blocks[0].values.Bytes()) || s.packed >= s.all {
			t.Errorf("%d rows: %d bytes of %d are packed", rows, s.packed, s.all)
		}
		runtime.KeepAlive(blocks)
	}
}
