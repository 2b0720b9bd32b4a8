package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
)

// damages are the ways in which a disk loses a file.
var damages = map[string]func(path string) error{
	"flipped": func(path string) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		content[len(content)/2] ^= 1
		return os.WriteFile(path, content, 0o600)
	},
	"cut short": func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()/2)
	},
	"removed": os.Remove,
}

// newestFiles are the newest epoch of a state folder and a file of each kind that
// is its own, if there is one: its pointer, a partition's state and a shard's.
func newestFiles(t *testing.T, state string) (epoch int64, files map[string]string) {
	t.Helper()
	f := statebackend.Open(statebackend.NewFolder(vfs.Default, state), statebackend.Options{})
	epochs, err := f.Pointers(t.Context())
	if err != nil || len(epochs) < 2 {
		t.Fatalf("%s keeps %v, %v: this tests nothing", state, epochs, err)
	}
	epoch = slices.Max(epochs)
	p, err := f.Pointer(t.Context(), epoch)
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{"pointer": filepath.Join(state, "pointers", strconv.FormatInt(epoch, 10)+".json")}
	for owner, chain := range p.Generations {
		kind, _, _ := strings.Cut(owner, "/")
		if last := chain[len(chain)-1]; last.Epoch == epoch {
			files[kind] = cmp.Or(files[kind], filepath.Join(state, "objects", last.Name))
		}
	}
	return epoch, files
}

// longer is a file of the taxis' two hours four times in a row: a run over it takes
// several checkpoints.
func longer(t *testing.T) string {
	t.Helper()
	return repeated(t, 4)
}

