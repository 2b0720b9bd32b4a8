package statebackend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// places are a store of each kind.
func places(t *testing.T) map[string]Store {
	return map[string]Store{"folder": NewFolder(vfs.NewMem(), "state"), "bucket": bucket(t, testserver.NewS3(t), "p")}
}

// reopen starts a state as a new process.
func reopen(t *testing.T, f *State, from From) (*State, *stream.Pointer) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	next := Open(f.store, Options{Pipeline: "p", Grace: f.options.Grace, From: from})
	_, p, err := begin(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	return next, p
}

// holds expects the epoch of a pointer to be whole.
func holds(t *testing.T, f *State, p *stream.Pointer) {
	t.Helper()
	if got := readAll(t, f, p.Generations["shard/0"]); string(got[0].Value) != fmt.Sprint(p.Epoch) {
		t.Fatalf("epoch %d holds %q", p.Epoch, got[0].Value)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A savepoint and all that it names stay, whatever is retained, until it is
// removed; then they go with the garbage.
func TestSavepointStays(t *testing.T) {
	for name, s := range places(t) {
		t.Run(name, func(t *testing.T) {
			f := epochs(t, s, 4)
			check(t, f.Save(t.Context(), "before", 3))
			for epoch := int64(5); epoch <= 9; epoch++ {
				check(t, commit(f, epoch))
			}
			f, _ = reopen(t, f, From{})
			all, err := f.Savepoints(t.Context())
			if err != nil || len(all) != 1 || all[0].Name != "before" || all[0].Pointer.Epoch != 3 {
				t.Fatalf("%+v, %v", all, err)
			}
			holds(t, f, all[0].Pointer)
			if got := names(t, s, objectsName); len(got) != 4 {
				t.Errorf("there are %q", got)
			}
			if err := f.Save(t.Context(), "before", 8); !errors.Is(err, ErrTaken) {
				t.Errorf("a name twice: %v", err)
			}
			if err := f.Save(t.Context(), "late", 4); !errors.Is(err, ErrForgotten) {
				t.Errorf("a forgotten epoch: %v", err)
			}
			for _, wrong := range []string{"", "a/b", "..", ".x", "a b", strings.Repeat("x", 101)} {
				if f.Save(t.Context(), wrong, 8) == nil {
					t.Errorf("%q is a name", wrong)
				}
			}
			if err := f.Save(t.Context(), AsideName(8, 7), 8); !errors.Is(err, ErrTaken) {
				t.Errorf("a name of what a rewind gives up: %v", err)
			}
			for _, elsewhere := range []string{"../pointers/9", "", "before/../before"} {
				if err := f.RemoveSavepoint(t.Context(), elsewhere); !errors.Is(err, ErrNoSavepoint) {
					t.Errorf("%q removes something: %v", elsewhere, err)
				}
			}
			if p, err := f.Pointer(t.Context(), 9); err != nil || p.Epoch != 9 {
				t.Errorf("the newest pointer: %+v, %v", p, err)
			}
			check(t, f.RemoveSavepoint(t.Context(), "before"))
			if err := f.RemoveSavepoint(t.Context(), "before"); !errors.Is(err, ErrNoSavepoint) {
				t.Errorf("removed twice: %v", err)
			}
			if garbage, err := f.Garbage(t.Context()); err != nil || len(garbage) != 1 {
				t.Errorf("%v, %v", garbage, err)
			}
			_, err = f.RemoveGarbage(t.Context(), time.Now().Add(time.Hour))
			check(t, err)
			if got := names(t, s, objectsName); len(got) != 3 {
				t.Errorf("there are %q", got)
			}
		})
	}
}

// Nothing is deleted while a savepoint cannot be read: it may name anything.
func TestDamagedSavepointHoldsEverything(t *testing.T) {
	s := NewFolder(vfs.NewMem(), "state")
	f := epochs(t, s, 4)
	check(t, f.Save(t.Context(), "before", 4))
	check(t, s.Put(t.Context(), savepointName("before"), []byte("{}")))
	for epoch := int64(5); epoch <= 9; epoch++ {
		check(t, commit(f, epoch))
	}
	if got := names(t, s, objectsName); len(got) != 8 {
		t.Errorf("there are %q", got)
	}
	if all, err := f.Savepoints(t.Context()); err != nil || len(all) != 1 || !errors.Is(all[0].Err, ErrDamaged) {
		t.Errorf("%+v, %v", all, err)
	}
	check(t, f.RemoveSavepoint(t.Context(), "before"))
	check(t, commit(f, 10))
	if _, err := f.RemoveGarbage(t.Context(), time.Now().Add(time.Hour)); err != nil || len(names(t, s, objectsName)) != 3 {
		t.Errorf("there are %q, %v", names(t, s, objectsName), err)
	}
}

// forgetful is a Store in which a run forgets an epoch just after its pointer was
// read for a savepoint.
type forgetful struct {
	Store
	run func()
}

func (s *forgetful) Create(ctx context.Context, name string, content []byte) error {
	if strings.HasPrefix(name, savepointsName) {
		s.run()
	}
	return s.Store.Create(ctx, name, content)
}

// An epoch that is forgotten while a savepoint is made of it is none: no savepoint
// names what has gone.
func TestSavepointOfWhatIsForgotten(t *testing.T) {
	for name, s := range places(t) {
		t.Run(name, func(t *testing.T) {
			f := epochs(t, s, 3)
			looker := Open(&forgetful{s, func() { check(t, f.Remove(t.Context(), 1)) }}, Options{})
			if err := looker.Save(t.Context(), "x", 1); !errors.Is(err, ErrForgotten) {
				t.Fatal(err)
			}
			if all, err := f.Savepoints(t.Context()); err != nil || len(all) != 0 {
				t.Fatalf("%+v, %v", all, err)
			}
		})
	}
}

// A state whose pointers are gone is not begun anew while it has savepoints, and goes
// on from one.
func TestSavepointsWithoutPointers(t *testing.T) {
	for name, s := range places(t) {
		t.Run(name, func(t *testing.T) {
			f := epochs(t, s, 2)
			check(t, f.Save(t.Context(), "x", 2))
			check(t, f.Close())
			check(t, s.Delete(t.Context(), names(t, s, pointersName)...))
			next := Open(s, Options{Pipeline: "p", Grace: time.Hour})
			if _, _, err := begin(t.Context(), next); err == nil || !strings.Contains(err.Error(), "has lost its pointers, though it has savepoints (x)") {
				t.Errorf("it begins with %v", err)
			}
			back, p := reopen(t, next, From{Savepoint: "x"})
			if p == nil || p.Epoch != 2 {
				t.Fatalf("it goes on from %+v", p)
			}
			holds(t, back, p)
		})
	}
}

// An epoch of which an object is gone, or cut short, becomes no savepoint, and one that
// there is of it stays.
func TestSavepointOfWhatIsIncomplete(t *testing.T) {
	for name, s := range places(t) {
		t.Run(name, func(t *testing.T) {
			f := epochs(t, s, 1)
			check(t, f.Save(t.Context(), "before", 1))
			p, err := f.Find(t.Context(), 1)
			check(t, err)
			object := objectPath(p.Objects()[0])
			content, err := s.Get(t.Context(), object)
			check(t, err)
			for _, spoil := range []func() error{
				func() error { return s.Put(t.Context(), object, content[1:]) },
				func() error { return s.Delete(t.Context(), object) },
			} {
				check(t, spoil())
				for _, as := range []string{"after", "before"} {
					if err := f.Save(t.Context(), as, 1); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), p.Objects()[0].Name) {
						t.Errorf("%s: %v", as, err)
					}
				}
			}
			if all, err := f.Savepoints(t.Context()); err != nil || len(all) != 1 || all[0].Name != "before" {
				t.Errorf("%+v, %v", all, err)
			}
		})
	}
}

