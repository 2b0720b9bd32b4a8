package stream

import (
	"bytes"
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
)

// reasons is the number of values of Reason.
const reasons = int(TooFarAhead) + 1

// evaluate runs the filter and the where programs over a batch.
func (t *Task) evaluate(b *Batch) {
	if f := t.intake.filter; f != nil {
		t.scratch.filter = f(b.Fields, b.Len(), t.scratch.filter[:0])
	}
	for w, program := range t.intake.wheres {
		t.scratch.wheres[w] = program(b.Fields, b.Len(), t.scratch.wheres[w][:0])
	}
}

// admit decides, record by record, which events are accepted, and moves the
// watermark after each one. It leaves their rows in scratch.picked.
func (t *Task) admit(b *Batch, from, to int, out *Ingested) {
	t.scratch.picked = slices.Grow(t.scratch.picked[:0], to-from)
	t.counts.Read += int64(to - from)
	plain := b.Reasons == nil && b.NotAfter == nil && !t.intake.byCell && t.intake.filter == nil
	for i := from; i < to; i++ {
		if plain {
			if i = t.accept(b, i, to); i == to {
				return
			}
		}
		t.judge(b, i, out)
	}
}

// accept accepts events up to the first that needs to be judged, or to the last. Times
// and places decide; an event at or after what is complete is not late.
func (t *Task) accept(b *Batch, from, to int) int {
	least, most := max(t.intake.notBefore, t.options.From), min(b.Limit, t.options.To-1)
	complete, behind := t.lateness.complete, t.lateness.outOfOrder+t.lateness.allowed
	newest := t.accepted
	times, lats, lngs := b.Times[from:to], b.Lats[from:to], b.Lngs[from:to]
	picked := t.scratch.picked
	at := int32(from)
	for n, time := range times {
		if time < max(least, complete) || time > most || !geo.OnEarth(lats[n], lngs[n]) {
			break
		}
		newest, complete = max(newest, time), max(complete, time-behind)
		picked = append(picked, at)
		at++
	}
	if n := int(at) - from; n > 0 {
		t.scratch.picked = picked
		t.accepted = newest
		t.lateness.observe(newest)
	}
	return int(at)
}

// judge decides about one record.
func (t *Task) judge(b *Batch, i int, out *Ingested) {
	if r := t.check(b, i); r != Accepted {
		t.bury(b, i, r, out)
		return
	}
	time := b.Times[i]
	switch {
	case time < t.options.From || time >= t.options.To:
		t.counts.Outside++
		return
	case t.intake.filter != nil && !t.scratch.filter.Get(i):
		t.counts.Filtered++
	case t.lateness.late(time):
		t.counts.Late++
		t.report(b, i, out)
	default:
		t.accepted = max(t.accepted, time)
		t.scratch.picked = append(t.scratch.picked, int32(i))
	}
	t.lateness.observe(time)
}

// check finds out whether a record is an event.
func (t *Task) check(b *Batch, i int) Reason {
	if b.Reasons != nil && b.Reasons[i] != Accepted {
		return b.Reasons[i]
	}
	time := b.Times[i]
	if time < t.intake.notBefore {
		return TooEarly
	}
	latest := b.Limit
	if b.NotAfter != nil {
		latest = b.NotAfter[i]
	}
	if time > latest {
		return TooFarAhead
	}
	if t.intake.byCell {
		return t.checkCell(b, i)
	}
	if geo.OnEarth(b.Lats[i], b.Lngs[i]) {
		return Accepted
	}
	return BadLocation
}

// checkCell accepts cells of the pipeline's resolution, and finer ones, which
// become their ancestors there.
func (t *Task) checkCell(b *Batch, i int) Reason {
	c := b.Cells[i]
	if !c.Valid() || c.Resolution() < t.intake.resolution {
		return BadLocation
	}
	if c.Resolution() > t.intake.resolution {
		parent, err := c.Parent(t.intake.resolution)
		if err != nil {
			return BadLocation
		}
		b.Cells[i] = parent
	}
	return Accepted
}

// bury makes a record a dead letter; the watermark stays as it is.
func (t *Task) bury(b *Batch, i int, r Reason, out *Ingested) {
	t.counts.Dead++
	t.dead[r]++
	out.Dead = append(out.Dead, DeadLetter{Partition: t.partition, Position: b.Positions[i], Reason: r, Raw: b.raw(i)})
}

// report hands on an event that is late.
func (t *Task) report(b *Batch, i int, out *Ingested) {
	time := b.Times[i]
	out.Late = append(out.Late, LateRecord{
		Partition: t.partition, Position: b.Positions[i], Time: time,
		PaneEnd: floor(time, t.intake.pane) + t.intake.pane, Watermark: t.lateness.watermark, Raw: b.raw(i),
	})
}

// raw is a copy of a record as it was read.
func (b *Batch) raw(i int) []byte {
	if b.Raw == nil {
		return nil
	}
	return bytes.Clone(b.Raw.At(i))
}

// pick turns rows of a batch into events.
func (t *Task) pick(b *Batch, rows []int32) {
	s, e := &t.scratch, &t.scratch.events
	e.times = gather(e.times, b.Times, rows)
	if t.intake.byCell {
		e.cells = gather(e.cells, b.Cells, rows)
	} else {
		s.lats, s.lngs = gather(s.lats, b.Lats, rows), gather(s.lngs, b.Lngs, rows)
		t.index()
	}
	for m := range t.intake.measures {
		e.contributions[m] = t.contribution(m, b, rows, e.contributions[m])
	}
}

// index finds the cells of the points in scratch, all of which have passed the
// check of locations: for those there is no error.
func (t *Task) index() {
	s, e := &t.scratch, &t.scratch.events
	e.cells = resize(e.cells, len(s.lats))
	_ = geo.IndexBatch(e.cells, s.lats, s.lngs, t.intake.resolution)
}

// resize is s with n values, old or zero.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// contribution is what each row of a batch adds to a measure; nil: 1 each.
func (t *Task) contribution(m int, b *Batch, rows []int32, dst []int64) []int64 {
	measure := t.intake.measures[m]
	if measure.Field < 0 && measure.Where < 0 {
		return nil
	}
	dst = resize(dst, len(rows))
	switch {
	case measure.Field < 0:
		for n := range rows {
			dst[n] = 1
		}
	case b.Fields[measure.Field].Kind == column.Float:
		v := b.Fields[measure.Field].Floats
		for n, i := range rows {
			dst[n] = aggregate.FloatKey(v[i])
		}
	default:
		dst = gather(dst, b.Fields[measure.Field].Ints, rows)
	}
	none := identity(measure.Kind)
	if measure.Where >= 0 {
		where := t.scratch.wheres[measure.Where]
		for n, i := range rows {
			if !where.Get(int(i)) {
				dst[n] = none
			}
		}
	}
	if measure.Field >= 0 && b.Fields[measure.Field].Nulls.Any() {
		for n, i := range rows {
			if b.Fields[measure.Field].Null(int(i)) {
				dst[n] = none
			}
		}
	}
	return dst
}
