package models

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/hextide/hextide/geo"
)

// ErrState marks a state that a model refuses: damaged, of other options, or of a newer format.
var ErrState = errors.New("state of a demand model")

// The format, little-endian; docs/demand.md draws it.
const (
	stateMagic   = 0x6d64_7868 // "hxdm"
	stateVersion = 2
	stateInOne   = 1 // of before: the head holds the tables too
)

// largestSum bounds every sum of counts in a state that can be right: counts are below 2^53, and what
// fades by a half-life of 14 days of seconds holds fewer than 2^21 of them at once.
const largestSum = 0x1p80

// A model's state is in parts, so that what a step leaves as it was need not be kept anew: the head,
// which every step changes, and one part for each slot of the tables, of which a step changes three.
// Parts have numbers:
//
//	0              head: options, what the cells share, each cell's numbers
//	1 to P         a slot of the week tables
//	P+1 to P+2D    a slot of the day tables
//	the next P     a slot of the past counts
//
// A slot's part holds the city's exposure, but for past counts, and then the values of the cells in the
// order in which they joined, without the zeros at its end. Of a slot that cells joined after they are
// 0: joining changes the head alone.
const head = 0

// weekPart, dayPart and pastPart are the parts of slots.
func (c clock) weekPart(slot int) int { return 1 + slot }
func (c clock) dayPart(slot int) int  { return 1 + c.week + slot }
func (c clock) pastPart(slot int) int { return 1 + c.week + 2*c.day + slot }

// parts is how many there are.
func (c clock) parts() int { return 1 + 2*c.week + 2*c.day }

// Parts is how many parts the state has; they are numbered from 0.
func (d *Demand) Parts() int { return d.clock.parts() }

// Holds tells whether anything is in a part. One that no step has changed is not kept.
func (d *Demand) Holds(part int) bool {
	c := d.clock
	switch {
	case part == head:
		return true
	case part < c.dayPart(0):
		return d.city.week[part-c.weekPart(0)] > 0
	case part < c.pastPart(0):
		return d.city.day[part-c.dayPart(0)] > 0
	}
	return int64(part-c.pastPart(0)) < d.city.windows
}

// Touched are the parts that the last step changed. The slice holds until the next.
func (d *Demand) Touched() []int { return d.touched }

// Frozen is a copy of some parts of a state: the model goes on while they are encoded.
type Frozen struct {
	parts  []int
	clock  clock
	head   *frozenHead // nil: not among them
	shared []float64   // by part: the exposure
	values []float64   // by cell, in the order of joining, and part
}

// frozenHead is all that the head has. Cells and states are in the order of joining.
type frozenHead struct {
	options DemandOptions
	end     int64
	city    cityState
	score   Score
	cells   []geo.Cell
	states  []cellState
}

// Freeze copies parts, each of which holds something.
func (d *Demand) Freeze(parts []int) *Frozen {
	f := &Frozen{parts: parts, clock: d.clock, shared: make([]float64, len(parts)), values: make([]float64, len(parts)*len(d.cells))}
	for i, part := range parts {
		switch c := d.clock; {
		case part == head:
			f.head = d.freezeHead()
		case part < c.dayPart(0):
			f.shared[i] = d.city.week[part-c.weekPart(0)]
		case part < c.pastPart(0):
			f.shared[i] = d.city.day[part-c.dayPart(0)]
		}
	}
	for c := range d.states {
		state := &d.states[c]
		values := f.values[int(state.number)*len(parts):][:len(parts)]
		for i, part := range parts {
			values[i] = state.at(d.clock, part)
		}
	}
	return f
}

// at is a cell's value in a slot's part.
func (s *cellState) at(c clock, part int) float64 {
	switch {
	case part == head:
		return 0
	case part < c.dayPart(0):
		return s.week[part-c.weekPart(0)]
	case part < c.pastPart(0):
		return s.day[part-c.dayPart(0)]
	}
	return float64(s.past[part-c.pastPart(0)])
}

func (d *Demand) freezeHead() *frozenHead {
	h := &frozenHead{
		options: d.options, end: d.end, city: d.city, score: d.score,
		cells: make([]geo.Cell, len(d.cells)), states: make([]cellState, len(d.cells)),
	}
	for c := range d.states {
		number := d.states[c].number
		h.cells[number], h.states[number] = d.cells[c], d.states[c]
	}
	return h
}

// Append appends the part frozen as number i to dst. It may be called from any goroutine. A model
// restored from all parts goes on with the same bits; equal states of one history have equal bytes.
func (f *Frozen) Append(dst []byte, i int) []byte {
	w := writer{dst}
	part, n := f.parts[i], len(f.parts)
	if part == head {
		f.head.write(&w, f.clock)
		return w.out
	}
	held := len(f.values) / n
	for held > 0 && f.values[(held-1)*n+i] == 0 {
		held--
	}
	past := part >= f.clock.pastPart(0)
	if !past {
		w.f64(f.shared[i])
	}
	for c := range held {
		if v := f.values[c*n+i]; past {
			w.u32(uint32(v))
		} else {
			w.f64(v)
		}
	}
	return w.out
}

func (h *frozenHead) write(w *writer, c clock) {
	w.u32(stateMagic)
	w.u32(stateVersion)
	w.i64(c.window)
	w.u32(uint32(c.week))
	w.u32(uint32(h.options.Resolution))
	w.u32(uint32(h.options.Parent))
	w.text(zoneName(h.options.TimeZone))
	w.i64(h.end)
	w.city(&h.city)
	w.score(&h.score)
	w.u32(uint32(len(h.cells)))
	for i := range h.cells {
		w.u64(uint64(h.cells[i]))
		w.cell(&h.states[i])
	}
}

// zoneName writes UTC for the zone that goes without a name.
func zoneName(name string) string {
	if name == "" {
		return "UTC"
	}
	return name
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
}

// cellBytes is the length of a cell in a head.
const cellBytes = 8 * (1 + 1 + 2*(len(ringHalfLives)+len(cellHalfLives)) + 1 + 1 + 1 + 3 + 4)

// tableBytes is the length of a cell's tables where they follow it.
func tableBytes(c clock) int { return 8*(c.week+2*c.day) + 4*c.week }
