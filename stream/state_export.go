package stream

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/models"
	"github.com/hextide/hextide/pipeline"
)

// StateVisitor is told what an epoch holds. What it is handed is its own until it
// returns; an error ends the visit.
type StateVisitor interface {
	Partition(p HeldPartition) error
	Winners(w *HeldWinners) error
	Shard(s HeldShard) error
	Pane(p *HeldCells) error
	Window(w *HeldWindow) error
	Model(m *HeldModel) error
}

// HeldPartition is where a partition stands. Times are NoTime before the first event.
type HeldPartition struct {
	ID        int32
	Position  int64 // of the next record
	Watermark int64 // µs
	Passed    Watermark
	Accepted  int64 // greatest event time accepted, µs
	Control   int64 // entries of the control log up to the last that it has applied
	Counts    Counts
}

// HeldWinners are the events of an open dedup span that win so far, one a key.
type HeldWinners struct {
	Partition  int32
	Start, End int64 // of the span, µs
	Times      []int64
	Cells      []geo.Cell // at the grid's resolution
	Lats, Lngs []float64  // degrees; nil where the location is a cell
	Fields     []column.Vector
}

// HeldShard is how far a shard is. Times are NoTime before the first.
type HeldShard struct {
	ID     int32
	Asked  Frontier // the partitions have passed
	Closed Frontier // panes are closed
	Told   Frontier // the sinks were told
}

// HeldCells are the measures of a territory's cells, ascending, over a stretch of
// event time.
type HeldCells struct {
	Shard      int32
	Territory  geo.Territory
	Start, End int64 // µs
	Cells      []geo.Cell
	Own        []bool // the cell is the territory's; else it is in its halo
	Measures   []aggregate.MeasureColumn
}

// HeldWindow is a running window with something in it, of the territory's cells or
// of their parents. Running windows are not stored: they are sums of panes, made
// again as a restart makes them.
type HeldWindow struct {
	HeldCells
	Provisional bool // its rows are said again when final
	Resolution  int
}

// HeldModel is what a territory's model has learnt, and its forecasts.
type HeldModel struct {
	Shard     int32
	Territory geo.Territory
	Name      string
	Demand    *models.Demand
	Forecasts []HeldForecast // ascending
}

// HeldForecast is what a model's columns hold from one of its steps to the next.
type HeldForecast struct {
	Made    int64 // µs
	Cells   []geo.Cell
	Outputs *models.Outputs // aligned with Cells
}

// ObjectReader reads the objects that pointers name; Generations is one.
type ObjectReader interface {
	Read(ctx context.Context, owner string, chain Chain, each func(key, value []byte) error) error
}

// VisitState restores the machines of an epoch as a restart does, one after
// another, and tells a visitor what they hold: partitions, then shards, each in
// ascending order. Whatever is damaged, or was made with another plan, is an error.
func VisitState(ctx context.Context, plan *pipeline.Plan, p *Pointer, from ObjectReader, v StateVisitor) error {
	if err := p.madeWith(plan); err != nil {
		return err
	}
	for _, at := range p.Partitions {
		entries, err := readEntries(ctx, from, p, fmt.Sprintf("partition/%d", at.ID))
		if err != nil {
			return err
		}
		if err := visitPartition(plan, at, entries, v); err != nil {
			return err
		}
	}
	for id := range int32(p.Shards) {
		entries, err := readEntries(ctx, from, p, fmt.Sprintf("shard/%d", id))
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			continue
		}
		s, err := restoreShard(plan, id, entries)
		if err != nil {
			return fmt.Errorf("restoring shard %d of epoch %d: %w", id, p.Epoch, err)
		}
		if err := s.visit(v); err != nil {
			return err
		}
	}
	return nil
}

// madeWith refuses a pointer of another definition.
func (p *Pointer) madeWith(plan *pipeline.Plan) error {
	if p.PlanHash == plan.Hash {
		return nil
	}
	return fmt.Errorf("%w: its epoch %d was made with the definition %s, this one is %s", ErrMismatch, p.Epoch, p.PlanHash, plan.Hash)
}

