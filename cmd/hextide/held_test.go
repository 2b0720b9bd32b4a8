package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/twmb/franz-go/pkg/kgo"
)

// tree is what lies in folders: each path with its inode, which
// a rename changes, and its content.
func tree(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				found[path] = "folder"
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			content, err := os.ReadFile(path)
			found[path] = fmt.Sprintf("inode %d: %s", info.Sys().(*syscall.Stat_t).Ino, content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// same holds what lies in folders now against what did.
func same(t *testing.T, what string, before, now map[string]string) {
	t.Helper()
	for path := range before {
		if now[path] != before[path] {
			t.Errorf("%s: %s was %.200q, is %.200q", what, path, before[path], now[path])
		}
	}
	for path := range now {
		if _, was := before[path]; !was {
			t.Errorf("%s: %s is new", what, path)
		}
	}
}

// A second process on the state of a running one is refused and touches nothing;
// the first goes on, and its control log goes on where it was.
func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	definition, name := define(t, tides)
	brokers := testserver.Kafka(t)
	topic(t, brokers, name, 2)
	s := &tide{t: t, topic: name, client: cluster(t, brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))}
	folder := t.TempDir()
	state, out := filepath.Join(folder, "state"), filepath.Join(folder, "out")
	run := func(out string) *process {
		return start(t, nil, "run", definition, "--brokers", brokers, "--state", state, "--out", out, "--shards", "4",
			"--checkpoint-interval", "1h", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	}
	quiet := func(p *process, http string) {
		p.measures(http, "all events, and silence", func(f figures) bool {
			return f["records_read_total"] == float64(len(s.sent[0])+len(s.sent[1])) &&
				f[`partition_idle{partition="0"}`] == 1 && f[`partition_idle{partition="1"}`] == 1
		})
	}
	s.tick()
	s.catchUp()
	if err := s.client.Flush(t.Context()); err != nil { // then the broker knows of the topic
		t.Fatal(err)
	}
	first := run(out)
	_, http := first.address()
	quiet(first, http)
	before := tree(t, folder)
	for _, where := range []string{out, filepath.Join(folder, "other")} {
		second := run(where)
		if code := second.wait(); code != exitFailed || !strings.Contains(second.err.String(), "in use by another process") {
			t.Errorf("a second process: exit code %d\n%s", code, second.err)
		}
		same(t, "after a second process", before, tree(t, folder))
	}
	log := filepath.Join(state, "control.log")
	entries := before[log]
	s.tick()
	s.catchUp()
	quiet(first, http)
	now := tree(t, folder)
	if len(now[log]) <= len(entries) || !strings.HasPrefix(now[log], entries) {
		t.Errorf("the control log was %s, is %s", entries, now[log])
	}
	first.interrupt()
	if code := first.wait(); code != exitDone {
		t.Errorf("exit code %d\n%s", code, first.err)
	}
	if len(before) < 3 {
		t.Errorf("%v: this tests nothing", before)
	}
}
