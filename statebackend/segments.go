package statebackend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/hextide/hextide/stream"
)

// segments is a control log in objects, where nothing can be appended to one. An
// object control/<n>.log holds the entries of its segment up to the n-th of the
// log. An entry is appended by creating the next object, which holds its segment's
// entries before it too; the one before then goes. So the last object of each
// segment is the whole log, and of two processes that append, one fails.
type segments struct {
	state *State

	mu     sync.Mutex
	tail   segment
	opened bool  // Entries has read the tail
	failed error // of an entry that may be there, though nobody was told so
}

// segment is up to segmentEntries entries of the log.
type segment struct {
	Before      int64                 `json:"before"`      // entries before them
	Incarnation int64                 `json:"incarnation"` // of the newest start among those
	Entries     []stream.ControlEntry `json:"entries"`
}

var _ stream.ControlLog = (*segments)(nil)

const (
	segmentsName   = "control"
	segmentEntries = 256
)

func segmentName(last int64) string { return path.Join(segmentsName, fmt.Sprintf("%012d.log", last)) }

// end is the number of the segment's last entry, counted from 1.
func (g *segment) end() int64 { return g.Before + int64(len(g.Entries)) }

// newest is the incarnation of the newest start up to the segment's end.
func (g *segment) newest() int64 {
	n := g.Incarnation
	for _, e := range g.Entries {
		if e.Kind == stream.ControlStart {
			n = max(n, e.Incarnation)
		}
	}
	return n
}

// with is the segment that holds one more entry: this one or the next.
func (g *segment) with(e stream.ControlEntry) segment {
	next := segment{Before: g.Before, Incarnation: g.Incarnation}
	if len(g.Entries) == segmentEntries {
		next = segment{Before: g.end(), Incarnation: g.newest()}
	} else {
		next.Entries = append(next.Entries, g.Entries...)
	}
	next.Entries = append(next.Entries, e)
	return next
}

// encode seals a segment with a checksum, as pointers are.
func (g *segment) encode() ([]byte, error) {
	text, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s\n%s\n", checksum(text), text), nil
}

