package column

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// drawVector draws a number column: constant, of small values, of multiples, of
// anything, with nulls or without.
func drawVector(t *rapid.T, rows int) Vector {
	v := Vector{Kind: rapid.SampledFrom([]Kind{Int, Float}).Draw(t, "kind")}
	nulls := rapid.SampledFrom([]int{0, 0, 1, 9, 10}).Draw(t, "nulls in ten")
	any := rapid.Uint64().Draw(t, "any")
	value := rapid.SampledFrom([]*rapid.Generator[uint64]{
		rapid.Just(any),
		rapid.Map(rapid.Uint64Range(0, 7), func(n uint64) uint64 { return any + n }),
		rapid.Map(rapid.Uint64Range(0, 300), func(n uint64) uint64 { return n * 60e6 }),
		rapid.Map(rapid.Int64Range(-5, 5), func(n int64) uint64 { return math.Float64bits(float64(n) / 4) }),
		rapid.SampledFrom([]uint64{0, 1, math.MaxInt64, 1 << 63, math.MaxUint64}),
		rapid.Uint64(),
	}).Draw(t, "values")
	for i := range rows {
		if rapid.IntRange(0, 9).Draw(t, "null") < nulls {
			v.Nulls.Set(i)
			v.AppendBits(0)
		} else {
			v.AppendBits(value.Draw(t, "value"))
		}
	}
	return v
}

// Whatever the columns are, each value is read as it was added, from a block that
// stays as it is while others are made.
func TestPackedIsItsColumns(t *testing.T) {
	var p Packer
	rapid.Check(t, func(rt *rapid.T) {
		var blocks []Packed
		var want [][]Vector
		for range 2 {
			rows := rapid.SampledFrom([]int{0, 1, 2, 63, 64, 65, 256}).Draw(rt, "rows")
			var columns []Vector
			p.Reset(rows)
			for range rapid.IntRange(0, 5).Draw(rt, "columns") {
				v := drawVector(rt, rows)
				columns = append(columns, v)
				p.Add(&v)
			}
			blocks, want = append(blocks, p.Block()), append(want, columns)
			if b := blocks[len(blocks)-1]; b.Len() != rows {
				rt.Fatalf("%d rows of %d", b.Len(), rows)
			}
		}
		for i, b := range blocks {
			for c := range want[i] {
				if d := differs(&b, c, &want[i][c]); d != "" {
					rt.Fatalf("block %d: %s", i, d)
				}
			}
		}
	})
}

func differs(b *Packed, c int, v *Vector) string {
	if b.Kind(c) != v.Kind {
		return fmt.Sprintf("column %d is of %v, not %v", c, b.Kind(c), v.Kind)
	}
	for i := range b.Len() {
		if bits, null := b.At(c, i); null != v.Null(i) || bits != v.Bits(i) {
			return fmt.Sprintf("column %d, row %d: %x, null %v; not %x, %v", c, i, bits, null, v.Bits(i), v.Null(i))
		}
	}
	return ""
}

// A block takes the bits that its differences take.
func TestPackedIsSmall(t *testing.T) {
	const rows = 256
	of := func(bits func(i int) uint64, nulls ...int) Vector {
		v := Vector{Kind: Int}
		for i := range rows {
			v.AppendBits(bits(i))
		}
		for _, i := range nulls {
			v.Nulls.Set(i)
			v.Ints[i] = 0
		}
		return v
	}
	var all []int
	for i := range rows {
		all = append(all, i)
	}
	none := of(func(i int) uint64 { return uint64(1000 + i%8) })
	none.Nulls = make(Bitmap, rows/64)
	for _, c := range []struct {
		name string
		v    Vector
		bits int // a row
	}{
		{"a constant", of(func(int) uint64 { return 1 << 60 }), 0},
		{"counts", of(func(i int) uint64 { return uint64(1000 + i%8) }), 3},
		{"minutes", of(func(i int) uint64 { return uint64(i%8) * 60e6 }), 21}, // 8 bits of 29 are 0
		{"cells of one resolution", of(func(i int) uint64 { return uint64(i)<<18 | 1<<18 - 1 | 9<<52 }), 8},
		{"counts and a null", of(func(i int) uint64 { return uint64(1000 + i%8) }, 17), 4},
		{"nulls alone", of(func(int) uint64 { return 0 }, all...), 1},
		{"counts without the nulls of a block before", none, 3},
		{"counts below zero", of(func(i int) uint64 { return uint64(-1000 + int64(i%8)) }), 3},
		{"counts after a null", of(func(i int) uint64 { return uint64(1000 + i%8) }, 0), 4},
		{"a null in all rows but the last", of(func(int) uint64 { return 1 << 60 }, all[:rows-1]...), 1},
		{"anything", of(func(i int) uint64 { return uint64(i) * 0x9e3779b97f4a7c15 }), 64},
	} {
		var p Packer
		p.Reset(rows)
		p.Add(&c.v)
		b := p.Block()
		if most := 16 + c.bits*rows/8 + 8 + c.bits*rows/8/8 + 16; b.Bytes() > most || b.Bytes() < c.bits*rows/8 {
			t.Errorf("%s: %d bytes, at most %d are to be", c.name, b.Bytes(), most)
		}
	}
}

func BenchmarkPacker(b *testing.B) {
	var columns []Vector
	for c := range 54 {
		v := Vector{Kind: Int}
		for i := range 256 {
			v.AppendBits(uint64(i*i*c) >> 9)
		}
		columns = append(columns, v)
	}
	var p Packer
	for b.Loop() {
		p.Reset(256)
		for c := range columns {
			p.Add(&columns[c])
		}
		p.Block()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/row")
}
