package materialize

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
	"pgregory.net/rapid"
)

// A packed row unpacks to what it was, whatever the number of its columns.
func TestPackedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &stream.Rows{
			WindowEnd: rapid.Int64Range(0, 1<<52).Draw(t, "end"), Revision: rapid.Int32Range(0, 1).Draw(t, "revision"),
			Incarnation: rapid.Int64Range(0, 1<<40).Draw(t, "incarnation"), ComputedAt: rapid.Int64().Draw(t, "computed"),
			Final: rapid.Bool().Draw(t, "final"), Empty: rapid.Bool().Draw(t, "empty"), Cells: []geo.Cell{1, 2},
		}
		want := make([]uint64, rapid.IntRange(0, 200).Draw(t, "columns"))
		null := make([]bool, len(want))
		for c := range want {
			v := column.Vector{Kind: rapid.SampledFrom([]column.Kind{column.Int, column.Float}).Draw(t, "kind")}
			v.AppendBits(1)
			want[c], null[c] = rapid.Uint64().Draw(t, "bits"), rapid.Bool().Draw(t, "null")
			v.AppendBits(want[c])
			if null[c] {
				v.Nulls.Set(1)
			}
			r.Columns = append(r.Columns, v)
		}
		p, err := ParsePacked(AppendPacked(nil, r, 1))
		if err != nil {
			t.Fatal(err)
		}
		if p.WindowEnd != r.WindowEnd || p.Revision != r.Revision || p.Incarnation != r.Incarnation || p.ComputedAt != r.ComputedAt || p.Final != r.Final || p.Empty != r.Empty {
			t.Fatalf("%+v of %+v", p, r)
		}
		for c := range want {
			if p.Bits[c] != want[c] || p.Nulls.Get(c) != null[c] {
				t.Fatalf("column %d is %x, null %t; not %x, %t", c, p.Bits[c], p.Nulls.Get(c), want[c], null[c])
			}
		}
	})
}

// example is the row of docs/redis.md.
func example() *stream.Rows {
	r := &stream.Rows{WindowEnd: noon, Revision: 1, Final: true, Incarnation: 2, ComputedAt: noon + 31_000_000, Cells: []geo.Cell{1},
		Columns: []column.Vector{{Kind: column.Int, Ints: []int64{3}}, {Kind: column.Float, Floats: []float64{0.5}}, {Kind: column.Float, Floats: []float64{0}}}}
	r.Columns[2].Nulls.Set(0)
	return r
}

// The example in docs/redis.md is what the encoder writes.
func TestPackedExampleOfTheDocument(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "docs", "redis.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := hex.EncodeToString(AppendPacked(nil, example(), 0))
	if !strings.Contains(strings.Join(strings.Fields(string(content)), ""), want) {
		t.Errorf("docs/redis.md has not %s", want)
	}
}

// Whatever bytes are in a key: an error or a row that packs to them again.
func FuzzParsePacked(f *testing.F) {
	f.Add(AppendPacked(nil, example(), 0))
	f.Add([]byte{1})
	f.Add(make([]byte, packedHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePacked(b)
		if err != nil {
			return
		}
		r := &stream.Rows{WindowEnd: p.WindowEnd, Revision: p.Revision, Final: p.Final, Empty: p.Empty, Incarnation: p.Incarnation, ComputedAt: p.ComputedAt, Cells: []geo.Cell{1}}
		for c, bits := range p.Bits {
			v := column.Vector{Kind: column.Int, Ints: []int64{int64(bits)}}
			if p.Nulls.Get(c) {
				v.Nulls.Set(0)
			}
			r.Columns = append(r.Columns, v)
		}
		again := AppendPacked(nil, r, 0)
		known := bytes.Clone(b)
		known[1] &= flagFinal | flagEmpty
		if n := len(p.Bits); n%64 != 0 { // bits behind the last column mean nothing
			at := packedHeader + 8*(n/64)
			for bit := n % 64; bit < 64; bit++ {
				known[at+bit/8] &^= 1 << (bit % 8)
			}
		}
		if !bytes.Equal(again, known) {
			t.Errorf("%x packs to %x", known, again)
		}
	})
}
