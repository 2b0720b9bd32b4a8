package stream

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// A shard's state, one entry a noun. Keys are 25 bytes, big-endian, so that they
// sort as they read:
//
//	table 1 | territory 8 | cell 8 | time 8, its sign bit turned over
//
//	table           cell    time        value
//	f forecast      model   made at     what rows hold until the next
//	m model         model   part        a part of the model's state; before part 0, its clock
//	p pane          -       start       its cells, ascending, and their measures
//	r said          -       window end  hashes of provisional rows that are not final
//	s shard         -       -           frontiers
//	t territory     -       -           where windows end, what was told
//
// A value begins with its table's version. Cells and numbers in it are varints,
// cells as differences. Running windows are not kept: they are sums of panes.
const (
	tableForecast  = 'f'
	tableModel     = 'm'
	tablePane      = 'p'
	tableSaid      = 'r'
	tableShard     = 's'
	tableTerritory = 't'

	shardStateVersion = 2 // 1 had measures in varints alone
	shardKeyBytes     = 25
)

func shardKey(table byte, territory geo.Territory, cell uint64, time int64) []byte {
	k := make([]byte, 0, shardKeyBytes)
	k = append(k, table)
	k = binary.BigEndian.AppendUint64(k, uint64(territory))
	k = binary.BigEndian.AppendUint64(k, cell)
	return binary.BigEndian.AppendUint64(k, uint64(time)^1<<63)
}

// Save freezes what of the shard's state changed since a version, the number of
// the last committed epoch's barrier; Everything: the whole state. Equal whole
// states of one history have equal bytes. A shard that nothing has reached has
// none.
func (s *Shard) Save(since int64) *Delta {
	d := s.versions.begin(since)
	if len(s.territories) == 0 {
		return d
	}
	w := entryWriter{out: []byte{shardStateVersion}}
	for _, f := range []frontiers{s.asked, s.done, s.told} {
		w.time(f.provisional)
		w.time(f.final)
	}
	d.head(&s.head, shardKey(tableShard, 0, 0, 0), w.out)
	panes := &paneWriter{}
	for _, t := range s.territories {
		t.save(d, panes)
	}
	return d
}

func (t *territory) save(d *Delta, panes *paneWriter) {
	if d.lacks(t.changed) {
		d.put(shardKey(tableTerritory, t.id, 0, 0), t.saveEnds())
	}
	for _, p := range t.panes.All() {
		if d.lacks(p.Changed) {
			for p := range t.panes.Each(p.Start, p.Start+1) {
				frozen := t.freezePane(p)
				d.add(shardKey(tablePane, t.id, 0, p.Start), func() []byte { return frozen.save(panes) })
			}
		}
	}
	for _, s := range t.said.list {
		if d.lacks(s.born) {
			d.add(shardKey(tableSaid, t.id, 0, s.end), s.clone().save)
		}
	}
	for i, m := range t.models {
		m.save(d, func(table byte, time int64) []byte { return shardKey(table, t.id, uint64(i), time) })
	}
}

// saveEnds writes where a territory's windows end and what was told of them.
func (t *territory) saveEnds() []byte {
	w := entryWriter{out: []byte{shardStateVersion}}
	w.time(t.final.end())
	for _, live := range t.final.live {
		w.cells(live)
	}
	if t.provisional != nil {
		w.time(t.provisional.end())
		for _, live := range t.provisional.live {
			w.cells(live)
		}
	}
	t.touched.save(&w)
	return w.out
}

// frozenPane is a pane as it was: its cells with the bit that says whether a cell
// is the territory's own, and their measures, in no order.
type frozenPane struct {
	cells    []uint64 // packCell<<1 | own
	measures []aggregate.MeasureColumn
}

func (t *territory) freezePane(p *aggregate.Pane) *frozenPane {
	f := &frozenPane{cells: make([]uint64, len(p.Slots)), measures: make([]aggregate.MeasureColumn, len(p.Measures))}
	for i, s := range p.Slots {
		f.cells[i] = packCell(t.table.Cell(s)) << 1
		if t.places[s].own {
			f.cells[i] |= 1
		}
	}
	for m := range p.Measures {
		f.measures[m] = aggregate.MeasureColumn{Lo: slices.Clone(p.Measures[m].Lo), Hi: slices.Clone(p.Measures[m].Hi)}
	}
	return f
}

// paneWriter is what panes are encoded with, one after the other: a checkpoint that
// allocates several times what it writes slows what runs beside it.
type paneWriter struct {
	entryWriter
	column aggregate.MeasureColumn
}

// save writes the cells in ascending order.
func (f *frozenPane) save(w *paneWriter) []byte {
	order := ascending(f.cells, 1)
	w.out = append(w.out[:0], shardStateVersion)
	w.number(uint64(len(order)))
	before := uint64(0)
	for _, i := range order {
		w.number(f.cells[i] - before)
		before = f.cells[i]
	}
	for m := range f.measures {
		w.column.Pick(&f.measures[m], order)
		w.measure(&w.column)
	}
	return slices.Clone(w.out)
}

// packCell drops the four bits that are the same in every cell, to make room.
func packCell(c geo.Cell) uint64 { return uint64(c) & (1<<59 - 1) }

