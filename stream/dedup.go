package stream

import (
	"slices"

	"github.com/hextide/hextide/column"
)

// dedup keeps, of each key in each aligned span of event time, the event that
// comes first in the order of winners, whichever was read first.
//
// Which events win does not depend on when spans are closed: what could still
// enter a span that may close is late.
//
// Invariant: spans ascend by start and are not empty.
type dedup struct {
	layout winnerLayout
	length int64 // of a span, µs; a whole number of panes
	spans  []*span
	last   *span // the one that was asked for last
	free   []*span
	hashes []uint64
	memory *share // nil: all winners stay in memory
	used   *span  // the one that was brought into memory last
}

func newDedup(layout winnerLayout, length int64) *dedup {
	return &dedup{layout: layout, length: length}
}

// offer lets the picked events of a batch contend and returns how many events,
// of these or of earlier ones, turned out to be duplicates.
func (d *dedup) offer(b *Batch, wheres []column.Bitmap, picked []int32, version int64) (duplicates int64) {
	d.hashes = resize(d.hashes, len(picked))
	d.layout.hash(d.hashes, b.Fields, picked)
	for n, i := range picked {
		s := d.at(b.Times[i], version)
		if s.offer(&d.layout, b, wheres, int(i), d.hashes[n], version) {
			duplicates++
		}
	}
	d.changed()
	return duplicates
}

// at is the span that holds an event time, made in a version where there is none.
func (d *dedup) at(t, version int64) *span {
	if s := d.last; s != nil && t >= s.start && t-s.start < d.length {
		return s
	}
	start := floor(t, d.length)
	i, found := slices.BinarySearchFunc(d.spans, start, compareStart)
	if !found {
		d.spans = slices.Insert(d.spans, i, d.fresh(start, version))
	}
	s := d.spans[i]
	d.use(s)
	s.outer.same = false
	d.last = s
	return s
}

func compareStart(s *span, start int64) int {
	switch {
	case s.start < start:
		return -1
	case s.start > start:
		return 1
	}
	return 0
}

func (d *dedup) fresh(start, version int64) *span {
	n := len(d.free)
	if n == 0 {
		return newSpan(start, version)
	}
	s := d.free[n-1]
	d.free = d.free[:n-1]
	s.reset(start, version)
	return s
}

// closing counts the open spans, from the oldest, that end at or before complete.
func (d *dedup) closing(complete int64) int {
	n := 0
	for n < len(d.spans) && d.spans[n].start <= less(complete, d.length) {
		n++
	}
	return n
}

// drop forgets the oldest span. As many are used again as a backlog's batch may
// fill at once.
func (d *dedup) drop() {
	const keptSpans = 64
	s := d.spans[0]
	if s.shared { // the frozen chunk keeps it
		s.text, s.shared = nil, false
	}
	if d.memory != nil {
		d.release(s)
	} else if len(d.free) < keptSpans {
		d.free = append(d.free, s)
	}
	d.spans = slices.Delete(d.spans, 0, 1)
	d.last, d.used = nil, nil
}

// oldest is the start of the oldest open span.
func (d *dedup) oldest() (start int64, open bool) {
	if len(d.spans) == 0 {
		return 0, false
	}
	return d.spans[0].start, true
}

// newestEnd is the end of the newest open span.
func (d *dedup) newestEnd() (end int64, open bool) {
	if len(d.spans) == 0 {
		return 0, false
	}
	return d.spans[len(d.spans)-1].start + d.length, true
}
