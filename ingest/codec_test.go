package ingest_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/ingest/ingesttest"
	"github.com/hextide/hextide/stream"
)

// decode decodes records by a schema, into one batch.
func decode(t testing.TB, s ingest.Schema, columns []string, records ...string) *stream.Batch {
	t.Helper()
	codec, err := ingest.NewCodec(&s, columns, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := &stream.Batch{}
	s.Reset(b)
	for i, r := range records {
		codec.Append(b, []byte(r))
		b.Positions = append(b.Positions, int64(i))
	}
	b.Next = int64(len(records))
	raw := &column.Strings{}
	for _, r := range records {
		raw.Append([]byte(r))
	}
	b.Raw = raw
	return b
}

// one decodes one record.
func one(t *testing.T, s ingest.Schema, record string) ingesttest.Row {
	t.Helper()
	return ingesttest.Rows(t, decode(t, s, nil, record))[0]
}

// kinds is a schema with a field of each kind.
func kinds(format ingest.Format) ingest.Schema {
	s := ingesttest.Schema
	s.Format = format
	return s
}

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		csv, json string
		fields    string
		reason    stream.Reason
	}{
		{`1,2,3,a,-7,1.005,2.5e1,T`, `{"ts":1,"lat":2,"lng":3,"id":"a","n":-7,"fare":1.005,"x":2.5e1,"free":true}`, "a -7 100 25 1", 0},
		{`1,2,3,5, 9 ,1,0.1,0`, `{"ts":"1","lat":"2","lng":"3","id":5,"n":"9","fare":"1","x":0.1,"free":"0"}`, "5 9 100 0.1 0", 0},
		{`1,2,3,a,9223372036854775807,-1.015,1,false`, `{"ts":1,"lat":2,"lng":3,"id":"a","n":9223372036854775807,"fare":-1.015,"x":1,"free":false}`, "a 9223372036854775807 -102 1 0", 0},
		{`1,2,3,a,9223372036854775808,1,1,1`, `{"ts":1,"lat":2,"lng":3,"id":"a","n":9223372036854775808,"fare":1,"x":1,"free":1}`, " 0 0 0 0", stream.BadValue},
		{`1,2,3,a,1.0,1,1,1`, `{"ts":1,"lat":2,"lng":3,"id":"a","n":1.0,"fare":1,"x":1,"free":1}`, " 0 0 0 0", stream.BadValue},
		{`1,2,3,a,1,1e30,1,1`, `{"ts":1,"lat":2,"lng":3,"id":"a","n":1,"fare":1e30,"x":1,"free":1}`, " 0 0 0 0", stream.BadValue},
		{`1,2,3,a,1,1,1e999,1`, `{"ts":1,"lat":2,"lng":3,"id":"a","n":1,"fare":1,"x":1e999,"free":1}`, " 0 0 0 0", stream.BadValue},
		{`1,2,3,a,1,1,NaN,1`, `{"ts":1,"lat":2,"lng":3,"id":"a","n":1,"fare":1,"x":"NaN","free":1}`, " 0 0 0 0", stream.BadValue},
		{`1,2,3,a,1,1,1,2`, `{"ts":1,"lat":2,"lng":3,"id":"a","n":1,"fare":1,"x":1,"free":2}`, " 0 0 0 0", stream.BadValue},
		{`1,2,3,,1,1,1,1`, `{"ts":1,"lat":2,"lng":3,"id":"","n":1,"fare":1,"x":1,"free":1}`, " 0 0 0 0", stream.MissingField},
		{`1,2,3,a,,1,1,1`, `{"ts":1,"lat":2,"lng":3,"id":"a","n":null,"fare":1,"x":1,"free":1}`, " 0 0 0 0", stream.MissingField},
		{`1,2,3,a,  ,1,1,1`, `{"ts":1,"lat":2,"lng":3,"id":"a","fare":1,"x":1,"free":1}`, " 0 0 0 0", stream.MissingField},
		{`1,,3,a,1,1,1,1`, `{"ts":1,"lng":3,"id":"a","n":1,"fare":1,"x":1,"free":1}`, " 0 0 0 0", stream.MissingField},
		{`1,north,3,a,1,1,1,1`, `{"ts":1,"lat":{},"lng":3,"id":"a","n":1,"fare":1,"x":1,"free":1}`, " 0 0 0 0", stream.BadValue},
		{`1,-inf,3,a,1,1,1,1`, `{"ts":1,"lat":"-Infinity","lng":3,"id":"a","n":1,"fare":1,"x":1,"free":1}`, " 0 0 0 0", stream.BadLocation},
		{`1,2,1e999,a,1,1,1,1`, `{"ts":1,"lat":2,"lng":"nan","id":"a","n":1,"fare":1,"x":1,"free":1}`, " 0 0 0 0", stream.BadLocation},
		{`1,91,-181,a,1,1,1,1`, `{"ts":1,"lat":91,"lng":-181,"id":"a","n":1,"fare":1,"x":1,"free":1}`, "a 1 100 1 1", 0},
	} {
		for format, record := range map[ingest.Format]string{ingest.CSV: c.csv, ingest.JSON: c.json} {
			r := one(t, kinds(format), record)
			if r.Fields != c.fields || r.Reason != c.reason {
				t.Errorf("%s is %q, %v; not %q, %v", record, r.Fields, r.Reason, c.fields, c.reason)
			}
			if r.Reason != 0 && (r.Time != 0 || r.Where != "0 0") {
				t.Errorf("%s is rejected and holds %+v", record, r)
			}
		}
	}
}

