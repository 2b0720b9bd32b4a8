package ingest

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

// plainSchemas are schemas with columns of every form, by the unit of their times.
func plainSchemas(unit Unit) []Schema {
	return []Schema{
		{Format: CSV, Time: "t", Unit: unit, Lat: "y", Lng: "x", Fields: []Field{
			{Name: "s", Kind: column.String}, {Name: "i", Kind: column.Int}, {Name: "b", Kind: column.Bool},
		}},
		{Format: CSV, Time: "t", Unit: unit, Cell: "c", Fields: []Field{
			{Name: "d", Kind: column.Decimal, Scale: 2}, {Name: "e", Kind: column.Decimal, Scale: 13}, {Name: "f", Kind: column.Float}, {Name: "s", Kind: column.String},
		}},
	}
}

// plainTexts are fields as they come and as they should not.
var plainTexts = map[string][]string{
	"t": {"0", "1211068800", "1211068800.123456", "1211068800.1234565", "1211068800123456", "99999999999999", "-5", "2008-05-18T00:00:00Z", "2008-05-18 00:00:00.5+02:00", " 7", "1e9", "+1"},
	"y": {"37.75134", "-0.5", "0", "-0", "-0.0", "91", "NaN", "inf", "1e2", ".5", "5.", "123456789012345", "1234567890123456", "12345678.87654321", "1.234567890123456789", "00000000000000001.5", "37.7.5", "--1", "--0", "1-", "37,5"},
	"x": {"-122.39488", "180", "-180.000000", "-122.394881234", "0.00000000000001", "99999999.9999999", "999999999.9999999", "1234567812345678", "12345678123456781", "96.48064786969079", "", " 1 "},
	"s": {"abboip", "a,b", "bcdefgh,", "bcdefghi,j", "a", "12345678", "1234567", "123456789", "é", "12345678é", "\xff", "1234567\xff", "x\ry", "\r", "a b", strings.Repeat("long", 40), "", `q"`, `"q"`, `"a,""b"`, "\x00", "ÿÿÿÿÿÿÿÿ"},
	"i": {"0", "1", "-7", "007", "9223372036854775807", "9223372036854775808", "1.0", "9999999999999999", "99999999999999999", "-", "+3", "0x1", "１"},
	"b": {"0", "1", "t", "FALSE", "True", "2", "yes", ""},
	"c": {"89283082803ffff", "89283082803FFFF", "617700169957507071", "abc", " 89283082803ffff", "08928308280fffff"},
	"d": {"1", "1.5", "-1.25", "1.005", "92233720368547758.07", "92233720368547758.08", "9999999999999999", "0.01", "-0", "1e3"},
	"e": {"1", "-1.5", "99999", "100000", "1000000", "99999.9999999999999", "-123456", "0.00000000000001"},
	"f": {"0.5", "-0", "1e308", "1e309", "0.1", "123456.789", "9007199254740993", "-1.7976931348623157e308"},
	"z": {"", "a,b", "12345678,9", "anything", "é\xff", `"`, "\r", strings.Repeat("-", 70)},
}

// Decoded at once or one by one, records are the same rows with the same bits, the
// same dead letters and the same raw records.
func TestPlainRecordsAreTheCodecs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schema := rapid.SampledFrom(plainSchemas(rapid.SampledFrom([]Unit{Seconds, Milliseconds, Microseconds, RFC3339}).Draw(t, "unit"))).Draw(t, "schema")
		columns := rapid.Permutation(append(schema.Columns(), "z", "z2")[:len(schema.Columns())+rapid.IntRange(0, 2).Draw(t, "more")]).Draw(t, "columns")
		hostile := rapid.SampledFrom([]int{0, 1, 5, 50}).Draw(t, "hostile in 100")
		var text []byte
		for range rapid.IntRange(0, 40).Draw(t, "records") {
			text = appendRecord(t, text, schema.Unit, columns, hostile)
		}
		samePlain(t, &schema, columns, text, rapid.IntRange(1, 30).Draw(t, "piece"), rapid.SampledFrom([]int{20, 60, 1000}).Draw(t, "limit"))
	})
}

