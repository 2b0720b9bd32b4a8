// Package ingesttest is the conformance suite of stream.Source: what the core
// relies on in every driver. A driver passes it, or is no driver.
package ingesttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/stream"
)

// Driver makes sources of the kind under test.
type Driver struct {
	// Partitions is how many partitions a source has that is made of as many lists
	// of records.
	Partitions int
	// Prepare puts the records of each partition where sources read them, and
	// returns what makes a bounded source over them whose batches hold at most so
	// many rows. Sources are closed by the suite.
	Prepare func(t *testing.T, schema ingest.Schema, partitions [][]string) func(batch int) stream.Source
}

// Row is one row of a batch, copied out.
type Row struct {
	Position int64
	Time     int64
	NotAfter int64
	Where    string
	Fields   string
	Reason   stream.Reason
	Raw      string
}

// Schema is that of the suite's records.
var Schema = ingest.Schema{
	Format: ingest.CSV, Time: "ts", Unit: ingest.Seconds, Lat: "lat", Lng: "lng",
	Fields: []ingest.Field{
		{Name: "id", Kind: column.String}, {Name: "n", Kind: column.Int},
		{Name: "fare", Kind: column.Decimal, Scale: 2}, {Name: "x", Kind: column.Float},
		{Name: "free", Kind: column.Bool},
	},
}

// wrong are records that must become dead letters.
var wrong = []struct {
	record string
	reason stream.Reason
}{
	{`1,2`, stream.MissingField},
	{`,37.7,-122.4,a,1,1.00,0.5,true`, stream.MissingField},
	{`1000,37.7,-122.4,"a,1,1.00,0.5,true`, stream.BadSyntax},
	{`1000,37.7,-122.4,a"b,1,1.00,0.5,true`, stream.BadSyntax},
	{`1000,37.7,-122.4,a,1,1.00,0.5,true,9`, stream.BadSyntax},
	{"1000,37.7,-122.4,\xff,1,1.00,0.5,true", stream.BadSyntax},
	{`soon,37.7,-122.4,a,1,1.00,0.5,true`, stream.BadValue},
	{`1000,37.7,-122.4,a,1.5,1.00,0.5,true`, stream.BadValue},
	{`1000,37.7,-122.4,a,1,1.00,NaN,true`, stream.BadValue},
	{`1000,37.7,-122.4,a,1,1.00,0.5,perhaps`, stream.BadValue},
	{`1000,NaN,-122.4,a,1,1.00,0.5,true`, stream.BadLocation},
}

// records makes n records of a partition, one in seven of them wrong, and the
// rows that they must become, but for positions.
func records(partition, n int) (texts []string, rows []Row) {
	for i := range n {
		if i%7 == 3 {
			w := wrong[(i/7)%len(wrong)]
			texts = append(texts, w.record)
			rows = append(rows, Row{Where: "0 0", Fields: " 0 0 0 0", Reason: w.reason, Raw: w.record})
			continue
		}
		id := fmt.Sprintf("p%d-%d", partition, i)
		raw := fmt.Sprintf("%d.25,37.5,-%d.25,%s,%d,%d.125,%d.5,%t", 1000+i, i%180, id, i-5, i, i, i%2 == 0)
		if i%11 == 0 {
			raw = strings.Replace(raw, id, `"`+id+` ""q"", ü"`, 1)
			id += ` "q", ü`
		}
		even := int64(i)*100 + 12 // .125 is half way: to even
		rows = append(rows, Row{
			Time: int64(1000+i)*1e6 + 250_000, Where: fmt.Sprintf("37.5 -%d.25", i%180),
			Fields: fmt.Sprintf("%s %d %d %d.5 %d", id, i-5, even, i, 1-i%2), Raw: raw,
		})
		texts = append(texts, raw)
	}
	return texts, rows
}

// Rows copies the rows of a batch and checks that the batch is whole.
func Rows(t testing.TB, b *stream.Batch) []Row {
	t.Helper()
	n := b.Len()
	if len(b.Times) != n || b.Reasons != nil && len(b.Reasons) != n || b.NotAfter != nil && len(b.NotAfter) != n {
		t.Fatalf("a batch of %d positions has %d times, %d reasons, %d limits", n, len(b.Times), len(b.Reasons), len(b.NotAfter))
	}
	if b.Next <= b.Positions[n-1] {
		t.Fatalf("after position %d a batch goes on at %d", b.Positions[n-1], b.Next)
	}
	rows := make([]Row, n)
	for i := range rows {
		rows[i] = row(b, i)
	}
	return rows
}