func TestCells(t *testing.T) {
	s := ingest.Schema{Format: ingest.CSV, Time: "ts", Unit: ingest.Seconds, Cell: "cell"}
	for text, want := range map[string]string{
		"89283082803ffff": "89283082803ffff", "089283082803FFFF": "89283082803ffff",
		strconv.FormatUint(0x89283082803ffff, 10): "89283082803ffff", " 8a283082801ffff ": "8a283082801ffff",
		"0": "", "abc": "", "ffffffffffffffff": "", "9283082803ffff": "", "617700169958293503617": "", "89283082803fffg": "",
		"-17700169958293503": "",
	} {
		r := one(t, s, "5,"+text)
		if want == "" && r.Reason != stream.BadLocation || want != "" && (r.Where != want || r.Reason != 0) {
			t.Errorf("cell %q is %+v", text, r)
		}
	}
	s.Format = ingest.JSON
	if r := one(t, s, `{"cell":617700169957507071,"ts":5}`); r.Where != "89283082803ffff" {
		t.Errorf("a cell as a number is %+v", r)
	}
}

func TestEventTimeUnits(t *testing.T) {
	for _, c := range []struct {
		unit ingest.Unit
		text string
		want int64
	}{
		{ingest.Seconds, "1211068800", 1211068800e6}, {ingest.Seconds, "1211068800.000001", 1211068800e6 + 1},
		{ingest.Seconds, "1211068800.0000015", 1211068800e6 + 2}, {ingest.Seconds, "1211068800.0000025", 1211068800e6 + 2},
		{ingest.Seconds, "1.2110688e9", 1211068800e6}, {ingest.Seconds, "-0.5", -500000},
		{ingest.Milliseconds, "1211068800123", 1211068800123e3}, {ingest.Milliseconds, "1.5", 1500},
		{ingest.Microseconds, "1211068800123456", 1211068800123456}, {ingest.Microseconds, "1.5", 2},
		{ingest.RFC3339, "2014-04-01T00:11:00-04:00", 1396325460e6},
	} {
		s := ping
		s.Unit = c.unit
		if r := one(t, s, c.text+",1,2,a"); r.Time != c.want || r.Reason != 0 {
			t.Errorf("%s in %s is %+v, not %d", c.text, c.unit, r, c.want)
		}
	}
	for _, text := range []string{"soon", "99999999999999", "1e18", "nan", "--1", "1 2"} {
		if r := one(t, ping, text+",1,2,a"); r.Reason != stream.BadValue {
			t.Errorf("%q is %+v", text, r)
		}
	}
}

