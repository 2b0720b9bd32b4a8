package statebackend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hextide/hextide/stream"
)

func entries(seed, n int) []stream.Entry {
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	var all []stream.Entry
	for i := range n {
		value := make([]byte, random.IntN(200))
		for j := range value {
			value[j] = byte(random.Uint32())
		}
		all = append(all, stream.Entry{Key: fmt.Appendf(nil, "k%06d", i*7919%n), Value: value})
	}
	return all
}

func readAll(t *testing.T, f *State, o stream.Chain) []stream.Entry {
	t.Helper()
	var got []stream.Entry
	err := f.Read(context.Background(), "shard/0", o, func(k, v []byte) error {
		got = append(got, stream.Entry{Key: slices.Clone(k), Value: slices.Clone(v)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func start(t *testing.T, fs vfs.FS) (*State, int64, *stream.Pointer) {
	t.Helper()
	f := Open(NewFolder(fs, "state"), Options{Pipeline: "p"})
	n, p, err := begin(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	return f, n, p
}

func TestGenerationComesBackInKeyOrder(t *testing.T) {
	f, _, _ := start(t, vfs.NewMem())
	for _, n := range []int{0, 1, 5000} {
		want := entries(n, n)
		o, err := f.Write(context.Background(), 1, &stream.Generation{Owner: "shard/3", Entries: want})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(want, func(a, b stream.Entry) int { return bytes.Compare(a.Key, b.Key) })
		got := readAll(t, f, o)
		if len(got) != n {
			t.Fatalf("%d of %d entries came back", len(got), n)
		}
		for i := range got {
			if !bytes.Equal(got[i].Key, want[i].Key) || !bytes.Equal(got[i].Value, want[i].Value) {
				t.Fatalf("entry %d differs", i)
			}
		}
	}
	if _, err := f.Write(context.Background(), 1, &stream.Generation{Owner: "shard/3", Entries: []stream.Entry{{Key: []byte("a")}, {Key: []byte("a")}}}); err == nil {
		t.Fatal("a key that is there twice was accepted")
	}
}

// commit writes one epoch whose only generation tells its number.
func commit(f *State, epoch int64) error {
	o, err := f.Write(context.Background(), epoch, &stream.Generation{Owner: "shard/0", Entries: []stream.Entry{{Key: []byte("epoch"), Value: fmt.Append(nil, epoch)}}})
	if err != nil {
		return err
	}
	return f.Commit(context.Background(), &stream.Pointer{Epoch: epoch, Incarnation: f.incarnation, Generations: map[string]stream.Chain{"shard/0": o}})
}

// TestCrashAnywhere cuts the power after every single operation of the file
// system: what was committed is there, whole, and nothing that was committed
// earlier than the newest readable pointer is needed.
func TestCrashAnywhere(t *testing.T) {
	for after := 1; ; after++ {
		mem := vfs.NewCrashableMem()
		operations, committed := 0, int64(0)
		var crashed *vfs.MemFS
		cut := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return nil
			}
			if operations++; operations == after {
				crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(after), 1))})
			}
			return nil
		})
		f := Open(NewFolder(errorfs.Wrap(mem, cut), "state"), Options{Pipeline: "p"})
		if _, _, err := begin(context.Background(), f); err != nil {
			t.Fatal(err)
		}
		for epoch := int64(1); epoch <= 6; epoch++ {
			if err := commit(f, epoch); err != nil {
				t.Fatal(err)
			}
			if crashed == nil {
				committed = epoch
			}
		}
		if crashed == nil {
			return // the crash point lies beyond the run: every one was visited
		}
		g, _, p := start(t, crashed)
		if committed > 0 && (p == nil || p.Epoch < committed) {
			t.Fatalf("crash %d: epoch %d was committed, found %+v", after, committed, p)
		}
		if p == nil {
			continue
		}
		if got := readAll(t, g, p.Generations["shard/0"]); string(got[0].Value) != fmt.Sprint(p.Epoch) {
			t.Fatalf("crash %d: epoch %d holds %q", after, p.Epoch, got[0].Value)
		}
	}
}

