package statebackend

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
)

var errDied = errors.New("the process has died")

// dying is a Store of a process that dies at a call, which is then done, or not, or
// the object is done though nobody is told; every later call fails.
type dying struct {
	Store
	random *rand.Rand

	mu   sync.Mutex
	left int // calls until then
}

// call does what it is given while the process lives.
func (s *dying) call(do func() error) error {
	s.mu.Lock()
	s.left--
	lives, last := s.left > 0, s.left == 0 && s.random.IntN(2) == 0
	s.mu.Unlock()
	switch {
	case lives:
		return do()
	case last:
		_ = do() // nobody is told
	}
	return errDied
}

func (s *dying) Get(ctx context.Context, name string) (content []byte, err error) {
	err = s.call(func() error { content, err = s.Store.Get(ctx, name); return err })
	return content, err
}

func (s *dying) Put(ctx context.Context, name string, content []byte) error {
	return s.call(func() error { return s.Store.Put(ctx, name, content) })
}

func (s *dying) Create(ctx context.Context, name string, content []byte) error {
	return s.call(func() error { return s.Store.Create(ctx, name, content) })
}

func (s *dying) List(ctx context.Context, folder string) (all []Listed, err error) {
	err = s.call(func() error { all, err = s.Store.List(ctx, folder); return err })
	return all, err
}

// Delete dies between objects too.
func (s *dying) Delete(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := s.call(func() error { return s.Store.Delete(ctx, name) }); err != nil {
			return err
		}
	}
	return nil
}

// life is one process on the state: it commits epochs, makes and removes
// savepoints, goes back, and keeps to what it was told.
type life struct {
	t      *testing.T
	random *rand.Rand
	told   map[string][]string // objects of each savepoint that was made, by name
	next   int
}

// run goes on until the process dies or has lived long enough.
func (l *life) run(s Store) error {
	ctx := context.Background()
	f := Open(s, Options{Pipeline: "p", Grace: time.Nanosecond, From: l.from(s)})
	n, p, err := begin(ctx, f)
	if err != nil {
		return err
	}
	epoch, last := int64(0), map[string]stream.Chain{}
	if p != nil {
		epoch, last = p.Epoch, p.Generations
	}
	for range 5 {
		epoch++
		p := &stream.Pointer{Epoch: epoch, Incarnation: n, Generations: map[string]stream.Chain{}}
		for shard := range 3 {
			owner := fmt.Sprint("shard/", shard)
			if p.Generations[owner], err = f.Write(ctx, epoch, &stream.Generation{Owner: owner, Entries: entries(l.random.Int(), 3), Chain: last[owner]}); err != nil {
				return err
			}
		}
		if l.random.IntN(5) == 0 {
			continue // another part of the checkpoint failed
		}
		if err := f.Commit(ctx, p); err != nil {
			return err
		}
		last = p.Generations
		if err := l.savepoint(f, p); err != nil {
			return err
		}
	}
	return nil
}

// from goes back now and then.
func (l *life) from(s Store) From {
	all, err := Open(s, Options{}).Savepoints(context.Background())
	if err != nil || len(all) == 0 || l.random.IntN(10) > 0 {
		return From{}
	}
	return From{Savepoint: all[l.random.IntN(len(all))].Name}
}

// savepoint makes one now and then, and removes another.
func (l *life) savepoint(f *State, p *stream.Pointer) error {
	if l.random.IntN(3) > 0 {
		return nil
	}
	l.next++
	name := fmt.Sprint("s", l.next)
	if err := f.Save(context.Background(), name, p.Epoch); err != nil {
		return err
	}
	r := read{pointer: p}
	objects := map[string]bool{}
	r.objects(objects)
	for object := range objects {
		l.told[name] = append(l.told[name], object)
	}
	all, err := f.Savepoints(context.Background())
	if err != nil || len(all) < 4 {
		return err
	}
	victim := all[l.random.IntN(len(all))].Name
	delete(l.told, victim) // whatever comes of the removal
	return f.RemoveSavepoint(context.Background(), victim)
}

// After 200 crashes at random calls the store holds nothing that is not reached,
// and everything that is: the newest epochs, and each savepoint that was made.
func TestNothingIsLeftOrMissedAfterCrashes(t *testing.T) {
	for name, s := range map[string]Store{"folder": NewFolder(vfs.NewMem(), "state"), "bucket": bucket(t, testserver.NewS3(t), "p")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			l := &life{t: t, random: rand.New(rand.NewPCG(seed, 0)), told: map[string][]string{}}
			crashes := 0
			for round := 0; crashes < 200; round++ {
				err := l.run(&dying{Store: s, random: l.random, left: 1 + l.random.IntN(150)})
				switch {
				case errors.Is(err, errDied):
					crashes++
				case err != nil:
					t.Fatalf("after %d crashes: %v", crashes, err)
				}
				l.holds(s)
			}
			f := Open(s, Options{Pipeline: "p", Grace: time.Nanosecond})
			if _, _, err := begin(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			garbage, err := f.Garbage(t.Context())
			if err != nil || len(garbage) != 0 {
				t.Errorf("unreached are %v, %v", garbage, err)
			}
			l.holds(s)
			if len(l.told) == 0 {
				t.Error("no savepoint was ever made")
			}
		})
	}
}

// holds expects all that is reached to be there.
func (l *life) holds(s Store) {
	l.t.Helper()
	there := names(l.t, s, objectsName)
	f := Open(s, Options{})
	all, err := f.pointers(l.t.Context())
	check(l.t, err)
	saved, err := f.saved(l.t.Context())
	check(l.t, err)
	for _, r := range slices.Concat(all, saved) {
		if r.err != nil && r.pointer == nil {
			l.t.Fatal(r.err)
		}
		for _, object := range r.pointer.Objects() {
			if !slices.Contains(there, objectPath(object)) {
				l.t.Fatalf("epoch %d names %s, which is gone", r.epoch, object.Name)
			}
		}
	}
	for name, objects := range l.told {
		for _, object := range objects {
			if !slices.Contains(there, object) {
				l.t.Fatalf("the savepoint %s was made, but %s is gone", name, object)
			}
		}
	}
}