// readEntries reads an owner's generation, in key order; none: it has nothing.
func readEntries(ctx context.Context, from ObjectReader, p *Pointer, owner string) ([]Entry, error) {
	chain, ok := p.Generations[owner]
	if !ok {
		return nil, nil
	}
	var entries []Entry
	err := from.Read(ctx, owner, chain, func(key, value []byte) error {
		entries = append(entries, Entry{Key: bytes.Clone(key), Value: bytes.Clone(value)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the state of %s in epoch %d: %w", owner, p.Epoch, err)
	}
	return entries, nil
}

func visitPartition(plan *pipeline.Plan, at PartitionState, entries []Entry, v StateVisitor) error {
	applied, rest, err := takeApplied(entries)
	if err != nil {
		return fmt.Errorf("partition %d: %w", at.ID, err)
	}
	t, err := NewTask(plan, at.ID, TaskOptions{From: NoTime})
	if err != nil {
		return fmt.Errorf("making the task of partition %d: %w", at.ID, err)
	}
	if err := t.Restore(rest); err != nil {
		return err
	}
	held := HeldPartition{
		ID: at.ID, Position: at.Position, Watermark: t.Watermark(), Passed: t.Passed(), Accepted: t.Accepted(),
		Control: applied, Counts: t.counts,
	}
	if err := v.Partition(held); err != nil || t.dedup == nil {
		return err
	}
	for _, s := range t.dedup.spans {
		if err := v.Winners(t.heldWinners(s)); err != nil {
			return err
		}
	}
	return nil
}

// heldWinners copies a span's winners, fields and all.
func (t *Task) heldWinners(s *span) *HeldWinners {
	t.pickWinners(s)
	w := &HeldWinners{
		Partition: t.partition, Start: s.start, End: s.start + t.dedup.length,
		Times: slices.Clone(t.scratch.events.times), Cells: slices.Clone(t.scratch.events.cells),
	}
	l := &t.dedup.layout
	for r := 0; r < len(s.rows) && !l.byCell; r += l.words {
		w.Lats = append(w.Lats, math.Float64frombits(s.rows[r+wordLat]))
		w.Lngs = append(w.Lngs, math.Float64frombits(s.rows[r+wordLng]))
	}
	for f := range l.kinds {
		w.Fields = append(w.Fields, l.column(f, s))
	}
	return w
}

// column is a field's values in all rows of a span.
func (l *winnerLayout) column(f int, s *span) column.Vector {
	v, at := column.Vector{Kind: l.kinds[f]}, l.fields[f]
	for n := range s.n {
		row := s.rows[n*l.words : (n+1)*l.words]
		if !l.counts(row, f, -1) {
			v.Nulls.Set(n)
		}
		if v.Kind == column.String {
			v.Strings.Append(s.text[row[at] : row[at]+row[at+1]])
		} else {
			v.AppendBits(row[at])
		}
	}
	return v
}

// restoreShard makes a shard of its entries. History is computed without
// provisional rows, which leaves other entries; no entry reads as both.
func restoreShard(plan *pipeline.Plan, id int32, entries []Entry) (*Shard, error) {
	restored := func(finalOnly bool) (*Shard, error) {
		s, err := NewShard(plan, id, ShardOptions{FinalOnly: finalOnly})
		if err == nil {
			err = s.Restore(entries)
		}
		return s, err
	}
	s, err := restored(false)
	if s == nil || !s.twice() || !errors.Is(err, ErrState) {
		return s, err
	}
	if again, failed := restored(true); failed == nil {
		return again, nil
	}
	return nil, err
}

func (s *Shard) visit(v StateVisitor) error {
	of := func(f frontiers) Frontier { return Frontier{Shard: s.id, Provisional: f.provisional, Final: f.final} }
	if err := v.Shard(HeldShard{ID: s.id, Asked: of(s.asked), Closed: of(s.done), Told: of(s.told)}); err != nil {
		return err
	}
	for _, t := range s.territories {
		if err := t.visit(s.id, v); err != nil {
			return err
		}
	}
	return nil
}

func (t *territory) visit(shard int32, v StateVisitor) error {
	for _, p := range t.panes.All() {
		if err := v.Pane(t.heldPane(shard, p)); err != nil {
			return err
		}
	}
	for _, windows := range []*view{t.final, t.provisional} {
		if windows == nil || windows.end() == NoTime {
			continue
		}
		for level := range windows.windows {
			for size := range t.shape.sizes {
				if w := t.heldWindow(shard, windows, level, size); len(w.Cells) == 0 {
					continue
				} else if err := v.Window(w); err != nil {
					return err
				}
			}
		}
	}
	for _, m := range t.models {
		held := &HeldModel{Shard: shard, Territory: t.id, Name: m.spec.name, Demand: m.demand}
		for i := range m.forecasts {
			f := &m.forecasts[i]
			held.Forecasts = append(held.Forecasts, HeldForecast{Made: f.at, Cells: f.cells, Outputs: &f.out})
		}
		if err := v.Model(held); err != nil {
			return err
		}
	}
	return nil
}

func (t *territory) heldPane(shard int32, p *aggregate.Pane) *HeldCells {
	order := make([]aggregate.Ordered, len(p.Slots))
	for i, s := range p.Slots {
		order[i] = aggregate.Ordered{Cell: t.table.Cell(s), Slot: int32(i)}
	}
	slices.SortFunc(order, func(a, b aggregate.Ordered) int { return cmp.Compare(a.Cell, b.Cell) })
	h := &HeldCells{
		Shard: shard, Territory: t.id, Start: p.Start, End: p.Start + t.shape.pane,
		Measures: make([]aggregate.MeasureColumn, len(p.Measures)),
	}
	for _, o := range order {
		h.Cells = append(h.Cells, o.Cell)
		h.Own = append(h.Own, t.places[p.Slots[o.Slot]].own)
		for m := range p.Measures {
			v := p.Measures[m].Sum(int(o.Slot))
			h.Measures[m].Lo = append(h.Measures[m].Lo, v.Lo)
			h.Measures[m].Hi = append(h.Measures[m].Hi, v.Hi)
		}
	}
	return h
}

// heldWindow is one window of a view: those of its slots that have events in it.
func (t *territory) heldWindow(shard int32, v *view, level, size int) *HeldWindow {
	w, table, resolution := v.windows[level], t.table, t.shape.resolution
	if level > 0 {
		table, resolution = t.levels[level-1].table, t.levels[level-1].resolution
	}
	var order []aggregate.Ordered
	for _, s := range w.Active() {
		if !w.Sum(s, aggregate.Events, size).IsZero() {
			order = append(order, aggregate.Ordered{Cell: table.Cell(s), Slot: s})
		}
	}
	slices.SortFunc(order, func(a, b aggregate.Ordered) int { return cmp.Compare(a.Cell, b.Cell) })
	h := &HeldWindow{HeldCells: HeldCells{
		Shard: shard, Territory: t.id, Start: v.end() - t.shape.sizes[size], End: v.end(),
		Measures: make([]aggregate.MeasureColumn, len(t.shape.measures)),
	}, Provisional: v == t.provisional, Resolution: resolution}
	for _, o := range order {
		h.Cells = append(h.Cells, o.Cell)
		h.Own = append(h.Own, level > 0 || t.places[o.Slot].own)
		for m := range t.shape.measures {
			to := &h.Measures[m]
			if t.shape.sumOf[m] < 0 {
				to.Lo = append(to.Lo, uint64(w.Extreme(&t.panes, t.via(level), o.Slot, m, size)))
				continue
			}
			sum := w.Sum(o.Slot, m, size)
			to.Lo, to.Hi = append(to.Lo, sum.Lo), append(to.Hi, sum.Hi)
		}
	}
	return h
}
