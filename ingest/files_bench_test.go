package ingest_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/stream"
)

// taxi is the schema of the taxi pings of the demo.
var taxi = ingest.Schema{
	Format: ingest.CSV, Time: "ts", Unit: ingest.Seconds, Lat: "lat", Lng: "lng",
	Fields: []ingest.Field{{Name: "taxi_id", Kind: column.String}, {Name: "occupied", Kind: column.Int}},
}

// writeTaxi writes n taxi pings as a gzip file and returns its name and length inflated.
func writeTaxi(tb testing.TB, n int) (string, int64) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "taxi.csv.gz")
	file, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	z := gzip.NewWriter(file)
	w := bufio.NewWriter(z)
	size := int64(0)
	write := func(line []byte) {
		w.Write(line)
		size += int64(len(line))
	}
	write([]byte("ts,taxi_id,lat,lng,occupied\n"))
	var line []byte
	seed := uint64(1)
	for i := range n {
		seed = seed*6364136223846793005 + 1442695040888963407
		line = strconv.AppendInt(line[:0], 1211068800+int64(i/5), 10)
		line = append(line, ",eadectio,37."...)
		line = strconv.AppendUint(line, 70000+seed>>48%9999, 10)
		line = append(line, ",-122."...)
		line = strconv.AppendUint(line, 39000+seed>>32%9999, 10)
		line = append(line, ',', '0'+byte(seed>>63), '\n')
		write(line)
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := file.Close(); err != nil {
		tb.Fatal(err)
	}
	return path, size
}

// BenchmarkFiles reads pings into columns and prints the time as a ratio to
// inflating the same file and counting its lines with the standard library.
func BenchmarkFiles(b *testing.B) {
	const n = 200_000
	path, size := writeTaxi(b, n)
	b.SetBytes(size)
	var reading, counting time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		if got := drain(b, path); got != n {
			b.Fatalf("read %d of %d", got, n)
		}
		reading += time.Since(start)
		start = time.Now()
		if got := countLines(b, path); got != n+1 {
			b.Fatalf("counted %d lines", got)
		}
		counting += time.Since(start)
	}
	b.ReportMetric(reading.Seconds()/counting.Seconds(), "x-of-counting-lines")
	b.ReportMetric(float64(n*b.N)/reading.Seconds(), "events/s")
}

// drain reads a file of taxi pings and counts them.
func drain(tb testing.TB, path string) int {
	tb.Helper()
	source, err := ingest.NewFiles([]string{path}, taxi, ingest.FileOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	r, err := source.Open(context.Background(), 0, 0)
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	var batch stream.Batch
	n := 0
	for {
		switch err := r.Read(context.Background(), &batch); err {
		case nil:
			n += batch.Len()
		case io.EOF:
			return n
		default:
			tb.Fatal(err)
		}
	}
}

func countLines(tb testing.TB, path string) int {
	tb.Helper()
	file, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		tb.Fatal(err)
	}
	buffer := make([]byte, 64<<10)
	lines := 0
	for {
		n, err := z.Read(buffer)
		for _, c := range buffer[:n] {
			if c == '\n' {
				lines++
			}
		}
		if err == io.EOF {
			return lines
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkCodec decodes one record of each format.
func BenchmarkCodec(b *testing.B) {
	records := map[ingest.Format]string{
		ingest.CSV:  "1211068800,37.74356,-122.4012,eadectio,0",
		ingest.JSON: `{"ts":1211068800,"taxi_id":"eadectio","lat":37.74356,"lng":-122.4012,"occupied":0}`,
	}
	for format, record := range records {
		b.Run(string(format), func(b *testing.B) {
			schema := taxi
			schema.Format = format
			codec, err := ingest.NewCodec(&schema, nil, 0)
			if err != nil {
				b.Fatal(err)
			}
			var batch stream.Batch
			text := []byte(record)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i&4095 == 0 {
					schema.Reset(&batch)
				}
				i++
				codec.Append(&batch, text)
			}
		})
	}
}
