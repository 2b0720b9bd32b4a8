package stream

import (
	"fmt"
	"math"
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// territory is the state of one territory: the panes of its own and its halo's
// cells, the windows that run over them, and its models.
//
// Invariant: every level's via is by slot of table. Panes hold what
// any window that was not closed for good can need: those that begin at or after
// the final windows' end less the widest window.
type territory struct {
	id    geo.Territory
	shape *shape
	frame *geo.Frame // nil where no ring is wider than the cell
	disks *geo.Disks
	numbering
	levels      []level
	panes       aggregate.Panes
	final       *view
	provisional *view   // nil: rows are final at once
	open        opening // for lookups
	models      []*territoryModel
	told
	versions *versions
	scratch  territoryScratch
}

// told is what rows have told, and what of it may be otherwise by now.
type told struct {
	said    saidList // provisional rows that are not final yet
	touched spans    // window ends whose provisional rows may have changed
	changed int64    // version of touched, and of where the views end
}

// numbering gives the cells that panes name their slots.
//
// Invariant: places and uses are by slot of table; uses counts the panes that name it.
type numbering struct {
	table  *aggregate.Table
	places []place
	uses   []int32
}

// place is where a cell of the table lies.
type place struct {
	spot geo.Spot
	own  bool
}

// level is one of the grid's parent resolutions.
type level struct {
	resolution int
	table      *aggregate.Table
	via        []int32 // by slot of the cells: the parent's slot; −1 in the halo
}

// territoryScratch is memory used again from merge to merge.
type territoryScratch struct {
	slots []int32
	fresh []bool
	ends  frontiers // where windows ended, while a state is restored
}

func newTerritory(sh *shape, id geo.Territory, twice bool, v *versions, grids geo.GridPool) (*territory, error) {
	t := &territory{id: id, shape: sh, numbering: numbering{table: aggregate.NewTable()}, versions: v, told: told{changed: v.now}}
	t.scratch.ends = frontiers{NoTime, NoTime}
	if sh.ringed {
		t.frame = geo.NewFrame(sh.territories, id)
		disks, err := geo.NewDisks(t.frame, sh.rings, grids)
		if err != nil {
			return nil, err
		}
		t.disks = disks
	}
	for _, r := range sh.parents {
		t.levels = append(t.levels, level{resolution: r, table: aggregate.NewTable()})
	}
	t.final = newView(t)
	if twice {
		t.provisional = newView(t)
	}
	for i := range sh.models {
		m, err := newTerritoryModel(sh, &sh.models[i])
		if err != nil {
			return nil, fmt.Errorf("territory %s: %w", sh.territories.Name(id), err)
		}
		m.changed[0] = v.now
		t.models = append(t.models, m)
	}
	return t, nil
}

// merge adds partials to their pane, and to the windows that have passed it
// already. Provisional windows closed up to done.
func (t *territory) merge(p *Partials, done int64) {
	t.free()
	x := &t.scratch
	x.slots = t.table.FindAll(x.slots[:0], p.Cells)
	for i, s := range x.slots {
		if s < 0 {
			x.slots[i] = t.slot(p.Cells[i], !p.Halo)
		}
	}
	e := aggregate.Entries{Slots: x.slots, Measures: p.Measures}
	if t.provisional != nil && p.Pane < done {
		t.provisional.slide(t, done)
	}
	t.enter(p.Pane, t.versions.now, e, !p.Halo)
	if v := t.provisional; v != nil && p.Pane < v.end() {
		v.include(t, p.Pane, &e, x.fresh)
		to := v.end()
		if last := p.Pane + t.shape.widest; to >= last {
			to = last + t.shape.pane // markers of what nobody was told of
		}
		t.touched.add(p.Pane+t.shape.pane, to)
		t.changed = t.versions.now
	}
	if v := t.open.view; v != nil && p.Pane < v.end() {
		v.include(t, p.Pane, &e, x.fresh)
	}
}

// enter merges entries into a pane, in a version; scratch.fresh says which of them it did not have yet.
func (t *territory) enter(start, version int64, e aggregate.Entries, own bool) {
	x := &t.scratch
	x.fresh = slices.Grow(x.fresh[:0], len(e.Slots))[:len(e.Slots)]
	t.panes.Merge(start, version, t.shape.measures, e, own, x.fresh)
	for i, s := range e.Slots {
		if x.fresh[i] {
			t.uses[s]++
		}
	}
}

// slot gives a cell its slot; −1 for one that no disk of an own cell reaches.
func (t *territory) slot(c geo.Cell, own bool) int32 {
	if slot, ok := t.table.Find(c); ok {
		return slot
	}
	at := place{own: own}
	if t.frame != nil {
		var near bool
		if at.spot, near = t.frame.Position(c); !near {
			return -1
		}
	} else if !own {
		return -1
	}
	slot, _ := t.table.Add(c)
	if int(slot) == len(t.places) {
		t.places, t.uses = append(t.places, place{}), append(t.uses, 0)
		for i := range t.levels {
			t.levels[i].via = append(t.levels[i].via, -1)
		}
	}
	t.places[slot], t.uses[slot] = at, 0
	for i := range t.levels {
		l := &t.levels[i]
		l.via[slot] = -1
		if own {
			parent, _ := c.Parent(l.resolution) // coarser, by the plan
			l.via[slot], _ = l.table.Add(parent)
		}
	}
	return slot
}

// free gives back the slots of cells that no pane names, before the table grows
// for their sake.
func (t *territory) free() {
	if !t.table.Full() {
		return
	}
	n := 0
	for _, uses := range t.uses {
		if uses > 0 {
			n++
		}
	}
	if 2*n > t.table.Len() {
		return
	}
	t.table.Keep(func(s int32) bool { return t.uses[s] > 0 })
	for i := range t.levels {
		l := &t.levels[i]
		parents := make([]bool, l.table.Slots())
		for s, parent := range l.via {
			if parent >= 0 && t.uses[s] > 0 {
				parents[parent] = true
			}
		}
		l.table.Keep(func(s int32) bool { return parents[s] })
	}
}

// forget drops what no close after a final one at end needs.
func (t *territory) forget(end int64) {
	t.open.rest(t, end)
	for p := range t.panes.Each(math.MinInt64, end-t.shape.widest) {
		for _, s := range p.Slots {
			t.uses[s]--
		}
		t.versions.remove(p.Born, func() []byte { return shardKey(tablePane, t.id, 0, p.Start) })
	}
	t.panes.Drop(end - t.shape.widest)
	for _, s := range t.said.until(end) {
		t.versions.remove(s.born, func() []byte { return shardKey(tableSaid, t.id, 0, s.end) })
	}
	t.said.drop(end)
	t.touched.drop(end)
	for i, m := range t.models {
		for _, f := range m.until(end + t.shape.pane - t.shape.trail) {
			t.versions.remove(f.born, func() []byte { return shardKey(tableForecast, t.id, uint64(i), f.at) })
		}
		m.forget(end + t.shape.pane - t.shape.trail)
	}
}

// dueFinal is the next window end at which something happens for good.
func (t *territory) dueFinal() int64 {
	due := t.final.due(t)
	for _, m := range t.models {
		due = min(due, m.dueStep(), m.dueRows(t.final.end()))
	}
	return due
}

// dueProvisional is the next window end that has provisional rows or markers,
// those up to done being out.
func (t *territory) dueProvisional(done int64) int64 {
	due := t.provisional.due(t)
	for _, m := range t.models {
		due = min(due, m.dueRows(max(done, t.provisional.end())))
	}
	return due
}

// slideFinal moves the final windows.
func (t *territory) slideFinal(end int64) { t.final.slide(t, end) }
