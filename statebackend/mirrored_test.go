package statebackend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hextide/hextide/stream"
)

// twice is a state in a folder with second copies in another, on another disk.
type twice struct {
	t             *testing.T
	first, second vfs.FS
	copies        *Mirrored
	log           bytes.Buffer
}

func (w *twice) open(copies bool, from From) *State {
	w.log.Reset()
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	folder := NewFolder(w.first, "state")
	o := Options{Pipeline: "p", Logger: log, From: from}
	if !copies {
		return Open(folder, o)
	}
	w.copies = NewMirrored(folder, NewFolder(w.second, "copies"), log)
	return Open(w.copies, o)
}

// sharing commits epochs 1 to n, of which all but the first share a base; the
// savepoint "first" has one of its own. It returns the newest.
func (w *twice) sharing(f *State, n int64) *stream.Pointer {
	w.t.Helper()
	var chain stream.Chain
	for epoch := int64(1); epoch <= n; epoch++ {
		g := &stream.Generation{Owner: "shard/0", Chain: chain, Entries: []stream.Entry{{Key: []byte("a"), Value: fmt.Append(nil, epoch)}}}
		if epoch <= 2 {
			g.Chain = nil
			g.Entries = append(g.Entries, stream.Entry{Key: []byte("b"), Value: bytes.Repeat([]byte{byte(epoch)}, 1000)})
		}
		var err error
		if chain, err = f.Write(w.t.Context(), epoch, g); err == nil {
			err = f.Commit(w.t.Context(), &stream.Pointer{Epoch: epoch, Incarnation: f.incarnation, Generations: map[string]stream.Chain{"shard/0": chain}})
		}
		if err == nil && epoch == 1 {
			err = f.Save(w.t.Context(), "first", epoch)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if len(chain) != int(n-1) {
		w.t.Fatalf("%+v: this tests nothing", chain)
	}
	p, err := f.Pointer(w.t.Context(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func newTwice(t *testing.T, copies bool) (w *twice, newest *stream.Pointer) {
	t.Helper()
	w = &twice{t: t, first: vfs.NewMem(), second: vfs.NewMem()}
	f := w.open(copies, From{})
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	newest = w.sharing(f, 5)
	w.close(f)
	return w, newest
}

func (w *twice) close(f *State) {
	w.t.Helper()
	if err := f.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// flip changes a bit of a file.
func flip(t *testing.T, fs vfs.FS, path string) {
	t.Helper()
	changed := slices.Clone(content(t, fs, path))
	changed[len(changed)/2] ^= 1
	overwrite(t, fs, path, changed)
}

// goesOn starts the state and expects the newest epoch, whole, on both disks.
func (w *twice) goesOn(newest *stream.Pointer) {
	w.t.Helper()
	f := w.open(true, From{})
	_, p, err := begin(w.t.Context(), f)
	if err != nil || p == nil || p.Epoch != newest.Epoch || f.Damaged() != 0 {
		w.t.Fatalf("goes on from %+v, %d damaged, %v", p, f.Damaged(), err)
	}
	if got := readAll(w.t, f, p.Generations["shard/0"]); len(got) != 2 || string(got[0].Value) != fmt.Sprint(p.Epoch) {
		w.t.Fatalf("%q", got)
	}
	for _, o := range p.Objects() {
		for fs, dir := range map[vfs.FS]string{w.first: "state/", w.second: "copies/"} {
			if err := verify(content(w.t, fs, dir+objectPath(o)), o); err != nil {
				w.t.Errorf("%s%s: %v", dir, o.Name, err)
			}
		}
	}
	w.close(f)
}

// A bit that is flipped in a base, in a delta or in a copy is mended from the
// other folder, and that is said; so is one that is found while a run reads. What
// is gone is made again.
func TestSecondCopies(t *testing.T) {
	for what, c := range map[string]struct {
		damage func(w *twice, base, delta string)
		says   []string
		mended int64
	}{
		"nothing": {func(*twice, string, string) {}, nil, 0},
		"base":    {func(w *twice, base, _ string) { flip(t, w.first, "state/"+base) }, []string{"it is read from its second copy and put back", "state/objects"}, 1},
		"delta":   {func(w *twice, _, delta string) { flip(t, w.first, "state/"+delta) }, []string{"put back"}, 1},
		"both":    {func(w *twice, base, delta string) { flip(t, w.first, "state/"+base); flip(t, w.first, "state/"+delta) }, []string{"put back"}, 2},
		"gone":    {func(w *twice, base, _ string) { overwrite(t, w.first, "state/"+base, nil) }, []string{"put back"}, 1},
		"copy":    {func(w *twice, base, _ string) { flip(t, w.second, "copies/"+base) }, []string{"the copy of a generation is damaged"}, 0},
		"copies":  {func(w *twice, _, _ string) { w.second = vfs.NewMem() }, nil, 0},
		"each other": {func(w *twice, base, delta string) {
			flip(t, w.first, "state/"+base)
			flip(t, w.second, "copies/"+delta)
		}, []string{"put back", "the copy of a generation is damaged"}, 1},
	} {
		t.Run(what, func(t *testing.T) {
			w, newest := newTwice(t, true)
			chain := newest.Generations["shard/0"]
			c.damage(w, objectPath(chain[0]), objectPath(chain[1]))
			w.goesOn(newest)
			for _, text := range c.says {
				if !strings.Contains(w.log.String(), "level=ERROR") || !strings.Contains(w.log.String(), text) {
					t.Errorf("%q is not said: %s", text, w.log.String())
				}
			}
			if got := w.copies.Usage().Mended; got != c.mended || c.says == nil && w.log.Len() > 0 {
				t.Errorf("%d were mended: %s", got, w.log.String())
			}
			w.goesOn(newest)
			if w.log.Len() > 0 || w.copies.Usage().Mended != 0 {
				t.Errorf("a second start says %s", w.log.String())
			}
		})
	}
}

// An object that is damaged while a run goes on is read from its copy too; one
// whose copy is damaged as well is told as what it is.
func TestSecondCopyIsReadLater(t *testing.T) {
	w, newest := newTwice(t, true)
	f := w.open(true, From{})
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	defer w.close(f)
	chain := newest.Generations["shard/0"]
	flip(t, w.first, "state/"+objectPath(chain[0]))
	if got := readAll(t, f, chain); len(got) != 2 || !strings.Contains(w.log.String(), "put back") {
		t.Fatalf("%q: %s", got, w.log.String())
	}
	flip(t, w.first, "state/"+objectPath(chain[0]))
	flip(t, w.second, "copies/"+objectPath(chain[0]))
	err := f.Read(t.Context(), "shard/0", chain, func(_, _ []byte) error { return nil })
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), chain[0].Name) {
		t.Errorf("both are damaged: %v", err)
	}
}

// filling is a disk that takes nothing while it is full.
func filling(disk vfs.FS, full *bool) vfs.FS {
	return errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if *full && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return errors.New("no space left on device")
		}
		return nil
	}))
}