func row(b *stream.Batch, i int) Row {
	r := Row{Position: b.Positions[i], Time: b.Times[i], NotAfter: b.Limit, Raw: string(b.Raw.At(i))}
	if b.NotAfter != nil {
		r.NotAfter = b.NotAfter[i]
	}
	if b.Reasons != nil {
		r.Reason = b.Reasons[i]
	}
	if b.Cells != nil {
		r.Where = fmt.Sprintf("%x", uint64(b.Cells[i]))
	} else {
		r.Where = fmt.Sprint(b.Lats[i], " ", b.Lngs[i])
	}
	var fields []string
	for j := range b.Fields {
		switch v := &b.Fields[j]; v.Kind {
		case column.String:
			fields = append(fields, string(v.Strings.At(i)))
		case column.Float:
			fields = append(fields, fmt.Sprint(v.Floats[i]))
		default:
			fields = append(fields, fmt.Sprint(v.Ints[i]))
		}
	}
	r.Fields = strings.Join(fields, " ")
	return r
}

// ReadAll reads from a position to the end, through one batch that is used again.
func ReadAll(t *testing.T, s stream.Source, partition int32, position int64) []Row {
	t.Helper()
	rows, err := ReadUntil(t, s, partition, position)
	if err != io.EOF {
		t.Fatalf("reading partition %d: %v", partition, err)
	}
	return rows
}

// ReadUntil reads from a position until Read returns an error.
func ReadUntil(t *testing.T, s stream.Source, partition int32, position int64) ([]Row, error) {
	t.Helper()
	r, err := s.Open(t.Context(), partition, position)
	if err != nil {
		t.Fatalf("opening partition %d at %d: %v", partition, position, err)
	}
	defer r.Close()
	var b stream.Batch
	var rows []Row
	for {
		if err := r.Read(t.Context(), &b); err != nil {
			if again := r.Read(t.Context(), &b); err == io.EOF && again != io.EOF {
				t.Errorf("behind the end Read returns %v", again)
			}
			return rows, err
		}
		rows = append(rows, Rows(t, &b)...)
	}
}

// Source runs the suite.
func Source(t *testing.T, d Driver) {
	const n = 2500
	partitions := make([][]string, d.Partitions)
	want := make([][]Row, d.Partitions)
	for p := range partitions {
		partitions[p], want[p] = records(p, n)
	}
	open := d.Prepare(t, Schema, partitions)
	made := func(t *testing.T, batch int) stream.Source {
		s := open(batch)
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
		})
		return s
	}
	t.Run("rows", func(t *testing.T) { testRows(t, made, want) })
	t.Run("resume", func(t *testing.T) { testResume(t, made(t, 100)) })
	t.Run("batches", func(t *testing.T) { testBatches(t, made, want[0]) })
	t.Run("rotation", func(t *testing.T) { testRotation(t, made(t, 64), want[0]) })
	t.Run("describe", func(t *testing.T) { testDescribe(t, made(t, 10), made(t, 1000)) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, made(t, 10)) })
	t.Run("abandoned reader", func(t *testing.T) { testAbandoned(t, made(t, 10), want) })
	t.Run("no such partition", func(t *testing.T) {
		if _, err := made(t, 10).Open(t.Context(), int32(d.Partitions), 0); err == nil {
			t.Error("a partition that is not there was opened")
		}
	})
}

// same compares rows, taking positions and limits from what was read.
func same(t *testing.T, got, want []Row) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d rows were read, not %d", len(got), len(want))
	}
	for i := range got {
		w := want[i]
		w.Position, w.NotAfter = got[i].Position, got[i].NotAfter
		if got[i] != w {
			t.Fatalf("row %d is\n%+v, not\n%+v", i, got[i], w)
		}
		if i > 0 && got[i].Position <= got[i-1].Position {
			t.Fatalf("row %d is at position %d after %d", i, got[i].Position, got[i-1].Position)
		}
	}
}