func decodeSegment(content []byte, last int64) (segment, error) {
	var g segment
	sum, text, _ := bytes.Cut(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
	if string(sum) != checksum(text) {
		return g, fmt.Errorf("%w: its checksum is %s, written was %q", ErrDamaged, checksum(text), sum)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		return g, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if g.end() != last {
		return g, fmt.Errorf("%w: it ends with entry %d", ErrDamaged, g.end())
	}
	return g, nil
}

// readSegments reads the log from the segment on that holds the entry after so
// many, and lists the objects that later ones of their segments replace.
//
// Between the list and the reading an object may go, since the next one is there:
// then it looks again.
func readSegments(ctx context.Context, store Store, from int64) (log []segment, old []string, err error) {
	const looks = 10
	for n := 1; ; n++ {
		log, old, err = lookAtSegments(ctx, store, from)
		if n == looks || !errors.Is(err, fs.ErrNotExist) {
			return log, old, err
		}
	}
}

func lookAtSegments(ctx context.Context, store Store, from int64) (log []segment, old []string, err error) {
	listed, err := store.List(ctx, segmentsName)
	if err != nil {
		return nil, nil, fmt.Errorf("listing the control log of %s: %w", store, err)
	}
	number := func(l Listed) int64 {
		n, err := strconv.ParseInt(strings.TrimSuffix(path.Base(l.Name), ".log"), 10, 64)
		if err != nil || n < 1 || segmentName(n) != l.Name {
			return 0
		}
		return n
	}
	of := func(entry int64) int64 { return (entry - 1) / segmentEntries }
	for i, l := range listed {
		n := number(l)
		if n == 0 {
			continue
		}
		if i+1 < len(listed) && of(number(listed[i+1])) == of(n) {
			old = append(old, l.Name)
			continue
		}
		if of(n) < of(from+1) {
			continue
		}
		content, err := store.Get(ctx, l.Name)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the control log, %s: %w", l.Name, err)
		}
		g, err := decodeSegment(content, n)
		if err == nil && len(log) > 0 && g.Before != log[len(log)-1].end() {
			err = fmt.Errorf("%w: the entries before %d are missing", ErrDamaged, g.Before+1)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("the control log, %s: %w", l.Name, err)
		}
		log = append(log, g)
	}
	return log, old, nil
}

// Entries reads what a restart from a retained epoch may need.
func (c *segments) Entries(ctx context.Context) (before int64, entries []stream.ControlEntry, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, err := c.state.pointers(ctx)
	if err != nil {
		return 0, nil, err
	}
	from := int64(math.MaxInt64 - 1)
	for _, r := range kept {
		if r.err == nil {
			from = min(from, r.pointer.Control)
		}
	}
	if from == math.MaxInt64-1 {
		from = 0
	}
	log, old, err := readSegments(ctx, c.state.store, from)
	if err != nil {
		return 0, nil, err
	}
	_ = c.state.store.Delete(ctx, old...) // the next start tries again
	if len(log) > 0 {
		c.tail = log[len(log)-1]
		if first := log[0]; first.Before > 0 {
			before = first.Before - 1
			entries = append(entries, stream.ControlEntry{Partition: -1, Kind: stream.ControlStart, Watermark: stream.NoTime, Incarnation: first.Incarnation})
		}
	}
	for _, g := range log {
		entries = append(entries, g.Entries...)
	}
	c.opened = true
	return before, entries, nil
}

// Append creates the object of the log with one more entry. After an error that
// leaves open whether the entry is there no other can follow: the next process
// reads how it is.
func (c *segments) Append(ctx context.Context, e stream.ControlEntry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.opened {
		return errors.New("appending to the control log: it was not read")
	}
	if c.failed != nil {
		return fmt.Errorf("appending to the control log: an entry before may be lost: %w", c.failed)
	}
	next := c.tail.with(e)
	content, err := next.encode()
	if err != nil {
		return fmt.Errorf("appending to the control log: %w", err)
	}
	err = c.state.create(ctx, segmentName(next.end()), content)
	switch {
	case err == nil:
		err = c.state.fenced(ctx) // a process that was replaced may find the place of an object that has gone
	case errors.Is(err, fs.ErrExist):
		err = fmt.Errorf("%w: entry %d is there already", stream.ErrFenced, next.end())
	}
	if c.failed = err; err != nil {
		return fmt.Errorf("appending to the control log: %w", err)
	}
	if next.Before == c.tail.Before && len(c.tail.Entries) > 0 {
		_ = c.state.store.Delete(ctx, segmentName(c.tail.end())) // else Entries does
	}
	c.tail = next
	return nil
}

// Close has nothing to do: every entry is durable.
func (c *segments) Close() error { return nil }

// OpenControl opens the control log of a state that this process has claimed. In a
// folder it is a file, and each epoch that is committed lets entries go to an
// archive.
func (s *State) OpenControl() (stream.ControlLog, error) {
	folder := s.folder()
	if folder == nil {
		return &segments{state: s}, nil
	}
	if s.lock == nil {
		return nil, fmt.Errorf("opening the control log: the state folder %s is not claimed", folder)
	}
	c, err := openControl(folder.fs, folder.dir)
	if err != nil {
		return nil, err
	}
	s.control = c
	return c, nil
}

// ReadControl reads the whole control log and changes nothing: what makes bounded
// input give the rows that were once computed live from it. A process may be using
// the state.
func (s *State) ReadControl(ctx context.Context) ([]stream.ControlEntry, error) {
	if folder := s.folder(); folder != nil {
		return readControl(folder.fs, folder.dir)
	}
	log, _, err := readSegments(ctx, s.store, 0)
	if err == nil && len(log) == 0 {
		err = fmt.Errorf("there is no control log in %s: %w", s.store, fs.ErrNotExist)
	}
	var all []stream.ControlEntry
	for _, g := range log {
		all = append(all, g.Entries...)
	}
	return all, err
}
