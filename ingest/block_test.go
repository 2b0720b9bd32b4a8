package ingest

import (
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Where a file is cut into blocks changes nothing: with blocks of any size the
// records are those of a reader that has the whole text before it, even where
// quotes are wrong or do not close within the limit.
func TestBlocksAnywhere(t *testing.T) {
	schema := Schema{Format: CSV, Time: "a", Unit: Seconds, Cell: "b"}
	check := func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.SampledFrom([]string{`"`, ",", "\n", "\r\n", "x", `""`, "\n\"x\n", "x\","}), 0, 40).Draw(t, "text")
		text := strings.Join(pieces, "")
		limit := rapid.SampledFrom([]int{1, 4, 7, 12, 1000}).Draw(t, "limit")

		var want []string
		for rest := []byte(text); len(rest) > 0; {
			f := csvFrame(rest, limit, true)
			if f.end > 0 {
				want = append(want, string(rest[:f.end]))
			}
			rest = rest[f.next:]
		}
		pool := newPool(&schema, 2)
		codec, err := NewCodec(&schema, nil, limit)
		if err != nil {
			t.Fatal(err)
		}
		c := &cutter{text: strings.NewReader(text), format: CSV, columns: []string{"a", "b"}, limit: limit, size: rapid.IntRange(1, 12).Draw(t, "size")}
		p := &parser{codec: codec, csv: true, limit: limit, piece: rapid.IntRange(1, 5).Draw(t, "piece"), pool: pool}
		var got []string
		for err == nil {
			b := pool.block()
			err = c.next(b)
			p.parse(b)
			<-b.parsed
			for _, piece := range b.pieces {
				for i := range piece.Times {
					got = append(got, string(piece.Raw.At(i)))
				}
				pool.putBatch(piece)
			}
		}
		if err != io.EOF || !slices.Equal(got, want) {
			t.Fatalf("%q becomes %q, not %q (%v)", text, got, want, err)
		}
	}
	for range 20 { // what the limit does shows in few texts
		rapid.Check(t, check)
	}
}

// A block of nothing but blank lines is used again only when the stream has passed it.
func TestBlankBlocks(t *testing.T) {
	schema := Schema{Format: CSV, Time: "a", Unit: Seconds, Cell: "b"}
	pool := newPool(&schema, 2)
	codec, err := NewCodec(&schema, nil, 100)
	if err != nil {
		t.Fatal(err)
	}
	p := &parser{codec: codec, csv: true, limit: 100, piece: 5, pool: pool}
	b := pool.block()
	b.data = append(b.data, "\n\r\n\n"...)
	p.parse(b)
	if other := pool.block(); other == b {
		t.Fatal("a block that waits in the stream's queue is filled again")
	}
	<-b.parsed
	if b.refs++; len(b.pieces) > 0 {
		t.Fatalf("blank lines are %d pieces", len(b.pieces))
	}
	b.drop()
	if again := pool.block(); again != b {
		t.Error("the block is not used again")
	}
}

// A canonical line is the same row as the record that it was made of, or a dead
// letter for the same reason.
func TestCanonicalLines(t *testing.T) {
	schema := Schema{Format: CSV, Time: "t", Unit: Seconds, Cell: "c", Fields: []Field{{Name: "s", Kind: 5}}}
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.Permutation([]string{"s", "t", "c", "more"}).Draw(t, "columns")
		if rapid.Bool().Draw(t, "no more") {
			columns = slices.DeleteFunc(columns, func(name string) bool { return name == "more" })
		}
		var record []byte
		for i := range columns {
			if i > 0 {
				record = append(record, ',')
			}
			record = append(record, rapid.SampledFrom([]string{"7", "89283082803ffff", `"x, ""y"""`, `q"`, "", "\"a\nb\"", "8,9", `"u`}).Draw(t, "field")...)
		}
		from, err := NewCodec(&schema, columns, 0)
		if err != nil {
			t.Fatal(err)
		}
		to, _ := NewCodec(&schema, nil, 0)
		lines, err := newCanonical(&schema, columns, MaxRecord)
		if err != nil {
			t.Fatal(err)
		}
		pool := newPool(&schema, 1)
		a, b := pool.batch(), pool.batch()
		from.Append(a, record)
		line := lines.of(record)
		to.Append(b, line)
		if (a.Reasons == nil) != (b.Reasons == nil) || a.Reasons != nil && a.Reasons[0] != b.Reasons[0] ||
			a.Times[0] != b.Times[0] || a.Cells[0] != b.Cells[0] || !slices.Equal(a.Fields[0].Strings.Bytes, b.Fields[0].Strings.Bytes) {
			t.Fatalf("%q of %v is %v, as %q %v", record, columns, a.Reasons, line, b.Reasons)
		}
	})
}
