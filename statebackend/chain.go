package statebackend

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"

	"github.com/hextide/hextide/stream"
	"github.com/zeebo/xxh3"
)

// A chain is a base and the deltas after it. Where a reader of a chain would read
// much more than it gets, a new base stands for all of it; where it has grown long,
// one delta stands for all deltas.
const (
	maxReadRatio = 2  // bytes read to bytes that live, at most
	maxDeltas    = 32 // after the base
)

// rebase tells whether a new base is due. Owners whose chains began together, and
// change alike, get theirs at different epochs: from three halves of what lives on,
// as their names have it, so that no checkpoint has to write all of them.
func rebase(owner string, read, live int64) bool {
	const steps = 16
	step := int64(xxh3.HashString(owner) % steps)
	return read > live*maxReadRatio-live*step/(2*steps)
}

// lengths knows of owners how long their entries are, to tell how much of a chain
// still lives.
type lengths struct {
	mu     sync.Mutex
	owners map[string]*ownerLengths
}

// ownerLengths are the lengths of the entries that a chain comes to, by the hash
// of their keys. They are used by whoever reads or writes the owner's chain, one
// at a time.
type ownerLengths struct {
	last string // name of the chain's last object; empty: they are of no chain
	live int64  // their sum
	of   map[uint64]int64
}

func (l *lengths) owner(name string) *ownerLengths {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.owners[name]
	if o == nil {
		if l.owners == nil {
			l.owners = map[string]*ownerLengths{}
		}
		o = &ownerLengths{of: map[uint64]int64{}}
		l.owners[name] = o
	}
	return o
}

// begin makes the lengths those of a chain without entries.
func (o *ownerLengths) begin() {
	o.last, o.live = "", 0
	clear(o.of)
}

// add adds a record.
func (o *ownerLengths) add(r *record) {
	key := xxh3.Hash(r.Key)
	o.live -= o.of[key]
	if r.removed {
		delete(o.of, key)
		return
	}
	o.of[key] = r.bytes()
	o.live += r.bytes()
}

// Write makes a generation durable and returns the chain with it.
func (s *State) Write(ctx context.Context, epoch int64, g *stream.Generation) (stream.Chain, error) {
	chain, err := s.extend(ctx, epoch, g)
	if err != nil {
		return nil, fmt.Errorf("writing generation %d of %s: %w", epoch, g.Owner, s.missing(ctx, err))
	}
	return chain, nil
}

func (s *State) extend(ctx context.Context, epoch int64, g *stream.Generation) (stream.Chain, error) {
	records, err := recordsOf(g)
	if err != nil {
		return nil, err
	}
	lengths, err := s.follow(ctx, g, records)
	if err != nil {
		return nil, err
	}
	chain := slices.Clone(g.Chain)
	read := int64(0)
	for i := range records {
		read += records[i].bytes()
	}
	for _, o := range chain {
		read += o.Bytes
	}
	switch {
	case len(chain) == 0:
	case rebase(g.Owner, read, lengths.live):
		records, err = s.merge(ctx, chain, records, true)
		chain = nil
	case len(chain) > maxDeltas:
		records, err = s.merge(ctx, chain[1:], records, false)
		chain = chain[:1]
	}
	if err != nil {
		return nil, err
	}
	object, err := s.put(ctx, epoch, g.Owner, records)
	object.Live, lengths.last = lengths.live, object.Name
	return append(chain, object), err
}

// follow brings an owner's lengths from those of a generation's chain to those
// with its records. They are of another chain where an epoch has failed.
func (s *State) follow(ctx context.Context, g *stream.Generation, records []record) (*ownerLengths, error) {
	lengths := s.lengths.owner(g.Owner)
	switch {
	case len(g.Chain) == 0:
		lengths.begin()
	case lengths.last != g.Chain[len(g.Chain)-1].Name:
		if err := s.Read(ctx, g.Owner, g.Chain, func(_, _ []byte) error { return nil }); err != nil {
			return nil, err
		}
	}
	lengths.last = ""
	for i := range records {
		lengths.add(&records[i])
	}
	return lengths, nil
}

// merge gives the records of objects and of the generation after them, of each key
// the newest; from a base on, removals have nothing left to remove.
func (s *State) merge(ctx context.Context, chain stream.Chain, newest []record, base bool) ([]record, error) {
	var all []record
	err := s.eachRecord(ctx, chain, newest, func(r *record) error {
		if base && r.removed {
			return nil
		}
		all = append(all, record{stream.Entry{Key: slices.Clone(r.Key), Value: slices.Clone(r.Value)}, r.removed})
		return nil
	})
	return all, err
}

// eachRecord gives the records of a chain, and of newer ones, in key order.
func (s *State) eachRecord(ctx context.Context, chain stream.Chain, newest []record, each func(*record) error) (err error) {
	var cursors []*cursor
	defer func() {
		for _, c := range cursors {
			err = errors.Join(err, c.close())
		}
	}()
	for _, object := range chain {
		content, err := s.load(ctx, object)
		var c *cursor
		if err == nil {
			c, err = overFile(content)
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", object.Name, err)
		}
		cursors = append(cursors, c)
	}
	return merged(append(cursors, overRecords(newest)), each)
}

// put makes records durable as one immutable object.
func (s *State) put(ctx context.Context, epoch int64, owner string, records []record) (stream.Object, error) {
	content, err := encodeTable(records)
	if err != nil {
		return stream.Object{}, err
	}
	sum := checksum(content)
	object := stream.Object{
		Name:  path.Join(sum[:2], s.options.Pipeline, owner, fmt.Sprintf("%d-%d-%s.sst", epoch, s.incarnation, sum)),
		Epoch: epoch, Size: int64(len(content)), Checksum: sum,
	}
	for i := range records {
		object.Bytes += records[i].bytes()
	}
	return object, s.store.Put(ctx, objectPath(object), content)
}

// Read gives the entries of an owner's chain in key order.
func (s *State) Read(ctx context.Context, owner string, chain stream.Chain, each func(key, value []byte) error) error {
	lengths := s.lengths.owner(owner)
	lengths.begin()
	err := s.eachRecord(ctx, chain, nil, func(r *record) error {
		if r.removed {
			return nil
		}
		lengths.add(r)
		return each(r.Key, r.Value)
	})
	if err == nil && len(chain) > 0 {
		lengths.last = chain[len(chain)-1].Name
	}
	return s.missing(ctx, err)
}

// missing says of damage that it is none where another process has replaced this
// one: that may have deleted what is missing.
func (s *State) missing(ctx context.Context, err error) error {
	if s.incarnation > 0 && errors.Is(err, ErrDamaged) {
		if fenced := s.fenced(ctx); errors.Is(fenced, stream.ErrFenced) {
			return fenced
		}
	}
	return err
}
