package models

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/hextide/hextide/geo"
)

// Part is one of the parts of a state.
type Part struct {
	Number int
	State  []byte
}

// Restore replaces everything the model knows by a state, its parts in any order. It refuses, with
// ErrState and the reason, a state of other options, one that is damaged, and numbers that no model can
// have; the model is then as it was. It tells whether the state was in one part, as before: then what
// the parts hold now was never kept as such.
func (d *Demand) Restore(parts []Part) (inOne bool, err error) {
	next := &Demand{options: d.options, clock: d.clock, decay: d.decay, kernel: d.kernel, parents: newParents()}
	if inOne, err = next.read(parts); err != nil {
		return false, fmt.Errorf("%w: %w", ErrState, err)
	}
	*d = *next
	d.look(d.clock.at(d.end / microseconds))
	d.publish()
	return inOne, nil
}

func (d *Demand) read(parts []Part) (inOne bool, err error) {
	parts = slices.SortedFunc(slices.Values(parts), func(a, b Part) int { return cmp.Compare(a.Number, b.Number) })
	if len(parts) == 0 || parts[0].Number != head {
		return false, errors.New("damaged: it has no head")
	}
	order, inOne, err := d.readHead(parts[0].State)
	if err != nil {
		return false, err
	}
	if inOne && len(parts) > 1 {
		return false, errors.New("damaged: parts beside a state that is in one")
	}
	for i, p := range parts[1:] {
		if p.Number == parts[i].Number || p.Number >= d.Parts() {
			return false, fmt.Errorf("damaged: part %d twice or too many", p.Number)
		}
		if err := d.readSlot(p, order); err != nil {
			return false, err
		}
	}
	d.linkAll(d.cells)
	return inOne, nil
}

// readHead reads the head, and the tables where it has them. It returns the cells' positions in the
// order of joining.
func (d *Demand) readHead(state []byte) (order []int32, inOne bool, err error) {
	r := &reader{in: state}
	if inOne, err = d.readOptions(r); err != nil {
		return nil, false, err
	}
	d.end = r.i64()
	r.city(&d.city, d.clock, inOne)
	r.score(&d.score)
	count, each := int(r.u32()), cellBytes
	if inOne {
		each += tableBytes(d.clock)
	}
	if r.err == nil && count > len(r.in)/each {
		return nil, false, fmt.Errorf("damaged: %d cells, more than its length holds", count)
	}
	if r.err != nil {
		return nil, false, r.err
	}
	if order, err = d.readCells(r, count, inOne); err == nil && len(r.in) > 0 {
		err = fmt.Errorf("damaged: %d bytes too many", len(r.in))
	}
	return order, inOne, err
}

// readOptions reads format and options and compares them with the model's.
func (d *Demand) readOptions(r *reader) (inOne bool, err error) {
	magic, version := r.u32(), r.u32()
	if r.err == nil && magic != stateMagic {
		return false, errors.New("damaged: it does not begin as one")
	}
	if r.err == nil && version != stateVersion && version != stateInOne {
		return false, fmt.Errorf("its format is version %d, this program reads versions %d and %d", version, stateInOne, stateVersion)
	}
	window, week := r.i64(), int(r.u32())
	resolution, parent := int(r.u32()), int(r.u32())
	zone := r.text()
	switch {
	case r.err != nil:
		err = r.err
	case window != d.clock.window:
		err = fmt.Errorf("its window is %d s, the model's %d s", window, d.clock.window)
	case week != d.clock.week:
		err = fmt.Errorf("its week has %d windows, the model's %d", week, d.clock.week)
	case resolution != d.options.Resolution:
		err = fmt.Errorf("its cells have resolution %d, the model's %d", resolution, d.options.Resolution)
	case parent != d.options.Parent:
		err = fmt.Errorf("its parents have resolution %d, the model's %d", parent, d.options.Parent)
	case zone != zoneName(d.options.TimeZone):
		err = fmt.Errorf("its time zone is %q, the model's %q", zone, zoneName(d.options.TimeZone))
	}
	return version == stateInOne, err
}

// readCells reads cells in the order of joining, which in a state in one part is ascending, and puts
// them in order.
func (d *Demand) readCells(r *reader, count int, inOne bool) ([]int32, error) {
	cells, states := make([]geo.Cell, count), make([]cellState, count)
	for i := range count {
		cells[i] = geo.Cell(r.u64())
		if c := cells[i]; r.err == nil && (!c.Valid() || c.Resolution() != d.options.Resolution) {
			return nil, fmt.Errorf("damaged: %x is no cell of resolution %d", uint64(c), d.options.Resolution)
		}
		states[i] = newCellState(d.clock, int32(i))
		r.cell(&states[i])
		if inOne {
			r.tables(&states[i])
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	slices.SortFunc(states, func(a, b cellState) int { return cmp.Compare(cells[a.number], cells[b.number]) })
	d.grow(count)
	order := make([]int32, count)
	for c := range states {
		number := states[c].number
		order[number] = int32(c)
		d.cells[c], d.states[c] = cells[number], states[c]
		if c > 0 && d.cells[c-1] == d.cells[c] || inOne && int(number) != c {
			return nil, fmt.Errorf("damaged: cell %x is there twice or out of order", uint64(d.cells[c]))
		}
		d.states[c].parent = d.parents.of(d.cells[c], d.options.Parent)
	}
	return order, nil
}

// readSlot reads the part of a slot.
func (d *Demand) readSlot(p Part, order []int32) error {
	r, c := &reader{in: p.State}, d.clock
	past, each := p.Number >= c.pastPart(0), 8
	switch {
	case past:
		each = 4
	case p.Number >= c.dayPart(0):
		d.city.day[p.Number-c.dayPart(0)] = r.sum("an exposure of the days")
	default:
		d.city.week[p.Number-c.weekPart(0)] = r.sum("an exposure of the week")
	}
	n := len(r.in) / each
	if r.err == nil && (n > len(order) || n*each != len(r.in)) {
		return fmt.Errorf("damaged: %d bytes in part %d of %d cells", len(r.in), p.Number, len(order))
	}
	last := 1.0
	for _, at := range order[:min(n, len(order))] {
		state := &d.states[at]
		switch {
		case past:
			state.past[p.Number-c.pastPart(0)] = r.u32()
		case p.Number >= c.dayPart(0):
			state.day[p.Number-c.dayPart(0)] = r.sum("a day's table")
		default:
			state.week[p.Number-c.weekPart(0)] = r.sum("a week's table")
		}
		last = state.at(c, p.Number)
	}
	if r.err == nil && (last == 0 || !d.Holds(p.Number)) {
		return fmt.Errorf("damaged: part %d of nothing, or with zeros at its end", p.Number)
	}
	return r.err
}
