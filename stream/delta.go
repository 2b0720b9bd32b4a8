package stream

import (
	"bytes"
	"slices"
)

// Delta is what of a machine's state is other than in the epoch that it is to be
// added to. It is frozen: the machine goes on while the delta is encoded.
//
// Every part of a state has the version in which it changed last. A machine's
// version is the number of the barrier that it meets next, so the parts of a
// version above that of the last committed epoch are those which it lacks. An
// epoch that failed needs nothing more: its changes are in the next one.
type Delta struct {
	Removed [][]byte // keys of entries that are no more
	parts   []frozen
	since   int64 // parts above this version belong to it
	number  int64 // of the barrier, and the version of what changed just before it
}

// frozen is an entry still to be encoded.
type frozen struct {
	key   []byte
	value func() []byte
}

// Whole tells that the entries are all there is: nothing kept before counts.
func (d *Delta) Whole() bool { return d.since == Everything }

// lacks tells whether what changed last in a version belongs to the delta.
func (d *Delta) lacks(version int64) bool { return version > d.since }

// add adds an entry whose value is encoded later, on another goroutine, one value
// after the other: it may read nothing that the machine still changes.
func (d *Delta) add(key []byte, value func() []byte) {
	d.parts = append(d.parts, frozen{key, value})
}

// put adds an entry that is encoded already.
func (d *Delta) put(key, value []byte) {
	d.add(key, func() []byte { return value })
}

// head is an entry that a machine always has. It changes where its bytes do.
type head struct {
	value   []byte
	changed int64 // version
}

// head adds a head, if it changed.
func (d *Delta) head(h *head, key, value []byte) {
	if !bytes.Equal(h.value, value) {
		h.value, h.changed = value, d.number
	}
	if d.lacks(h.changed) {
		d.put(key, value)
	}
}

// restored is a head that the last committed epoch has.
func restored(value []byte) head { return head{value: slices.Clone(value)} }

// Empty tells that nothing changed.
func (d *Delta) Empty() bool { return len(d.parts)+len(d.Removed) == 0 }

// Entries encodes the entries, in the order of the machine. It may be called from
// any goroutine.
func (d *Delta) Entries() []Entry {
	entries := make([]Entry, len(d.parts))
	for i, p := range d.parts {
		entries[i] = Entry{Key: p.key, Value: p.value()}
	}
	return entries
}

// Everything is the version before all others: a delta since it is the whole state.
const Everything int64 = -1

// versions counts a machine's versions, and what was removed in each.
type versions struct {
	now  int64 // of changes that happen now
	gone []removal
	lost int64 // the version in which removals were forgotten; 0: in none
}

// removal is an entry that is no more.
type removal struct {
	key     []byte
	version int64
}

// keptRemovals bounds what a machine remembers of removals while no epoch is committed.
const keptRemovals = 1 << 16

// newVersions begins with the first barrier: parts that are restored are of version 0.
func newVersions() versions { return versions{now: 1} }

// remove notes that an entry of a part, made in a version, is no more. One that
// no barrier has met since it was made is in no generation.
func (v *versions) remove(born int64, key func() []byte) {
	if born == v.now {
		return
	}
	if len(v.gone) == keptRemovals {
		v.gone, v.lost = nil, v.now
	}
	v.gone = append(v.gone, removal{key(), v.now})
}

// begin begins the delta since a version, and the next version.
func (v *versions) begin(since int64) *Delta {
	d := &Delta{since: since, number: v.now}
	v.now++
	if since < v.lost {
		d.since = Everything
	}
	if d.Whole() {
		return d
	}
	v.gone = slices.DeleteFunc(v.gone, func(r removal) bool { return r.version <= since })
	for _, r := range v.gone {
		d.Removed = append(d.Removed, r.key)
	}
	return d
}
