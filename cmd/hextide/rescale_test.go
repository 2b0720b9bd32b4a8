package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
)

// rescaled are the numbers of workers of a run after the other, over one state.
var rescaled = []int{1, 4, 3, 1}

// rescaling is a state that one run after the other works on.
type rescaling struct {
	state     string
	begin     func(workers int, variables ...string) *process
	base      int // owners at restarts whose base was written before
	unchanged int // owners whose state the first checkpoint after a restart found unchanged
}

// killed begins a run and tells whether it was killed where it should be, and did
// not end before.
func (r *rescaling) killed(t *testing.T, workers, commits int) bool {
	t.Helper()
	p := r.begin(workers, fmt.Sprint("HEXTIDE_TEST_CRASH=", stream.CrashAfterCommit, "/", commits))
	if code := p.wait(); !p.killed() && code != exitDone {
		t.Fatalf("%d workers: exit code %d\n%s", workers, code, p.err)
	}
	return p.killed()
}

// through goes through the numbers of workers, each run being killed after its
// second epoch but for the last, which ends; false: one ended too soon.
func (r *rescaling) through(t *testing.T) bool {
	t.Helper()
	r.base, r.unchanged = 0, 0
	for i, workers := range rescaled {
		if !r.killed(t, workers, 2) {
			return false
		}
		if i > 0 {
			r.moved(t)
		}
	}
	last := r.begin(rescaled[len(rescaled)-1])
	if code := last.wait(); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, last.err)
	}
	return true
}

// moved holds the first epoch after a restart against the last before it: what an
// owner's state consisted of, it still consists of, unless a new base is due; and
// of an owner whose state is the same, nothing was written.
func (r *rescaling) moved(t *testing.T) {
	t.Helper()
	state := statebackend.Open(statebackend.NewFolder(vfs.Default, r.state), statebackend.Options{})
	epochs, err := state.Pointers(t.Context())
	if err != nil || len(epochs) != 3 {
		t.Fatalf("the state keeps %v, %v", epochs, err)
	}
	before, first := pointerOf(t, state, epochs[0]), pointerOf(t, state, epochs[1])
	if before.Incarnation+1 != first.Incarnation {
		t.Fatalf("epochs %v: incarnations %d and %d", epochs, before.Incarnation, first.Incarnation)
	}
	for owner, chain := range first.Generations {
		was := before.Generations[owner]
		switch {
		case slices.Equal(was, chain):
			r.unchanged++
		case slices.EqualFunc(entriesOf(t, state, owner, was), entriesOf(t, state, owner, chain), sameEntry):
			t.Errorf("%s was written again, and nothing of it changed:\n%+v\n%+v", owner, was, chain)
		case len(was) == 0 || slices.Equal(was, chain[:len(chain)-1]): // it grew by a delta
		case len(chain) == 1 && chain[0].Epoch == first.Epoch && bytesOf(was) > chain[0].Live: // a base was due
		default:
			t.Errorf("%s consists of\n%+v\nafter\n%+v", owner, chain, was)
		}
		if len(was) > 0 && was[0] == chain[0] {
			r.base++
		}
	}
	for owner := range before.Generations {
		if len(first.Generations[owner]) == 0 {
			t.Errorf("%s has gone", owner)
		}
	}
}

func bytesOf(chain stream.Chain) (sum int64) {
	for _, o := range chain {
		sum += o.Bytes
	}
	return sum
}

func pointerOf(t *testing.T, state *statebackend.State, epoch int64) *stream.Pointer {
	t.Helper()
	p, err := state.Pointer(t.Context(), epoch)
	check(t, err)
	return p
}

func entriesOf(t *testing.T, state *statebackend.State, owner string, chain stream.Chain) (entries []stream.Entry) {
	t.Helper()
	check(t, state.Read(t.Context(), owner, chain, func(key, value []byte) error {
		entries = append(entries, stream.Entry{Key: slices.Clone(key), Value: slices.Clone(value)})
		return nil
	}))
	return entries
}

func sameEntry(a, b stream.Entry) bool {
	return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}

// rescale begins anew until the runs over a state go through all numbers of
// workers: how many epochs a run has before it ends is for the machine to say.
func rescale(t *testing.T, r *rescaling, anew func()) {
	t.Helper()
	for range 20 {
		if anew(); r.through(t) && r.base > 0 && r.unchanged > 0 {
			t.Logf("%d bases stayed, %d owners were unchanged", r.base, r.unchanged)
			return
		}
	}
	t.Fatal("no life of a state had all its restarts, a base that stayed and an owner that nothing reached")
}

// A live run that is killed and goes on with another number of workers, again and
// again, comes to the rows of an undisturbed one, and writes nothing again of what
// did not change.
func TestRescaleRun(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	input := longer(t)
	undisturbed, want := backfill(t, definition, []string{input})
	brokers := replayed(t, definition, name, input)
	out, feed, lives := "", "", 0
	r := &rescaling{}
	r.begin = func(workers int, variables ...string) *process {
		return start(t, variables, append([]string{"run", rename(t, definition, name+".rows", feed), "--brokers", brokers, "--bounded", "--group", feed,
			"--workers", strconv.Itoa(workers), "--state", r.state, "--out", out, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"}, often...)...)
	}
	rescale(t, r, func() {
		folder := t.TempDir()
		lives++
		r.state, out, feed = filepath.Join(folder, "state"), filepath.Join(folder, "out"), fmt.Sprintf("%s.rows-%d", name, lives)
	})
	if got := manifest(t, out); got.ContentHash != undisturbed.hash() || got.Counts != manifest(t, want).Counts {
		t.Errorf("%s %+v, undisturbed %s %+v", got.ContentHash, got.Counts, undisturbed.hash(), manifest(t, want).Counts)
	}
	filesListed(t, out)
	agree(t, manifest(t, want).Counts.Rows, "kafka://"+brokers+"/"+feed, want)
}

// A backfill that is resumed with another number of workers does so too.
func TestRescaleBackfill(t *testing.T) {
	t.Parallel()
	definition, _ := define(t, city)
	input := longer(t)
	undisturbed, want := backfill(t, definition, []string{input})
	out := ""
	r := &rescaling{}
	r.begin = func(workers int, variables ...string) *process {
		arguments := append([]string{"backfill", definition, "--input", input, "--out", out, "--workers", strconv.Itoa(workers)}, often...)
		if _, err := os.Stat(filepath.Join(r.state, begunName)); err == nil {
			arguments = append(arguments, "--resume")
		}
		return start(t, variables, arguments...)
	}
	rescale(t, r, func() {
		out = filepath.Join(t.TempDir(), "out")
		r.state = filepath.Join(out, stateFolder)
	})
	if got := manifest(t, out); got.ContentHash != undisturbed.hash() || got.Counts != manifest(t, want).Counts {
		t.Errorf("%s %+v, undisturbed %s %+v", got.ContentHash, got.Counts, undisturbed.hash(), manifest(t, want).Counts)
	}
	filesListed(t, out)
}