// Times of RFC 3339 are what the standard library takes them for, to the microsecond.
func TestRFC3339(t *testing.T) {
	s := ping
	s.Unit = ingest.RFC3339
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-62135596800, 253402214400).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		zone := time.FixedZone("", 60*rapid.IntRange(-23*60-59, 23*60+59).Draw(t, "zone"))
		text := at.In(zone).Format(time.RFC3339Nano)
		if year := at.In(zone).Year(); year < 0 || year > 9999 {
			return
		}
		want := at.Unix()*1e6 + int64(math.RoundToEven(float64(at.Nanosecond())/1000))
		b := decodeRapid(t, s, text+",1,2,a")
		if b.Reasons != nil || b.Times[0] != want {
			t.Fatalf("%s is %d, %v; not %d", text, b.Times[0], b.Reasons, want)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		text := []byte("2012-02-29T23:59:59.5+01:30")
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			text[rapid.IntRange(0, len(text)-1).Draw(t, "at")] = rapid.SampledFrom([]byte("0123456789-+:.TZ")).Draw(t, "to")
		}
		var want time.Time
		fails := want.UnmarshalText(text) != nil
		if zone := text[len(text)-len("01:30"):]; !fails && text[len(text)-1] != 'Z' && (string(zone[:2]) > "23" || string(zone[3:]) > "59") {
			fails = true // RFC 3339 has no such offset; the standard library takes those of 24 hours and 60 minutes (go.dev/issue/54580)
		}
		b := decodeRapid(t, s, string(text)+",1,2,a")
		if (b.Reasons != nil) != fails || !fails && b.Times[0] != want.Round(0).UnixMicro() {
			t.Fatalf("%s is %d, %v; not %v", text, b.Times[0], b.Reasons, want)
		}
	})
}

func decodeRapid(t *rapid.T, s ingest.Schema, record string) *stream.Batch {
	codec, err := ingest.NewCodec(&s, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := &stream.Batch{}
	s.Reset(b)
	codec.Append(b, []byte(record))
	return b
}

// Numbers are what strconv and long division take them for.
func TestNumbers(t *testing.T) {
	s := kinds(ingest.CSV)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`-?[0-9]{1,17}(\.[0-9]{0,17})?|-?\.[0-9]{1,5}`),
			rapid.SampledFrom([]string{"-0", "-0.0", "0", "-.0", "999999999999999", "-9999999999999.99", "9999999999999999"})).Draw(t, "number")
		b := decodeRapid(t, s, "1,"+text+",0,a,1,1,"+text+",1")
		want, err := strconv.ParseFloat(text, 64)
		if err != nil || b.Reasons != nil || math.Float64bits(b.Lats[0]) != math.Float64bits(want) || b.Fields[3].Floats[0] != want {
			t.Fatalf("%s is %v and %v, not %v", text, b.Lats[0], b.Fields[3].Floats, want)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		hundredths := rapid.Int64Range(-1e15, 1e15).Draw(t, "hundredths")
		digits := fmt.Sprintf("%03d", max(hundredths, -hundredths))
		text := digits[:len(digits)-2] + "." + digits[len(digits)-2:]
		if hundredths < 0 {
			text = "-" + text
		}
		b := decodeRapid(t, s, "1,0,0,a,1,"+text+",1,1")
		if b.Reasons != nil || b.Fields[2].Ints[0] != hundredths {
			t.Fatalf("%s is %v, %v, not %d", text, b.Fields[2].Ints, b.Reasons, hundredths)
		}
	})
}

// letters are two columns of text, for the fuzz tests: enough to see how a
// record was taken apart.
var letters = ingest.Schema{Format: ingest.CSV, Time: "t", Unit: ingest.Seconds, Cell: "c",
	Fields: []ingest.Field{{Name: "a", Kind: column.String}, {Name: "b", Kind: column.String}}}