// repeated is a file of the taxis' two hours some times in a row.
func repeated(t *testing.T, times int64) string {
	t.Helper()
	events := read(t)
	all := slices.Clone(events[:1])
	for i := range times {
		for _, event := range events[1:] {
			second, rest, _ := strings.Cut(event, ",")
			n, err := strconv.ParseInt(second, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%d,%s", n+i*7200, rest))
		}
	}
	return csvFile(t, all)
}

// A backfill of which the newest epoch is damaged in any way goes on from the one
// before, says so, and gives the rows of an undisturbed one.
func TestDamagedEpochOfBackfill(t *testing.T) {
	t.Parallel()
	definition, _ := define(t, city)
	input := longer(t)
	undisturbed, want := backfill(t, definition, []string{input})
	arguments := append([]string{"backfill", definition, "--input", input}, often...)
	killed := ""
	untilKilled(t, stream.CrashAfterCommit+"/3", func(variables []string) *process {
		killed = filepath.Join(t.TempDir(), "killed")
		return start(t, variables, append(arguments, "--out", killed)...)
	})
	for _, kind := range []string{"pointer", "partition", "shard"} {
		for how, damage := range damages {
			t.Run(kind+" "+how, func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out")
				if err := os.CopyFS(out, os.DirFS(killed)); err != nil {
					t.Fatal(err)
				}
				epoch, files := newestFiles(t, filepath.Join(out, stateFolder))
				if files[kind] == "" {
					t.Fatalf("%v: this tests nothing", files)
				}
				if err := damage(files[kind]); err != nil {
					t.Fatal(err)
				}
				last := do(t, exitDone, append(arguments, "--resume", "--out", out)...)
				text := last.err.String()
				if said := strings.Contains(text, "level=ERROR") && strings.Contains(text, fmt.Sprintf("damaged=%d goes_back_to=%d", epoch, epoch-1)); said == (kind == "pointer" && how == "removed") {
					t.Errorf("it said\n%s", text)
				}
				if got := manifest(t, out); got.ContentHash != undisturbed.hash() || got.Counts != manifest(t, want).Counts {
					t.Errorf("%s %+v, undisturbed %s %+v", got.ContentHash, got.Counts, undisturbed.hash(), manifest(t, want).Counts)
				}
				filesListed(t, out)
			})
		}
	}
	t.Run("none is whole", func(t *testing.T) {
		state := filepath.Join(killed, stateFolder)
		pointers, err := filepath.Glob(filepath.Join(state, "pointers", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range pointers {
			write(t, path, []byte("{}"))
		}
		unclaimed := func() map[string]string { // all but the claims of the starts
			all := tree(t, killed)
			maps.DeleteFunc(all, func(path, _ string) bool { return strings.HasPrefix(path, filepath.Join(state, "incarnations")) })
			return all
		}
		before := unclaimed()
		last := do(t, exitFailed, append(arguments, "--resume", "--out", killed)...)
		if !strings.Contains(last.err.String(), "no epoch of the state is whole") {
			t.Errorf("it said\n%s", last.err)
		}
		same(t, "after a start without a whole epoch", before, unclaimed())
	})
}

// A live run that is killed and damaged again and again comes to the same.
func TestDamagedEpochsOfRun(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	input := longer(t)
	undisturbed, want := backfill(t, definition, []string{input})
	brokers, folder := replayed(t, definition, name, input), t.TempDir()
	state, out := filepath.Join(folder, "state"), filepath.Join(folder, "out")
	run := func(variables ...string) *process {
		return start(t, variables, append([]string{"run", definition, "--brokers", brokers, "--bounded", "--shards", "8",
			"--state", state, "--out", out, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--checkpoint-interval", "50ms", "--checkpoint-min-pause", "10ms"}, "--batch", "100")...)
	}
	for _, kind := range []string{"pointer", "partition", "shard"} {
		var files map[string]string
		for files[kind] == "" { // a shard may have nothing yet
			if p := run("HEXTIDE_TEST_CRASH=" + stream.CrashAfterCommit + "/2"); p.wait() != -1 {
				t.Fatalf("it was not killed\n%s", p.err)
			}
			_, files = newestFiles(t, state)
		}
		if err := damages["flipped"](files[kind]); err != nil {
			t.Fatal(err)
		}
		if listed := do(t, exitDone, "checkpoint", "ls", "--state", state).out.String(); strings.Contains(listed, "  damaged\n") != (kind == "pointer") {
			t.Errorf("the list says of a damaged %s\n%s", kind, listed)
		}
	}
	last := run()
	if code := last.wait(); code != exitDone || !strings.Contains(last.err.String(), "level=ERROR") {
		t.Errorf("exit code %d\n%s", code, last.err)
	}
	if got := manifest(t, out); got.ContentHash != undisturbed.hash() || got.Counts != manifest(t, want).Counts {
		t.Errorf("%s %+v, undisturbed %s %+v", got.ContentHash, got.Counts, undisturbed.hash(), manifest(t, want).Counts)
	}
	filesListed(t, out)
	agree(t, manifest(t, want).Counts.Rows, "kafka://"+brokers+"/"+name+".rows", want)
	once(t, brokers, name+".rows") // what the damaged epochs told is not told again
	groupAgrees(t, brokers, "hextide-"+name, name, state)
}

// A newest pointer that is gone as if it had never been is missed by what Kafka says was
// committed: the run is refused, with both epochs, and goes on once it is put back.
func TestNewestPointerIsGone(t *testing.T) {
	t.Parallel()
	e := newExactly(t, testserver.Kafka(t))
	var l *life
	lives := 0
	untilKilled(t, stream.CrashAfterCommit+"/3", func(variables []string) *process {
		lives++
		l = e.life(t, fmt.Sprint("gone-", lives))
		return l.run(variables)
	})
	epoch, files := newestFiles(t, l.state())
	away := filepath.Join(t.TempDir(), "pointer")
	check(t, os.Rename(files["pointer"], away))
	refused := l.run(nil)
	if code := refused.wait(); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	complains(t, refused, "disagree", fmt.Sprintf("holds epoch %d of incarnation 1", epoch-1), fmt.Sprintf("committed was epoch %d of incarnation 1", epoch), "pointers/EPOCH.json")
	check(t, os.Rename(away, files["pointer"]))
	l.done(l.run(nil))
	l.like()
}
