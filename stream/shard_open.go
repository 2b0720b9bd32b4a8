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

// territoryCells are cells of one territory, ascending, each once.
type territoryCells struct {
	id    geo.Territory
	cells []geo.Cell
}

// byTerritory sorts cells; those of another resolution than the grid's have no
// open windows and are left out.
func (g *gridShape) byTerritory(cells []geo.Cell) []territoryCells {
	var parts []territoryCells
	at := map[geo.Territory]int{}
	for _, c := range slices.Compact(slices.Sorted(slices.Values(cells))) {
		if c.Resolution() != g.resolution {
			continue
		}
		id := g.territories.Of(c)
		i, known := at[id]
		if !known {
			i = len(parts)
			at[id], parts = i, append(parts, territoryCells{id: id})
		}
		parts[i].cells = append(parts[i].cells, c)
	}
	return parts
}

// question asks a shard for open rows. It is answered in slices, so that nothing
// else has to wait for long; each block tells the state at its slice.
type question struct {
	shard *Shard
	parts []territoryCells // left
	end   int64            // where the windows end, µs; it may go on from slice to slice
	rows  []*Rows          // so far
}

const (
	openCells  = 2048    // of a slice
	openVisits = 1 << 16 // what a slice gathers cell by cell; where there is more, it sums over disks
)

// ask begins a question. Its windows end with the newest pane with an event in
// the territories asked for.
func (s *Shard) ask(parts []territoryCells) *question {
	q := &question{shard: s, parts: slices.Clone(parts), end: NoTime}
	for _, p := range parts {
		t := s.byID[p.id]
		if t == nil {
			continue
		}
		if newest, open := t.newestOpen(s.done); open {
			q.end = max(q.end, newest, t.open.end())
		}
	}
	return q
}

// Open computes the rows of windows that are still open, now, in blocks that the
// caller owns: of the cells given, in the shard's own territories, those that
// have something in their row or a forecast, ascending within each territory,
// each once. The window end is the end of the newest pane with an event in their
// territories. Where no window is open there is no block.
func (s *Shard) Open(cells []geo.Cell) ([]*Rows, error) {
	for q := s.ask(s.shape.byTerritory(cells)); ; {
		if more, err := q.slice(); !more || err != nil {
			return q.rows, err
		}
	}
}

// slice answers for the next cells, at most openCells and of one territory.
func (q *question) slice() (more bool, err error) {
	for ; len(q.parts) > 0; q.parts = q.parts[1:] {
		p, s := &q.parts[0], q.shard
		t := s.byID[p.id]
		if t == nil || len(p.cells) == 0 {
			continue
		}
		newest, open := t.newestOpen(s.done)
		if !open {
			continue
		}
		q.end = max(q.end, newest, t.open.end())
		t.openTo(q.end)
		n := min(len(p.cells), openCells)
		q.rows, err = s.emitter.open(t, q.end, p.cells[:n], q.rows)
		p.cells = p.cells[n:]
		if err == nil {
			err = s.options.memory.failed()
		}
		return err == nil, err
	}
	return false, nil
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
func (o *opening) rest(t *territory, end int64) {
	if o.view == nil {
		return
	}
	if o.left--; o.left <= 0 || o.view.end() < end {
		o.view.discard(t)
		o.view = nil
	}
}

// end is where the open windows end; NoTime where there are none.
func (o *opening) end() int64 {
	if o.view == nil {
		return NoTime
	}
	return o.view.end()
}

// open adds blocks of open rows: a few are gathered cell by cell, many are read
// from sums over disks.
func (e *emitter) open(t *territory, end int64, cells []geo.Cell, rows []*Rows) ([]*Rows, error) {
	em := &emission{t: t, v: t.open.view, end: end}
	widest := e.shape.rings[len(e.shape.rings)-1]
	if e.shape.ringed && len(cells)*(1+3*widest*(widest+1)) > e.visits {
		return e.openSums(em, cells, rows)
	}
	for chunk := range slices.Chunk(cells, BlockRows) {
		r := e.begin(em, 0)
		r.Open = true
		for _, c := range chunk {
			if e.values.gather(em, c) || t.forecasts(c, end) {
				r.Cells = append(r.Cells, c)
				e.columns.write(r, em, &e.values, 0)
			}
		}
		rows = e.opened(r, rows)
	}
	return rows, nil
}

// opened ends a block of open rows.
func (e *emitter) opened(r *Rows, rows []*Rows) []*Rows {
	if len(r.Cells) == 0 {
		r.Release()
		return rows
	}
	e.columns.features(r)
	return append(rows, r)
}

// openSums is open over the disk sums, which the next pane closed makes anew.
func (e *emitter) openSums(em *emission, cells []geo.Cell, rows []*Rows) ([]*Rows, error) {
	t := em.t
	e.sums.load(t, em.v.windows[0])
	if err := t.disks.SumAt(e.sums.sources, cells); err != nil {
		return rows, err
	}
	e.sums.fold(em)
	for first := 0; t.disks.Fill(&e.block, first); first += BlockRows {
		e.values.ringed(&e.sums, &e.block)
		e.sums.occupied(&e.block, e.occupied)
		r := e.begin(em, 0)
		r.Open = true
		r.Cells = append(r.Cells, e.block.Cells...)
		e.columns.write(r, em, &e.values, 0)
		e.kept = e.kept[:0]
		for i, c := range r.Cells {
			occupied := e.occupied[i]
			if e.shape.emitCell {
				occupied = em.holds(c)
			}
			if occupied || t.forecasts(c, em.end) {
				e.kept = append(e.kept, int32(i))
			}
		}
		r.keep(e.kept)
		rows = e.opened(r, rows)
	}
	t.disks.Rest()
	return rows, nil
}

// holds tells whether a cell's own widest window holds anything.
func (em *emission) holds(c geo.Cell) bool {
	slot, known := em.t.table.Find(c)
	return known && em.v.windows[0].Held(slot)
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
	if v.shape.emitCell {
		occupied = em.holds(c)
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
	c := &v.columns[number]
	c.Hi = v.upper(number)
	c.Lo[0], c.Hi[0] = sum.Lo, sum.Hi
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
