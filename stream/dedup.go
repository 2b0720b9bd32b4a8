package stream

import (
	"cmp"
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
	layout  winnerLayout
	length  int64 // of a span, µs; a whole number of panes
	spans   []*span
	free    []*span
	events  contenders
	heats   heats
	contest contest
	brief   []brief // spans of the batch that was offered last
	memory  *share  // nil: all winners stay in memory
	used    *span   // the one that was brought into memory last
}

func newDedup(layout winnerLayout, length int64) *dedup {
	return &dedup{layout: layout, length: length, contest: newContest()}
}

// offer lets the picked events of a batch contend and returns how many events,
// of these or of earlier ones, turned out to be duplicates. Spans that end at or
// before complete get no more events; those of them that have none of an earlier batch
// become brief.
func (d *dedup) offer(b *Batch, wheres []column.Bitmap, picked []int32, version, complete int64) (duplicates int64) {
	e := &d.events
	e.Batch, e.wheres, e.picked = b, wheres, picked
	d.layout.keyWords(&e.words, b.Fields, picked)
	d.heats.group(b.Times, picked, d.length)
	d.brief = d.brief[:0]
	d.contest.reset()
	for _, h := range d.heats.all {
		i, open := slices.BinarySearchFunc(d.spans, h.start, func(s *span, start int64) int { return cmp.Compare(s.start, start) })
		if !open && h.start <= less(complete, d.length) {
			duplicates += d.decide(h)
			continue
		}
		if !open {
			d.spans = slices.Insert(d.spans, i, d.fresh(h.start, version))
		}
		duplicates += d.enter(d.spans[i], h, version)
	}
	e.Batch, e.wheres, e.picked = nil, nil, nil
	d.changed()
	return duplicates
}

// decide finds the winners of a brief span.
func (d *dedup) decide(h heat) (duplicates int64) {
	base := len(d.contest.winners)
	for n := h.first; n >= 0; n = d.heats.runs[n].next {
		duplicates += d.contest.enter(&d.layout, &d.events, &d.heats.runs[n], base)
	}
	d.brief = append(d.brief, brief{h.start, base, len(d.contest.winners)})
	return duplicates
}

// enter lets events contend in a span that is kept.
func (d *dedup) enter(s *span, h heat, version int64) (duplicates int64) {
	d.use(s)
	s.outer.same = false
	e := &d.events
	for n := h.first; n >= 0; n = d.heats.runs[n].next {
		r := d.heats.runs[n]
		for i := r.from; i < r.to; i++ {
			if s.offer(&d.layout, e, int(i), version) {
				duplicates++
			}
		}
	}
	return duplicates
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
	d.used = nil
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
