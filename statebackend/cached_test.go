package statebackend

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
)

// nearby is a state in a bucket with copies on a disk, and what is asked of the
// bucket for generations.
type nearby struct {
	t       *testing.T
	server  *testserver.S3
	disk    vfs.FS
	copies  *Cached
	log     bytes.Buffer
	fetched atomic.Int64
}

func newNearby(t *testing.T) *nearby {
	n := &nearby{t: t, server: testserver.NewS3(t), disk: vfs.NewMem()}
	n.server.Fail(func(r *http.Request) testserver.Fault {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".sst") {
			n.fetched.Add(1)
		}
		return testserver.NoFault
	})
	return n
}

// open is a process that begins.
func (n *nearby) open() *State {
	n.log.Reset()
	log := slog.New(slog.NewTextHandler(&n.log, nil))
	n.copies = NewCached(bucket(n.t, n.server, "p"), NewFolder(n.disk, "copies"), log)
	return Open(n.copies, Options{Pipeline: "p", Grace: time.Hour, Logger: log})
}

// commits commits epochs of three machines each.
func (n *nearby) commits(f *State, from, to int64) {
	n.t.Helper()
	for epoch := from; epoch <= to; epoch++ {
		p := &stream.Pointer{Epoch: epoch, Incarnation: f.incarnation, Generations: map[string]stream.Chain{}}
		for _, owner := range []string{"shard/0", "shard/1", "partition/0"} {
			o, err := f.Write(n.t.Context(), epoch, &stream.Generation{Owner: owner, Entries: []stream.Entry{{Key: []byte(owner), Value: fmt.Append(nil, epoch)}}})
			if err != nil {
				n.t.Fatal(err)
			}
			p.Generations[owner] = o
		}
		if err := f.Commit(n.t.Context(), p); err != nil {
			n.t.Fatal(err)
		}
	}
}

// goesOn starts the state and expects it to go on from an epoch, with all of it,
// and so many generations from the bucket.
func (n *nearby) goesOn(epoch, fetched int64) (*State, *stream.Pointer) {
	n.t.Helper()
	n.fetched.Store(0)
	f := n.open()
	_, p, err := begin(n.t.Context(), f)
	if err != nil || p == nil || p.Epoch != epoch {
		n.t.Fatalf("goes on from %+v, %v; want epoch %d", p, err, epoch)
	}
	for owner, o := range p.Generations {
		if got := readAll(n.t, f, o); string(got[0].Key) != owner || string(got[0].Value) != fmt.Sprint(epoch) {
			n.t.Errorf("%s of epoch %d holds %q %q", owner, epoch, got[0].Key, got[0].Value)
		}
	}
	if got := n.fetched.Load(); got != fetched {
		n.t.Errorf("%d generations were fetched, not %d", got, fetched)
	}
	return f, p
}

func (n *nearby) copyNames() []string {
	return names(n.t, NewFolder(n.disk, "copies"), objectsName)
}

// flipCopy and flipObject change a bit of what an object is kept in.
func (n *nearby) flipCopy(o stream.Object) {
	n.t.Helper()
	path := "copies/" + objectPath(o)
	changed := slices.Clone(content(n.t, n.disk, path))
	changed[len(changed)/2] ^= 1
	overwrite(n.t, n.disk, path, changed)
}

func (n *nearby) flipObject(o stream.Object) {
	n.t.Helper()
	name := "p/" + objectPath(o)
	changed := slices.Clone(n.server.Objects(n.t)[name])
	changed[len(changed)/2] ^= 1
	n.server.Change(n.t, name, changed)
}

