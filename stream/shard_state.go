package stream

import (
	"encoding/binary"
	"fmt"
	"math"
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
//	m model         model   -           clock, and the model's own state
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

	shardStateVersion = 1
	shardKeyBytes     = 25
)

func shardKey(table byte, territory geo.Territory, cell uint64, time int64) []byte {
	k := make([]byte, 0, shardKeyBytes)
	k = append(k, table)
	k = binary.BigEndian.AppendUint64(k, uint64(territory))
	k = binary.BigEndian.AppendUint64(k, cell)
	return binary.BigEndian.AppendUint64(k, uint64(time)^1<<63)
}

// Save appends the shard's whole state. Equal states of one history have equal
// bytes.
func (s *Shard) Save(dst []Entry) []Entry {
	w := entryWriter{out: []byte{shardStateVersion}}
	for _, f := range []frontiers{s.asked, s.done, s.told} {
		w.time(f.provisional)
		w.time(f.final)
	}
	dst = append(dst, Entry{Key: shardKey(tableShard, 0, 0, 0), Value: w.out})
	for _, t := range s.territories {
		dst = t.save(dst)
	}
	return dst
}

func (t *territory) save(dst []Entry) []Entry {
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
	dst = append(dst, Entry{Key: shardKey(tableTerritory, t.id, 0, 0), Value: w.out})
	for p := range t.panes.Each(math.MinInt64, math.MaxInt64) {
		dst = append(dst, Entry{Key: shardKey(tablePane, t.id, 0, p.Start), Value: t.savePane(p)})
	}
	for _, s := range t.said.list {
		dst = append(dst, Entry{Key: shardKey(tableSaid, t.id, 0, s.end), Value: s.save()})
	}
	for i, m := range t.models {
		w := entryWriter{out: []byte{shardStateVersion}}
		for _, x := range []int64{m.next, m.first, m.silent} {
			w.time(x)
		}
		dst = append(dst, Entry{Key: shardKey(tableModel, t.id, uint64(i), 0), Value: m.demand.AppendState(w.out)})
		for f := range m.forecasts {
			dst = append(dst, Entry{Key: shardKey(tableForecast, t.id, uint64(i), m.forecasts[f].at), Value: m.forecasts[f].save()})
		}
	}
	return dst
}

// savePane writes a pane's cells in ascending order; each has a bit that says
// whether it is the territory's own.
func (t *territory) savePane(p *aggregate.Pane) []byte {
	order := make([]aggregate.Ordered, len(p.Slots))
	for i, s := range p.Slots {
		order[i] = aggregate.Ordered{Cell: t.table.Cell(s), Slot: int32(i)}
	}
	slices.SortFunc(order, func(a, b aggregate.Ordered) int {
		if a.Cell < b.Cell {
			return -1
		}
		return 1
	})
	w := entryWriter{out: make([]byte, 1, 8+8*len(order))}
	w.out[0] = shardStateVersion
	w.number(uint64(len(order)))
	before := uint64(0)
	for _, o := range order {
		own := uint64(0)
		if t.places[p.Slots[o.Slot]].own {
			own = 1
		}
		packed := packCell(o.Cell)<<1 | own
		w.number(packed - before)
		before = packed
	}
	for m := range p.Measures {
		c := &p.Measures[m]
		w.bit(c.Hi != nil)
		for _, o := range order {
			w.value(c, int(o.Slot))
		}
	}
	return w.out
}

// packCell drops the four bits that are the same in every cell, to make room.
func packCell(c geo.Cell) uint64 { return uint64(c) & (1<<59 - 1) }

func unpackCell(v uint64) geo.Cell { return geo.Cell(v | 1<<59) }

func (s *said) save() []byte {
	w := entryWriter{out: []byte{shardStateVersion}}
	for i := range s.levels {
		s.levels[i].save(&w)
	}
	return w.out
}

func (f *forecast) save() []byte {
	w := entryWriter{out: []byte{shardStateVersion}}
	w.bit(f.quiet)
	w.cells(f.cells)
	for _, column := range outputFloats {
		w.floats(*column(&f.out))
	}
	for _, column := range outputInts {
		for _, v := range *column(&f.out) {
			w.time(v)
		}
	}
	for _, v := range f.out.MissValid {
		w.bit(v)
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
			return m.load(r)
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
	t.enter(start, aggregate.Entries{Slots: slots, Measures: columns}, slices.Contains(own, true))
}

func (t *territory) loadSaid(r *entryReader, end int64) {
	s := t.said.begin(end, 1+len(t.levels))
	for i := range s.levels {
		s.levels[i].load(r)
	}
}

// restored slides the windows to where they were, over the panes that are there now.
func (t *territory) restored() error {
	slices.SortFunc(t.said.list, func(a, b *said) int {
		if a.end < b.end {
			return -1
		}
		return 1
	})
	for _, m := range t.models {
		slices.SortFunc(m.forecasts, func(a, b forecast) int {
			if a.at < b.at {
				return -1
			}
			return 1
		})
	}
	if t.scratch.ends.final != NoTime {
		t.final.slide(t, t.scratch.ends.final)
	}
	if t.provisional != nil && t.scratch.ends.provisional != NoTime {
		t.provisional.slide(t, t.scratch.ends.provisional)
	}
	return nil
}

func (m *territoryModel) load(r *entryReader) error {
	m.next, m.first, m.silent = r.time(), r.time(), r.time()
	if r.err != nil {
		return r.err
	}
	if err := m.demand.Restore(r.in); err != nil {
		return fmt.Errorf("model %s: %w", m.spec.name, err)
	}
	return nil
}

func (m *territoryModel) loadForecast(r *entryReader, at int64) {
	f := forecast{at: at, quiet: r.bit(), cells: r.cells()}
	n := len(f.cells)
	for _, column := range outputFloats {
		*column(&f.out) = r.floats(n)
	}
	for _, column := range outputInts {
		for range n {
			*column(&f.out) = append(*column(&f.out), r.time())
		}
	}
	for range n {
		f.out.MissValid = append(f.out.MissValid, r.bit())
	}
	m.forecasts = append(m.forecasts, f)
}
