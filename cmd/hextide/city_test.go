package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/materialize"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// taxis are two hours of a city, 47,348 events of which dedup leaves fewer.
const (
	taxis      = "../../examples/data/sf-taxi-2008-05-21T00-02Z.csv.gz"
	taxiEvents = 47_348
)

// city is a pipeline over the taxis: J3 with fewer rings and windows.
const city = `version: 1
name: %[1]s
source:
  format: csv
  topic: %[1]s
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {taxi_id: string, occupied: int}
  dedup: {by: [taxi_id], within: 1m}
grid: {resolution: 9, rings: [0, 1, 3]}
windows: {pane: 1m, sizes: [1m, 5m]}
aggregates:
  - {name: n, op: count}
  - {name: occ, op: sum, of: occupied}
sinks:
  feed: {topic: %[1]s.rows}
`

var dedupLine = regexp.MustCompile(`\n  dedup: .*`)

// define writes a definition whose name, topic and feed are the test's own, and
// returns its path and name. Each change is a line to replace and its text.
func define(t *testing.T, text string, changes ...string) (path, name string) {
	t.Helper()
	name = fmt.Sprintf("%s-%d", strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllString(t.Name(), "-")), os.Getpid())
	if strings.Contains(text, "%[1]s") {
		text = fmt.Sprintf(text, name)
	}
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("the definition has no %q", changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	path = filepath.Join(t.TempDir(), "pipeline.yaml")
	write(t, path, []byte(text))
	return path, name
}

func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// read gives the taxis' lines, the header first.
func read(t *testing.T) []string {
	t.Helper()
	file, err := os.Open(taxis)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

// csvFile writes lines into a file of the test's own.
func csvFile(t *testing.T, lines []string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "events.csv"), []byte(strings.Join(lines, "\n")+"\n"))
}

func compressed(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// absolute is a path that holds in any folder.
func absolute(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

// backfill runs a definition over files and returns its process and the snapshot.
func backfill(t *testing.T, definition string, inputs []string, more ...string) (p *process, out string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "snapshot")
	arguments := []string{"backfill", absolute(t, definition), "--out", out}
	for _, input := range inputs {
		arguments = append(arguments, "--input", absolute(t, input))
	}
	return do(t, exitDone, append(arguments, more...)...), out
}

// manifest reads a snapshot's manifest.
func manifest(t *testing.T, dir string) *materialize.Manifest {
	t.Helper()
	m, err := materialize.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// cluster is a client of a broker, with what else it is to do.
func cluster(t *testing.T, brokers string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(brokers)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// topic makes a topic, and removes it and what a run writes beside it in the end:
// the broker is shared.
func topic(t *testing.T, brokers, name string, partitions int32) {
	t.Helper()
	admin := kadm.NewClient(cluster(t, brokers))
	forever := "-1"
	if _, err := admin.CreateTopic(t.Context(), partitions, 1, map[string]*string{"retention.ms": &forever}, name); err != nil {
		t.Fatal(err)
	}
	forget(t, brokers, name)
}

// forget removes the topics whose names begin with one when the test ends.
func forget(t *testing.T, brokers, name string) {
	t.Cleanup(func() {
		client, err := kgo.NewClient(kgo.SeedBrokers(brokers))
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		admin := kadm.NewClient(client)
		all, err := admin.ListTopics(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		for _, found := range all.Names() {
			if strings.HasPrefix(found, name) {
				if _, err := admin.DeleteTopics(context.Background(), found); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// replayed puts files into a topic of four partitions of a real broker.
func replayed(t *testing.T, definition, name string, inputs ...string) (brokers string) {
	t.Helper()
	brokers = testserver.Kafka(t)
	forget(t, brokers, name)
	arguments := []string{"simulate", definition, "--brokers", brokers, "--speed", "0", "--partitions", "4"}
	for _, input := range inputs {
		arguments = append(arguments, "--input", absolute(t, input))
	}
	do(t, exitDone, arguments...)
	return brokers
}

// lines gives the lines of text that contain something.
func lines(text, what string) []string {
	var found []string
	scanner := bufio.NewScanner(strings.NewReader(text))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if strings.Contains(scanner.Text(), what) {
			found = append(found, scanner.Text())
		}
	}
	return found
}
