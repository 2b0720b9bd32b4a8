package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kgo"
)

// refused runs a backfill that must fail, with an exit code and a message, and
// must leave nothing that looks like a snapshot.
func refused(t *testing.T, code int, definition, input string, want ...string) (out string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "out")
	p := do(t, code, "backfill", definition, "--input", input, "--out", out)
	complains(t, p, want...)
	if finished(out) {
		t.Error("it left a manifest")
	}
	return out
}

// complains expects text in what a process says on standard error.
func complains(t *testing.T, p *process, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(p.err.String(), text) {
			t.Errorf("%v does not say %q:\n%s", p.cmd.Args, text, p.err)
		}
	}
}

// with puts lines behind the first few of the taxis.
func with(t *testing.T, more ...string) string {
	t.Helper()
	all := read(t)
	return csvFile(t, slices.Concat(all[:5], more, all[5:]))
}

func TestTruncatedGzip(t *testing.T) {
	definition, _ := define(t, city)
	content, err := os.ReadFile(taxis)
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(t.TempDir(), "cut.csv.gz"), content[:200_000])
	out := refused(t, exitFailed, definition, path, "cut.csv.gz is cut off", "at byte 200000")
	// It does not heal by trying again, but it does with the whole file.
	complains(t, do(t, exitFailed, "backfill", definition, "--input", path, "--out", out, "--resume"), "cut off")
	write(t, path, content)
	p := do(t, exitDone, "backfill", definition, "--input", path, "--out", out, "--resume")
	if undisturbed, _ := backfill(t, definition, []string{taxis}); p.hash() != undisturbed.hash() {
		t.Errorf("content_hash %s, of the whole file %s", p.hash(), undisturbed.hash())
	}
}

// A resumed backfill refuses other input and another definition than it began with.
func TestResumeWithOtherInput(t *testing.T) {
	definition, name := define(t, city)
	all := read(t)
	path := csvFile(t, all)
	var arguments []string
	untilKilled(t, stream.CrashAfterCommit, func(variables []string) *process {
		arguments = append([]string{"backfill", definition, "--input", path, "--out", filepath.Join(t.TempDir(), "out")}, often...)
		return start(t, variables, arguments...)
	})
	complains(t, do(t, exitUsage, arguments...), "--resume")
	arguments = append(arguments, "--resume")
	write(t, path, []byte(strings.Join(all[:len(all)-1], "\n")))
	complains(t, do(t, exitFailed, arguments...), "the input has changed")
	write(t, path, []byte(strings.Join(all, "\n")+"\n"))
	arguments[1], _ = define(t, city, "rings: [0, 1, 3]", "rings: [0, 1, 2]")
	complains(t, do(t, exitFailed, arguments...), "definition")
	arguments[1] = rename(t, definition, name+".rows", name+".others") // where rows go is no part of what they are
	do(t, exitDone, arguments...)
}

func TestMissingColumn(t *testing.T) {
	definition, _ := define(t, city)
	all := read(t)
	all[0] = strings.Replace(all[0], "lng", "long", 1)
	out := refused(t, exitFailed, definition, csvFile(t, all), `has no column "lng"`, "ts, taxi_id, lat, long, occupied")
	if _, err := os.Stat(out); err == nil {
		t.Error("it left a folder")
	}
}

func TestMissingFile(t *testing.T) {
	definition, _ := define(t, city)
	refused(t, exitFailed, definition, "no-such-file.csv", "no-such-file.csv")
	refused(t, exitFailed, definition, "no-such-*.csv", "no-such-*.csv")
	complains(t, do(t, exitUsage, "backfill", "no.yaml", "--input", taxis, "--out", "out"), "there is no definition no.yaml")
}

// What is wrong with a record makes it a dead letter, counted by reason and kept
// with its bytes, and changes nothing else.
func TestDeadLetters(t *testing.T) {
	definition, _ := define(t, city)
	undisturbed, want := backfill(t, definition, []string{taxis})
	long := strings.Repeat("x", 10_000_000)
	path := with(t,
		"1211328000,t,91,-122.4,0", "1211328000,t,NaN,-122.4,0", "1211328000,t,37.7,180.1,0", // no places
		"4300000000,t,37.7,-122.4,0",                                                // 2106
		"-1,t,37.7,-122.4,0", "0,t,37.7,-122.4,0", "-99999999999999,t,37.7,-122.4,", // too early
		"1211328000,\xff\xfe,37.7,-122.4,0", "1211328000,t,37.7,-122.4,yes", "soon,t,37.7,-122.4,0", "1211328000,"+long+",37.7,-122.4,0", // syntax
		"1211328000,t,37.7,-122.4", "1211328000,t,,-122.4,0", // fields
	)
	p, out := backfill(t, definition, []string{path})
	if p.hash() != undisturbed.hash() {
		t.Errorf("content_hash %s, without them %s", p.hash(), undisturbed.hash())
	}
	counts, before := manifest(t, out).Counts, manifest(t, want).Counts
	before.Read, before.Dead = before.Read+13, 13
	if counts != before {
		t.Errorf("%+v, not %+v", counts, before)
	}
	for _, reason := range []string{"3 records are dead letters (bad_location)", "1 records are dead letters (too_far_ahead)"} {
		if !strings.Contains(p.out.String(), reason) {
			t.Errorf("it does not say %q:\n%s", reason, p.out)
		}
	}
	letters, err := os.ReadFile(filepath.Join(out, "dead", "part-00000.jsonl"))
	if err != nil || strings.Count(string(letters), "\n") != 13 || !strings.Contains(string(letters), `"raw_size":100000`) {
		t.Errorf("%d dead letters are kept, %d bytes: %v", strings.Count(string(letters), "\n"), len(letters), err)
	}
	if len(letters) > 1_000_000 {
		t.Errorf("dead letters of %d bytes", len(letters))
	}
}

