package stream

import (
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
)

// opening is the windows that lookups read: they run ahead of the frontier, to
// the end of the newest pane with an event, and take each partial as it comes.
// They are made at the first lookup and given up when none has come for some panes.
type opening struct {
	view *view // nil: nobody asks
	left int   // closes until it is given up
}

const openCloses = 16 // without a lookup

// Open computes the rows of windows that are still open, now, into an empty
// block: of the cells given, in the shard's own territories, those that have
// something in their row or a forecast, ascending, each once. The window end is
// the end of the newest pane with an event in their territories. Where no window
// is open the block stays empty. It may hold more than BlockRows rows.
func (s *Shard) Open(cells []geo.Cell, out *Rows) error {
	cells = slices.Compact(slices.Sorted(slices.Values(cells)))
	end := int64(NoTime)
	byTerritory := map[*territory][]geo.Cell{}
	for _, c := range cells {
		t := s.byID[s.shape.territories.Of(c)]
		if t == nil || c.Resolution() != s.shape.resolution {
			continue
		}
		if newest, open := t.newestOpen(s.done); open {
			byTerritory[t] = append(byTerritory[t], c)
			end = max(end, newest)
			if t.open.view != nil {
				end = max(end, t.open.view.end())
			}
		}
	}
	out.Shard, out.Resolution, out.WindowEnd, out.Open = s.id, s.shape.resolution, end, true
	s.emitter.columns.prepare(out)
	for _, c := range cells {
		t := s.byID[s.shape.territories.Of(c)]
		if len(byTerritory[t]) == 0 {
			continue
		}
		t.openTo(end)
		out.Territory = t.id
		s.emitter.openRow(t, c, end, out)
	}
	s.emitter.columns.features(out)
	return nil
}

// newestOpen is the end of the newest pane with an event; open: no row tells of
// it yet.
func (t *territory) newestOpen(done frontiers) (end int64, open bool) {
	panes := t.panes.All()
	if len(panes) == 0 {
		return 0, false
	}
	end = panes[len(panes)-1].Start + t.shape.pane
	closed, told := t.final.end(), done.final
	if t.provisional != nil {
		closed, told = max(closed, t.provisional.end()), done.provisional
	}
	return end, end > max(closed, told)
}

func (t *territory) openTo(end int64) {
	if t.open.view == nil {
		t.open.view = newView(t)
	}
	t.open.left = openCloses
	t.open.view.slide(t, end)
}

// rest gives the open windows up when nobody has asked for long, or when a pane
// that they hold is about to be dropped: they could never take it out again.
// Windows that end at or after end, the newest final one, hold none of those.
func (o *opening) rest(end int64) {
	if o.view == nil {
		return
	}
	if o.left--; o.left <= 0 || o.view.end() < end {
		o.view = nil
	}
}

// openRow adds a cell's row, gathered cell by cell.
func (e *emitter) openRow(t *territory, c geo.Cell, end int64, out *Rows) {
	em := &emission{t: t, v: t.open.view, end: end}
	e.occupied[0] = e.values.gather(em, c)
	if !e.occupied[0] && !t.forecasts(c, end) {
		return
	}
	out.Cells = append(out.Cells, c)
	e.columns.write(out, em, &e.values, 0)
}

// forecasts tells whether a model has a forecast of a cell.
func (t *territory) forecasts(c geo.Cell, end int64) bool {
	for _, m := range t.models {
		if f := m.current(end); f != nil {
			if _, found := slices.BinarySearch(f.cells, c); found {
				return true
			}
		}
	}
	return false
}

// gather loads one row, by visiting its disk; occupied: it exists by its events.
func (v *values) gather(em *emission, c geo.Cell) (occupied bool) {
	v.nothing(1)
	t, w := em.t, em.v.windows[0]
	visit := func(ring int, near geo.Cell) {
		slot, known := t.table.Find(near)
		if !known || !w.Held(slot) {
			return
		}
		occupied = true
		for size := range v.shape.sizes {
			for m := range v.shape.measures {
				v.include(em, v.number(ring, size, m), m, size, slot)
			}
		}
	}
	if v.shape.ringed {
		geo.Gather(c, v.shape.rings, visit)
	} else {
		visit(0, c)
	}
	if slot, known := t.table.Find(c); v.shape.emitCell {
		occupied = known && w.Held(slot)
	}
	v.widen()
	return occupied
}

// include merges a cell's window into column number of row 0.
func (v *values) include(em *emission, number, m, size int, slot int32) {
	w := em.v.windows[0]
	c := &v.columns[number]
	if w.Lane(m, size) >= 0 {
		v.put(number, c.Sum(0).Add(w.Sum(slot, m, size)))
		return
	}
	x := w.Extreme(&em.t.panes, nil, slot, m, size)
	c.Lo[0] = uint64(pick(v.shape.measures[m].Kind, int64(c.Lo[0]), x))
}

func (v *values) put(number int, sum exact.Int128) {
	_, hi := v.own(number)
	c := &v.columns[number]
	c.Lo[0], c.Hi = sum.Lo, hi
	c.Hi[0] = sum.Hi
}

// pick is the smaller or the larger.
func pick(k aggregate.MeasureKind, a, b int64) int64 {
	if k == aggregate.Min {
		return min(a, b)
	}
	return max(a, b)
}

// widen merges each ring of row 0 into the next wider one.
func (v *values) widen() {
	ring := len(v.shape.sizes) * len(v.shape.measures)
	for number := ring; number < len(v.columns); number++ {
		m := number % len(v.shape.measures)
		within, c := &v.columns[number-ring], &v.columns[number]
		if v.shape.measures[m].Kind == aggregate.Sum {
			v.put(number, c.Sum(0).Add(within.Sum(0)))
			continue
		}
		c.Lo[0] = uint64(pick(v.shape.measures[m].Kind, int64(c.Lo[0]), int64(within.Lo[0])))
	}
}
