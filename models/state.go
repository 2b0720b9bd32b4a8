package models

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hextide/hextide/geo"
)

// ErrState marks a state that a model refuses: damaged, of other options, or of a newer format.
var ErrState = errors.New("state of a demand model")

// The format, little-endian; docs/demand.md draws it.
const (
	stateMagic   = 0x6d64_7868 // "hxdm"
	stateVersion = 1
)

// largestSum bounds every sum of counts in a state that can be right: counts are below 2^53, and what
// fades by a half-life of 14 days of seconds holds fewer than 2^21 of them at once.
const largestSum = 0x1p80

// AppendState appends the model's whole state to dst. A model restored from it goes on with the same
// bits; equal states have equal bytes.
func (d *Demand) AppendState(dst []byte) []byte {
	w := writer{dst}
	w.u32(stateMagic)
	w.u32(stateVersion)
	w.i64(d.clock.window)
	w.u32(uint32(d.clock.week))
	w.u32(uint32(d.options.Resolution))
	w.u32(uint32(d.options.Parent))
	w.text(zoneName(d.options.TimeZone))
	w.i64(d.end)
	w.city(&d.city)
	w.score(&d.score)
	w.u32(uint32(len(d.cells)))
	for c := range d.cells {
		w.u64(uint64(d.cells[c]))
		w.cell(&d.states[c])
	}
	return w.out
}

// zoneName writes UTC for the zone that goes without a name.
func zoneName(name string) string {
	if name == "" {
		return "UTC"
	}
	return name
}

// Restore replaces everything the model knows by a state. It refuses, with ErrState and the reason, a
// state of other options, one that is damaged, and numbers that no model can have; the model is then as
// it was.
func (d *Demand) Restore(state []byte) error {
	next := &Demand{options: d.options, clock: d.clock, decay: d.decay, kernel: d.kernel, parents: newParents()}
	if err := next.read(state); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	*d = *next
	d.look(d.clock.at(d.end / microseconds))
	d.publish()
	return nil
}

func (d *Demand) read(state []byte) error {
	r := &reader{in: state}
	if err := d.readHead(r); err != nil {
		return err
	}
	d.end = r.i64()
	r.city(&d.city, d.clock)
	r.score(&d.score)
	count := int(r.u32())
	if r.err == nil && count > len(r.in)/cellBytes(d.clock) {
		return fmt.Errorf("damaged: %d cells, more than its length holds", count)
	}
	if r.err != nil {
		return r.err
	}
	d.grow(count)
	for c := range count {
		d.cells[c] = geo.Cell(r.u64())
		if err := d.checkCell(c); r.err == nil && err != nil {
			return err
		}
		d.states[c] = newCellState(d.clock)
		r.cell(&d.states[c])
		if r.err != nil {
			return r.err
		}
		d.states[c].parent = d.parents.of(d.cells[c], d.options.Parent)
	}
	if len(r.in) > 0 {
		return fmt.Errorf("damaged: %d bytes too many", len(r.in))
	}
	d.linkAll(d.cells)
	return nil
}

// readHead reads format and options and compares them with the model's.
func (d *Demand) readHead(r *reader) error {
	magic, version := r.u32(), r.u32()
	if r.err == nil && magic != stateMagic {
		return errors.New("damaged: it does not begin as one")
	}
	if r.err == nil && version != stateVersion {
		return fmt.Errorf("its format is version %d, this program reads version %d", version, stateVersion)
	}
	window, week := r.i64(), int(r.u32())
	resolution, parent := int(r.u32()), int(r.u32())
	zone := r.text()
	switch {
	case r.err != nil:
		return r.err
	case window != d.clock.window:
		return fmt.Errorf("its window is %d s, the model's %d s", window, d.clock.window)
	case week != d.clock.week:
		return fmt.Errorf("its week has %d windows, the model's %d", week, d.clock.week)
	case resolution != d.options.Resolution:
		return fmt.Errorf("its cells have resolution %d, the model's %d", resolution, d.options.Resolution)
	case parent != d.options.Parent:
		return fmt.Errorf("its parents have resolution %d, the model's %d", parent, d.options.Parent)
	case zone != zoneName(d.options.TimeZone):
		return fmt.Errorf("its time zone is %q, the model's %q", zone, zoneName(d.options.TimeZone))
	}
	return nil
}

// checkCell tells what is wrong with cell c, the last one read.
func (d *Demand) checkCell(c int) error {
	cell := d.cells[c]
	if !cell.Valid() || cell.Resolution() != d.options.Resolution {
		return fmt.Errorf("damaged: %x is no cell of resolution %d", uint64(cell), d.options.Resolution)
	}
	if c > 0 && d.cells[c-1] >= cell {
		return fmt.Errorf("damaged: cell %x does not follow %x", uint64(cell), uint64(d.cells[c-1]))
	}
	return nil
}

// writer appends numbers.
type writer struct{ out []byte }

func (w *writer) u32(v uint32)  { w.out = binary.LittleEndian.AppendUint32(w.out, v) }
func (w *writer) u64(v uint64)  { w.out = binary.LittleEndian.AppendUint64(w.out, v) }
func (w *writer) i64(v int64)   { w.u64(uint64(v)) }
func (w *writer) f64(v float64) { w.u64(math.Float64bits(v)) }

func (w *writer) floats(values []float64) {
	for _, v := range values {
		w.f64(v)
	}
}

func (w *writer) text(s string) {
	w.u32(uint32(len(s)))
	w.out = append(w.out, s...)
}

func (w *writer) ratios(ratios []ratio) {
	for _, r := range ratios {
		w.f64(r.came)
		w.f64(r.expected)
	}
}

func (w *writer) city(c *cityState) {
	w.i64(c.windows)
	w.i64(c.rejected)
	w.f64(c.exposure)
	w.floats(c.week)
	w.floats(c.day)
	w.ratios(c.ratios[:])
	w.floats(c.weights[:])
	w.floats(c.curvature[:])
	for _, s := range []spread{c.windowSpread, c.runningSpread, c.startSpread} {
		w.f64(s.squares)
		w.f64(s.excess)
	}
}

func (w *writer) score(s *Score) {
	for _, t := range s.tallies() {
		w.i64(t.N)
		w.f64(t.Deviance)
		w.f64(t.Absolute)
		w.f64(t.Bias)
	}
	w.f64(s.Events)
	w.i64(s.Misses)
}

func (s *Score) tallies() []*Tally {
	return []*Tally{&s.Model, &s.Last.Baseline, &s.Last.Model, &s.Day.Baseline, &s.Day.Model, &s.Week.Baseline, &s.Week.Model}
}

func (w *writer) cell(s *cellState) {
	w.f64(s.level)
	w.ratios(s.ring[:])
	w.ratios(s.own[:])
	w.f64(s.quantile)
	counted := uint32(0)
	if s.hour.counted {
		counted = 1
	}
	w.u32(counted)
	w.u32(uint32(s.verdict.miss))
	w.i64(s.hour.came)
	w.floats([]float64{s.hour.running, s.hour.start, s.hour.level})
	w.floats([]float64{s.verdict.running.up, s.verdict.running.down, s.verdict.start.up, s.verdict.start.down})
	w.floats(s.week)
	w.floats(s.day)
	for _, n := range s.past {
		w.u32(n)
	}
}

// cellBytes is the length of a cell in a state.
func cellBytes(c clock) int {
	ratios := len(ringHalfLives) + len(cellHalfLives)
	return 8*(1+1+2*ratios+1+1+1+3+4+c.week+2*c.day) + 4*c.week
}
