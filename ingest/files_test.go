package ingest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/ingest/ingesttest"
	"github.com/hextide/hextide/stream"
)

func TestMain(m *testing.M) {
	// A server that tests share runs as long as they do.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hextide/hextide/internal/testserver.(*held).launch.func1"))
}

// compressed are the ways a file may lie on the disk.
var compressed = map[string]func([]byte) []byte{
	"plain": func(text []byte) []byte { return text },
	"gzip":  zipped,
	"zstd": func(text []byte) []byte {
		w, _ := zstd.NewWriter(nil)
		defer w.Close()
		return w.EncodeAll(text, nil)
	},
	"two gzip members": func(text []byte) []byte {
		return append(zipped(text[:len(text)/2]), zipped(text[len(text)/2:])...)
	},
}

func zipped(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(text)
	w.Close()
	return b.Bytes()
}

// write puts files into a folder and returns their paths.
func write(t testing.TB, contents ...string) []string {
	t.Helper()
	folder := t.TempDir()
	var paths []string
	for i, c := range contents {
		path := filepath.Join(folder, fmt.Sprintf("%03d.csv", i))
		if err := os.WriteFile(path, []byte(c), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// open makes a source that must be good.
func open(t testing.TB, paths []string, schema ingest.Schema, o ingest.FileOptions) *ingest.Files {
	t.Helper()
	s, err := ingest.NewFiles(paths, schema, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFilesConform(t *testing.T) {
	for name, compress := range compressed {
		for _, parsers := range []int{1, 3} {
			t.Run(fmt.Sprint(name, " ", parsers), func(t *testing.T) {
				ingesttest.Source(t, ingesttest.Driver{Partitions: 1,
					Prepare: func(t *testing.T, schema ingest.Schema, partitions [][]string) func(int) stream.Source {
						text := strings.Join(schema.Columns(), ",") + "\n" + strings.Join(partitions[0], "\n")
						paths := write(t, string(compress([]byte(text))))
						return func(batch int) stream.Source {
							return open(t, paths, schema, ingest.FileOptions{Batch: batch, Parsers: parsers, NotAfter: 1e18})
						}
					}})
			})
		}
	}
}

// ping is the schema of the small files below.
var ping = ingest.Schema{Format: ingest.CSV, Time: "ts", Unit: ingest.Seconds, Lat: "lat", Lng: "lng",
	Fields: []ingest.Field{{Name: "id", Kind: column.String}}}

// raws are the raw records of rows.
func raws(rows []ingesttest.Row) []string {
	var texts []string
	for _, r := range rows {
		texts = append(texts, r.Raw)
	}
	return texts
}

func TestHeader(t *testing.T) {
	for name, text := range map[string]string{
		"any order":        "id,lng,lat,ts\na,-122.5,37.5,100\n",
		"more columns":     "x,id,lng,y,lat,ts,z\n1,a,-122.5,,37.5,100,\"q\n\"\n",
		"byte order mark":  "\ufeffid,lng,lat,ts\na,-122.5,37.5,100\n",
		"CRLF":             "id,lng,lat,ts\r\na,-122.5,37.5,100\r\n",
		"blank lines":      "\n\r\nid,lng,lat,ts\n\n\na,-122.5,37.5,100\n\n",
		"spaces":           "id, lng, lat ,ts\na, -122.5 ,37.5, 100 \n",
		"quoted":           "\"id\",lng,\"lat\",ts\n\"a\",\"-122.5\",37.5,100",
		"no last line end": "id,lng,lat,ts\na,-122.5,37.5,100",
		"last CR":          "id,lng,lat,ts\na,-122.5,37.5,100\r",
	} {
		t.Run(name, func(t *testing.T) {
			rows := ingesttest.ReadAll(t, open(t, write(t, text), ping, ingest.FileOptions{}), 0, 0)
			if len(rows) != 1 || rows[0].Time != 100e6 || rows[0].Where != "37.5 -122.5" || rows[0].Fields != "a" {
				t.Errorf("read as %+v", rows)
			}
		})
	}
}

func TestFilesRefused(t *testing.T) {
	good := "ts,lat,lng,id\n1,2,3,a\n"
	folder := t.TempDir()
	for name, c := range map[string]struct {
		paths []string
		says  string
	}{
		"missing column":  {write(t, "ts,latt,lng,id\n"), `has no column "lat"; is "latt" meant?`},
		"missing, far":    {write(t, "ts,lng,id,b\n1,2,3,4"), `has no column "lat". The header is: ts, lng, id, b`},
		"column twice":    {write(t, "ts,lat,lng,id,lat\n"), `column "lat" is there twice`},
		"missing file":    {[]string{filepath.Join(folder, "none.csv")}, "none.csv: no such file"},
		"empty pattern":   {[]string{filepath.Join(folder, "*.csv")}, "no file is named like"},
		"bad pattern":     {[]string{filepath.Join(folder, "[")}, "syntax error in pattern"},
		"folder":          {[]string{folder}, "is a folder; name its files"},
		"no file":         {nil, "no input file"},
		"twice":           {slices.Repeat(write(t, good), 2), "is named twice"},
		"zip":             {write(t, "PK\x03\x04..."), "is a zip archive"},
		"UTF-16":          {write(t, "\xff\xfet\x00s\x00"), "is UTF-16 text"},
		"gzip cut in two": {write(t, string(zipped([]byte(good))[:12])), "is cut off: its compressed data ends at byte 12 of 12"},
		"no gzip":         {write(t, "\x1f\x8bnonsense, all of it"), "reading "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ingest.NewFiles(c.paths, ping, ingest.FileOptions{})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v; it does not say %q", err, c.says)
			}
		})
	}
	_, err := ingest.NewFiles(write(t, "ts,LAT,lng,id\n"), ping, ingest.FileOptions{})
	var missing *ingest.MissingColumnError
	if !errors.As(err, &missing) || missing.Column != "lat" || missing.Near != "LAT" {
		t.Errorf("a missing column is %+v", err)
	}
}

func TestFilesWithoutRecords(t *testing.T) {
	for _, text := range []string{"", "\n\n", "ts,lat,lng,id", "ts,lat,lng,id\n", "\ufeff", string(zipped(nil))} {
		for _, format := range []ingest.Format{ingest.CSV, ingest.JSON} {
			if format == ingest.JSON && strings.Contains(text, "ts") {
				continue
			}
			schema := ping
			schema.Format = format
			if rows := ingesttest.ReadAll(t, open(t, write(t, text), schema, ingest.FileOptions{}), 0, 0); len(rows) != 0 {
				t.Errorf("%q holds %+v", text, rows)
			}
		}
	}
}

// Event times are read as they are, whatever the year; judging them is not ours.
func TestEventTimesOfAnyYear(t *testing.T) {
	schema := ping
	schema.Unit = ingest.RFC3339
	text := "ts,lat,lng,id\n2106-02-07T06:28:16Z,1,2,a\n1970-01-01T00:00:00Z,91,2,b\n1901-01-01T00:00:00Z,1,2,c\n"
	rows := ingesttest.ReadAll(t, open(t, write(t, text), schema, ingest.FileOptions{}), 0, 0)
	for i, want := range []int64{4294967296e6, 0, time.Date(1901, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()} {
		if rows[i].Time != want || rows[i].Reason != stream.Accepted {
			t.Errorf("row %d is %+v", i, rows[i])
		}
	}
	rows = ingesttest.ReadAll(t, open(t, write(t, "ts,lat,lng,id\n4294967296,1,2,a\n0,1,2,b\n-5.5,1,2,c\n1e300,1,2,d\n"), ping, ingest.FileOptions{}), 0, 0)
	for i, want := range []int64{4294967296e6, 0, -5500000} {
		if rows[i].Time != want || rows[i].Reason != stream.Accepted {
			t.Errorf("row %d is %+v", i, rows[i])
		}
	}
	if rows[3].Reason != stream.BadValue {
		t.Errorf("a time that fits no integer is %v", rows[3].Reason)
	}
}

// A record of 10 MB is a dead letter with all its bytes, and what follows is read.
func TestRecordTooLong(t *testing.T) {
	long := strings.Repeat("x", 10<<20)
	quoted := `1,2,3,"` + strings.Repeat(strings.Repeat("line", 100)+"\n", 3000) // never closed
	for name, c := range map[string]struct {
		record string
		bad    int
	}{"a line": {long, 1}, "a quote that does not close": {quoted, 3000}} {
		t.Run(name, func(t *testing.T) {
			text := "ts,lat,lng,id\n1,2,3,a\n" + c.record + "\n2,3,4,b\n"
			for _, compress := range []string{"plain", "gzip"} {
				rows := ingesttest.ReadAll(t, open(t, write(t, string(compressed[compress]([]byte(text)))), ping, ingest.FileOptions{}), 0, 0)
				bad := 0
				for _, r := range rows {
					if r.Reason == stream.BadSyntax || r.Reason == stream.MissingField {
						bad++
					}
				}
				last := rows[len(rows)-1]
				if bad != c.bad || last.Raw != "2,3,4,b" || last.Reason != stream.Accepted {
					t.Errorf("%d bad rows of %d; the last is %.60v", bad, len(rows), last)
				}
				if name == "a line" && rows[1].Raw != long {
					t.Errorf("%d bytes of the long record are kept", len(rows[1].Raw))
				}
			}
		})
	}
	_, err := ingesttest.ReadUntil(t, open(t, write(t, "ts,lat,lng,id\n"+strings.Repeat("x", 40<<20)), ping, ingest.FileOptions{}), 0, 0)
	if err == nil || !strings.Contains(err.Error(), "has no line end in") {
		t.Errorf("a file without line ends ends with %v", err)
	}
}

// Of a file that is cut off everything whole is read; then comes an error that
// names file and place, and no half record becomes an event.
func TestTruncated(t *testing.T) {
	var text strings.Builder
	text.WriteString("ts,lat,lng,id\n")
	for i := range 20_000 {
		fmt.Fprintf(&text, "%d,37.%d,-122.%d,taxi%d\n", i, i*7919%9973, i*104729%9967, i)
	}
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")[1:]
	for _, how := range []string{"gzip", "zstd"} {
		whole := compressed[how]([]byte(text.String()))
		for _, cut := range []int{len(whole) / 3, len(whole) / 2, len(whole) - 1} {
			paths := write(t, string(whole[:cut]))
			rows, err := ingesttest.ReadUntil(t, open(t, paths, ping, ingest.FileOptions{}), 0, 0)
			var failed *ingest.FileError
			if !errors.As(err, &failed) || failed.Path != paths[0] || failed.Offset != int64(cut) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%s cut at %d of %d ends with %v", how, cut, len(whole), err)
			}
			if !strings.Contains(err.Error(), "is cut off") {
				t.Errorf("the error says %v", err)
			}
			if how == "gzip" && len(rows) < len(lines)*cut/len(whole)*9/10 {
				t.Errorf("%d rows were read of %d, cut at %d of %d", len(rows), len(lines), cut, len(whole))
			}
			if got := raws(rows); !slices.Equal(got, lines[:len(got)]) {
				t.Errorf("%s cut at %d gives other rows", how, cut)
			}
		}
	}
	damaged := zipped([]byte(text.String()))
	damaged[len(damaged)-6] ^= 1
	if _, err := ingesttest.ReadUntil(t, open(t, write(t, string(damaged)), ping, ingest.FileOptions{}), 0, 0); err == nil || err == io.EOF || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a wrong checksum ends with %v", err)
	}
}

func TestInputChanged(t *testing.T) {
	paths := write(t, "ts,lat,lng,id\n1,2,3,a\n")
	s := open(t, paths, ping, ingest.FileOptions{})
	if err := os.WriteFile(paths[0], []byte("ts,lat,lng,id\n1,2,3,a\n2,2,3,b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ingesttest.ReadUntil(t, s, 0, 0); err == nil || err == io.EOF || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("reading ends with %v", err)
	}
	if _, err := s.Describe(t.Context()); err == nil || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("describing ends with %v", err)
	}
}

// A batch keeps its records until it is handed in again, however far reading has
// come meanwhile.
func TestBatchesStayWhole(t *testing.T) {
	path, _ := writeTaxi(t, 100_000)
	s := open(t, []string{path}, taxi, ingest.FileOptions{})
	r, err := s.Open(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	batches := make([]stream.Batch, 4)
	next := int64(0)
	for i := 0; err == nil; i++ {
		b := &batches[i%len(batches)]
		for row, position := range b.Positions {
			if want := 1211068800 + position/5; b.Times[row] != want*1e6 || !strings.HasPrefix(string(b.Raw.At(row)), fmt.Sprint(want, ",eadectio,37.")) {
				t.Fatalf("record %d has time %d and is now %q", position, b.Times[row], b.Raw.At(row))
			}
		}
		if err = r.Read(t.Context(), b); err == nil {
			next = b.Next
		}
	}
	if err != io.EOF || next != 100_000 {
		t.Errorf("reading ends at %d with %v", next, err)
	}
}

// A resumed run goes on with the input that it had, or not at all.
func TestResumeDescription(t *testing.T) {
	a, b := "ts,lat,lng,id\n1,2,3,a\n", "ts,lat,lng,id\n1,2,3,b\n"
	describe := func(s stream.Source) []byte {
		d, err := s.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(d)
		return text
	}
	was := describe(open(t, write(t, a, b), ping, ingest.FileOptions{}))
	if err := open(t, write(t, a, b), ping, ingest.FileOptions{}).Resume(t.Context(), was); err != nil {
		t.Errorf("the same input is refused: %v", err)
	}
	for _, other := range [][]string{{a}, {b, a}, {a, b, a}, {a, a}} {
		if err := open(t, write(t, other...), ping, ingest.FileOptions{}).Resume(t.Context(), was); err == nil || !strings.Contains(err.Error(), "the input has changed") {
			t.Errorf("other input is resumed: %v", err)
		}
	}
	if err := open(t, write(t, a), ping, ingest.FileOptions{}).Resume(t.Context(), []byte(`{"kind":"kafka"}`)); err == nil {
		t.Error("files are resumed as a topic")
	}
}

func TestResumeBehindTheEnd(t *testing.T) {
	_, err := ingesttest.ReadUntil(t, open(t, write(t, "ts,lat,lng,id\n1,2,3,a\n"), ping, ingest.FileOptions{}), 0, 5)
	if err == nil || !strings.Contains(err.Error(), "has 1 records") {
		t.Errorf("reading on behind the end ends with %v", err)
	}
}

func TestProgressAndDescription(t *testing.T) {
	path, _ := writeTaxi(t, 30_000)
	s := open(t, []string{path}, taxi, ingest.FileOptions{})
	partitions, _ := s.Partitions(t.Context())
	r, err := s.Open(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b stream.Batch
	before := int64(-1)
	for r.Read(t.Context(), &b) == nil {
		if now := r.Progress(); now < before || now > partitions[0].Size {
			t.Fatalf("progress goes from %d to %d of %d", before, now, partitions[0].Size)
		} else {
			before = now
		}
	}
	if r.Progress() != partitions[0].Size {
		t.Errorf("at the end the progress is %d of %d", r.Progress(), partitions[0].Size)
	}
	d, err := s.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := d.(ingest.FilesDescription).Files[0]
	if f.Name != "taxi.csv.gz" || f.Size != partitions[0].Size || len(f.SHA256) != 64 {
		t.Errorf("described as %+v", f)
	}
}

// Several files are one partition in the order that a sort of keys gives, each
// file's own order kept where it is not by time.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := int64(40)
		var contents []string
		var files [][]string
		for f := range rapid.IntRange(1, 5).Draw(rt, "files") {
			lines := []string{"ts,lat,lng,id"}
			at := rapid.IntRange(0, 30).Draw(rt, "start")
			for i := range rapid.IntRange(0, 12).Draw(rt, "records") {
				at += rapid.IntRange(-1, 3).Draw(rt, "step")
				ts := rapid.SampledFrom([]string{fmt.Sprint(at), fmt.Sprint(at), "?", "99"}).Draw(rt, "ts")
				lines = append(lines, fmt.Sprintf("%s,1,2,%d-%d", ts, f, i))
			}
			contents = append(contents, strings.Join(lines, "\n"))
			files = append(files, lines[1:])
		}
		want := merged(files, limit)
		batch := rapid.SampledFrom([]int{1, 3, 1000}).Draw(rt, "batch")
		s := open(t, write(t, contents...), ping, ingest.FileOptions{Batch: batch, NotAfter: limit * 1e6})
		rows := ingesttest.ReadAll(t, s, 0, 0)
		if got := raws(rows); !slices.Equal(got, want) {
			rt.Fatalf("merged as\n%v, not\n%v", got, want)
		}
		for i, r := range rows {
			if r.Position != int64(i) {
				rt.Fatalf("row %d has position %d", i, r.Position)
			}
		}
		if len(want) > 0 {
			k := rapid.IntRange(0, len(want)-1).Draw(rt, "resume")
			if got := raws(ingesttest.ReadAll(t, s, 0, int64(k))); !slices.Equal(got, want[k:]) {
				rt.Fatalf("resumed at %d as\n%v, not\n%v", k, got, want[k:])
			}
		}
	})
}

// merged takes, again and again, the record that comes first of those at the
// fronts of the files.
func merged(files [][]string, limit int64) []string {
	keys := make([]int64, len(files))
	for i := range keys {
		keys[i] = stream.NoTime
	}
	key := func(i int) int64 {
		var at int64
		if _, err := fmt.Sscanf(files[i][0], "%d,", &at); err != nil || at > limit {
			return keys[i]
		}
		return at
	}
	var out []string
	for {
		best := -1
		for i := range files {
			if len(files[i]) > 0 && (best < 0 || key(i) < key(best)) {
				best = i
			}
		}
		if best < 0 {
			return out
		}
		keys[best] = key(best)
		out = append(out, files[best][0])
		files[best] = files[best][1:]
	}
}

// Patterns take files in the order of their names, and many files are read with
// few of them open.
func TestPattern(t *testing.T) {
	var contents []string
	for i := range 200 {
		contents = append(contents, fmt.Sprintf("ts,lat,lng,id\n%d,1,2,a\n%d,1,2,b\n", 2*i, 2*i+1))
	}
	paths := write(t, contents...)
	s := open(t, []string{filepath.Join(filepath.Dir(paths[0]), "*.csv")}, ping, ingest.FileOptions{})
	rows := ingesttest.ReadAll(t, s, 0, 0)
	if len(rows) != 400 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, r := range rows {
		if r.Time != int64(i)*1e6 {
			t.Fatalf("row %d has time %d", i, r.Time)
		}
	}
}
