package stream

import (
	"math/bits"
	"slices"
)

// span holds the winners of one aligned span of event time: an open-addressed
// table over a dense array of rows.
//
// Invariant: each slot holds 0 or the upper half of a key's hash and, in the
// lower half, the number of the key's row plus 1; at most half of the slots are
// taken; every key is in the rows once.
type span struct {
	start    int64 // µs
	slots    []uint64
	rows     []uint64 // winnerLayout.words each
	n        int      // of rows
	text     []byte   // of the rows' strings, and of some that were replaced; only appended to
	shared   bool     // a frozen chunk reads text
	versions spanVersions
	outer    spanOuter
}

// spanVersions tell what of a span is in which generations.
type spanVersions struct {
	born    int64   // of the task; 0: restored
	changed []int64 // of each chunk of spanChunk rows: of its last change
}

// change notes a change of row n.
func (v *spanVersions) change(n int, version int64) {
	if n/spanChunk == len(v.changed) {
		v.changed = append(v.changed, version)
	}
	v.changed[n/spanChunk] = version
}

// spanChunk is how many rows make an entry of a task's state.
const spanChunk = 1024

const spanSlots = 16 // of a new table

func newSpan(start, version int64) *span {
	return &span{start: start, versions: spanVersions{born: version}, slots: make([]uint64, spanSlots)}
}

// reset empties the span for another start and keeps its memory.
func (s *span) reset(start, version int64) {
	clear(s.slots)
	s.start, s.rows, s.n, s.text = start, s.rows[:0], 0, s.text[:0]
	s.versions = spanVersions{version, s.versions.changed[:0]}
}

// offer lets a picked event contend for its key, in a version; it reports whether the
// key was there, which makes one of the two events a duplicate.
func (s *span) offer(l *winnerLayout, e *contenders, event int, version int64) (duplicate bool) {
	b, i, hash := e.Batch, int(e.picked[event]), mix(hashSeed, e.words.of[event])
	mask := uint64(len(s.slots) - 1)
	at := hash & mask
	for ; s.slots[at] != 0; at = (at + 1) & mask {
		slot := s.slots[at]
		if slot>>32 != hash>>32 {
			continue
		}
		n := int(uint32(slot)) - 1
		row := s.rows[n*l.words : (n+1)*l.words]
		if !l.sameKey(b.Fields, i, row, s.text) {
			continue
		}
		if l.before(b, i, row, s.text) {
			s.text = l.store(b, e.wheres, i, row, s.text)
			s.versions.change(n, version)
		}
		return true
	}
	s.slots[at] = hash>>32<<32 | uint64(s.n+1)
	s.text = l.store(b, e.wheres, i, s.grow(l), s.text)
	s.versions.change(s.n-1, version)
	if 2*s.n > len(s.slots) {
		s.rehash(l)
	}
	return false
}

// grow adds a row of zeros.
func (s *span) grow(l *winnerLayout) []uint64 {
	end := len(s.rows)
	s.rows = slices.Grow(s.rows, l.words)[:end+l.words]
	row := s.rows[end:]
	clear(row)
	s.n++
	return row
}

// rehash doubles the slots. The upper half of a hash is in its slot; the lower
// one, which picks slots, is computed again.
func (s *span) rehash(l *winnerLayout) {
	s.slots = make([]uint64, 2*len(s.slots))
	for r := range s.n {
		s.place(l, r)
	}
}

// place enters row r, whose key is not in the slots, into them.
func (s *span) place(l *winnerLayout, r int) {
	hash := mix(hashSeed, l.rowWord(s.rows[r*l.words:(r+1)*l.words], s.text))
	mask := uint64(len(s.slots) - 1)
	at := hash & mask
	for s.slots[at] != 0 {
		at = (at + 1) & mask
	}
	s.slots[at] = hash>>32<<32 | uint64(r+1)
}

// index builds the slots over rows that were restored.
func (s *span) index(l *winnerLayout) {
	size := max(spanSlots, 1<<bits.Len(uint(2*s.n)))
	s.slots = make([]uint64, size)
	for r := range s.n {
		s.place(l, r)
	}
}