// FuzzCSV holds csv files against encoding/csv, as far as that gets: up to its
// first error the records are the same.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"x,y\n", "\"x\",\"y\"\r\n\"a\"\"b\",c\nd,\"e\nf\"", "\"x,y\nz,w", "x\"y,z\n\"a\"b,c\n", "\"\n", "x,\"\"\"\"\n", "\r\n,\n\"\",\r", "a,b,c\nd\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Count(text, "\r") != strings.Count(text, "\r\n") {
			return // encoding/csv drops some of those
		}
		folder := write(t, "a,b,t,c\n"+text)
		s, err := ingest.NewFiles(folder, ingest.Schema{Format: ingest.CSV, Time: "t", Unit: ingest.Seconds, Cell: "c",
			Fields: letters.Fields}, ingest.FileOptions{Batch: 3})
		if err != nil {
			t.Fatal(err)
		}
		rows := ingesttest.ReadAll(t, s, 0, 0)
		r := csv.NewReader(strings.NewReader(text))
		r.FieldsPerRecord = -1
		for i := 0; ; i++ {
			record, err := r.Read()
			if err != nil {
				if record == nil && err.Error() == "EOF" && i != len(rows) {
					t.Fatalf("%q has %d records, not %d", text, i, len(rows))
				}
				return
			}
			if i == len(rows) {
				t.Fatalf("%q has more records than %d", text, i)
			}
			parsed, err := csv.NewReader(strings.NewReader(strings.ReplaceAll(rows[i].Raw, "\r\n", "\n") + "\n")).Read()
			if err != nil && len(record) > 1 || err == nil && strings.Join(parsed, "|") != strings.Join(record, "|") {
				t.Fatalf("record %d of %q is %q, not %q", i, text, rows[i].Raw, record)
			}
			if len(record) < 4 && rows[i].Reason != stream.MissingField || len(record) > 4 && rows[i].Reason != stream.BadSyntax {
				t.Fatalf("record %d of %q, with %d columns, is %v", i, text, len(record), rows[i].Reason)
			}
		}
	})
}

// FuzzCSVFields holds the text of fields against encoding/csv.
func FuzzCSVFields(f *testing.F) {
	for _, seed := range []string{"x,y", `"x","y"`, `"a""b",c`, "d,\"e\nf\"", `"x`, `a"b,c`, `"x"y,z`, `"",""`, ` "x",y`, "\"\r\n\",x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b := decode(t, letters, nil, "1,89283082803ffff,"+text)
		r := csv.NewReader(strings.NewReader(text))
		r.FieldsPerRecord = -1
		record, err := r.Read()
		_, more := r.Read()
		if err != nil || more == nil || more.Error() != "EOF" || strings.Contains(text, "\r") || strings.HasPrefix(text, "\n") || strings.HasSuffix(text, "\n") {
			return // other tests are for these
		}
		want := stream.Accepted
		switch {
		case len(record) > 2:
			want = stream.BadSyntax
		case len(record) < 2 || record[0] == "":
			want = stream.MissingField
		case !utf8.ValidString(record[0]):
			want = stream.BadSyntax
		case record[1] == "":
			want = stream.MissingField
		case !utf8.ValidString(record[1]):
			want = stream.BadSyntax
		}
		row := ingesttest.Rows(t, b)[0]
		if row.Reason != want {
			t.Fatalf("%q is %v, not %v", text, row.Reason, want)
		}
		if want == stream.Accepted && row.Fields != record[0]+" "+record[1] {
			t.Fatalf("%q is %q, not %q", text, row.Fields, record)
		}
	})
}

