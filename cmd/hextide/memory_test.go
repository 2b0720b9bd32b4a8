package main

import (
	"path/filepath"
	"regexp"
	"testing"
)

var movedForm = regexp.MustCompile(`moved_out=[1-9]\d* read_back=[1-9]`)

// A city whose wide windows, minima and dedup do not fit the memory that it is given
// has the rows that it has with all there is, in history and live.
func TestSameHashBeyondMemory(t *testing.T) {
	definition, name := define(t, city, "sizes: [1m, 5m]", "sizes: [5m, 100m]", "fields: {taxi_id: string,", "allowed_lateness: 10m\n  fields: {taxi_id: string,",
		"  - {name: n, op: count}", "  - {name: n, op: count}\n  - {name: least, op: min, of: occupied}")
	want, snapshot := backfill(t, definition, []string{taxis})
	for _, memory := range []string{"2MiB", "16MiB"} {
		p, _ := backfill(t, definition, []string{taxis}, "--memory", memory, "--checkpoint-interval", "1s", "--log-level", "debug")
		if p.hash() != want.hash() {
			t.Errorf("--memory %s: content_hash %s, not %s", memory, p.hash(), want.hash())
		}
		if memory == "2MiB" && !movedForm.MatchString(p.err.String()) {
			t.Errorf("nothing was moved out of memory and read back:\n%s", p.err)
		}
	}
	brokers := replayed(t, definition, name, taxis)
	running := start(t, nil, "run", definition, "--brokers", brokers, "--state", filepath.Join(t.TempDir(), "state"), "--memory", "2MiB",
		"--shards", "8", "--keep", "4h", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	grpc, http := running.address()
	rows := running.closes(http, snapshot)
	agree(t, rows, snapshot, "grpc://"+grpc)
	seen, err := scrape(http)
	if err != nil {
		t.Fatal(err)
	}
	if seen["memory_moved_out_total"] == 0 || seen["memory_read_back_total"] == 0 || seen["memory_used_bytes"] > seen["memory_budget_bytes"]*1.1 {
		t.Errorf("moved out %v, read back %v, used %v of %v bytes", seen["memory_moved_out_total"], seen["memory_read_back_total"], seen["memory_used_bytes"], seen["memory_budget_bytes"])
	}
	running.ends()
}

func TestTooLittleMemory(t *testing.T) {
	definition, _ := define(t, city)
	do(t, exitUsage, "backfill", definition, "--input", taxis, "--out", filepath.Join(t.TempDir(), "out"), "--memory", "1MiB")
}