// A run goes back to any epoch that is kept, once: what it gave up stays as
// savepoints, to which it can go again.
func TestRewind(t *testing.T) {
	for name, s := range places(t) {
		t.Run(name, func(t *testing.T) {
			f := epochs(t, s, 2)
			check(t, f.Save(t.Context(), "start", 2))
			for epoch := int64(3); epoch <= 6; epoch++ {
				check(t, commit(f, epoch))
			}
			f, p := reopen(t, f, From{Epoch: 5})
			if p.Epoch != 5 || f.Rewinds() != 1 {
				t.Fatalf("goes on from %+v, %d rewinds", p, f.Rewinds())
			}
			f, p = reopen(t, f, From{Epoch: 5}) // killed before an epoch came of it
			if p.Epoch != 5 || f.Rewinds() != 1 {
				t.Fatalf("goes on from %+v, %d rewinds", p, f.Rewinds())
			}
			for epoch := int64(6); epoch <= 9; epoch++ {
				check(t, commit(f, epoch))
			}
			f, p = reopen(t, f, From{Epoch: 5})
			if p.Epoch != 9 || f.Rewinds() != 1 {
				t.Fatalf("the same flag again goes on from %+v, %d rewinds", p, f.Rewinds())
			}
			f, p = reopen(t, f, From{Savepoint: AsideName(6, 1)})
			if p.Epoch != 6 || p.Incarnation != 1 || f.Rewinds() != 2 {
				t.Fatalf("goes on from %+v, %d rewinds", p, f.Rewinds())
			}
			holds(t, f, p)
			check(t, commit(f, 7))
			f, p = reopen(t, f, From{Epoch: 2})
			if p.Epoch != 2 || f.Rewinds() != 3 {
				t.Fatalf("goes on from %+v, %d rewinds", p, f.Rewinds())
			}
			holds(t, f, p)
			check(t, commit(f, 3))
			f, p = reopen(t, f, From{})
			if p.Epoch != 3 || f.Rewinds() != 3 {
				t.Fatalf("goes on from %+v, %d rewinds", p, f.Rewinds())
			}
			all, err := f.Savepoints(t.Context())
			check(t, err)
			var got []string
			for _, p := range all {
				check(t, p.Err)
				holds(t, f, p.Pointer)
				got = append(got, p.Name)
			}
			want := []string{"aside-1-epoch-6", "aside-2-epoch-7", "aside-2-epoch-8", "aside-2-epoch-9", "aside-3-epoch-6", "aside-3-epoch-7", "start"}
			if !slices.Equal(got, want) {
				t.Errorf("set aside are %q", got)
			}
		})
	}
}

