package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/materialize"
	"github.com/hextide/hextide/statebackend"
	"github.com/zeebo/xxh3"
)

var rewrite = flag.Bool("rewrite", false, "make the fixture of the state format that this program writes anew; needs a Kafka broker")

// fixtures holds a small state of each version of the pointer format, as a live run
// left it, with what an export of it gives.
const fixtures = "testdata/state"

// fixed has a little of everything that a state holds.
const fixed = `version: 1
name: fixed
source:
  format: csv
  topic: %[1]s
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {taxi_id: string, occupied: int}
  out_of_order: 10s
  %[2]s
grid: {resolution: 9, rings: [0, 1], parents: [8]}
windows: {pane: 1m, sizes: [1m, 5m, 1h]}
aggregates:
  - {name: n, op: count}
  - {name: occ, op: sum, of: occupied}
  - {name: low, op: min, of: occupied, where: "occupied >= 0"}
models:
  - {name: next, kind: demand, target: n_k0_w1h}
`

// variants are the definitions of a version's states.
var variants = map[string]string{"dedup": "dedup: {by: [taxi_id], within: 2m}", "lateness": "allowed_lateness: 5m"}

// makeFixture runs a pipeline over the first taxis, and keeps what it leaves.
func makeFixture(t *testing.T, variant, folder string) {
	t.Helper()
	brokers := testserver.Kafka(t)
	name := fmt.Sprintf("fixture-%s-%d", variant, os.Getpid())
	topic(t, brokers, name, 2)
	definition := write(t, filepath.Join(t.TempDir(), "fixed.yaml"), fmt.Appendf(nil, fixed, name, variants[variant]))
	const records = 600
	do(t, exitDone, "simulate", definition, "--brokers", brokers, "--speed", "0", "--partitions", "2", "--input", csvFile(t, read(t)[:1+records]))
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(folder, "state")
	p := start(t, nil, "run", definition, "--brokers", brokers, "--state", absolute(t, state), "--shards", "2",
		"--checkpoint-interval", "1h", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	_, http := p.address()
	p.measures(http, "all records", func(f figures) bool { return f["records_read_total"] == records })
	p.interrupt()
	if code := p.wait(); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, p.err)
	}
	write(t, filepath.Join(folder, "expected.json"), exported(t, state))
}

// exported says what an export of a state gives: of every file its rows and a hash of
// its columns.
func exported(t *testing.T, state string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "exported")
	do(t, exitDone, "state", "export", "--state", absolute(t, state), "--out", out)
	content, err := os.ReadFile(filepath.Join(out, materialize.StateManifestName))
	if err != nil {
		t.Fatal(err)
	}
	m := materialize.StateManifest{}
	if err := json.Unmarshal(content, &m); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range m.Files {
		columns, rows := table(t, out, strings.TrimSuffix(f.Name, ".parquet"))
		var all []string
		for name, values := range columns {
			all = append(all, name+": "+strings.Join(values, " "))
		}
		slices.Sort(all)
		lines = append(lines, fmt.Sprintf("%s %d %016x", f.Name, rows, xxh3.HashString(strings.Join(all, "\n"))))
	}
	text, err := json.MarshalIndent(lines, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// A state of every version of the format is read as it was meant, by the code that a
// restart uses. There is a fixture of the version that is written now.
func TestStatesOfEveryVersion(t *testing.T) {
	now := fmt.Sprintf("format-%d", statebackend.PointerVersion)
	if *rewrite {
		for variant := range variants {
			makeFixture(t, variant, filepath.Join(fixtures, now, variant))
		}
	}
	versions, err := os.ReadDir(fixtures)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range versions {
		for variant := range variants {
			folder := filepath.Join(fixtures, version.Name(), variant)
			want, err := os.ReadFile(filepath.Join(folder, "expected.json"))
			if err != nil {
				t.Fatal(err)
			}
			before := tree(t, folder)
			if got := exported(t, filepath.Join(folder, "state")); string(got) != string(want) {
				t.Errorf("%s of %s holds\n%s, not\n%s", variant, version.Name(), got, want)
			}
			same(t, "after an export", before, tree(t, folder))
		}
	}
	if !slices.ContainsFunc(versions, func(v os.DirEntry) bool { return v.Name() == now }) {
		t.Errorf("there is no state of %s: make one by scripts/with-servers.sh go test ./cmd/hextide -run TestStatesOfEveryVersion -rewrite", now)
	}
}
