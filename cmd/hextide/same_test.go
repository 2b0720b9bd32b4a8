package main

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hextide/hextide/materialize"
	"github.com/klauspost/compress/zstd"
)

// One content_hash, however the work is divided.
func TestSameHashHoweverDivided(t *testing.T) {
	definition, _ := define(t, city)
	p, _ := backfill(t, definition, []string{taxis})
	want := p.hash()
	for _, shape := range [][]string{
		{"--workers", "1"}, {"--workers", "2"}, {"--workers", "8"},
		{"--batch", "100"}, {"--batch", "10000"}, {"--workers", "8", "--batch", "1"},
		{"--no-files"}, {"--checkpoint-interval", "10ms", "--checkpoint-min-pause", "1ms"},
	} {
		p, _ := backfill(t, definition, []string{taxis}, shape...)
		if got := p.hash(); got != want {
			t.Errorf("%v: content_hash %s, not %s", shape, got, want)
		}
	}
}

// One content_hash, whatever files the events come in.
func TestSameHashWhateverTheFiles(t *testing.T) {
	definition, _ := define(t, city)
	p, _ := backfill(t, definition, []string{taxis})
	want := p.hash()
	all := read(t)
	folder := t.TempDir()
	text := []byte(strings.Join(all, "\n") + "\n")
	plain := write(t, filepath.Join(folder, "plain.csv"), text)
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	small := write(t, filepath.Join(folder, "small.csv.zst"), encoder.EncodeAll(text, nil))
	// Whole taxis to a file each, so that the order within a taxi's second stays.
	parts := [3][]string{{all[0]}, {all[0]}, {all[0]}}
	for _, line := range all[1:] {
		taxi := strings.Split(line, ",")[1]
		id := int(taxi[0]) + int(taxi[1])
		parts[id%3] = append(parts[id%3], line)
	}
	for i, part := range parts {
		text := []byte(strings.Join(part, "\n") + "\n")
		write(t, filepath.Join(folder, fmt.Sprintf("part-%d.csv.gz", i)), compressed(t, text))
	}
	halves := []string{csvFile(t, all[:20_000]), csvFile(t, append([]string{all[0]}, all[20_000:]...))}
	for name, inputs := range map[string][]string{
		"plain": {plain}, "zstd": {small}, "pattern": {filepath.Join(folder, "part-*.csv.gz")}, "halves": halves,
	} {
		p, _ := backfill(t, definition, inputs)
		if got := p.hash(); got != want {
			t.Errorf("%s: content_hash %s, not %s", name, got, want)
		}
	}
}

