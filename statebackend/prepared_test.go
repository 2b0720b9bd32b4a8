package statebackend

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/stream"
)

// prepare prepares an epoch with one object, and commits it where that is asked for.
func prepare(t *testing.T, s *State, epoch int64, transactional, commit bool) *stream.Pointer {
	t.Helper()
	ctx := context.Background()
	o, err := s.Write(ctx, epoch, &stream.Generation{Owner: "shard/0", Entries: []stream.Entry{{Key: []byte("k"), Value: []byte{byte(epoch)}}}})
	if err != nil {
		t.Fatal(err)
	}
	p := &stream.Pointer{
		Epoch: epoch, Incarnation: s.incarnation, Generations: map[string]stream.Chain{"shard/0": o},
		Partitions: []stream.PartitionState{{ID: 0, Position: 10 * epoch}}, Visibility: stream.Visibility{Transactional: transactional},
	}
	if transactional {
		err = s.Prepare(ctx, p)
	}
	if err == nil && commit {
		err = s.Commit(ctx, p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// again opens the state of a folder as the next process.
func again(t *testing.T, fs vfs.FS) *State {
	t.Helper()
	s := Open(NewFolder(fs, "state"), Options{Pipeline: "p"})
	if _, err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

// preparedCase is what a state holds, and what was committed.
type preparedCase struct {
	transactional bool // the pointers of epochs 1 and 2
	prepared      bool // epoch 3 too
	committed     func(p1, p2, p3 *stream.Pointer) *stream.Committed
	epoch         int64 // gone on from; 0: refused
}

func preparedCases() map[string]preparedCase {
	nothing := &stream.Committed{}
	return map[string]preparedCase{
		"the newest":            {true, false, func(_, p2, _ *stream.Pointer) *stream.Committed { return p2.Commits() }, 2},
		"the prepared":          {true, true, func(_, _, p3 *stream.Pointer) *stream.Committed { return p3.Commits() }, 3},
		"not the prepared":      {true, true, func(_, p2, _ *stream.Pointer) *stream.Committed { return p2.Commits() }, 2},
		"no transaction yet":    {false, false, func(_, _, _ *stream.Pointer) *stream.Committed { return nothing }, 2},
		"the first transaction": {false, true, func(_, _, p3 *stream.Pointer) *stream.Committed { return p3.Commits() }, 3},
		"the first failed":      {false, true, func(_, _, _ *stream.Pointer) *stream.Committed { return nothing }, 2},
		"nothing any more":      {true, true, func(_, _, _ *stream.Pointer) *stream.Committed { return nothing }, 0},
		"an older one":          {true, true, func(p1, _, _ *stream.Pointer) *stream.Committed { return p1.Commits() }, 0},
		"other positions": {true, false, func(_, p2, _ *stream.Pointer) *stream.Committed {
			c := p2.Commits()
			c.Partitions = []stream.PartitionState{{ID: 0, Position: 21}}
			return c
		}, 0},
		"another pointer": {true, true, func(_, _, p3 *stream.Pointer) *stream.Committed {
			c := p3.Commits()
			c.Checksum = strings.Repeat("0", 32)
			return c
		}, 0},
		"no transaction cares": {true, true, func(_, _, _ *stream.Pointer) *stream.Committed { return nil }, 2},
	}
}

// What was committed decides: a prepared pointer that was is made the newest, one
// that was not is void, and what is neither is refused.
func TestPrepared(t *testing.T) {
	for what, c := range preparedCases() {
		t.Run(what, func(t *testing.T) {
			fs := vfs.NewMem()
			s := again(t, fs)
			p1, p2 := prepare(t, s, 1, c.transactional, true), prepare(t, s, 2, c.transactional, true)
			p3 := &stream.Pointer{}
			if c.prepared {
				p3 = prepare(t, s, 3, true, false)
				if garbage, err := s.Garbage(t.Context()); err != nil || len(garbage) > 0 {
					t.Errorf("of a prepared pointer %v is garbage (%v)", garbage, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = again(t, fs)
			defer s.Close()
			p, err := s.GoOn(t.Context(), c.committed(p1, p2, p3))
			if c.epoch == 0 {
				if !errors.Is(err, stream.ErrDisagree) || !strings.Contains(err.Error(), "epoch 2 of incarnation 1") || !strings.Contains(err.Error(), "0:20") {
					t.Errorf("%v, %v", p, err)
				}
				if left, err := s.prepared(t.Context()); err != nil || len(left) > 0 != c.prepared {
					t.Errorf("refused, it left %v (%v)", left, err)
				}
				return
			}
			if err != nil || p.Epoch != c.epoch {
				t.Fatalf("%v, %v", p, err)
			}
			readAll(t, s, p.Generations["shard/0"])
			kept, err := s.Pointers(t.Context())
			if err != nil || kept[len(kept)-1] != c.epoch {
				t.Errorf("it keeps %v (%v)", kept, err)
			}
			left, err := s.prepared(t.Context())
			garbage, failed := s.Garbage(t.Context())
			if err != nil || failed != nil || len(left)+len(garbage) > 0 {
				t.Errorf("left are %v (%v) and %v (%v)", left, err, garbage, failed)
			}
		})
	}
}

// An epoch that was committed and whose pointer is damaged, where it is kept, prepared
// or set aside, is gone back behind, at each further start too; one that is nowhere is
// refused, and so is another in its place.
func TestCommittedDamaged(t *testing.T) {
	broken := []byte("no pointer")
	aside := pointerName(3) + damagedSuffix
	for what, c := range map[string]struct {
		kept    bool // as the newest pointer; else it is prepared alone
		change  func(put func(name string, content []byte), p3 *stream.Pointer, content []byte)
		refused bool
	}{
		"kept":     {kept: true, change: func(put func(string, []byte), _ *stream.Pointer, _ []byte) { put(pointerName(3), broken) }},
		"prepared": {change: func(put func(string, []byte), p3 *stream.Pointer, _ []byte) { put(preparedPointer(p3), broken) }},
		"set aside": {kept: true, change: func(put func(string, []byte), _ *stream.Pointer, whole []byte) {
			put(pointerName(3), nil)
			put(aside, whole)
		}},
		"gone": {kept: true, change: func(put func(string, []byte), _ *stream.Pointer, _ []byte) { put(pointerName(3), nil) }, refused: true},
		"another aside": {kept: true, change: func(put func(string, []byte), p3 *stream.Pointer, _ []byte) {
			put(pointerName(3), nil)
			put(aside, otherOf(t, p3))
		}, refused: true},
	} {
		t.Run(what, func(t *testing.T) {
			fs := vfs.NewMem()
			s := again(t, fs)
			prepare(t, s, 1, true, true)
			prepare(t, s, 2, true, true)
			p3 := prepare(t, s, 3, true, c.kept)
			whole, err := seal(p3)
			if err != nil {
				t.Fatal(err)
			}
			c.change(func(name string, content []byte) {
				err := s.store.Delete(t.Context(), name)
				if err == nil && content != nil {
					err = s.store.Put(t.Context(), name, content)
				}
				if err != nil {
					t.Fatal(err)
				}
			}, p3, whole)
			for range 2 { // the second after a crash before anything else was committed
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = again(t, fs)
				p, err := s.GoOn(t.Context(), p3.Commits())
				if c.refused != errors.Is(err, stream.ErrDisagree) || !c.refused && (err != nil || p.Epoch != 2 || p.Rewound) {
					t.Fatalf("goes on from %+v, %v", p, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// otherOf is the content of another pointer of an epoch.
func otherOf(t *testing.T, p *stream.Pointer) []byte {
	t.Helper()
	other := *p
	other.Incarnation++
	content, err := seal(&other)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// A process that was replaced prepares nothing.
func TestPrepareFenced(t *testing.T) {
	fs := vfs.NewMem()
	old := again(t, fs)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	defer again(t, fs).Close()
	p := &stream.Pointer{Epoch: 1, Incarnation: 1, Visibility: stream.Visibility{Transactional: true}}
	if err := old.Prepare(t.Context(), p); !errors.Is(err, stream.ErrFenced) {
		t.Error(err)
	}
	if left, err := old.prepared(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
}
