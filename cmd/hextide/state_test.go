package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
)

// table reads a Parquet file as text, by column.
func table(t *testing.T, dir, name string) (columns map[string][]string, rows int) {
	t.Helper()
	in, err := os.Open(filepath.Join(dir, name+".parquet"))
	if err != nil {
		t.Fatal(err)
	}
	read, err := pqarrow.ReadTable(t.Context(), in, parquet.NewReaderProperties(nil), pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Release()
	columns = map[string][]string{}
	for i, f := range read.Schema().Fields() {
		for _, chunk := range read.Column(i).Data().Chunks() {
			for n := range chunk.Len() {
				columns[f.Name] = append(columns[f.Name], chunk.ValueStr(n))
			}
		}
	}
	return columns, int(read.NumRows())
}

// ping is a taxi's line.
type ping struct {
	at   int64 // s
	cell string
	taxi string
}

func pings(t *testing.T, lines []string) (all []ping) {
	t.Helper()
	for _, line := range lines {
		var p ping
		var lat, lng float64
		fields := strings.Split(line, ",")
		at, err := strconv.ParseInt(fields[0], 10, 64)
		if err == nil {
			lat, err = strconv.ParseFloat(fields[2], 64)
		}
		if err == nil {
			lng, err = strconv.ParseFloat(fields[3], 64)
		}
		if err != nil {
			t.Fatal(err)
		}
		cell, err := geo.Index(lat, lng, 9)
		if err != nil {
			t.Fatal(err)
		}
		p.at, p.taxi, p.cell = at, fields[1], cell.String()
		all = append(all, p)
	}
	return all
}

// minute names a minute as the exports do.
func minute(at int64) string { return time.Unix(at/60*60, 0).UTC().Format(time.RFC3339) }

// holdsPings holds an export of city's state against the pings that were read:
// each taxi counts with its first ping of a minute, in dedup.parquet while the
// minute is open and in the panes from then on.
func holdsPings(t *testing.T, dir string, read []ping) {
	t.Helper()
	winners := map[string]ping{} // by minute and taxi
	for _, p := range read {
		k := minute(p.at) + p.taxi
		if old, there := winners[k]; !there || p.at < old.at {
			winners[k] = p
		}
	}
	open, n := table(t, dir, "dedup")
	for i := range n {
		k := open["span_start"][i] + open["key_taxi_id"][i]
		w := winners[k]
		if open["h3"][i] != w.cell || open["event_time"][i] != time.Unix(w.at, 0).UTC().Format(time.RFC3339) {
			t.Fatalf("%s: %s at %s, not %+v", k, open["h3"][i], open["event_time"][i], w)
		}
		delete(winners, k)
	}
	counts := map[string]int{} // by minute and cell, of what is not open
	for _, w := range winners {
		counts[minute(w.at)+w.cell]++
	}
	panes, rows := table(t, dir, "panes")
	oldest, own := "9", 0
	for i := range rows {
		if panes["own"][i] != "true" {
			continue
		}
		own++
		oldest = min(oldest, panes["pane_start"][i])
		k := panes["pane_start"][i] + panes["h3"][i]
		if panes["events"][i] != strconv.Itoa(counts[k]) {
			t.Fatalf("%s: %s events, not %d", k, panes["events"][i], counts[k])
		}
		delete(counts, k)
	}
	frontiers, _ := table(t, dir, "frontiers")
	committed := frontiers["final"][slices.Index(frontiers["kind"], "committed")]
	for k, count := range counts {
		if k[:len(committed)] >= committed {
			t.Errorf("%d events of %s are missing", count, k)
		}
	}
	if n == 0 || own < 100 || oldest >= committed {
		t.Errorf("%d open keys, %d cells of panes from %s to %s: this tests nothing", n, own, oldest, committed)
	}
}

// killedState is the state of a backfill of the taxis that was killed.
func killedState(t *testing.T) (definition string, all []ping, state string) {
	t.Helper()
	definition, _ = define(t, city)
	input := longer(t)
	killed := ""
	for lives := 0; ; lives++ { // one may end before its third checkpoint
		killed = filepath.Join(t.TempDir(), "killed")
		arguments := append([]string{"backfill", definition, "--input", input, "--out", killed}, often...)
		p := start(t, []string{"HEXTIDE_TEST_CRASH=" + stream.CrashAfterCommit + "/3"}, arguments...)
		if p.wait() == -1 {
			break
		}
		if lives == 20 {
			t.Fatalf("never killed\n%s", p.err)
		}
	}
	content, err := os.ReadFile(input)
	if err != nil {
		t.Fatal(err)
	}
	all = pings(t, strings.Split(strings.TrimSpace(string(content)), "\n")[1:])
	return definition, all, filepath.Join(killed, stateFolder)
}

// An export holds what was read up to the epoch, and the state stays as it is.
// Where the newest epoch is damaged it is the one before, said so.
func TestStateExport(t *testing.T) {
	t.Parallel()
	definition, all, state := killedState(t)
	before, room := tree(t, state), t.TempDir()
	export := func(code int, name string, more ...string) (*process, string) {
		dir := filepath.Join(room, name)
		p := do(t, code, append([]string{"state", "export", definition, "--state", state, "--out", dir}, more...)...)
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) != (code != exitDone) {
			t.Errorf("%s, exit code %d: %v\n%s", name, code, err, p.err)
		}
		return p, dir
	}
	newest, files := newestFiles(t, state)
	hold := func(dir string, epoch int64) {
		t.Helper()
		p, err := statebackend.Open(statebackend.NewFolder(vfs.Default, state), statebackend.Options{}).Pointer(t.Context(), epoch)
		if err != nil {
			t.Fatal(err)
		}
		offsets, _ := table(t, dir, "offsets")
		if got := offsets["position"]; len(got) != 1 || got[0] != fmt.Sprint(p.Partitions[0].Position) || offsets["read"][0] != got[0] {
			t.Errorf("epoch %d: position %v, %v read, the pointer is at %+v", epoch, got, offsets["read"], p.Partitions)
		}
		holdsPings(t, dir, all[:p.Partitions[0].Position])
	}
	p, dir := export(exitDone, "newest")
	hold(dir, newest)
	if !strings.Contains(p.out.String(), fmt.Sprintf("epoch %d of ", newest)) {
		t.Errorf("it said %s", p.out)
	}
	_, dir = export(exitDone, "older", "--epoch", fmt.Sprint(newest-1))
	hold(dir, newest-1)
	same(t, "after exports", before, tree(t, state))

	if err := damages["flipped"](files["shard"]); err != nil {
		t.Fatal(err)
	}
	before = tree(t, state)
	p, dir = export(exitDone, "fallback")
	hold(dir, newest-1)
	if !strings.Contains(p.err.String(), fmt.Sprintf("damaged=%d", newest)) {
		t.Errorf("it said %s", p.err)
	}
	if p, _ = export(exitFailed, "asked", "--epoch", fmt.Sprint(newest)); !strings.Contains(p.err.String(), "damaged") {
		t.Errorf("it said %s", p.err)
	}
	same(t, "after exports of what is damaged", before, tree(t, state))
	for epoch := range newest {
		if path := filepath.Join(state, "pointers", fmt.Sprintf("%d.json", epoch+1)); before[path] != "" {
			write(t, path, []byte("{}"))
		}
	}
	if p, _ = export(exitFailed, "none"); !strings.Contains(p.err.String(), "no epoch of the state is whole") {
		t.Errorf("it said %s", p.err)
	}
}

