package statebackend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// bucket names a place on a server; requests that stand still are given up soon.
func bucket(t *testing.T, server *testserver.S3, prefix string) *S3 {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s, err := NewS3(S3Options{
		Bucket: testserver.S3Bucket, Prefix: prefix, Endpoint: server.URL(), Timeout: time.Second, Transport: transport,
		Credentials: credentials.NewStaticV4("key", "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// heals are the faults that another request does not meet.
var heals = []testserver.Fault{testserver.ServerError, testserver.SlowDown, testserver.TornUpload, testserver.TornDownload, testserver.LostAnswer}

// stores are all drivers, each with an empty store.
func stores(t *testing.T) map[string]Store {
	t.Helper()
	failing := testserver.NewS3(t)
	failing.Fail(testserver.Randomly(1, 0.3, heals[:4]...)) // an answer that is lost changes what Create says: that has a test of its own
	return map[string]Store{
		"folder":            NewFolder(vfs.Default, t.TempDir()),
		"folder in memory":  NewFolder(vfs.NewMem(), "state"),
		"mirrored":          NewMirrored(NewFolder(vfs.NewMem(), "state"), NewFolder(vfs.NewMem(), "copies"), nil),
		"bucket":            bucket(t, testserver.NewS3(t), ""),
		"prefix":            bucket(t, testserver.NewS3(t), "some/where"),
		"bucket that fails": bucket(t, failing, "p"),
	}
}

// each runs a test of what every driver must do.
func each(t *testing.T, test func(t *testing.T, s Store)) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

func names(t *testing.T, s Store, folder string) []string {
	t.Helper()
	listed, err := s.List(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, l := range listed {
		all = append(all, l.Name)
	}
	return all
}

func TestStoreGivesBackWhatWasPut(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		big := make([]byte, 20<<20+7)
		random := rand.NewChaCha8([32]byte{1})
		_, _ = random.Read(big)
		for name, content := range map[string][]byte{
			"a": []byte("short"), "x/empty": {}, "x/y/big": big, "x/odd é +%&=?name": []byte("odd"),
		} {
			for range 2 { // the second one in place of the first
				if err := s.Put(t.Context(), name, content); err != nil {
					t.Fatal(err)
				}
			}
			got, err := s.Get(t.Context(), name)
			if err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%s: %d bytes of %d, %v", name, len(got), len(content), err)
			}
		}
		if err := s.Put(t.Context(), "a", []byte("another")); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(t.Context(), "a"); err != nil || string(got) != "another" {
			t.Fatalf("%q, %v", got, err)
		}
		for _, name := range []string{"none", "x/none", "none/x"} {
			if _, err := s.Get(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestStoreLists(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		if got := names(t, s, "x"); got != nil {
			t.Fatalf("an empty store lists %q", got)
		}
		begun := time.Now().Add(-time.Minute)
		want := []string{"x/1", "x/a/b/c", "x/a/d", "x/b"}
		for _, name := range append([]string{"y/1", "xy"}, want...) {
			if err := s.Put(t.Context(), name, []byte(name)); err != nil {
				t.Fatal(err)
			}
		}
		if got := names(t, s, "x"); !slices.Equal(got, want) {
			t.Fatalf("it lists %q", got)
		}
		listed, err := s.List(t.Context(), "x/a")
		if err != nil || len(listed) != 2 {
			t.Fatal(listed, err)
		}
		for _, l := range listed {
			if l.Size != int64(len(l.Name)) || l.Modified.Before(begun) || l.Modified.After(time.Now().Add(time.Minute)) {
				t.Errorf("%+v", l)
			}
		}
	})
}

// A list has more than a thousand names, as many as one answer of S3 holds.
func TestStoreListsMany(t *testing.T) {
	for name, s := range map[string]Store{"folder": NewFolder(vfs.NewMem(), "state"), "bucket": bucket(t, testserver.NewS3(t), "p")} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for i := range 2100 {
				want = append(want, fmt.Sprintf("many/%04d", i))
				if err := s.Put(t.Context(), want[i], nil); err != nil {
					t.Fatal(err)
				}
			}
			if got := names(t, s, "many"); !slices.Equal(got, want) {
				t.Fatalf("%d of %d", len(got), len(want))
			}
			if err := s.Delete(t.Context(), want...); err != nil {
				t.Fatal(err)
			}
			if got := names(t, s, "many"); got != nil {
				t.Fatalf("%d are left", len(got))
			}
		})
	}
}

func TestStoreDeletes(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		for _, name := range []string{"x/1", "x/2/3", "x/2/4"} {
			if err := s.Put(t.Context(), name, nil); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // what is not there is no error
			if err := s.Delete(t.Context(), "x/1", "x/2/3", "none", "x/none/none"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := names(t, s, "x"); !slices.Equal(got, []string{"x/2/4"}) {
			t.Fatalf("left are %q", got)
		}
	})
}

// Of many that create an object at once one succeeds, and its content stays.
func TestStoreCreatesOnce(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		for round := range 10 {
			name := fmt.Sprint("claims/", round)
			var wg sync.WaitGroup
			var winner atomic.Int64
			for i := range int64(8) {
				wg.Go(func() {
					err := s.Create(t.Context(), name, fmt.Append(nil, i+1))
					switch {
					case err == nil && !winner.CompareAndSwap(0, i+1):
						t.Errorf("%d and %d created %s", winner.Load(), i+1, name)
					case err != nil && !errors.Is(err, fs.ErrExist):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if got, err := s.Get(t.Context(), name); err != nil || string(got) != fmt.Sprint(winner.Load()) {
				t.Errorf("%d created it, it holds %q, %v", winner.Load(), got, err)
			}
		}
	})
}

// epochs makes a state of the epochs 1 to n in a store.
func epochs(t *testing.T, s Store, n int64) *State {
	t.Helper()
	f := Open(s, Options{Pipeline: "p", Grace: time.Hour})
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	for epoch := int64(1); epoch <= n; epoch++ {
		if err := commit(f, epoch); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// A state goes on from its newest whole epoch, whatever keeps it: a pointer or an
// object that is changed, cut short or gone is gone back behind.
func TestStateOfEachStore(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		f := epochs(t, s, 5)
		if kept, err := f.Pointers(t.Context()); err != nil || !slices.Equal(kept, []int64{3, 4, 5}) || len(names(t, s, objectsName)) != 3 {
			t.Fatalf("kept %v, %v; %q", kept, err, names(t, s, objectsName))
		}
		if err := f.Remove(t.Context(), 3); err != nil || len(names(t, s, objectsName)) != 2 {
			t.Fatalf("%v; %q", err, names(t, s, objectsName))
		}
		p, err := f.Pointer(t.Context(), 5)
		if err != nil {
			t.Fatal(err)
		}
		object := objectPath(p.Generations["shard/0"][0])
		whole, err := s.Get(t.Context(), object)
		if err != nil {
			t.Fatal(err)
		}
		flipped := slices.Clone(whole)
		flipped[len(whole)/2] ^= 1
		for i, damaged := range [][]byte{flipped, whole[:len(whole)/2], nil} {
			epoch := int64(5 + i)
			if err := s.Delete(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if damaged != nil {
				if err := s.Put(t.Context(), object, damaged); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			f = Open(s, Options{Pipeline: "p", Grace: time.Hour})
			n, p, err := begin(t.Context(), f)
			if err != nil || p == nil || p.Epoch != epoch-1 || n != int64(2+i) || f.Damaged() != 1 {
				t.Fatalf("goes on from %+v, incarnation %d, %v", p, n, err)
			}
			if got := readAll(t, f, p.Generations["shard/0"]); string(got[0].Value) != fmt.Sprint(p.Epoch) {
				t.Fatalf("epoch %d holds %q", p.Epoch, got[0].Value)
			}
			for _, again := range []int64{epoch, epoch + 1} {
				if err := commit(f, again); err != nil {
					t.Fatal(err)
				}
			}
			if p, err = f.Pointer(t.Context(), epoch+1); err != nil {
				t.Fatal(err)
			}
			object = objectPath(p.Generations["shard/0"][0])
		}
	})
}

// A process that another one has replaced commits nothing more, though it may not
// know, and the other goes on from what it had committed.
func TestFencedProcess(t *testing.T) {
	for name, s := range map[string]Store{"folder": NewFolder(vfs.NewMem(), "state"), "bucket": bucket(t, testserver.NewS3(t), "p")} {
		t.Run(name, func(t *testing.T) {
			old := epochs(t, s, 2)
			if err := old.Close(); err != nil { // of a folder: as if its lock did not hold
				t.Fatal(err)
			}
			successor := Open(s, Options{Pipeline: "p", Grace: time.Hour})
			if n, p, err := begin(t.Context(), successor); err != nil || n != 2 || p.Epoch != 2 {
				t.Fatal(n, p, err)
			}
			if err := commit(old, 3); !errors.Is(err, stream.ErrFenced) {
				t.Fatalf("the old one: %v", err)
			}
			if err := commit(successor, 3); err != nil {
				t.Fatal(err)
			}
			old.incarnation = 2 // as if it had looked just before the other's claim
			if err := old.Commit(t.Context(), &stream.Pointer{Epoch: 3, Incarnation: 1}); !errors.Is(err, stream.ErrFenced) {
				t.Fatalf("the old one, of a pointer that is there: %v", err)
			}
			p := &stream.Pointer{Epoch: 4, Incarnation: 2}
			if err := successor.Commit(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if err := old.Commit(t.Context(), &stream.Pointer{Epoch: 5, Incarnation: 1}); err != nil { // in between the look and the write
				t.Fatal(err)
			}
			if p, after, err := successor.newest(t.Context()); err != nil || p.Epoch != 4 || len(after) != 1 {
				t.Fatalf("an epoch of the old one is gone on from: %+v, %v, %v", p, after, err)
			}
			if err := commit(successor, 5); err != nil {
				t.Fatalf("where the old one's pointer came late: %v", err)
			}
			if p, after, err := successor.newest(t.Context()); err != nil || p.Epoch != 5 || p.Incarnation != 2 || len(after) != 0 {
				t.Fatalf("the old one's late pointer is not replaced: %+v, %v, %v", p, after, err)
			}
		})
	}
}

// overtaken is a bucket of which another process takes over, once, when its pointers
// have been listed, or something has been read.
type overtaken struct {
	Store
	read string // a folder, of which something is read; empty: the pointers are listed
	over func()
}

func (s *overtaken) List(ctx context.Context, folder string) ([]Listed, error) {
	all, err := s.Store.List(ctx, folder)
	if s.read == "" && folder == pointersName {
		s.happen()
	}
	return all, err
}

func (s *overtaken) Get(ctx context.Context, name string) ([]byte, error) {
	content, err := s.Store.Get(ctx, name)
	if s.read != "" && strings.HasPrefix(name, s.read+"/") {
		s.happen()
	}
	return content, err
}

func (s *overtaken) happen() {
	if over := s.over; over != nil {
		s.over = nil
		over()
	}
}

// A process that is replaced while it looks for what to go on from says so: what it
// misses is not damaged, its successor has deleted it, and what its successor has
// committed since is not gone on from.
func TestReplacedWhileItLooks(t *testing.T) {
	for name, c := range map[string]struct {
		plain    bool   // nothing else than the state says what was committed
		prepared bool   // epoch 3 is committed and prepared, as yet no pointer
		read     string // where the successor comes in between
		commits  int64  // epochs of the successor
	}{
		"its epochs are deleted":             {plain: true, commits: 3},
		"it agrees, then the other commits":  {commits: 1},
		"the prepared pointer is made first": {prepared: true},
		"the prepared pointer is made then":  {prepared: true, read: preparedName},
	} {
		t.Run(name, func(t *testing.T) {
			s := bucket(t, testserver.NewS3(t), "p")
			first := epochs(t, s, 2)
			committed := prepare(t, first, 3, !c.plain, !c.prepared).Commits()
			if c.plain {
				committed = nil
			}
			slow := &overtaken{Store: s, read: c.read}
			old := Open(slow, Options{Pipeline: "p", Grace: time.Hour})
			if _, err := old.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			slow.over = func() {
				successor := Open(s, Options{Pipeline: "p", Grace: time.Hour})
				if _, err := successor.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if p, err := successor.GoOn(t.Context(), committed); err != nil || p.Epoch != 3 {
					t.Fatalf("the successor goes on from %+v, %v", p, err)
				}
				for epoch := int64(4); epoch < 4+c.commits; epoch++ {
					if err := commit(successor, epoch); err != nil {
						t.Fatal(err)
					}
				}
			}
			if p, err := old.GoOn(t.Context(), committed); !errors.Is(err, stream.ErrFenced) {
				t.Errorf("goes on from %+v, %v", p, err)
			}
			if kept := names(t, s, pointersName); len(kept) != 3 {
				t.Errorf("of the successor's pointers there are %q", kept)
			}
		})
	}
}

// What a process writes that has replaced another is safe from that one, whatever
// their clocks say.
func TestSuccessorsObjectsStay(t *testing.T) {
	s := bucket(t, testserver.NewS3(t), "p")
	old := epochs(t, s, 2)
	successor := Open(s, Options{Pipeline: "p", Grace: time.Hour})
	if _, _, err := begin(t.Context(), successor); err != nil {
		t.Fatal(err)
	}
	object, err := successor.Write(t.Context(), 3, &stream.Generation{Owner: "shard/0", Entries: []stream.Entry{{Key: []byte("k"), Value: []byte("v")}}})
	if err != nil {
		t.Fatal(err)
	}
	old.options.Grace = 1 // the clock has jumped: everything is old
	if err := old.collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, successor, object); len(got) != 1 {
		t.Errorf("%d entries", len(got))
	}
}

// Many that start at once get incarnations of their own.
func TestClaimsAtOnce(t *testing.T) {
	server := testserver.NewS3(t)
	server.Fail(testserver.Randomly(3, 0.3, heals...))
	var mu sync.Mutex
	var got []int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			n, err := Open(bucket(t, server, "p"), Options{Grace: time.Hour}).Start(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, n)
		})
	}
	wg.Wait()
	slices.Sort(got)
	if unique := slices.Compact(slices.Clone(got)); len(unique) != 8 {
		t.Errorf("incarnations %v", got)
	}
}

// What no pointer ever named is deleted after the grace alone; what a forgotten
// one named, at once.
func TestOrphansAge(t *testing.T) {
	s := bucket(t, testserver.NewS3(t), "p")
	f := epochs(t, s, 1)
	if _, err := f.Write(t.Context(), 2, &stream.Generation{Owner: "shard/0", Entries: entries(1, 3)}); err != nil { // of an epoch that failed
		t.Fatal(err)
	}
	for epoch := int64(3); epoch <= 8; epoch++ {
		if err := commit(f, epoch); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, s, objectsName); len(got) != 4 {
		t.Fatalf("there are %q", got)
	}
	f = Open(s, Options{Pipeline: "p", Grace: time.Nanosecond})
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if got := names(t, s, objectsName); len(got) != 3 || strings.Contains(strings.Join(got, " "), "/2-") {
		t.Fatalf("there are %q", got)
	}
}

// Requests that fail for a while end well and are counted; those that never
// succeed end in time, with the reason.
func TestRetries(t *testing.T) {
	server := testserver.NewS3(t)
	for _, fault := range append(heals, testserver.Stall) {
		s := bucket(t, server, "p")
		s.options.Timeout = 100 * time.Millisecond
		var requests atomic.Int64
		server.Fail(func(*http.Request) testserver.Fault {
			if requests.Add(1)%3 != 0 {
				return fault
			}
			return testserver.NoFault
		})
		content := bytes.Repeat([]byte("content"), 1000)
		if err := s.Put(t.Context(), "a", content); err != nil {
			t.Fatal(fault, err)
		}
		if got, err := s.Get(t.Context(), "a"); err != nil || !bytes.Equal(got, content) {
			t.Fatal(fault, len(got), err)
		}
		usage := s.Usage()
		if get, put := usage[opGet], usage[opPut]; get.Calls != 1 || put.Calls != 1 || get.Retries+put.Retries == 0 || get.Errors+put.Errors != 0 || get.Bytes < 7000 || put.Bytes < 7000 {
			t.Errorf("%v: %+v %+v", fault, get, put)
		}
		if server.Failed(fault) == 0 {
			t.Errorf("fault %v was never met", fault)
		}
	}
	s := bucket(t, server, "p")
	var log bytes.Buffer
	s.options.Within, s.options.Logger = 4*time.Second, slog.New(slog.NewTextHandler(&log, nil))
	server.Fail(testserver.Randomly(1, 1, testserver.SlowDown))
	if _, err := s.Get(t.Context(), "a"); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "injected") || s.Usage()[opGet].Errors != 1 {
		t.Errorf("%v, %+v", err, s.Usage()[opGet])
	}
	if !strings.Contains(log.String(), "operation=get object=a") || !strings.Contains(log.String(), "given_up_after=4s") {
		t.Errorf("told is %q", log.String())
	}
}

// What no other request will change is said at once.
func TestNoRetries(t *testing.T) {
	s := bucket(t, testserver.NewS3(t), "p")
	s.options.Bucket = "another"
	for _, err := range []error{
		s.Put(t.Context(), "a", nil), func() error { _, err := s.Get(t.Context(), "a"); return err }(), func() error { _, err := s.List(t.Context(), "a"); return err }(),
	} {
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "bucket") {
			t.Error(err)
		}
	}
	for _, u := range s.Usage() {
		if u.Retries != 0 {
			t.Errorf("%+v", u)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, "a", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, o := range []S3Options{{}, {Bucket: "b", Endpoint: "localhost:9000"}, {Bucket: "b", Endpoint: "ftp://x"}, {Bucket: "b", Endpoint: "http://x/y"}} {
		if _, err := NewS3(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// A server that is content with any request, as one of pages may be, keeps nothing: it
// is found out by the first object.
func TestServerOfPages(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // nobody cares
		_, _ = w.Write([]byte("<html></html>"))
	}))
	t.Cleanup(server.Close)
	s, err := NewS3(S3Options{Bucket: "states", Endpoint: server.URL, Credentials: credentials.NewStaticV4("key", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{s.Put(t.Context(), "a", []byte("a")), s.Create(t.Context(), "a", []byte("a"))} {
		if !errors.Is(err, errNotS3) {
			t.Error(err)
		}
	}
}