// History, a bounded run from Kafka, its feed and a running server agree.
func TestSameLiveAndHistory(t *testing.T) {
	definition, name := define(t, city)
	p, snapshot := backfill(t, definition, []string{taxis})
	brokers := replayed(t, definition, name, taxis)
	folder := t.TempDir()
	live := do(t, exitDone, "run", definition, "--brokers", brokers, "--bounded", "--state", filepath.Join(folder, "bounded"),
		"--out", filepath.Join(folder, "out"), "--shards", "8", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	if live.hash() != p.hash() {
		t.Errorf("live %s, history %s", live.hash(), p.hash())
	}
	feed := "kafka://" + brokers + "/" + name + ".rows"
	agree(t, manifest(t, snapshot).Counts.Rows, feed, snapshot)
	agree(t, manifest(t, snapshot).Counts.Rows, filepath.Join(folder, "out"), snapshot)
	running := start(t, nil, "run", definition, "--brokers", brokers, "--state", filepath.Join(folder, "unbounded"), "--offsets", offsetsState,
		"--shards", "8", "--keep", "4h", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	grpc, http := running.address()
	rows := running.closes(http, snapshot)
	agree(t, rows, snapshot, "grpc://"+grpc)
	agree(t, rows, feed, "grpc://"+grpc)
	running.ends()
}

// agree holds two outputs against each other.
func agree(t *testing.T, least int64, a, b string) {
	t.Helper()
	p := do(t, exitDone, "diff", a, b)
	var differ, compared int64
	if _, err := fmt.Sscanf(p.out.String(), "%d rows differ of %d compared", &differ, &compared); err != nil || differ != 0 || compared < least {
		t.Errorf("diff %s %s (at least %d rows): %v\n%s", a, b, least, err, p.out)
	}
}

// One value changed on purpose is found, with the column it is in.
func TestDiffFindsOneValue(t *testing.T) {
	definition, _ := define(t, city)
	all := read(t)
	_, before := backfill(t, definition, []string{csvFile(t, all)})
	changed := slices.Clone(all)
	last := len(changed) - 30_000
	switch text := changed[last]; {
	case strings.HasSuffix(text, ",0"):
		changed[last] = strings.TrimSuffix(text, "0") + "1"
	default:
		changed[last] = strings.TrimSuffix(text, "1") + "0"
	}
	_, after := backfill(t, definition, []string{csvFile(t, changed)})
	p := do(t, exitFailed, "diff", before, after)
	for _, want := range []string{"occ_k0_w1m: 1 rows", "occ_k3_w5m: ", "possible cause", "only in A: 0, only in B: 0"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("diff does not say %q:\n%s", want, p.out)
		}
	}
	if strings.Contains(p.out.String(), "  n_k") {
		t.Errorf("diff finds counts changed:\n%s", p.out)
	}
}

// goldenRow finds a value by cell, window end and column.
type goldenRow map[string]int64

// The golden slices agree row by row.
func TestGolden(t *testing.T) {
	slice := []string{taxis}
	_, j1 := backfill(t, "../../examples/checks/j1.yaml", slice, "--to", "2008-05-21T01:00:00Z")
	want := golden(t, "j1-2008-05-21T00-01Z.csv.gz", func(name string) string {
		return map[string]string{"n": "n_k0_w1m", "occ": "occ_k0_w1m"}[name]
	}, 60)
	compareGolden(t, j1, want, true)
	_, j3 := backfill(t, "../../examples/checks/j3.yaml", slice, "--to", "2008-05-21T01:00:00Z")
	want = golden(t, "j3-2008-05-21T00Z-10min.csv.gz", func(name string) string {
		ring, window, _ := strings.Cut(strings.TrimPrefix(name, "k"), "_w")
		return "n_k" + ring + "_w" + window + "m"
	}, 0)
	compareGolden(t, j3, want, false)
}

// golden reads a slice: its second column, plus shift, is the window's end.
func golden(t *testing.T, name string, column func(string) string, shift int64) map[string]goldenRow {
	t.Helper()
	file, err := os.Open("../../examples/data/golden/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(plain).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]goldenRow{}
	for _, record := range records[1:] {
		second, err := strconv.ParseInt(record[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		row := goldenRow{}
		for i := 2; i < len(record); i++ {
			if row[column(records[0][i])], err = strconv.ParseInt(record[i], 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		rows[fmt.Sprintf("%s %d", record[0], second+shift)] = row
	}
	return rows
}

// compareGolden holds a snapshot against golden rows; all: it has no others.
func compareGolden(t *testing.T, dir string, want map[string]goldenRow, all bool) {
	t.Helper()
	found := 0
	rowsOf(t, dir, func(cell string, end int64, values map[string]int64) {
		row, is := want[fmt.Sprintf("%s %d", cell, end/1e6)]
		if !is && all {
			t.Errorf("%s has a row of %s at %d", dir, cell, end)
		}
		if !is {
			return
		}
		found++
		for name, value := range row {
			if values[name] != value {
				t.Errorf("%s at %d: %s is %d, not %d", cell, end, name, values[name], value)
			}
		}
	})
	if found != len(want) || found < 500 {
		t.Errorf("%d rows agree, of %d", found, len(want))
	}
}

// rowsOf visits the rows of a snapshot, all of whose columns are integers.
func rowsOf(t *testing.T, dir string, visit func(cell string, end int64, values map[string]int64)) {
	t.Helper()
	side, err := materialize.OpenSnapshotSide(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer side.Close()
	values := map[string]int64{}
	for {
		pane, err := side.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, rows := range pane.Rows {
			for i, cell := range rows.Cells {
				for c, column := range side.Columns() {
					values[column.Name] = rows.Columns[c].Ints[i]
				}
				visit(fmt.Sprintf("%x", uint64(cell)), pane.End, values)
			}
		}
	}
}