// What is not kept, or not whole, is not gone back to, and nothing changes.
func TestRewindRefused(t *testing.T) {
	s := NewFolder(vfs.NewMem(), "state")
	f := epochs(t, s, 6)
	p, err := f.Pointer(t.Context(), 5)
	check(t, err)
	check(t, s.Delete(t.Context(), objectPath(p.Generations["shard/0"][0])))
	check(t, f.Close())
	for _, from := range []From{{Epoch: 2}, {Epoch: 7}, {Savepoint: "none"}, {Epoch: 5}} {
		f := Open(s, Options{Pipeline: "p", From: from})
		if _, p, err := begin(t.Context(), f); err == nil {
			t.Errorf("%s: goes on from %+v", from, p)
		}
		check(t, f.Close())
	}
	if f, p := reopen(t, f, From{}); p.Epoch != 6 || f.Rewinds() != 0 {
		t.Errorf("goes on from %+v", p)
	}
}

// A copy is a state of its own: a run goes on from it, later than every start of
// the original, with the whole control log; the original is as it was.
func TestExport(t *testing.T) {
	for name := range places(t) {
		for toName := range places(t) {
			t.Run(name+" to "+toName, func(t *testing.T) {
				s, to := places(t)[name], places(t)[toName]
				f, c := withControl(t, s, 600)
				check(t, f.Save(t.Context(), "x", 4))
				for epoch := int64(5); epoch <= 8; epoch++ {
					check(t, commit(f, epoch))
				}
				before := names(t, s, "")
				if _, err := f.Export(t.Context(), "none", to, ""); err == nil {
					t.Fatal("there is no such savepoint")
				}
				p, err := f.Export(t.Context(), "x", to, "")
				check(t, err)
				if after := names(t, s, ""); p.Epoch != 4 || !slices.Equal(before, after) {
					t.Errorf("epoch %d; there was %q, is %q", p.Epoch, before, after)
				}
				if _, err := f.Export(t.Context(), "x", to, ""); !errors.Is(err, ErrNotEmpty) {
					t.Errorf("onto a state: %v", err)
				}
				log, err := f.ReadControl(t.Context())
				check(t, err)
				check(t, c.Close())
				copied := Open(to, Options{Pipeline: "p", Grace: time.Hour})
				n, p, err := begin(t.Context(), copied)
				if err != nil || p.Epoch != 4 || n <= f.incarnation {
					t.Fatalf("incarnation %d after %d goes on from %+v, %v", n, f.incarnation, p, err)
				}
				holds(t, copied, p)
				again, err := copied.ReadControl(t.Context())
				if err != nil || !slices.Equal(log, again) || len(log) != 600 {
					t.Errorf("the log has %d entries, the copy's %d, %v", len(log), len(again), err)
				}
				d, err := copied.OpenControl()
				check(t, err)
				before0, entries, err := d.Entries(t.Context())
				if err != nil || before0+int64(len(entries)) != 600 {
					t.Errorf("%d and %d entries, %v", before0, len(entries), err)
				}
				check(t, d.Append(t.Context(), stream.ControlEntry{Kind: stream.ControlStart, Incarnation: n}))
				check(t, commit(copied, 5))
			})
		}
	}
}

// A control log that has lost entries which the epoch contains is not copied: no run
// could go on from that.
func TestExportWithoutControlLog(t *testing.T) {
	for name, s := range places(t) {
		t.Run(name, func(t *testing.T) {
			f, _ := withControl(t, s, 3)
			check(t, f.Commit(t.Context(), &stream.Pointer{Epoch: 5, Control: 4}))
			check(t, f.Save(t.Context(), "x", 5))
			to := NewFolder(vfs.NewMem(), "copy")
			if _, err := f.Export(t.Context(), "x", to, ""); err == nil || !strings.Contains(err.Error(), "the control log: it has lost entries: it has 3, epoch 5 contains 4") {
				t.Errorf("it ends with %v", err)
			}
			if left := names(t, to, pointersName); len(left) != 0 {
				t.Errorf("there are %q", left)
			}
		})
	}
}