func TestFailedWritesLeaveTheNewestEpoch(t *testing.T) {
	full := errors.New("no space left on device")
	for after := 1; after < 60; after++ {
		operations, failing := 0, false
		injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead || !failing {
				return nil
			}
			if operations++; operations >= after {
				return full
			}
			return nil
		})
		f, _, _ := start(t, errorfs.Wrap(vfs.NewMem(), injector))
		if err := commit(f, 1); err != nil {
			t.Fatal(err)
		}
		failing = true
		failed := commit(f, 2)
		failing = false
		if err := commit(f, 3); err != nil {
			t.Fatalf("after a failure at operation %d (%v), the disk being free again: %v", after, failed, err)
		}
		p, _, err := f.newest(context.Background())
		if err != nil || p.Epoch != 3 {
			t.Fatalf("newest is %+v, %v", p, err)
		}
		readAll(t, f, p.Generations["shard/0"])
	}
}

func TestDamageIsFound(t *testing.T) {
	fs := vfs.NewMem()
	f, _, _ := start(t, fs)
	o, err := f.Write(context.Background(), 1, &stream.Generation{Owner: "shard/0", Entries: entries(1, 500)})
	if err != nil {
		t.Fatal(err)
	}
	name := "state/" + objectPath(o[0])
	content, err := readFile(fs, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, bit := range []int{0, len(content) * 4, len(content)*8 - 1} {
		damaged := slices.Clone(content)
		damaged[bit/8] ^= 1 << (bit % 8)
		if err := writeAtomic(fs, fs.PathDir(name), fs.PathBase(name), damaged); err != nil {
			t.Fatal(err)
		}
		if err := f.Read(context.Background(), "shard/0", o, func(_, _ []byte) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Fatalf("bit %d flipped: %v", bit, err)
		}
	}
}

func TestOnlyRetainedEpochsStay(t *testing.T) {
	fs := vfs.NewMem()
	f, _, _ := start(t, fs)
	if _, err := f.Write(context.Background(), 9, &stream.Generation{Owner: "shard/9", Entries: entries(9, 3)}); err != nil { // of an epoch that fails
		t.Fatal(err)
	}
	for epoch := int64(1); epoch <= 10; epoch++ {
		if err := commit(f, epoch); err != nil {
			t.Fatal(err)
		}
	}
	epochs, err := f.Pointers(context.Background())
	if err != nil || !slices.Equal(epochs, []int64{8, 9, 10}) {
		t.Fatalf("kept %v, %v", epochs, err)
	}
	if tree := fs.String(); strings.Count(tree, ".sst") != 3 || !strings.HasSuffix(strings.TrimSpace(tree), "temp/") {
		t.Fatalf("unreachable files stay:\n%s", tree)
	}
	if err := f.Remove(context.Background(), 10); err == nil {
		t.Fatal("the newest epoch was removed")
	}
	if err := f.Remove(context.Background(), 8); err != nil {
		t.Fatal(err)
	}
	if tree := fs.String(); strings.Count(tree, ".sst") != 2 {
		t.Fatalf("a removed epoch's objects stay:\n%s", tree)
	}
}

func TestIncarnationRisesAndOneOwnerHolds(t *testing.T) {
	dir := t.TempDir()
	open := func() *State { return Open(NewFolder(vfs.Default, dir), Options{Pipeline: "p"}) }
	for want := int64(1); want <= 3; want++ {
		f := open()
		n, _, err := begin(context.Background(), f)
		if err != nil || n != want {
			t.Fatalf("incarnation %d, %v; want %d", n, err, want)
		}
		if _, _, err := begin(context.Background(), open()); !errors.Is(err, ErrHeld) {
			t.Fatalf("a second owner: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// begin claims a state and finds the pointer to go on from.
func begin(ctx context.Context, s *State) (int64, *stream.Pointer, error) {
	n, err := s.Start(ctx)
	if err != nil {
		return 0, nil, err
	}
	p, err := s.GoOn(ctx, nil)
	return n, p, err
}