// FuzzJSON holds json records against encoding/json.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"t":1,"c":"89283082803ffff","a":"x","b":"y"}`, `{"b":"\u00fc\ud83d\ude00\ud800\n","a":1e5,"t":"2","c":617700169958293503,"z":[{},[1,2.5e-3],null,true]}`,
		`{}`, `[]`, `{"a":"x","a":"y"}`, ` { "\u0061" : null } `, `{"a":01}`, `{"a":"x",}`, `{"a":{"b":[}}`, `null`, "{\"a\":\"\x01\"}", `{"t":-0.5,"a":tru}`,
		strings.Repeat("[", 10001) + strings.Repeat("]", 10001),
	} {
		f.Add(seed)
	}
	s := letters
	s.Format = ingest.JSON
	f.Fuzz(func(t *testing.T, text string) {
		row := ingesttest.Rows(t, decode(t, s, nil, text))[0]
		var members map[string]any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		good := utf8.ValidString(text) && json.Valid([]byte(text)) && d.Decode(&members) == nil && members != nil
		if !good {
			if row.Reason != stream.BadSyntax {
				t.Fatalf("%q is %v", text, row.Reason)
			}
			return
		}
		if row.Reason == stream.BadSyntax {
			t.Fatalf("%q is %v", text, row.Reason)
		}
		texts := make(map[string]string)
		for _, name := range []string{"t", "c", "a", "b"} {
			switch v := members[name].(type) {
			case string, json.Number, bool:
				texts[name] = fmt.Sprint(v)
			case nil:
			default:
				if row.Reason == stream.Accepted {
					t.Fatalf("%q is accepted", text)
				}
			}
		}
		if row.Reason == stream.Accepted && (row.Fields != texts["a"]+" "+texts["b"] || texts["t"] == "" || texts["c"] == "") {
			t.Fatalf("%q is %q", text, row.Fields)
		}
		if row.Reason == stream.MissingField && texts["t"] != "" && strings.Trim(texts["t"], " ") != "" &&
			strings.Trim(texts["c"], " ") != "" && texts["a"] != "" && texts["b"] != "" {
			t.Fatalf("%q is %v", text, row.Reason)
		}
	})
}

// Decoding allocates nothing once a batch has its size.
func TestNoAllocation(t *testing.T) {
	for format, record := range map[ingest.Format]string{
		ingest.CSV:  `1211068800.5,37.74356,"-122.4012","a ""b""",5,1.25,0.5,true`,
		ingest.JSON: `{"ts":1211068800.5,"lat":37.74356,"lng":-122.4012,"id":"a \"b\"","n":5,"fare":1.25,"x":0.5,"free":true,"more":[1,{}]}`,
	} {
		s := kinds(format)
		codec, err := ingest.NewCodec(&s, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		var b stream.Batch
		text := []byte(record)
		fill := func() {
			s.Reset(&b)
			for range 100 {
				codec.Append(&b, text)
			}
		}
		fill()
		if b.Reasons != nil {
			t.Fatalf("%s is %v", record, b.Reasons[0])
		}
		if n := testing.AllocsPerRun(20, fill); n > 0 {
			t.Errorf("%s: %v allocations for 100 records", format, n)
		}
	}
}

// A schema that is none is refused with the reason.
func TestSchemaRefused(t *testing.T) {
	for says, change := range map[string]func(*ingest.Schema){
		`format "xml" is not known`:   func(s *ingest.Schema) { s.Format = "xml" },
		"no field for the event time": func(s *ingest.Schema) { s.Time = "" },
		"names no location":           func(s *ingest.Schema) { s.Lng = "" },
		`unit "h" is not known`:       func(s *ingest.Schema) { s.Unit = "h" },
		`field "q" has no kind`:       func(s *ingest.Schema) { s.Fields = []ingest.Field{{Name: "q"}} },
	} {
		s := ping
		change(&s)
		if _, err := ingest.NewCodec(&s, nil, 0); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error is %v, not %q", err, says)
		}
	}
	if _, err := ingest.NewCodec(&ping, []string{"ts", "lat", "ID", "lng"}, 0); err == nil || !strings.Contains(err.Error(), `is "ID" meant`) {
		t.Errorf("the error is %v", err)
	}
}

// One field may be event time, location and value at once.
func TestFieldsThatShareAColumn(t *testing.T) {
	s := ping
	s.Fields = []ingest.Field{{Name: "ts", Kind: column.Int}, {Name: "lat", Kind: column.String}}
	if got := s.Columns(); strings.Join(got, ",") != "ts,lat,lng" {
		t.Fatalf("columns are %v", got)
	}
	if r := one(t, s, "5,1.50,2"); r.Time != 5e6 || r.Fields != "5 1.50" || r.Where != "1.5 2" {
		t.Errorf("read as %+v", r)
	}
}