// What cannot be exported, or not to there, is refused, and nothing is made.
func TestStateExportRefuses(t *testing.T) {
	t.Parallel()
	definition, _ := define(t, city)
	held, room := committed(t, 2), t.TempDir()
	bare, full := filepath.Join(room, "bare"), filepath.Join(room, "full")
	for _, folder := range []string{bare, full} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file, out := write(t, filepath.Join(full, "notes.txt"), []byte("mine")), filepath.Join(room, "out")
	before := tree(t, held, room)
	for _, c := range []struct {
		state, out string
		more       []string
		code       int
		says       string
	}{
		{held, "", nil, exitUsage, "--out DIR"},
		{held, full, nil, exitUsage, full + " is not empty"},
		{held, file, nil, exitUsage, file + " is not a folder"},
		{held, filepath.Join(held, "export"), nil, exitUsage, "lies in the state folder"},
		{bare, out, nil, exitUsage, bare + " holds no checkpoints"},
		{filepath.Join(room, "gone"), out, nil, exitUsage, "there is no state folder"},
		{file, out, nil, exitUsage, "is not a folder"},
		{held, out, []string{"--epoch", "9"}, exitUsage, "keeps no epoch 9; it keeps [1 2]"},
		{held, out, []string{"--epoch", "x"}, exitUsage, "is no epoch"},
		{held, out, nil, exitFailed, "was made with the definition"},
	} {
		p := do(t, c.code, append([]string{"state", "export", definition, "--state", c.state, "--out", c.out}, c.more...)...)
		if !strings.Contains(p.err.String(), c.says) {
			t.Errorf("%+v: it said\n%s", c, p.err)
		}
		same(t, c.says, before, tree(t, held, room))
	}
	if p := do(t, exitUsage, "state", "export", "--state", held, "--out", out); !strings.Contains(p.err.String(), "name it, state export FILE") {
		t.Errorf("it said %s", p.err)
	}
	if p := do(t, exitDone, "state", "export", "--help"); !strings.Contains(p.out.String(), "Examples:") {
		t.Errorf("it said %s", p.out)
	}
}

