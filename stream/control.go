package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"
)

// control is a run's side of the control log.
type control struct {
	turn        chan struct{} // held while an entry is written, one at a time
	log         ControlLog    // nil: nothing is written
	incarnation int64
	entries     atomic.Int64 // in the log
}

// numbered is an entry of the control log with its place in it.
type numbered struct {
	at    int64 // entries before it
	entry ControlEntry
}

// append writes an entry and returns the number of entries up to it. One partition
// at a time does.
func (c *control) append(ctx context.Context, e ControlEntry) (int64, error) {
	e.Incarnation = c.incarnation
	if c.log == nil {
		return c.count(), nil
	}
	if err := put(ctx, c.turn, struct{}{}, new(atomic.Int64)); err != nil {
		return 0, err
	}
	defer func() { <-c.turn }()
	if err := c.log.Append(ctx, e); err != nil {
		return 0, fmt.Errorf("noting in the control log that partition %d changes (%s): %w", e.Partition, e.Kind, err)
	}
	return c.entries.Add(1), nil
}

// count is the number of entries in the log.
func (c *control) count() int64 { return c.entries.Load() }

// holding leaves out the entries that are void: those of an incarnation that a
// newer one's start record comes before. What a process that was fenced still
// wrote never took effect. So many entries of the log were before these.
func holding(before int64, entries []ControlEntry) []numbered {
	var held []numbered
	newest := int64(0)
	for i, e := range entries {
		if e.Incarnation < newest {
			continue
		}
		if e.Kind == ControlStart {
			newest = e.Incarnation
			continue
		}
		held = append(held, numbered{at: before + int64(i), entry: e})
	}
	return held
}

// controlQueue holds the entries that a partition has yet to apply again.
type controlQueue struct {
	applied int64 // entries of the log that the partition's state contains
	pending []numbered
	head    head
}

// newControlQueue takes a partition's entries beyond those applied.
func newControlQueue(held []numbered, partition int32, applied int64) controlQueue {
	q := controlQueue{applied: applied}
	q.head = restored(q.value()) // a state without one contains none
	for _, n := range held {
		if n.entry.Partition == partition && n.at >= applied {
			q.pending = append(q.pending, n)
		}
	}
	return q
}

// due takes the next entry off the queue if the partition has read all records
// before it.
func (q *controlQueue) due(position int64) (ControlEntry, bool) {
	if len(q.pending) == 0 || q.pending[0].entry.Next > position {
		return ControlEntry{}, false
	}
	n := q.pending[0]
	q.pending, q.applied = q.pending[1:], n.at+1
	return n.entry, true
}

// contained is up to which entry of the log, at most all of them, the partition
// has applied those that are its own.
func (q *controlQueue) contained() int64 {
	if len(q.pending) == 0 {
		return math.MaxInt64
	}
	return q.pending[0].at
}

// next is the position of the next entry.
func (q *controlQueue) next() (position int64, any bool) {
	if len(q.pending) == 0 {
		return 0, false
	}
	return q.pending[0].entry.Next, true
}

// controlTable is the key under which a partition's state holds how much of the
// control log it contains: version | entries (8 bytes, little-endian).
const controlTable = "control"

const controlStateVersion = 1

// save adds the queue's part of a partition's state.
func (q *controlQueue) save(d *Delta) {
	d.head(&q.head, []byte(controlTable), q.value())
}

func (q *controlQueue) value() []byte {
	return binary.LittleEndian.AppendUint64([]byte{controlStateVersion}, uint64(q.applied))
}

// takeApplied takes the queue's part out of a partition's state.
func takeApplied(entries []Entry) (applied int64, rest []Entry, err error) {
	for _, e := range entries {
		if string(e.Key) != controlTable {
			rest = append(rest, e)
			continue
		}
		r := stateReader{rest: e.Value}
		r.version(controlStateVersion)
		applied = r.int()
		if err := r.end(); err != nil {
			return 0, nil, fmt.Errorf("restoring %q: %w", e.Key, err)
		}
	}
	return applied, rest, nil
}
