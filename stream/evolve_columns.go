package stream

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hextide/hextide/pipeline"
)

// learning is how long a new model must have seen its target: from then on its
// weights learn.
const learning = int64(7 * 24 * time.Hour / time.Microsecond)

// completeness finds out until when columns of the new plan are incomplete.
//
// Panes from fresh on hold all there is to know of a new measure, or of a ring
// that reaches further: nothing in them was accepted before the change. Panes
// from held on have not been dropped: wider windows have them.
type completeness struct {
	*evolution
	fresh  int64 // µs; NoTime: nothing was accepted before
	held   int64 // µs; NoTime: nothing was dropped before
	until  []int64
	same   map[string]bool // columns that are unchanged
	before []oldIncomplete
}

// oldIncomplete is a column of the old plan that was incomplete already.
type oldIncomplete struct {
	until    int64
	ring     int // grid distance
	window   int64
	measures []string
}

// incomplete are the columns of the new plan that are incomplete, of a state with
// a pointer and the newest event accepted in it.
func (e *evolution) incomplete(p *Pointer, accepted int64) []IncompleteColumn {
	c := &completeness{evolution: e, fresh: NoTime, held: NoTime, until: make([]int64, len(e.now.Columns)), same: map[string]bool{}}
	for _, name := range e.comparison.Unchanged {
		c.same[name] = true
	}
	unit := e.now.Pane
	if d := e.now.Source.Dedup; d != nil {
		unit = d.Within // of a key the winner may be from before
	}
	if accepted != NoTime {
		c.fresh = floor(accepted, unit.Microseconds()) + unit.Microseconds()
	}
	if p.Final != NoTime {
		c.held = floor(p.Final, e.old.Pane.Microseconds()) - e.old.WidestWindow().Microseconds()
	}
	c.read(p.Incomplete)
	var all []IncompleteColumn
	for _, i := range e.now.ReadOrder() {
		c.until[i] = c.of(i, p.Incomplete)
	}
	for i, col := range e.now.Columns {
		if c.until[i] > p.Final {
			all = append(all, IncompleteColumn{col.Name, c.until[i]})
		}
	}
	slices.SortFunc(all, func(a, b IncompleteColumn) int { return cmp.Compare(a.Column, b.Column) })
	return all
}

// read takes over what was incomplete before.
func (c *completeness) read(before []IncompleteColumn) {
	at := c.old.ByName()
	for _, b := range before {
		i, held := at[b.Column]
		if !held || c.old.Measures(i) == nil {
			continue
		}
		col := c.old.Columns[i]
		o := oldIncomplete{until: b.Until, window: c.old.Windows[col.Window].Microseconds()}
		if col.Origin == pipeline.FromAggregate {
			o.ring = c.old.Grid.Rings[col.Ring]
		}
		for _, m := range c.old.Measures(i) {
			o.measures = append(o.measures, c.old.MeasureText(m))
		}
		c.before = append(c.before, o)
	}
}

// of is until when a column is incomplete; NoTime: it is complete.
func (c *completeness) of(i int, before []IncompleteColumn) int64 {
	col := c.now.Columns[i]
	if c.same[col.Name] {
		if at := slices.IndexFunc(before, func(b IncompleteColumn) bool { return b.Column == col.Name }); at >= 0 {
			return before[at].Until
		}
		return NoTime
	}
	until := int64(NoTime)
	for _, read := range c.now.Reads(i) {
		until = max(until, c.until[read])
	}
	switch col.Origin {
	case pipeline.FromModel:
		window := c.now.Models[col.Index].Window().Microseconds()
		if c.fresh != NoTime {
			until = max(until, -floor(-c.fresh, window)) + learning
		}
	case pipeline.FromAggregate, pipeline.FromBackoff:
		ring := 0
		if col.Origin == pipeline.FromAggregate {
			ring = c.now.Grid.Rings[col.Ring]
		}
		until = plus(c.from(i, ring), c.now.Windows[col.Window].Microseconds())
	}
	return until
}

// from is the first pane that holds all that a column of a ring is made of.
func (c *completeness) from(i, ring int) int64 {
	from := int64(NoTime)
	if c.now.Windows[c.now.Columns[i].Window] > c.old.WidestWindow() {
		from = c.held
	}
	if ring > c.old.WidestRing() {
		from = max(from, c.fresh)
	}
	// Of the rings of before the next one as wide knew no less.
	at := slices.IndexFunc(c.old.Grid.Rings, func(k int) bool { return k >= ring })
	for _, m := range c.now.Measures(i) {
		if c.measures[m] == none {
			from = max(from, c.fresh)
			continue
		}
		text := c.now.MeasureText(m)
		for _, b := range c.before {
			if at >= 0 && b.ring == c.old.Grid.Rings[at] && slices.Contains(b.measures, text) {
				from = max(from, b.until-b.window)
			}
		}
	}
	return from
}

// IncompleteWith are the columns that would be incomplete, and until when, if the
// state of an epoch went on with a plan that its comparison allows.
func IncompleteWith(ctx context.Context, p *Pointer, from ObjectReader, now *pipeline.Plan) ([]IncompleteColumn, error) {
	e, err := p.evolve(now, false)
	if e == nil || err != nil {
		return p.Incomplete, err
	}
	accepted := int64(NoTime)
	for _, at := range p.Partitions {
		entries, err := readEntries(ctx, from, p, fmt.Sprintf("partition/%d", at.ID))
		if err != nil {
			return nil, err
		}
		newest, err := acceptedOf(entries)
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", at.ID, err)
		}
		accepted = max(accepted, newest)
	}
	return e.incomplete(p, accepted), nil
}