// An object that is damaged is read from its copy where it cannot be put back too; that
// is said, and it counts as put back when it is.
func TestObjectCannotBePutBack(t *testing.T) {
	w, newest := newTwice(t, true)
	full := false
	w.first = filling(w.first, &full)
	f := w.open(true, From{})
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	defer w.close(f)
	chain := newest.Generations["shard/0"]
	flip(t, w.first, "state/"+objectPath(chain[0]))
	for n, says := range []string{"cannot be put back", "and put back"} {
		full = n == 0
		got := readAll(t, f, chain)
		if mended := w.copies.Usage().Mended; len(got) != 2 || mended != int64(n) || !strings.Contains(w.log.String(), says) {
			t.Errorf("%q, %d were mended: %s", got, mended, w.log.String())
		}
	}
}

// A disk of copies that is full or broken is counted, and stops nothing; what was
// not copied is, once there is room.
func TestDiskOfSecondCopiesIsFull(t *testing.T) {
	full := true
	w := &twice{t: t, first: vfs.NewMem(), second: filling(vfs.NewMem(), &full)}
	f := w.open(true, From{})
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	w.sharing(f, 4)
	if w.copies.Usage().Failed == 0 || !strings.Contains(w.log.String(), "there is no copy of a generation") {
		t.Errorf("%+v: %s", w.copies.Usage(), w.log.String())
	}
	full = false
	if err := commit(f, 5); err != nil {
		t.Fatal(err)
	}
	if err := commit(f, 6); err != nil {
		t.Fatal(err)
	}
	want, got := names(t, NewFolder(w.first, "state"), objectsName), names(t, NewFolder(w.second, "copies"), objectsName)
	if len(want) < 4 || !slices.Equal(want, got) {
		t.Errorf("kept are %q, copied %q", want, got)
	}
	w.close(f)
}

// Where a base is damaged that all epochs share, and there is no copy, the start
// fails, names it and says what helps, and nothing is deleted. The savepoint that
// it names does help.
func TestSharedBaseIsDamaged(t *testing.T) {
	w, newest := newTwice(t, false)
	base := newest.Generations["shard/0"][0]
	flip(t, w.first, "state/"+objectPath(base))
	before := names(t, NewFolder(w.first, "state"), objectsName)
	f := w.open(false, From{})
	_, p, err := begin(context.Background(), f)
	if !errors.Is(err, ErrNoneWhole) || p != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, part := range []string{base.Name, "in epoch 3", "in epoch 4", "in epoch 5", "--from-savepoint: first;", "an empty --state", "--local"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
	if after := names(t, NewFolder(w.first, "state"), objectsName); !slices.Equal(before, after) {
		t.Errorf("were %q, are %q", before, after)
	}
	w.close(f)
	f = w.open(false, From{Savepoint: "first"})
	if _, p, err = begin(t.Context(), f); err != nil || p == nil || p.Epoch != 1 {
		t.Fatalf("goes back to %+v, %v", p, err)
	}
	if got := readAll(t, f, p.Generations["shard/0"]); len(got) != 2 || string(got[0].Value) != "1" {
		t.Errorf("%q", got)
	}
	w.close(f)
}
