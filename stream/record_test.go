package stream

import (
	"encoding/hex"
	"testing"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"pgregory.net/rapid"
)

// vectorRows are the rows of the test vector in docs/snapshot.md.
func vectorRows() *Rows {
	return &Rows{
		Resolution: 9, WindowEnd: 1_211_328_060_000_000, Cells: []geo.Cell{0x8928308280fffff, 0x89283082837ffff},
		Columns: []column.Vector{
			{Kind: column.Int, Ints: []int64{3, 0}},
			{Kind: column.Float, Floats: []float64{0.5, 0}, Nulls: column.Bitmap{2}},
		},
	}
}

// The figures are of Python's xxhash too.
func TestContentHashVector(t *testing.T) {
	rows := vectorRows()
	for i, want := range []string{
		"09" + "ffff0f2808839208" + "0007b94ab24d0400" + "01" + "0300000000000000" + "01" + "000000000000e03f",
		"09" + "ffff372808839208" + "0007b94ab24d0400" + "01" + "0000000000000000" + "00",
	} {
		if got := hex.EncodeToString(AppendRecord(nil, rows, i)); got != want {
			t.Errorf("record %d is %s, want %s", i, got, want)
		}
	}
	names, kinds := []string{"n_k0_w1m", "share"}, []column.Kind{column.Int, column.Float}
	if got, want := hex.EncodeToString(AppendSchemaRecord(nil, names, kinds)), "08000000"+"6e5f6b305f77316d"+"01"+"05000000"+"7368617265"+"02"; got != want {
		t.Errorf("the columns' record is %s, want %s", got, want)
	}
	h := HashColumns(names, kinds)
	if got, want := h.String(), "f92cb45770badec82a24a65c57fd15b2"; got != want {
		t.Errorf("the hash of no rows is %s, want %s", got, want)
	}
	h.Add(rows)
	if got, want := h.String(), "38cd0ecebf46e58938864aa2867be9d6"; got != want {
		t.Errorf("content_hash is %s, want %s", got, want)
	}
}

// The hash does not depend on the order of rows, nor on how they are split and
// put together again; it does on every value.
func TestContentHashIsOfTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := vectorRows()
		names, kinds := []string{"a", "b"}, []column.Kind{column.Int, column.Float}
		all := HashColumns(names, kinds)
		all.Add(rows)
		a, b := HashColumns(names, kinds), HashColumns(names, kinds)
		a.AddRow(rows, 1)
		b.AddRow(rows, 0)
		a.Merge(b)
		if a.String() != all.String() {
			t.Fatalf("%s in parts, %s at once", a, all)
		}
		back := HashColumns(names, kinds)
		if err := back.Parse(all.String()); err != nil || back.String() != all.String() {
			t.Fatalf("%s read back as %s: %v", all, back, err)
		}
		rows.Columns[0].Ints[rapid.IntRange(0, 1).Draw(t, "row")] += rapid.Int64Range(1, 9).Draw(t, "change")
		other := HashColumns(names, kinds)
		other.Add(rows)
		if other.String() == all.String() {
			t.Fatal("a changed value has the same hash")
		}
	})
}

// A block of rows without nulls, of which records are laid out many at a time,
// hashes as its rows do one by one.
func TestContentHashOfBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := &Rows{Resolution: rapid.IntRange(0, 15).Draw(t, "resolution"), WindowEnd: rapid.Int64().Draw(t, "end")}
		n := rapid.IntRange(0, 3*recordRows+1).Draw(t, "rows")
		for range n {
			rows.Cells = append(rows.Cells, geo.Cell(rapid.Uint64().Draw(t, "cell")))
		}
		var names []string
		var kinds []column.Kind
		floats := rapid.SampledFrom([]int{0, 1, 5, 10}).Draw(t, "floats in ten")
		for range rapid.IntRange(0, 20).Draw(t, "columns") {
			v := column.Vector{Kind: column.Int}
			if rapid.IntRange(0, 9).Draw(t, "kind") < floats {
				v.Kind = column.Float
			}
			for range n {
				v.AppendBits(rapid.Uint64().Draw(t, "bits"))
			}
			names, kinds, rows.Columns = append(names, "c"), append(kinds, v.Kind), append(rows.Columns, v)
		}
		whole, single := HashColumns(names, kinds), HashColumns(names, kinds)
		whole.Add(rows)
		for i := range rows.Cells {
			single.AddRow(rows, i)
		}
		if whole.String() != single.String() {
			t.Fatalf("a block hashes as %s, its rows as %s", whole, single)
		}
	})
}