// An epoch that a run dropped while it was read is said to be dropped, not damaged.
func TestStateExportOfDroppedEpoch(t *testing.T) {
	t.Parallel()
	definition, _ := define(t, city)
	plan, err := load(definition)
	if err != nil {
		t.Fatal(err)
	}
	state := committed(t, 2)
	f := &stateFlags{kept: kept{state: stateSettings{address: state}}, out: filepath.Join(t.TempDir(), "out")}
	folder, epochs, err := f.open(t.Context())
	if err != nil || len(epochs) != 2 {
		t.Fatalf("%v, %v", epochs, err)
	}
	do(t, exitDone, "checkpoint", "rm", "1", "--state", state)
	if _, err := f.export(t.Context(), plan, folder, 1); err == nil || errors.Is(err, statebackend.ErrDamaged) || !strings.Contains(err.Error(), "epoch 1 was dropped while it was read") {
		t.Error(err)
	}
}

// The state of a run is exported while it runs, again and again; the run goes on.
func TestStateExportOfRun(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	brokers, folder := replayed(t, definition, name, taxis), t.TempDir()
	all := pings(t, read(t)[1:])
	state := filepath.Join(folder, "state")
	run := start(t, nil, "run", definition, "--brokers", brokers, "--state", state, "--shards", "4", "--batch", "500",
		"--checkpoint-interval", "300ms", "--checkpoint-min-pause", "10ms", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	_, http := run.address()
	exports := 0
	position := func() (total int64) { // of the newest epoch; 0: there is none yet, or it was dropped meanwhile
		dir := filepath.Join(folder, fmt.Sprint("export-", exports))
		p := start(t, nil, "state", "export", definition, "--state", state, "--out", dir)
		switch code := p.wait(); {
		case code == exitDone:
			exports++
		case strings.Contains(p.err.String(), "was dropped while it was read"), strings.Contains(p.err.String(), "holds no checkpoints"), strings.Contains(p.err.String(), "there is no state folder"):
			return 0
		default:
			t.Fatalf("exit code %d\n%s", code, p.err)
		}
		offsets, _ := table(t, dir, "offsets")
		for _, at := range offsets["position"] {
			n, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			total += n
		}
		return total
	}
	last := int64(0)
	run.until("an export of everything", func() bool {
		total := position()
		if total != 0 && total < last {
			t.Errorf("%d records after %d", total, last)
		}
		last = max(last, total)
		return total == int64(len(all))
	})
	holdsPings(t, filepath.Join(folder, fmt.Sprint("export-", exports-1)), all)
	if f, err := scrape(http); err != nil || f["checkpoints_failed_total"] != 0 || f["epochs_damaged"] != 0 {
		t.Errorf("%v, %v", f["checkpoints_failed_total"], err)
	}
	run.interrupt()
	if code := run.wait(); code != exitDone {
		t.Errorf("exit code %d\n%s", code, run.err)
	}
	if p := do(t, exitDone, "state", "export", definition, "--state", state, "--out", filepath.Join(folder, "ended")); !strings.Contains(p.out.String(), "rows in 7 files") {
		t.Errorf("it said %s", p.out)
	}
}
