package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
)

// A run that is killed and started again on the same machine reads the copies on
// its disk and no generation of the bucket, but for one whose copy is damaged;
// where the folder was wiped, all of them. It ends as if undisturbed.
func TestRestartReadsCopies(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	undisturbed, want := backfill(t, definition, []string{taxis})
	brokers := replayed(t, definition, name, taxis)
	for what, c := range map[string]struct {
		disturb func(t *testing.T, copies string)
		least   int64 // generations that are fetched
		most    int64
	}{
		"whole":   {func(*testing.T, string) {}, 0, 0},
		"flipped": {flipCopies, 1, 1 << 20},
		"wiped":   {func(t *testing.T, copies string) { check(t, os.RemoveAll(copies)) }, 1, 1 << 20},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			o, group := newOnS3(t, definition, brokers), ""
			untilKilled(t, stream.CrashBeforeCommit+"/3", func(variables []string) *process {
				o.server, o.folder = testserver.NewS3(t), t.TempDir()
				group = fmt.Sprint(name, "-", filepath.Base(filepath.Dir(o.folder)), "-", filepath.Base(o.folder))
				return o.bounded(variables, "--group", group)
			})
			c.disturb(t, o.copies())
			var fetched atomic.Int64
			o.server.Fail(func(r *http.Request) testserver.Fault {
				if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".sst") {
					fetched.Add(1)
				}
				return testserver.NoFault
			})
			last := o.bounded(nil, "--group", group)
			if last.wait() != exitDone {
				t.Fatalf("exit code\n%s", last.err)
			}
			if n := fetched.Load(); n < c.least || n > c.most {
				t.Errorf("%d generations were fetched", n)
			}
			if said := strings.Contains(last.err.String(), "is damaged; it is replaced from the store"); said != (what == "flipped") {
				t.Errorf("said is\n%s", last.err)
			}
			o.like(undisturbed, want)
		})
	}
}

// flipCopies changes a bit of every copy.
func flipCopies(t *testing.T, copies string) {
	check(t, filepath.WalkDir(copies, func(path string, at fs.DirEntry, err error) error {
		if err != nil || at.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		content[len(content)/2] ^= 1
		return os.WriteFile(path, content, 0o644)
	}))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What is read where is counted, and the copies have a size.
func TestCopiesAreMeasured(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	o := newOnS3(t, definition, replayed(t, definition, name, taxis))
	local := filepath.Join(o.folder, "local")
	for _, hits := range []float64{0, 1} {
		p := o.run(nil, "--local", local)
		_, http := p.address()
		f := p.measures(http, "a checkpoint with copies", func(f figures) bool {
			return f["checkpoints_completed_total"] >= 1 && f["state_local_bytes"] > 0
		})
		if f["state_local_misses_total"] != 0 || f["state_local_hits_total"] < hits { // a chain that is merged is read too
			t.Errorf("%v", f)
		}
		p.interrupt()
		if p.wait() != exitDone {
			t.Fatalf("exit code\n%s", p.err)
		}
	}
}

// A disk that changes a bit of every object of a state folder stops a run that
// keeps no second copies, which says what is damaged; one that does goes on, says
// so, puts them back, and ends as if undisturbed. Damaged copies are made again.
func TestSecondCopiesOfRun(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	input := longer(t)
	undisturbed, want := backfill(t, definition, []string{input})
	brokers := replayed(t, definition, name, input)
	folder, feed, lives := "", "", 0
	at := func(name string) string { return filepath.Join(folder, name) }
	run := func(variables []string, more ...string) *process {
		return start(t, variables, append(append([]string{"run", rename(t, definition, name+".rows", feed), "--brokers", brokers, "--bounded", "--shards", "8", "--group", feed,
			"--state", at("state"), "--out", at("out"), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"}, often...), more...)...)
	}
	untilKilled(t, stream.CrashAfterCommit+"/3", func(variables []string) *process {
		folder, lives = t.TempDir(), lives+1
		feed = fmt.Sprintf("%s.rows-%d", name, lives)
		return run(variables, "--local", at("local"))
	})
	flipCopies(t, at("state/objects"))
	alone := run(nil)
	if code := alone.wait(); code != exitFailed {
		t.Fatalf("without copies: exit code %d\n%s", code, alone.err)
	}
	complains(t, alone, "no epoch of the state is whole", ".sst", "an empty --state")
	mended := run([]string{"HEXTIDE_TEST_CRASH=" + stream.CrashAfterCommit}, "--local", at("local"))
	if code := mended.wait(); !mended.killed() {
		t.Fatalf("exit code %d\n%s", code, mended.err)
	}
	complains(t, mended, "level=ERROR", "it is read from its second copy and put back", "copy="+at("local"))
	flipCopies(t, at("local/copies/objects"))
	last := run(nil, "--local", at("local"))
	if code := last.wait(); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, last.err)
	}
	complains(t, last, "level=ERROR", "the copy of a generation is damaged")
	if got := manifest(t, at("out")); got.ContentHash != undisturbed.hash() || got.Counts != manifest(t, want).Counts {
		t.Errorf("%s %+v, undisturbed %s %+v", got.ContentHash, got.Counts, undisturbed.hash(), manifest(t, want).Counts)
	}
	filesListed(t, at("out"))
}
