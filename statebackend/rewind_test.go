package statebackend

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hextide/hextide/stream"
)

// A return that is cut off by a crash at any operation is ended by the next start,
// which is told the same or nothing at all: it goes on from there, or has not
// begun, and every epoch that was given up is kept.
func TestRewindCutOff(t *testing.T) {
	for after := 1; ; after++ {
		mem := vfs.NewCrashableMem()
		f := epochs(t, NewFolder(mem, "state"), 2)
		check(t, f.Save(t.Context(), "start", 2))
		for epoch := int64(3); epoch <= 6; epoch++ {
			check(t, commit(f, epoch))
		}
		check(t, f.Close())
		operations := 0
		var crashed *vfs.MemFS
		cut := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return nil
			}
			if operations++; operations == after {
				crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(after), 2))})
			}
			return nil
		})
		back := From{Savepoint: "start"}
		_, p, err := begin(t.Context(), Open(NewFolder(errorfs.Wrap(mem, cut), "state"), Options{Pipeline: "p", From: back}))
		if err != nil || p.Epoch != 2 {
			t.Fatalf("goes on from %+v, %v", p, err)
		}
		if crashed == nil {
			return // the crash point lies beyond the start: every one was visited
		}
		for _, from := range []From{{}, back} {
			f := Open(NewFolder(crashed, "state"), Options{Pipeline: "p", From: from})
			_, p, err := begin(t.Context(), f)
			if err != nil || p.Epoch != 2 && (p.Epoch != 6 || from == back) {
				t.Fatalf("crash %d: from %v it goes on from %+v, %v", after, from, p, err)
			}
			holds(t, f, p)
			if from == back && f.Rewinds() != 1 {
				t.Fatalf("crash %d: %d rewinds", after, f.Rewinds())
			}
			all, err := f.Savepoints(t.Context())
			check(t, err)
			kept := []int64{p.Epoch}
			for _, s := range all {
				check(t, s.Err)
				holds(t, f, s.Pointer)
				kept = append(kept, s.Pointer.Epoch)
			}
			for _, epoch := range []int64{2, 4, 5, 6} {
				if p.Epoch == 2 && !slices.Contains(kept, epoch) {
					t.Fatalf("crash %d: epoch %d is lost; kept are %v", after, epoch, kept)
				}
			}
			check(t, f.Close())
		}
	}
}

// What was committed elsewhere by the course that is given up does not hold a
// return up; what the new course commits decides again.
func TestRewindOfWhatIsCommitted(t *testing.T) {
	s := NewFolder(vfs.NewMem(), "state")
	f := epochs(t, s, 4)
	p, err := f.Pointer(t.Context(), 4)
	check(t, err)
	given := &stream.Committed{Epoch: 4, Incarnation: 1, Checksum: p.Checksum}
	check(t, f.Close())
	for range 2 { // the second time nothing had come of it yet
		f = Open(s, Options{Pipeline: "p", From: From{Epoch: 3}})
		_, err = f.Start(t.Context())
		check(t, err)
		if p, err = f.GoOn(t.Context(), given); err != nil || p.Epoch != 3 {
			t.Fatalf("goes on from %+v, %v", p, err)
		}
		check(t, f.Close())
	}
	f = Open(s, Options{Pipeline: "p"})
	n, err := f.Start(t.Context())
	check(t, err)
	if _, err = f.GoOn(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	next := &stream.Pointer{Epoch: 4, Incarnation: n, Generations: p.Generations}
	next.Transactional = true
	check(t, f.Prepare(t.Context(), next))
	check(t, f.Close())
	f = Open(s, Options{Pipeline: "p", From: From{Epoch: 3}})
	_, err = f.Start(t.Context())
	check(t, err)
	if p, err = f.GoOn(t.Context(), &stream.Committed{Epoch: 4, Incarnation: n, Checksum: next.Checksum}); err != nil || p.Epoch != 4 || p.Incarnation != n {
		t.Fatalf("goes on from %+v, %v", p, err)
	}
}

// A record of a return that is damaged is refused, since nobody knows what it was; a copy
// of an epoch goes on without it.
func TestDamagedRewind(t *testing.T) {
	for name, s := range places(t) {
		t.Run(name, func(t *testing.T) {
			f := epochs(t, s, 3)
			check(t, f.Save(t.Context(), "x", 2))
			f, _ = reopen(t, f, From{Savepoint: "x"})
			check(t, f.Close())
			content, err := s.Get(t.Context(), rewindName(1))
			check(t, err)
			content[len(content)/2] ^= 1
			check(t, s.Put(t.Context(), rewindName(1), content))
			looker := Open(s, Options{Pipeline: "p"})
			if _, _, err := begin(t.Context(), looker); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "go on from a copy") {
				t.Errorf("it begins with %v", err)
			}
			to := NewFolder(vfs.NewMem(), "copy")
			_, err = looker.Export(t.Context(), "x", to, "")
			check(t, err)
			copied := Open(to, Options{Pipeline: "p"})
			if _, p, err := begin(t.Context(), copied); err != nil || p == nil || p.Epoch != 2 {
				t.Errorf("the copy goes on from %+v, %v", p, err)
			}
		})
	}
}