// testRows: every record of every partition becomes its row, in order.
func testRows(t *testing.T, made func(*testing.T, int) stream.Source, want [][]Row) {
	s := made(t, 1000)
	partitions, err := s.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(partitions) != len(want) {
		t.Fatalf("there are %d partitions, not %d", len(partitions), len(want))
	}
	for p := range want {
		if partitions[p].ID != int32(p) {
			t.Errorf("partition %d has id %d", p, partitions[p].ID)
		}
		same(t, ReadAll(t, s, int32(p), 0), want[p])
	}
}

// testBatches: the batch size changes nothing.
func testBatches(t *testing.T, made func(*testing.T, int) stream.Source, want []Row) {
	var first []Row
	for _, size := range []int{1, 7, 100_000} {
		s := made(t, size)
		r, err := s.Open(t.Context(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		var rows []Row
		var b stream.Batch
		for err == nil {
			if err = r.Read(t.Context(), &b); err == nil {
				if b.Len() > size || b.Len() == 0 {
					t.Fatalf("a batch of at most %d has %d rows", size, b.Len())
				}
				rows = append(rows, Rows(t, &b)...)
			}
		}
		r.Close()
		if err != io.EOF {
			t.Fatal(err)
		}
		same(t, rows, want)
		for i := range first {
			if rows[i] != first[i] {
				t.Fatalf("with batches of %d row %d is %+v, not %+v", size, i, rows[i], first[i])
			}
		}
		first = rows
	}
}

// testResume: opened where a batch says that it goes on, a source gives what is left.
func testResume(t *testing.T, s stream.Source) {
	all := ReadAll(t, s, 0, 0)
	for _, k := range []int{1, 2, 99, 100, 101, 1234, len(all) - 1} {
		at := all[k-1].Position + 1
		rest := ReadAll(t, s, 0, at)
		if !reflect.DeepEqual(rest, all[k:]) {
			t.Fatalf("opened at %d there are %d rows, not the %d left", at, len(rest), len(all)-k)
		}
	}
}

// testRotation: batches may be handed in in any turn, each valid until it comes back.
func testRotation(t *testing.T, s stream.Source, want []Row) {
	r, err := s.Open(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	batches := make([]stream.Batch, 5)
	var rows []Row
	held := 0
	for i := 0; ; i++ {
		b := &batches[i%len(batches)]
		if i >= len(batches) {
			rows = append(rows, Rows(t, b)...)
			held--
		}
		if err := r.Read(t.Context(), b); err == io.EOF {
			for j := 1; j <= held; j++ {
				rows = append(rows, Rows(t, &batches[(i+j)%len(batches)])...)
			}
			break
		} else if err != nil {
			t.Fatal(err)
		}
		held++
	}
	same(t, rows, want)
}

// testDescribe: a description depends on the input alone.
func testDescribe(t *testing.T, a, b stream.Source) {
	first, err := a.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []stream.Source{a, b} {
		again, err := s.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(first, again) {
			t.Errorf("one input is described as %+v and as %+v", first, again)
		}
	}
}

// testCancel: a context that is done ends Read with its error, and a reader goes
// on with another one as if nothing had been.
func testCancel(t *testing.T, s stream.Source) {
	r, err := s.Open(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var b stream.Batch
	if err := r.Read(ctx, &b); err != nil {
		t.Fatal(err)
	}
	next := b.Next
	cancel()
	for {
		err := r.Read(ctx, &b)
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			t.Fatalf("a cancelled Read returns %v", err)
		}
		next = b.Next // what was there already may come
	}
	if err := r.Read(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if b.Positions[0] < next {
		t.Errorf("after a cancelled Read position %d comes again", b.Positions[0])
	}
}

// testAbandoned: a reader that nobody reads from holds up no other, and one that
// was closed in the middle can be opened again.
func testAbandoned(t *testing.T, s stream.Source, want [][]Row) {
	last := int32(len(want) - 1)
	idle, err := s.Open(t.Context(), last, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b stream.Batch
	if err := idle.Read(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for p := range last {
		same(t, ReadAll(t, s, p, 0), want[p])
	}
	if err := idle.Close(); err != nil {
		t.Fatal(err)
	}
	if err := idle.Close(); err != nil {
		t.Errorf("closed a second time: %v", err)
	}
	same(t, ReadAll(t, s, last, 0), want[last])
}