// appendRecord adds a record that is plain, but for so many fields in 100.
func appendRecord(t *rapid.T, text []byte, unit Unit, columns []string, hostile int) []byte {
	odd := func() bool { return rapid.IntRange(0, 99).Draw(t, "odd") < hostile }
	for i, name := range columns {
		if i > 0 && !(odd() && odd()) {
			text = append(text, ',')
		}
		switch texts := plainTexts[name[:1]]; {
		case odd():
			text = append(text, rapid.SampledFrom(texts).Draw(t, name)...)
		case odd():
			text = append(text, rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "bytes")...)
		case name == "t" && unit == RFC3339:
			text = append(text, "2008-05-18T11:22:33.25Z"...)
		case name == "t" || name == "i":
			text = fmt.Append(text, rapid.Int64Range(-1e10, 1e11).Draw(t, name))
		case name == "e":
			text = fmt.Append(text, rapid.Int64Range(-12e4, 12e4).Draw(t, name))
		case name == "b":
			text = fmt.Append(text, rapid.IntRange(0, 1).Draw(t, name))
		case strings.Contains("yxdf", name):
			n := rapid.Int64Range(-1e15, 1e15).Draw(t, name) / int64(math.Pow10(rapid.IntRange(0, 14).Draw(t, "size")))
			text = fmt.Appendf(text, "%d.%0*d", n, rapid.IntRange(1, 9).Draw(t, "fraction"), rapid.IntRange(0, 99).Draw(t, "behind"))
		case name == "c":
			text = append(text, "89283082803ffff"...)
		default:
			text = append(text, rapid.StringMatching(`[a-z]{1,20}`).Draw(t, name)...)
		}
	}
	return append(text, rapid.SampledFrom([]string{"\n", "\n", "\r\n", "\n\n", "\r\r\n"}).Draw(t, "line end")...)
}

// samePlain decodes a text both ways and compares what comes out.
func samePlain(t rapid.TB, schema *Schema, columns []string, text []byte, piece, limit int) {
	t.Helper()
	pool := newPool(schema, 1)
	o := streamOptions{schema: schema, columns: columns, limit: limit, piece: piece, parsers: 2, pool: pool}
	parsers, err := o.newParsers()
	if err != nil {
		t.Fatal(err)
	}
	if parsers[0].plain == nil {
		t.Fatal("no record is decoded at once")
	}
	parsers[1].plain = nil
	var blocks [2]*block
	for i, p := range parsers {
		blocks[i] = pool.block()
		blocks[i].data = append(blocks[i].data, text...)
		p.parse(blocks[i])
	}
	got, want := blocks[0].pieces, blocks[1].pieces
	if len(got) != len(want) {
		t.Fatalf("%q is %d pieces, not %d", text, len(got), len(want))
	}
	for i := range want {
		sameBatch(t, got[i], want[i])
	}
}

// sameBatch compares two batches bit by bit.
func sameBatch(t rapid.TB, got, want *stream.Batch) {
	t.Helper()
	same := slices.Equal(got.Times, want.Times) && slices.Equal(got.Reasons, want.Reasons) && slices.Equal(got.Cells, want.Cells) &&
		sameFloats(got.Lats, want.Lats) && sameFloats(got.Lngs, want.Lngs)
	for i := range want.Fields {
		g, w := &got.Fields[i], &want.Fields[i]
		same = same && slices.Equal(g.Ints, w.Ints) && sameFloats(g.Floats, w.Floats) &&
			slices.Equal(g.Strings.Ends, w.Strings.Ends) && bytes.Equal(g.Strings.Bytes, w.Strings.Bytes)
	}
	if !same {
		t.Fatalf("%v\nis not\n%v", got, want)
	}
	for i := range want.Times {
		if !bytes.Equal(got.Raw.At(i), want.Raw.At(i)) {
			t.Fatalf("record %d is %q, not %q", i, got.Raw.At(i), want.Raw.At(i))
		}
	}
}

func sameFloats(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })
}

