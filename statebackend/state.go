package statebackend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hextide/hextide/stream"
)

// ErrNoneWhole is returned by GoOn where there are epochs, all of them damaged.
var ErrNoneWhole = errors.New("no epoch of the state is whole")

// Options of a State.
type Options struct {
	Pipeline string        // named in objects
	Retain   int           // pointers kept; default 3
	Grace    time.Duration // how old an object that no pointer ever named must be to be deleted; in a folder 0 is right, since one process owns it
	Logger   *slog.Logger  // nil: silent
	From     From          // what a start goes on from; default the newest epoch
}

// State is the generations, pointers and control log in a Store. Write and Read
// may be called from several goroutines at once; the other methods from one.
type State struct {
	store       Store
	options     Options
	lock        Lock         // nil: not claimed, or the store has none
	control     *ControlFile // nil: not opened, or not in a folder
	incarnation int64        // 0: Start has not claimed one
	damaged     atomic.Int64 // epochs that GoOn found damaged
	rewinds     atomic.Int64 // courses that were given up for an older epoch
	lengths     lengths
}

var _ stream.Generations = (*State)(nil)

// Open names the state in a store. It neither makes nor changes anything: Claim
// and Start do, and without them the state can be looked at.
func Open(store Store, o Options) *State {
	if o.Retain == 0 {
		o.Retain = 3
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &State{store: store, options: o}
}

// The folders of a store.
const (
	objectsName      = "objects"
	pointersName     = "pointers"
	preparedName     = "prepared"
	incarnationsName = "incarnations"
	savepointsName   = "savepoints"
	rewindsName      = "rewinds"
)

// Claim takes a store that one process at a time may own for this process, until
// Close. What another process holds is refused, and nothing of it is touched. Of
// other stores the newest incarnation is the owner: Start raises it.
func (s *State) Claim() error {
	store, is := s.store.(exclusive)
	if s.lock != nil || !is {
		return nil
	}
	var err error
	s.lock, err = store.Lock()
	return err
}

// Start claims the store and raises the incarnation, which fences every process
// with an older one.
func (s *State) Start(ctx context.Context) (int64, error) {
	if err := s.Claim(); err != nil {
		return 0, err
	}
	n, err := s.raise(ctx)
	if err != nil {
		return 0, fmt.Errorf("claiming the state %s: %w", s.store, err)
	}
	s.incarnation = n
	return n, nil
}

// GoOn finds the pointer to go on from: that of the newest epoch that is whole, or
// the one that a stream.Committer has committed.
func (s *State) GoOn(ctx context.Context, committed *stream.Committed) (*stream.Pointer, error) {
	if err := s.fenced(ctx); err != nil {
		return nil, err
	}
	back, err := s.rewind(ctx)
	if err != nil {
		return nil, err
	}
	rewound := committed != nil && back != nil && committed.Incarnation < back.Incarnation // it is what was given up
	if committed != nil && !rewound {
		if err := s.agree(ctx, committed); err != nil {
			return nil, err
		}
	}
	p, err := s.goOn(ctx)
	if err != nil {
		return nil, err
	}
	if p == nil {
		if err := s.missed(ctx); err != nil {
			return nil, err
		}
	}
	if p != nil {
		p.Rewound = rewound
		if err := s.replaced(p.Incarnation); err != nil {
			return nil, err // since the look above, by one that has committed meanwhile
		}
	}
	err = s.void(ctx)
	if err == nil {
		err = s.collect(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("clearing what no pointer of %s reaches: %w", s.store, err)
	}
	return p, nil
}

// missed is an error where there are savepoints though no pointer is: pointers have
// been lost, since no epoch that is kept can be the last to go.
func (s *State) missed(ctx context.Context) error {
	all, err := s.Savepoints(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
	}
	return fmt.Errorf("%s has lost its pointers, though it has savepoints (%s): put %s back, go on from one of those with --from-savepoint, or begin anew with an empty --state",
		s.store, strings.Join(names, ", "), pointersName)
}

// incarnations lists the numbers that were claimed, and keeps no more than needed.
func (s *State) incarnations(ctx context.Context) (newest int64, names []string, err error) {
	listed, err := s.store.List(ctx, incarnationsName)
	if err != nil {
		return 0, nil, fmt.Errorf("listing the incarnations of %s: %w", s.store, err)
	}
	for _, l := range listed {
		if n, err := strconv.ParseInt(path.Base(l.Name), 10, 64); err == nil {
			newest, names = max(newest, n), append(names, l.Name)
		}
	}
	return newest, names, nil
}

// incarnationName orders incarnations by name as by number.
func incarnationName(n int64) string { return path.Join(incarnationsName, fmt.Sprintf("%012d", n)) }

// keptIncarnations is how many claims stay to be seen.
const keptIncarnations = 16

// raise claims the number after the newest: that of a claim or of a pointer. Of
// several processes at once each gets its own.
func (s *State) raise(ctx context.Context) (int64, error) {
	n, names, err := s.incarnations(ctx)
	if err != nil {
		return 0, err
	}
	pointers, err := s.pointers(ctx)
	if err != nil {
		return 0, err
	}
	for _, p := range pointers {
		if p.err == nil {
			n = max(n, p.pointer.Incarnation)
		}
	}
	for {
		if n++; n <= 0 {
			return 0, errors.New("no incarnation is left")
		}
		content := fmt.Appendf(nil, "%s %s\n", time.Now().UTC().Format(time.RFC3339), rand.Text()) // no other process's is the same
		err := s.create(ctx, incarnationName(n), content)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return 0, err
		}
	}
	if old := len(names) - keptIncarnations; old > 0 {
		_ = s.store.Delete(ctx, names[:old]...) // the next start tries again
	}
	return n, nil
}

// create makes an object that only this process can have made as it is. Where a
// first try made it and its answer was lost, it is there with this very content.
func (s *State) create(ctx context.Context, name string, content []byte) error {
	err := s.store.Create(ctx, name, content)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	there, failed := s.store.Get(ctx, name)
	if failed != nil {
		return errors.Join(err, failed)
	}
	if string(there) == string(content) {
		return nil
	}
	return err
}

// folder is that of a state in one; nil: it is in a bucket.
func (s *State) folder() *Folder {
	switch store := s.store.(type) {
	case *Folder:
		return store
	case *Mirrored:
		return store.first
	}
	return nil
}

// fenced tells whether another process has taken the state over.
func (s *State) fenced(ctx context.Context) error {
	newest, _, err := s.incarnations(ctx)
	if err == nil {
		err = s.replaced(newest)
	}
	return err
}

// replaced is the error of a process where there is a newer incarnation than its own.
func (s *State) replaced(newest int64) error {
	if newest > s.incarnation {
		return fmt.Errorf("%w: this one is incarnation %d, the newest is %d", stream.ErrFenced, s.incarnation, newest)
	}
	return nil
}

func objectPath(o stream.Object) string { return path.Join(objectsName, o.Name) }

// load reads an object and holds it against its checksum.
func (s *State) load(ctx context.Context, object stream.Object) ([]byte, error) {
	name := objectPath(object)
	if !strings.HasPrefix(name, objectsName+"/") {
		return nil, fmt.Errorf("%w: %q names no object", ErrDamaged, object.Name)
	}
	content, err := s.store.Get(ctx, name)
	if err != nil {
		return nil, lost(err)
	}
	return content, verify(content, object)
}

// String is what people call the store.
func (s *State) String() string { return s.store.String() }

// Close gives a claimed store up.
func (s *State) Close() error {
	if s.lock == nil {
		return nil
	}
	err := s.lock.Close()
	s.lock = nil
	return err
}