// A restart on the same machine reads its own copies, and nothing of the bucket;
// what no retained epoch names has gone from both.
func TestCopiesAreRead(t *testing.T) {
	n := newNearby(t)
	f := n.open()
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	n.commits(f, 1, 5)
	if got := n.copyNames(); len(got) != 9 || !slices.Equal(got, names(t, bucket(t, n.server, "p"), objectsName)) {
		t.Errorf("copies are %q", got)
	}
	n.goesOn(5, 0)
	if u := n.copies.Usage(); u.Hits != 6 || u.Misses != 0 || u.Damaged != 0 || u.Failed != 0 || u.Bytes < 9*100 {
		t.Errorf("%+v", u)
	}
}

// The copies may go at any time: while a run goes on, and before one. They come
// again with one reading of the bucket.
func TestCopiesMayGo(t *testing.T) {
	n := newNearby(t)
	f := n.open()
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	n.commits(f, 1, 4)
	for range 2 {
		n.disk = vfs.NewMem()
		n.goesOn(4, 3)
		if u := n.copies.Usage(); u.Hits != 3 || u.Misses != 3 || u.Damaged != 0 {
			t.Errorf("%+v", u)
		}
	}
	f, _ = n.goesOn(4, 0)
	if err := n.disk.RemoveAll("copies"); err != nil {
		t.Fatal(err)
	}
	n.commits(f, 5, 6)
	if got := n.copyNames(); len(got) != 6 {
		t.Errorf("copies are %q", got)
	}
	n.goesOn(6, 0)
}

// A damaged copy is said loudly and replaced from the bucket; damage in the bucket
// alone is no matter; damage of both goes back a whole epoch.
func TestDamagedCopies(t *testing.T) {
	n := newNearby(t)
	f := n.open()
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	n.commits(f, 1, 4)
	_, p := n.goesOn(4, 0)
	one := p.Generations["shard/1"][0]
	n.flipCopy(one)
	n.goesOn(4, 1)
	if u := n.copies.Usage(); u.Damaged != 1 || u.Misses != 1 || !strings.Contains(n.log.String(), "level=ERROR") || !strings.Contains(n.log.String(), one.Name) {
		t.Errorf("%+v, said is %s", u, n.log.String())
	}
	n.goesOn(4, 0)
	n.flipObject(one)
	f, _ = n.goesOn(4, 0)
	if f.Damaged() != 0 || n.log.Len() != 0 {
		t.Errorf("%d damaged: %s", f.Damaged(), n.log.String())
	}
	n.flipCopy(one)
	f, _ = n.goesOn(3, 1)
	if f.Damaged() != 1 || !strings.Contains(n.log.String(), "damaged=4 goes_back_to=3") {
		t.Errorf("%d damaged: %s", f.Damaged(), n.log.String())
	}
	n.goesOn(3, 0)
}

// What the bucket has lost of a retained epoch is put there again.
func TestLostObjectsAreMended(t *testing.T) {
	n := newNearby(t)
	f := n.open()
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	n.commits(f, 1, 4)
	before := n.server.Objects(t)
	for name := range before {
		if strings.HasSuffix(name, ".sst") && strings.Contains(name, "/partition/0/") {
			n.server.Change(t, name, nil)
		}
	}
	n.goesOn(4, 0)
	if !strings.Contains(n.log.String(), "put there again") {
		t.Errorf("said is %s", n.log.String())
	}
	for name, content := range before {
		if !strings.Contains(name, incarnationsName) && !bytes.Equal(n.server.Objects(t)[name], content) {
			t.Errorf("%s is not there again", name)
		}
	}
}

// A disk that takes nothing, or gives nothing, keeps no run from going on.
func TestCopiesCannotBeKept(t *testing.T) {
	n := newNearby(t)
	broken := errors.New("no disk")
	n.disk = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(errorfs.Op) error { return broken }))
	f := n.open()
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	n.commits(f, 1, 4)
	if u := n.copies.Usage(); u.Failed < 12 || !strings.Contains(n.log.String(), broken.Error()) {
		t.Errorf("%+v, said is %s", u, n.log.String())
	}
	n.goesOn(4, 6) // each once to check it and once to restore it
}
