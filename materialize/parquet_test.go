package materialize

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"pgregory.net/rapid"
)

// Files hold the rows of their blocks, whatever these are, as the Parquet library reads
// them, and say truly between which values a column lies. One encoder makes several.
func TestFilesHoldTheirRows(t *testing.T) {
	plan := &pipeline.Plan{Name: "any", Columns: []pipeline.Column{
		{Name: "small", Kind: column.Int}, {Name: "wide", Kind: column.Int}, {Name: "share", Kind: column.Float}, {Name: "void", Kind: column.Int},
	}}
	l, err := newLayout(plan)
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEncoder(l)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		blocks := anyBlocks(t, plan)
		data, err := e.encode(blocks)
		if err != nil {
			t.Fatal(err)
		}
		f, err := file.NewParquetReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		groups := rowGroups(blocks)
		if f.NumRowGroups() != len(groups) {
			t.Fatalf("%d row groups, not %d", f.NumRowGroups(), len(groups))
		}
		for i, group := range groups {
			checkGroup(t, l, f.RowGroup(i), group)
		}
	})
}

// anyBlocks draws blocks of a plan's rows.
func anyBlocks(t *rapid.T, plan *pipeline.Plan) []*stream.Rows {
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	distinct := rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(1, 300), rapid.Just(100000)).Draw(t, "cells")
	mask := uint64(1)<<rapid.IntRange(0, 59).Draw(t, "to bit") - 1<<rapid.IntRange(0, 59).Draw(t, "from bit")
	pool, base := make([]geo.Cell, distinct), random.Uint64()
	for i := range pool {
		pool[i] = geo.Cell((base^random.Uint64()&mask)>>5 | 1<<59)
	}
	small := rapid.SampledFrom([]int64{1, 2, 100, 256, 257}).Draw(t, "small")
	steady := rapid.Float64Range(0, 1).Draw(t, "steady")
	wide := rapid.SampledFrom([]int64{300, 1 << 20, math.MaxInt64}).Draw(t, "wide")
	nulls := rapid.SampledFrom([]float64{0, 0, 0.01, 0.5, 1}).Draw(t, "nulls")
	last, blocks := int64(0), make([]*stream.Rows, rapid.IntRange(1, 20).Draw(t, "blocks"))
	if rapid.IntRange(0, 9).Draw(t, "large") == 9 { // more than one row group
		blocks = make([]*stream.Rows, 600)
	}
	for b := range blocks {
		r := &stream.Rows{WindowEnd: noon + random.Int64N(5)*minute, Resolution: random.IntN(3), Revision: int32(random.IntN(2)), Final: true}
		r.Columns = make([]column.Vector, len(plan.Columns))
		for c := range r.Columns {
			r.Columns[c].Kind = plan.Columns[c].Kind
		}
		for row := range 1 + random.IntN(stream.BlockRows) {
			r.Cells = append(r.Cells, pool[random.IntN(len(pool))])
			if random.Float64() >= steady {
				last = random.Int64N(small)
			}
			of := []uint64{uint64(last), uint64(random.Int64N(wide) - wide/3), random.Uint64(), 0}
			for c := range r.Columns {
				v := &r.Columns[c]
				if c == len(r.Columns)-1 || random.Float64() < nulls && b%3 != 0 {
					v.AppendBits(0)
					v.Nulls.Set(row)
					continue
				}
				v.AppendBits(of[c])
			}
		}
		blocks[b] = r
	}
	return blocks
}

// checkGroup compares a row group with the blocks that it was made of.
func checkGroup(t *rapid.T, l *layout, group *file.RowGroupReader, blocks []*stream.Rows) {
	t.Helper()
	var want struct {
		cells, ends, available []int64
		resolutions, revisions []int32
		finals                 []bool
	}
	for _, r := range blocks {
		for _, c := range r.Cells {
			want.cells, want.ends, want.available = append(want.cells, int64(c)), append(want.ends, r.WindowEnd), append(want.available, l.available(r.WindowEnd))
			want.resolutions, want.revisions, want.finals = append(want.resolutions, int32(r.Resolution)), append(want.revisions, r.Revision), append(want.finals, r.Final)
		}
	}
	sameColumn(t, group, columnCell, want.cells)
	sameColumn(t, group, columnResolution, want.resolutions)
	sameColumn(t, group, columnEnd, want.ends)
	sameColumn(t, group, columnAvailable, want.available)
	sameColumn(t, group, columnRevision, want.revisions)
	sameColumn(t, group, columnFinal, want.finals)
	within(t, group, columnCell, want.cells)
	within(t, group, columnEnd, want.ends)
	names, _, err := readColumn[parquet.ByteArray](group, columnH3, len(want.cells), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for row, c := range want.cells {
		if name := fmt.Sprintf("%015x", c); name != string(names[row]) {
			t.Fatalf("row %d: the name of %s is %s", row, name, names[row])
		}
	}
	for i := range blocks[0].Columns {
		got := column.Vector{Kind: blocks[0].Columns[i].Kind}
		if err := loadOptional(group, fixedColumns+i, len(want.cells), &got); err != nil {
			t.Fatalf("column %d: %v", i, err)
		}
		row := 0
		for _, r := range blocks {
			v := &r.Columns[i]
			for at := range r.Cells {
				if v.Null(at) != got.Null(row) || v.Bits(at) != got.Bits(row) {
					t.Fatalf("column %d, row %d: %x (null: %t), not %x (%t)", i, row, got.Bits(row), got.Null(row), v.Bits(at), v.Null(at))
				}
				row++
			}
		}
	}
}

// sameColumn checks a column without nulls.
func sameColumn[T comparable](t *rapid.T, group *file.RowGroupReader, i int, want []T) {
	t.Helper()
	got, err := required[T](group, i, len(want), nil)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("column %d: %v, not %v: %v", i, got, want, err)
	}
}

// within checks the bounds that a column's chunk states.
func within(t *rapid.T, group *file.RowGroupReader, i int, values []int64) {
	t.Helper()
	chunk, err := group.MetaData().ColumnChunk(i)
	if err != nil {
		t.Fatal(err)
	}
	stats, err := chunk.Statistics()
	if err != nil || !stats.HasMinMax() {
		t.Fatalf("column %d has no bounds: %v", i, err)
	}
	if s := stats.(*metadata.Int64Statistics); s.Min() != slices.Min(values) || s.Max() != slices.Max(values) {
		t.Fatalf("column %d: from %x to %x, not %x to %x", i, s.Min(), s.Max(), slices.Min(values), slices.Max(values))
	}
}
