package stream

import (
	"math"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
)

// pickWinners turns the winners of a dedup span into events.
func (t *Task) pickWinners(s *span) {
	l, e := &t.dedup.layout, &t.scratch.events
	e.times, e.cells = e.times[:0], e.cells[:0]
	t.scratch.lats, t.scratch.lngs = t.scratch.lats[:0], t.scratch.lngs[:0]
	for r := 0; r < len(s.rows); r += l.words {
		row := s.rows[r : r+l.words]
		e.times = append(e.times, int64(row[wordTime]))
		if l.byCell {
			e.cells = append(e.cells, geo.Cell(row[wordLat]))
			continue
		}
		t.scratch.lats = append(t.scratch.lats, math.Float64frombits(row[wordLat]))
		t.scratch.lngs = append(t.scratch.lngs, math.Float64frombits(row[wordLng]))
	}
	if !l.byCell {
		t.index()
	}
	for m := range t.intake.measures {
		e.contributions[m] = t.winnersContribution(m, s, e.contributions[m])
	}
}

// winnersContribution is contribution for the rows of a span.
func (t *Task) winnersContribution(m int, s *span, dst []int64) []int64 {
	l, measure := &t.dedup.layout, t.intake.measures[m]
	if measure.Field < 0 && measure.Where < 0 {
		return nil
	}
	dst = resize(dst, s.n)
	none := identity(measure.Kind)
	for n := range dst {
		row := s.rows[n*l.words : (n+1)*l.words]
		switch {
		case !l.counts(row, measure.Field, measure.Where):
			dst[n] = none
		case measure.Field < 0:
			dst[n] = 1
		case l.kinds[measure.Field] == column.Float:
			dst[n] = aggregate.FloatKey(math.Float64frombits(row[l.fields[measure.Field]]))
		default:
			dst[n] = int64(row[l.fields[measure.Field]])
		}
	}
	return dst
}

// counts tells whether a row has a value for a field (−1: any row) and passes a
// where program (−1: any row).
func (l *winnerLayout) counts(row []uint64, field, where int) bool {
	if field >= 0 && row[l.nulls+field>>6]>>(field&63)&1 == 1 {
		return false
	}
	return where < 0 || row[l.wheres+where>>6]>>(where&63)&1 == 1
}