// A folder that holds other files takes no copy, and stays as it is.
func TestExportNeedsFolderOfItsOwn(t *testing.T) {
	f, _ := withControl(t, NewFolder(vfs.NewMem(), "state"), 1)
	check(t, f.Save(t.Context(), "x", 4))
	mem := vfs.NewMem()
	check(t, mem.MkdirAll("copy", 0o755))
	check(t, writeWhole(mem, "copy/notes.txt", []byte("mine")))
	if _, err := f.Export(t.Context(), "x", NewFolder(mem, "copy"), ""); !errors.Is(err, ErrOthers) || !strings.Contains(err.Error(), "notes.txt") {
		t.Error(err)
	}
	if left, err := mem.List("copy"); err != nil || len(left) != 1 {
		t.Errorf("there is %q, %v", left, err)
	}
}

// withControl is a state of the epochs 1 to 4 with so many entries in its log.
func withControl(t *testing.T, s Store, n int) (*State, stream.ControlLog) {
	t.Helper()
	f := Open(s, Options{Pipeline: "p", Grace: time.Hour})
	check(t, f.Claim())
	c, err := f.OpenControl()
	check(t, err)
	_, _, err = begin(t.Context(), f)
	check(t, err)
	_, _, err = c.Entries(t.Context())
	check(t, err)
	for i := range n {
		check(t, c.Append(t.Context(), stream.ControlEntry{Kind: stream.ControlLeave, Next: int64(i), Incarnation: f.incarnation}))
	}
	for epoch := int64(1); epoch <= 4; epoch++ {
		check(t, commit(f, epoch))
	}
	return f, c
}

// A copy under another name knows nothing of the original's outputs, and does not
// write to them.
func TestExportAsAnother(t *testing.T) {
	f := Open(NewFolder(vfs.NewMem(), "state"), Options{Pipeline: "p"})
	n, _, err := begin(t.Context(), f)
	check(t, err)
	p := &stream.Pointer{Epoch: 1, Incarnation: n, Pipeline: "p", PlanState: stream.PlanState{Definition: definition + "sinks: {feed: {topic: p.rows}}\n"}, Sinks: map[string][]byte{"redis": []byte("{}")}}
	check(t, f.Commit(t.Context(), p))
	check(t, f.Save(t.Context(), "x", 1))
	if _, err := f.Export(t.Context(), "x", NewFolder(vfs.NewMem(), "copy"), "No Name"); err == nil {
		t.Error("a name that no pipeline can have")
	}
	for as, sinks := range map[string]int{"": 1, "p": 1, "trial": 0} {
		to := NewFolder(vfs.NewMem(), "copy")
		_, err := f.Export(t.Context(), "x", to, as)
		check(t, err)
		_, p, err := begin(t.Context(), Open(to, Options{}))
		check(t, err)
		plan, err := pipeline.Load([]byte(p.Definition), "the copy's")
		check(t, err)
		if want := max(as, "p"); p.Pipeline != want || plan.Name != want || sinks == 0 && p.PlanHash != plan.Hash || len(p.Sinks) != sinks {
			t.Errorf("as %q it is %+v", as, p)
		}
		if err := p.Belongs(plan); (err == nil) != (sinks == 1) {
			t.Errorf("as %q, with the original's feed: %v", as, err)
		}
	}
	trial := NewFolder(vfs.NewMem(), "trial")
	_, err = f.Export(t.Context(), "x", trial, "trial")
	check(t, err)
	copied := Open(trial, Options{Pipeline: "trial"})
	_, _, err = begin(t.Context(), copied)
	check(t, err)
	check(t, copied.Save(t.Context(), "x", 1))
	for as, own := range map[string]bool{"p": true, "another": false} { // it takes the original's place, or does not
		p, err := copied.Export(t.Context(), "x", NewFolder(vfs.NewMem(), "copy"), as)
		check(t, err)
		plan, err := pipeline.Load([]byte(p.Definition), "the copy's")
		check(t, err)
		if err := p.Belongs(plan); (err == nil) != own {
			t.Errorf("from the copy as %q, with the original's feed: %v", as, err)
		}
	}
}

const definition = `version: 1
name: p
source:
  format: csv
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
grid: {resolution: 9}
windows: {pane: 1m, sizes: [1m]}
aggregates:
  - {name: n, op: count}
`