// An event a year before the rest is accepted, and the year between costs nothing.
func TestYearBeforeTheRest(t *testing.T) {
	definition, _ := define(t, city)
	p, without := backfill(t, definition, []string{taxis})
	all := read(t)
	q, out := backfill(t, definition, []string{csvFile(t, slices.Insert(all, 1, "1179792000,t,37.7,-122.4,0"))})
	counts, before := manifest(t, out).Counts, manifest(t, without).Counts
	if counts.Aggregated != before.Aggregated+1 {
		t.Errorf("%d events are aggregated, without it %d", counts.Aggregated, before.Aggregated)
	}
	// 37 cells have an event within three rings, in a window of five minutes.
	if more := counts.Rows - before.Rows; more != 5*37 {
		t.Errorf("%d rows more", more)
	}
	memory := func(p *process) int64 { return p.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss }
	if memory(q) > 2*memory(p) {
		t.Errorf("%d KiB of memory, without it %d", memory(q), memory(p))
	}
}

func TestEmptyFile(t *testing.T) {
	definition, _ := define(t, city)
	for name, lines := range map[string][]string{"nothing": nil, "a header": read(t)[:1]} {
		path := filepath.Join(t.TempDir(), "empty.csv")
		write(t, path, []byte(strings.Join(lines, "\n")))
		p, out := backfill(t, definition, []string{path})
		complains(t, p, "no records")
		if m := manifest(t, out); m.Counts.Read != 0 || m.Counts.Rows != 0 {
			t.Errorf("%s: %+v", name, m.Counts)
		}
	}
	both, _ := backfill(t, definition, []string{taxis, write(t, filepath.Join(t.TempDir(), "empty.csv"), nil)})
	complains(t, both, "no records", "empty.csv")
	alone, _ := backfill(t, definition, []string{taxis})
	if both.hash() != alone.hash() {
		t.Error("an empty file beside another changes rows")
	}
}

// A definition's errors are all told at once, each with its place.
func TestDefinitionWithTenErrors(t *testing.T) {
	definition, _ := define(t, `version: 1
name: ten
source:
  format: xml
  topic: ten
  event_time: {field: ts, unit: fortnights}
  location: {lat: lat, lng: lng}
  fields: {taxi_id: string, occupied: integer}
  dedup: {by: [taxi], within: 1m}
grid: {resolution: 19, rings: [0, 2, 1]}
windows: {pane: 7m, sizes: [7m]}
aggregates:
  - {name: n, op: count}
  - {name: m, op: median}
features:
  - {name: share, expr: "1 +"}
sinks:
  feed: {topic: ten.rows, format: avro}
`)
	for _, command := range []string{"validate", "plan", "backfill", "run"} {
		arguments := []string{command, definition}
		if command == "backfill" {
			arguments = append(arguments, "--input", taxis, "--out", "out")
		}
		p := do(t, exitFailed, arguments...)
		complains(t, p, "pipeline.yaml has ", `:4:11: expected one of csv, json, found "xml"`, ":6:33: ", ":8:39: ", ":9:16: ",
			":10:20: ", ":10:38: ", ":11:17: ", ":14:19: ", ":16:25: ", ":18:35: ")
		if n := len(regexp.MustCompile(`(?m):\d+:\d+: `).FindAllString(p.err.String(), -1)); n != 10 {
			t.Errorf("%s: %d errors, not 10:\n%s", command, n, p.err)
		}
	}
}

func TestMissingTopic(t *testing.T) {
	definition, name := define(t, city)
	brokers := testserver.Kafka(t)
	p := do(t, exitFailed, "run", definition, "--brokers", brokers, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	complains(t, p, fmt.Sprintf("there is no topic %q on %s", name, brokers))
	near := name[:len(name)-1]
	topic(t, brokers, near, 1)
	p = do(t, exitFailed, "run", definition, "--brokers", brokers, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	complains(t, p, fmt.Sprintf("is %q meant?", near))
	p = do(t, exitFailed, "diff", "kafka://"+brokers+"/"+name, "kafka://"+brokers+"/"+name)
	complains(t, p, name)
}

// Bad records of a topic are dead letters in a topic of their own, and counted.
func TestDeadLettersLive(t *testing.T) {
	definition, name := define(t, city)
	path := with(t, "1211328000,t,91,-122.4,0", "4300000000,t,37.7,-122.4,0", "0,t,37.7,-122.4,0", "1211328000,\xff\xfe,37.7,-122.4,0",
		"1211328000,t,37.7,-122.4,yes", "1211328000,"+strings.Repeat("x", 900_000)+",37.7,-122.4,0")
	undisturbed, _ := backfill(t, definition, []string{taxis})
	brokers := replayed(t, definition, name, path)
	folder := t.TempDir()
	p := do(t, exitDone, "run", definition, "--brokers", brokers, "--bounded", "--shards", "8", "--state", filepath.Join(folder, "state"),
		"--out", filepath.Join(folder, "out"), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	if p.hash() != undisturbed.hash() {
		t.Errorf("content_hash %s, without them %s", p.hash(), undisturbed.hash())
	}
	letters := 0
	committedRecords(t, brokers, name+".rows.dead", func(*kgo.Record) { letters++ })
	if m := manifest(t, filepath.Join(folder, "out")); m.Counts.Dead != int64(letters) || letters < 5 {
		t.Errorf("%d dead letters, %d counted", letters, m.Counts.Dead)
	}
}
