package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
)

// committed makes a state folder of a few epochs.
func committed(t *testing.T, epochs int64) string {
	t.Helper()
	state := filepath.Join(t.TempDir(), "state")
	f := statebackend.Open(statebackend.NewFolder(vfs.Default, state), statebackend.Options{Pipeline: "p"})
	ctx := context.Background()
	if _, err := f.Start(ctx); err != nil {
		t.Fatal(err)
	}
	for epoch := int64(1); epoch <= epochs; epoch++ {
		o, err := f.Write(ctx, epoch, &stream.Generation{Owner: "shard/0", Entries: []stream.Entry{{Key: []byte("epoch"), Value: fmt.Append(nil, epoch)}}})
		if err == nil {
			err = f.Commit(ctx, &stream.Pointer{Pipeline: "p", Epoch: epoch, Generations: map[string]stream.Chain{"shard/0": o}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return state
}

// Looking at checkpoints changes nothing, whatever the folder holds.
func TestCheckpointsAreLookedAt(t *testing.T) {
	t.Parallel()
	held, room := committed(t, 2), t.TempDir()
	bare, other, gone := filepath.Join(room, "bare"), filepath.Join(room, "other"), filepath.Join(room, "gone")
	for _, folder := range []string{bare, other} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := write(t, filepath.Join(other, "notes.txt"), []byte("not ours"))
	for _, c := range []struct {
		state, command string
		code           int
		says           string
	}{
		{held, "ls", exitDone, "EPOCH"},
		{held, "show 2", exitDone, `"epoch": 2`},
		{held, "show 2", exitDone, `"objects": 1`},
		{held, "show 9", exitUsage, "keeps no epoch 9; it keeps [1 2]"},
		{held, "show x", exitUsage, "is no epoch"},
		{held, "rm 9", exitUsage, "keeps no epoch 9; it keeps [1 2]"},
		{held, "rm 2", exitFailed, "is the newest"},
		{held, "gc --dry-run", exitDone, "0 objects of 0 bytes unreached"},
		{held, "gc --older -1s", exitUsage, "it is at least 0s"},
		{bare, "gc", exitUsage, bare + " holds no checkpoints"},
		{bare, "ls", exitUsage, bare + " holds no checkpoints"},
		{bare, "show 1", exitUsage, bare + " holds no checkpoints"},
		{bare, "rm 1", exitUsage, bare + " holds no checkpoints"},
		{other, "ls", exitUsage, other + " holds no checkpoints"},
		{file, "ls", exitUsage, file + " is not a folder"},
		{gone, "ls", exitUsage, "there is no state folder " + gone},
		{gone, "show 1", exitUsage, "there is no state folder " + gone},
		{gone, "rm 1", exitUsage, "there is no state folder " + gone},
	} {
		before := tree(t, held, room)
		p := do(t, c.code, append(append([]string{"checkpoint"}, strings.Fields(c.command)...), "--state", c.state)...)
		if text := p.out.String() + p.err.String(); !strings.Contains(text, c.says) {
			t.Errorf("%s in %s: %q is not in\n%s", c.command, c.state, c.says, text)
		}
		same(t, c.command+" in "+c.state, before, tree(t, held, room))
	}
}

// Forgetting an epoch removes its pointer and its objects, and makes nothing.
func TestCheckpointIsForgotten(t *testing.T) {
	t.Parallel()
	state := committed(t, 3)
	before := tree(t, state)
	do(t, exitDone, "checkpoint", "rm", "1", "--state", state)
	after := tree(t, state)
	for path := range after {
		if before[path] != after[path] {
			t.Errorf("%s is new: %.200q", path, after[path])
		}
	}
	if epochs := lines(do(t, exitDone, "checkpoint", "ls", "--state", state).out.String(), "p "); len(epochs) != 2 {
		t.Errorf("kept: %q", epochs)
	}
	holder := statebackend.Open(statebackend.NewFolder(vfs.Default, state), statebackend.Options{})
	if err := holder.Claim(); err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if p := do(t, exitFailed, "checkpoint", "rm", "2", "--state", state); !strings.Contains(p.err.String(), "in use by another process") {
		t.Errorf("of a running process: %s", p.err)
	}
}

// What no epoch reaches is listed, and deleted once it is old enough; the rest stays.
func TestGarbageIsCollected(t *testing.T) {
	t.Parallel()
	state := committed(t, 2)
	whole := tree(t, state)
	orphan := filepath.Join(state, "objects", "ab", "p", "shard", "0", "7-ab.sst")
	if err := os.MkdirAll(filepath.Dir(orphan), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, orphan, []byte("of an epoch that never came"))
	gc := func(says string, flags ...string) {
		t.Helper()
		p := do(t, exitDone, append([]string{"checkpoint", "gc", "--state", state}, flags...)...)
		if !strings.Contains(p.out.String(), says) {
			t.Errorf("gc %v: %q is not in\n%s", flags, says, p.out)
		}
	}
	gc(orphan, "--dry-run")
	gc("0 objects of 0 bytes deleted")
	if _, err := os.Stat(orphan); err != nil {
		t.Fatal("what was written this minute is gone: ", err)
	}
	gc("1 objects of 27 bytes deleted", "--older", "0s")
	same(t, "gc", whole, tree(t, state))
}