func unpackCell(v uint64) geo.Cell { return geo.Cell(v | 1<<59) }

func (s *said) clone() *said {
	c := &said{levels: slices.Clone(s.levels)}
	for i := range c.levels {
		l := &c.levels[i]
		l.rows, l.markers = slices.Clone(l.rows), slices.Clone(l.markers)
	}
	return c
}

func (s *said) save() []byte {
	w := entryWriter{out: []byte{shardStateVersion}}
	for i := range s.levels {
		s.levels[i].save(&w)
	}
	return w.out
}

// Restore brings a new shard to a saved state; entries may come in any order. Its
// next Step tells the frontier again: only the newest incarnation's counts.
func (s *Shard) Restore(entries []Entry) error {
	s.again = true
	for _, e := range entries {
		if err := s.restore(e); err != nil {
			return fmt.Errorf("restoring %x of shard %d: %w", e.Key, s.id, err)
		}
	}
	for _, t := range s.territories {
		if err := t.restored(); err != nil {
			return fmt.Errorf("restoring territory %s of shard %d: %w", s.shape.territories.Name(t.id), s.id, err)
		}
	}
	return s.options.memory.failed()
}

func (s *Shard) restore(e Entry) error {
	if len(e.Key) != shardKeyBytes {
		return fmt.Errorf("%w: a key of %d bytes", ErrState, len(e.Key))
	}
	if err := hasVersion(e.Value, shardStateVersion); err != nil {
		return err
	}
	r := &entryReader{in: e.Value[1:]}
	if e.Key[0] == tableShard {
		for _, f := range []*frontiers{&s.asked, &s.done, &s.told} {
			f.provisional, f.final = r.time(), r.time()
		}
		s.head = restored(e.Value)
		return r.end()
	}
	id := geo.Territory(binary.BigEndian.Uint64(e.Key[1:]))
	if c := geo.Cell(id); !c.Valid() || c.Resolution() > s.shape.resolution || s.shape.territories.Of(c) != id {
		return fmt.Errorf("%w: %x is no territory", ErrState, uint64(id))
	}
	t, err := s.territory(id)
	if err != nil {
		return err
	}
	cell, time := binary.BigEndian.Uint64(e.Key[9:]), int64(binary.BigEndian.Uint64(e.Key[17:])^1<<63)
	switch e.Key[0] {
	case tableTerritory:
		t.load(r)
	case tablePane:
		t.loadPane(r, time)
	case tableSaid:
		t.loadSaid(r, time)
	case tableModel, tableForecast:
		if cell >= uint64(len(t.models)) {
			return fmt.Errorf("%w: the plan has no model %d", ErrState, cell)
		}
		if m := t.models[cell]; e.Key[0] == tableForecast {
			m.loadForecast(r, time)
		} else {
			return m.load(r, time)
		}
	default:
		return fmt.Errorf("%w: unknown table", ErrState)
	}
	return r.end()
}

// load reads a territory; where its windows ended is kept in ends until restored.
func (t *territory) load(r *entryReader) {
	t.scratch.ends.final = r.time()
	for i := range t.final.live {
		t.final.live[i] = r.cells()
	}
	if t.provisional != nil {
		t.scratch.ends.provisional = r.time()
		for i := range t.provisional.live {
			t.provisional.live[i] = r.cells()
		}
	}
	t.touched.load(r)
}

// loadPane merges a pane's own cells, and then those of the halo.
func (t *territory) loadPane(r *entryReader, start int64) {
	n := r.length(1)
	cells, own := make([]geo.Cell, n), make([]bool, n)
	at := uint64(0)
	for i := range cells {
		at += r.number()
		cells[i], own[i] = unpackCell(at>>1), at&1 == 1
		if c := cells[i]; !c.Valid() || c.Resolution() != t.shape.resolution || i > 0 && c <= cells[i-1] ||
			own[i] != (t.shape.territories.Of(c) == t.id) {
			r.fail()
			return
		}
	}
	columns := make([]aggregate.MeasureColumn, len(t.shape.measures))
	for m := range columns {
		columns[m] = r.measure(n)
	}
	if r.err != nil {
		return
	}
	slots := make([]int32, n)
	for i, c := range cells {
		slots[i] = t.slot(c, own[i])
	}
	t.enter(start, 0, aggregate.Entries{Slots: slots, Measures: columns}, slices.Contains(own, true))
}

func (t *territory) loadSaid(r *entryReader, end int64) {
	s := t.said.begin(end, 0, 1+len(t.levels))
	for i := range s.levels {
		s.levels[i].load(r)
	}
}

// restored slides the windows to where they were, over the panes that are there now.
func (t *territory) restored() error {
	t.changed = 0
	slices.SortFunc(t.said.list, func(a, b *said) int {
		if a.end < b.end {
			return -1
		}
		return 1
	})
	for _, m := range t.models {
		if err := m.restored(t.versions.now); err != nil {
			return err
		}
	}
	if t.scratch.ends.final != NoTime {
		t.final.slide(t, t.scratch.ends.final)
	}
	if t.provisional != nil && t.scratch.ends.provisional != NoTime {
		t.provisional.slide(t, t.scratch.ends.provisional)
	}
	return nil
}