// Every odd field alone in a record that is plain but for it.
func TestPlainRecordsOneOddField(t *testing.T) {
	good := map[string]string{"t": "5", "y": "1.5", "x": "2", "s": "abc", "i": "3", "b": "1", "c": "89283082803ffff", "d": "4.5", "e": "7.5", "f": "6", "z": "no"}
	for _, unit := range []Unit{Seconds, Milliseconds, Microseconds, RFC3339} {
		if unit == RFC3339 {
			good["t"] = "2008-05-18T00:00:00Z"
		}
		for _, schema := range plainSchemas(unit) {
			names := append(schema.Columns(), "z")
			for turn := range names {
				columns := append(slices.Clone(names[turn:]), names[:turn]...)
				var text []byte
				for _, odd := range columns {
					for _, field := range plainTexts[odd] {
						for i, name := range columns {
							if i > 0 {
								text = append(text, ',')
							}
							if name == odd {
								text = append(text, field...)
							} else {
								text = append(text, good[name]...)
							}
						}
						text = append(text, '\n')
					}
				}
				samePlain(t, &schema, columns, text, 1024, 1000)
			}
		}
	}
}

// Any bytes are the same rows, both ways.
func FuzzPlainRecords(f *testing.F) {
	for _, text := range []string{
		"", "\n", "1,2.5,-3,a,4,1,z\n5,6.5,-7,bcdefghi,8,0,z\n", "1,2.5,-3,a,4,1,\r\n\n1,2.5,-3,\"a\",4,1,z\n",
		strings.Repeat("1211068800,37.75134,-122.39488,abboip,0,1,z\n", 20) + "1,2\n" + strings.Repeat("1,2.5,-3,a,4,1,z\r\n", 9),
	} {
		f.Add([]byte(text), 7)
	}
	schema := plainSchemas(Seconds)[0]
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		samePlain(t, &schema, append(schema.Columns(), "z"), text, max(1, piece&63), 60)
	})
}

// All numbers of 8 bytes' worth of digits are read as they are written.
func FuzzLeadingDigits(f *testing.F) {
	for _, text := range []string{"12345678", "1234567.", ":2345678", "/2345678", "00000000", "99999999", "9\xff999999", "123\x8a4567", "12\xba34567"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) < 8 {
			return
		}
		want, n := uint64(0), 0
		for n < 8 && text[n] >= '0' && text[n] <= '9' {
			want = 10*want + uint64(text[n]-'0')
			n++
		}
		if got, digits := leadingDigits(text); got != want || digits != n {
			t.Fatalf("%q is %d of %d digits, not %d of %d", text[:8], got, digits, want, n)
		}
	})
}

// BenchmarkParse decodes a block of pings, at once and record by record.
func BenchmarkParse(b *testing.B) {
	schema := Schema{Format: CSV, Time: "ts", Unit: Seconds, Lat: "lat", Lng: "lng",
		Fields: []Field{{Name: "taxi_id", Kind: column.String}, {Name: "occupied", Kind: column.Int}}}
	var text []byte
	records, seed := 0, uint64(1)
	for len(text) < blockSize-64 {
		seed = seed*6364136223846793005 + 1442695040888963407
		text = fmt.Appendf(text, "%d,%s,37.%d,-122.%d,%d\n", 1211068800+records/5, "abboipejcrureadectio"[seed>>62*2:][:6+seed>>40%3],
			70000+seed>>48%9999, 39000+seed>>32%9999, seed>>63)
		records++
	}
	for _, way := range []string{"plain", "codec"} {
		b.Run(way, func(b *testing.B) {
			pool := newPool(&schema, 1)
			o := streamOptions{schema: &schema, columns: []string{"ts", "taxi_id", "lat", "lng", "occupied"}, limit: MaxRecord, piece: 8192, parsers: 1, pool: pool}
			parsers, err := o.newParsers()
			if err != nil {
				b.Fatal(err)
			}
			if way == "codec" {
				parsers[0].plain = nil
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				block := pool.block()
				block.data = append(block.data, text...)
				parsers[0].parse(block)
				<-block.parsed
				for _, piece := range block.pieces {
					pool.putBatch(piece)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
		})
	}
}
