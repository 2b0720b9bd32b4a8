package stream

import (
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// emitter makes the rows of a closed pane, block by block of at most BlockRows:
// the measures of the block's cells over every ring and window, then the
// columns. Memory is used again from pane to pane.
type emitter struct {
	shard  *Shard
	shape  *shape
	pool   *RowPool
	sums   diskSums
	maker           // of the blocks that are made one after another
	beside []*maker // of those that are made beside it
	made   []made
	work   emission // the close at work
	outlet outlet   // of the Step at work
	visits int      // up to which open rows are gathered
	emitterLists
}

// emitterLists is memory used again.
type emitterLists struct {
	forced []geo.Cell // rows for the models' sake
	listed []aggregate.Ordered
	cells  []geo.Cell
	rows   []geo.Cell // of the level being emitted
	live   []geo.Cell // of them: those with something in their row
	gone   []geo.Cell
	kept   []int32
	record []byte
}

// emission is one close.
type emission struct {
	t        *territory
	v        *view
	end      int64 // µs
	revision int32
	final    bool
	out      *outlet
	write    *said // provisional rows are noted here
	compare  bool  // only what differs from before goes out
	before   *said // nil: nothing was said
}

func newEmitter(s *Shard) *emitter {
	return &emitter{shard: s, shape: s.shape, pool: s.options.Pool, maker: newMaker(s.shape), visits: openVisits}
}

// final emits what a final close tells: every row, or, after provisional ones,
// those that have changed.
func (e *emitter) final(t *territory, end int64, out *outlet) error {
	em := &e.work
	*em = emission{t: t, v: t.final, end: end, final: true, out: out}
	if t.provisional == nil {
		return e.emit(em)
	}
	before := t.said.at(end)
	if silent := e.shard.silent; silent.final < end && end <= silent.provisional {
		em.revision, em.compare = 1, true // with nothing: what was told is not known
		return e.emit(em)
	}
	if t.touched.has(end) {
		em.revision, em.compare, em.before = 1, true, before
		return e.emit(em)
	}
	for i := range t.final.live {
		t.final.live[i] = before.live(t.final.live[i][:0], i)
	}
	return nil
}

// provisional slides the provisional windows and emits their rows.
func (e *emitter) provisional(t *territory, end int64, out *outlet) error {
	t.provisional.slide(t, end)
	e.work = emission{t: t, v: t.provisional, end: end, out: out, write: t.said.begin(end, e.shard.versions.now, len(t.provisional.windows))}
	return e.emit(&e.work)
}

// emit emits the rows of the cells, then those of the parents, each followed by
// the markers.
func (e *emitter) emit(em *emission) error {
	e.force(em)
	for i := range em.v.windows {
		e.rows, e.live = e.rows[:0], e.live[:0]
		switch {
		case i > 0:
			e.direct(em, i, em.v.windows[i].Order())
		case e.shape.ringed:
			if err := e.ringed(em); err != nil {
				return err
			}
		default:
			e.direct(em, 0, withForced(e.listed[:0], em.v.windows[0].Order(), e.forced, &e.listed))
		}
		if e.shard.options.FinalOnly {
			continue
		}
		e.markers(em, i)
		em.v.live[i] = append(em.v.live[i][:0], e.live...)
	}
	return nil
}

// force collects the cells that models have new forecasts of, ascending.
func (e *emitter) force(em *emission) {
	e.forced = e.forced[:0]
	for _, m := range em.t.models {
		if f := m.due(em.end); f != nil {
			e.forced = append(e.forced, f.cells...)
		}
	}
	if len(em.t.models) > 1 {
		slices.Sort(e.forced)
		e.forced = slices.Compact(e.forced)
	}
}

// withForced merges the forced cells into active ones, with slot −1 where they
// are not active; memory is kept in *keep.
func withForced(dst, active []aggregate.Ordered, forced []geo.Cell, keep *[]aggregate.Ordered) []aggregate.Ordered {
	if len(forced) == 0 {
		return active
	}
	for _, c := range forced {
		for len(active) > 0 && active[0].Cell < c {
			dst, active = append(dst, active[0]), active[1:]
		}
		if len(active) > 0 && active[0].Cell == c {
			continue
		}
		dst = append(dst, aggregate.Ordered{Cell: c, Slot: -1})
	}
	dst = append(dst, active...)
	*keep = dst
	return dst
}

// direct emits rows whose values are the windows' own: no rings beyond the cell.
func (e *emitter) direct(em *emission, level int, rows []aggregate.Ordered) {
	for len(rows) > 0 {
		n := min(len(rows), BlockRows)
		b := made{rows: e.begin(em, level), occupied: e.occupied[:n]}
		b.rows.Cells = slices.Grow(b.rows.Cells, n)[:n]
		for i, r := range rows[:n] {
			b.rows.Cells[i], b.occupied[i] = r.Cell, r.Slot >= 0
		}
		e.values.direct(em, level, rows[:n])
		e.write(em, level, &b)
		e.take(em, level, &b)
		rows = rows[n:]
	}
}

// ringed emits rows whose values are sums over disks.
func (e *emitter) ringed(em *emission) error {
	t := em.t
	w := em.v.windows[0]
	e.sums.load(t, w)
	var err error
	switch {
	case e.shape.emitCell:
		e.cells = e.cells[:0]
		for _, r := range withForced(e.listed[:0], w.Order(), e.forced, &e.listed) {
			if r.Slot < 0 || t.places[r.Slot].own {
				e.cells = append(e.cells, r.Cell)
			}
		}
		err = t.disks.SumAt(e.sums.sources, e.cells)
	default:
		if err = t.disks.Sum(e.sums.sources, e.sums.exists); err == nil && len(e.forced) > 0 {
			e.cells = union(e.cells[:0], t.disks.Cells(), e.forced)
			err = t.disks.SumAt(e.sums.sources, e.cells)
		}
	}
	if err != nil {
		return err
	}
	e.sums.fold(em)
	defer t.disks.Rest()
	return e.makeAll(em)
}

// union merges two ascending lists.
func union(dst, a, b []geo.Cell) []geo.Cell {
	for _, c := range b {
		for len(a) > 0 && a[0] < c {
			dst, a = append(dst, a[0]), a[1:]
		}
		if len(a) > 0 && a[0] == c {
			a = a[1:]
		}
		dst = append(dst, c)
	}
	return append(dst, a...)
}

// take emits the next block.
func (e *emitter) take(em *emission, level int, b *made) {
	if !e.shard.options.FinalOnly {
		e.list(b)
		e.note(em, level, b)
	}
	e.send(em, b.rows, b.overflows)
}

// list adds a block's cells to those of the level, for the markers' sake.
func (e *emitter) list(b *made) {
	e.rows = append(e.rows, b.rows.Cells...)
	for i, c := range b.rows.Cells {
		if b.occupied[i] {
			e.live = append(e.live, c)
		}
	}
}

func (e *emitter) begin(em *emission, level int) *Rows {
	r := e.pool.Get()
	r.Shard, r.Territory, r.Resolution = e.shard.id, em.t.id, e.shape.resolution
	if level > 0 {
		r.Resolution = em.t.levels[level-1].resolution
	}
	r.WindowEnd, r.Revision, r.Final = em.end, em.revision, em.final
	return r
}

// note writes down what a provisional block says, or takes out of a final one
// what was said before.
func (e *emitter) note(em *emission, level int, b *made) {
	r := b.rows
	switch {
	case em.write != nil:
		l := &em.write.levels[level]
		for i, c := range r.Cells {
			l.rows = append(l.rows, saidRow{c, RecordHash(r, i, &e.record), b.occupied[i]})
		}
	case em.compare && em.before != nil:
		cursor := 0
		e.kept = e.kept[:0]
		for i, c := range r.Cells {
			if s := em.before.row(level, &cursor, c); s == nil || s.hash != RecordHash(r, i, &e.record) {
				e.kept = append(e.kept, int32(i))
			}
		}
		r.keep(e.kept)
	}
}

// send hands a block on, if anything is left in it.
func (e *emitter) send(em *emission, r *Rows, overflows int64) {
	n := int64(len(r.Cells))
	if n == 0 {
		r.Release()
		return
	}
	switch {
	case r.Empty:
		e.shard.stats.Markers += n
	case r.Revision > 0:
		e.shard.stats.Revised += n
	default:
		e.shard.stats.Rows += n
		e.shard.stats.Overflows += overflows
	}
	em.out.add(r)
}

// markers tells the entities that had a row with something in it, and now have
// none, that it has ceased.
func (e *emitter) markers(em *emission, level int) {
	e.gone = e.gone[:0]
	rows := e.rows
	for _, c := range em.v.live[level] {
		for len(rows) > 0 && rows[0] < c {
			rows = rows[1:]
		}
		if len(rows) > 0 && rows[0] == c || em.compare && em.before.marked(level, c) {
			continue
		}
		e.gone = append(e.gone, c)
	}
	if em.write != nil {
		em.write.levels[level].markers = append(em.write.levels[level].markers, e.gone...)
	}
	for gone := e.gone; len(gone) > 0; {
		n := min(len(gone), BlockRows)
		b := made{rows: e.begin(em, level)}
		b.rows.Empty = true
		b.rows.Cells = append(b.rows.Cells, gone[:n]...)
		e.values.nothing(n)
		e.write(em, level, &b)
		e.send(em, b.rows, 0)
		gone = gone[n:]
	}
}

// keep leaves only the rows named, in ascending order.
func (r *Rows) keep(rows []int32) {
	if len(rows) == len(r.Cells) {
		return
	}
	for c := range r.Columns {
		v := &r.Columns[c]
		nulls := slices.Clone(v.Nulls)
		v.Nulls = v.Nulls[:0]
		for to, from := range rows {
			if len(v.Ints) > 0 {
				v.Ints[to] = v.Ints[from]
			}
			if len(v.Floats) > 0 {
				v.Floats[to] = v.Floats[from]
			}
			if nulls.Get(int(from)) {
				v.Nulls.Set(to)
			}
		}
		v.Ints, v.Floats = v.Ints[:min(len(v.Ints), len(rows))], v.Floats[:min(len(v.Floats), len(rows))]
	}
	for to, from := range rows {
		r.Cells[to] = r.Cells[from]
	}
	r.Cells = r.Cells[:len(rows)]
}
