package aggregate

import (
	"math"

	"github.com/hextide/hextide/exact"
)

// Windows hold every measure of every cell over windows that end at one time and
// slide from pane end to pane end:
//
//	sum over [end − W, end) = the sum before + panes that enter − panes that leave
//
// Integers lose nothing by it, so where all panes have left a sum is 0 again.
// Minima and maxima, which cannot be taken back, are in window_extremum.go.
//
// Columns are by slot of a Table: the cells' own, or, where entries go by way of
// another numbering (their parents'), that of the parents.
//
// One goroutine at a time may use them, for reading too: what is asked for may have to
// be made first.
//
// Invariant: sums[slot·lanes + lane] is lane's window of slot; highs, where it is
// not nil, holds the upper halves; held[slot] counts the entries in the widest
// window; active names each slot with held > 0 once. Where a single pane stands for
// the windows, active names its slots, and sums and held are 0.
type Windows struct {
	measures []Measure
	pane     int64   // µs
	sizes    []int64 // µs, ascending
	end      int64   // µs
	table    *Table
	sumOf    []int // by measure: its number among the sums; of an extremum −1 less its first among extremes
	lanes    int   // of a slot
	sums     []int64
	highs    []int64
	held     []int32
	active   []int32
	order    *order // nil: not wanted
	extremes []*extremum
	single   single
}

// NewWindows makes empty windows of sizes (µs, ascending) over the slots of a
// table. ordered: Order is wanted.
func NewWindows(measures []Measure, pane int64, sizes []int64, table *Table, ordered bool) *Windows {
	w := &Windows{measures: measures, pane: pane, sizes: sizes, end: math.MinInt64, table: table}
	sums := 0
	for m := range measures {
		if measures[m].Kind == Sum {
			w.sumOf = append(w.sumOf, sums)
			sums++
			continue
		}
		w.sumOf = append(w.sumOf, -1-len(w.extremes))
		for _, size := range sizes {
			w.extremes = append(w.extremes, newExtremum(measures[m].Kind, m, size))
		}
	}
	w.lanes = sums * len(sizes)
	if ordered {
		w.order = &order{table: table}
	}
	return w
}

// End is where the windows end, µs; MinInt64 before the first Slide.
func (w *Windows) End() int64 { return w.end }

// Empty tells that no slot has an entry in the widest window.
func (w *Windows) Empty() bool { return len(w.active) == 0 }

// Active are the slots with an entry in the widest window, in no order that
// means anything; valid until the windows change.
func (w *Windows) Active() []int32 {
	w.settle()
	return w.active
}

// Order are the active slots by their cells, if NewWindows was asked for them;
// valid until the windows change.
func (w *Windows) Order() []Ordered { return w.order.now() }

// Held tells whether a slot has an entry in the widest window.
func (w *Windows) Held(slot int32) bool {
	w.settle()
	return int(slot) < len(w.held) && w.held[slot] > 0
}

// Sums are the running sums of all slots, Lanes each, and their upper halves: nil
// while all fit 64 bits.
func (w *Windows) Sums() (lows, highs []int64) {
	w.settle()
	return w.sums, w.highs
}

// Narrow tells that all sums fit 64 bits.
func (w *Windows) Narrow() bool { return w.highs == nil }

// Lanes is the number of sums of a slot.
func (w *Windows) Lanes() int { return w.lanes }

// Lane is where a sum's window is among the lanes of a slot; −1 for an extremum.
func (w *Windows) Lane(measure, window int) int {
	if w.sumOf[measure] < 0 {
		return -1
	}
	return w.sumOf[measure]*len(w.sizes) + window
}

// Sum is a slot's sum over a window.
func (w *Windows) Sum(slot int32, measure, window int) exact.Int128 {
	w.settle()
	at := int(slot)*w.lanes + w.Lane(measure, window)
	switch {
	case at >= len(w.sums):
		return exact.Int128{}
	case w.highs == nil:
		return exact.FromInt64(w.sums[at])
	}
	return exact.Int128{Hi: w.highs[at], Lo: uint64(w.sums[at])}
}

// Extreme is a slot's minimum or maximum over a window; its identity where the
// window is empty.
func (w *Windows) Extreme(panes *Panes, via []int32, slot int32, measure, window int) int64 {
	x := w.extremes[-1-w.sumOf[measure]+window]
	x.refresh(panes, via, w.end, w.table.Slots())
	return x.value(slot)
}

// Slide moves the end of the windows forward. via maps the panes' slots to the
// windows'; nil: they are the same.
func (w *Windows) Slide(to int64, panes *Panes, via []int32) {
	if to <= w.end {
		return
	}
	w.follow()
	anew := to-w.sizes[len(w.sizes)-1] >= w.end // all that is in the windows leaves them
	if anew {
		w.empty()
		if p := w.onlyPane(panes, to, via); p != nil {
			w.hold(p)
			w.end = to
			return
		}
	}
	for _, p := range panes.Between(w.end, to) {
		panes.use(p)
		w.enter(p, via, to)
		panes.leave(p)
	}
	if !anew {
		w.leave(to, panes, via)
	}
	for _, x := range w.extremes {
		for _, p := range panes.Between(before(w.end, x.size), to-x.size) {
			panes.use(p)
			x.leave(p, panes, via, to)
			panes.leave(p)
		}
	}
	w.end = to
}

// enter adds a pane to the windows that it is in when they end at a time.
func (w *Windows) enter(p *Pane, via []int32, end int64) {
	if first := w.first(p.Start, end); first < len(w.sizes) {
		w.count(&p.Entries, via, nil)
		w.add(&p.Entries, via, first, len(w.sizes), false)
	}
	for _, x := range w.extremes {
		x.enter(p, via)
	}
}

// leave takes the panes out of the windows that they are not in any more when those
// end at a time.
func (w *Windows) leave(end int64, panes *Panes, via []int32) {
	for i, size := range w.sizes {
		for _, p := range panes.Between(before(w.end, size), min(end-size, w.end)) {
			panes.use(p)
			w.add(&p.Entries, via, i, i+1, true)
			if i == len(w.sizes)-1 {
				w.discount(&p.Entries, via)
			}
			panes.leave(p)
		}
	}
	w.sweep()
}

// empty takes out everything: where the widest window is a pane long, that is
// what a step does.
func (w *Windows) empty() {
	if w.single.pane == nil {
		w.clear()
	}
	w.single.pane, w.active = nil, w.active[:0]
	if w.order != nil {
		w.order.empty()
	}
}

// clear takes what is active out of the sums.
func (w *Windows) clear() {
	for _, s := range w.active {
		w.held[s] = 0
		at := int(s) * w.lanes
		for i := range w.sums[at : at+w.lanes] {
			w.sums[at+i] = 0
		}
		if w.highs != nil {
			clear(w.highs[at : at+w.lanes])
		}
	}
}

// first is the least window among those ending at a time that a pane is in.
func (w *Windows) first(start, end int64) int {
	first := 0
	for first < len(w.sizes) && start < end-w.sizes[first] {
		first++
	}
	return first
}

// Include adds entries that have come late to a pane which the windows have
// already passed; fresh says which the pane did not have yet.
func (w *Windows) Include(start int64, e *Entries, fresh []bool, via []int32) {
	first := w.first(start, w.end)
	if first == len(w.sizes) || start >= w.end {
		return
	}
	w.follow()
	if w.single.pane != nil {
		w.settle() // with these entries, which the pane has
		return
	}
	w.count(e, via, fresh)
	w.add(e, via, first, len(w.sizes), false)
	for _, x := range w.extremes {
		x.stale = true
	}
}

// Discard gives back what windows that are not used any more keep outside.
func (w *Windows) Discard(panes *Panes) {
	for _, x := range w.extremes {
		x.clear(panes)
	}
}

// before is t − d, and the least time where that is before it.
func before(t, d int64) int64 {
	if t < math.MinInt64+d {
		return math.MinInt64
	}
	return t - d
}

// follow makes room for slots that are new in the table.
func (w *Windows) follow() {
	w.grow(w.table.Slots())
	if w.order != nil {
		w.order.follow()
	}
}

func (w *Windows) grow(slots int) {
	if slots <= len(w.held) {
		return
	}
	slots += slots / 4
	w.held = append(w.held, make([]int32, slots-len(w.held))...)
	w.sums = append(w.sums, make([]int64, slots*w.lanes-len(w.sums))...)
	if w.highs != nil {
		w.highs = append(w.highs, make([]int64, slots*w.lanes-len(w.highs))...)
	}
	for _, x := range w.extremes {
		x.grow(slots)
	}
}

// count counts entries into the widest window; fresh nil: all of them.
func (w *Windows) count(e *Entries, via []int32, fresh []bool) {
	held, active := w.held, w.active
	for i, s := range e.Slots {
		if fresh != nil && !fresh[i] {
			continue
		}
		if s = through(via, s); s < 0 {
			continue
		}
		if held[s] == 0 {
			active = append(active, s)
		}
		held[s]++
	}
	if w.order != nil {
		w.order.enter(active[len(w.active):])
	}
	w.active = active
}

func (w *Windows) discount(e *Entries, via []int32) {
	for _, s := range e.Slots {
		if s = through(via, s); s >= 0 {
			w.held[s]--
		}
	}
}

// through is the windows' slot of a pane's slot, below 0 for none.
func through(via []int32, slot int32) int32 {
	if via == nil || slot < 0 {
		return slot
	}
	return via[slot]
}

// sweep forgets the slots that are no longer active.
func (w *Windows) sweep() {
	kept := w.active[:0]
	for _, s := range w.active {
		if w.held[s] > 0 {
			kept = append(kept, s)
		} else if w.order != nil {
			w.order.leave(s)
		}
	}
	w.active = kept
}

// add adds entries to, or takes them from, the windows from one up to another.
func (w *Windows) add(e *Entries, via []int32, from, to int, negative bool) {
	for m := range e.Measures {
		sum := w.sumOf[m]
		if sum < 0 {
			continue
		}
		c := &e.Measures[m]
		if w.highs == nil && c.Hi == nil {
			first, last := sum*len(w.sizes)+from, sum*len(w.sizes)+to
			if w.addNarrow(e.Slots, c.Lo, via, first, last, negative) >= 0 {
				continue
			}
			w.addNarrow(e.Slots, c.Lo, via, first, last, !negative) // undone: wrapping loses nothing
		}
		w.addWide(e.Slots, c, via, sum*len(w.sizes)+from, sum*len(w.sizes)+to, negative)
	}
}

// addNarrow adds in 64 bits, modulo 2^64; the result is below 0 if a sum did not fit.
func (w *Windows) addNarrow(slots []int32, values []uint64, via []int32, first, last int, negative bool) (overflow int64) {
	sign := int64(0)
	if negative {
		sign = -1
	}
	values = values[:len(slots)]
	lanes, one := w.lanes, last-first == 1
	for i, s := range slots {
		if s = through(via, s); s < 0 {
			continue
		}
		v := int64(values[i])
		overflow |= v & -v & sign // of the least number there is no negative
		v = (v ^ sign) - sign
		if at := int(s)*lanes + first; one {
			a := w.sums[at]
			c := a + v
			overflow |= (a ^ c) & (v ^ c)
			w.sums[at] = c
			continue
		}
		sums := w.sums[int(s)*lanes+first : int(s)*lanes+last]
		for j, a := range sums {
			c := a + v
			overflow |= (a ^ c) & (v ^ c)
			sums[j] = c
		}
	}
	return overflow
}

// addWide adds in 128 bits.
func (w *Windows) addWide(slots []int32, c *MeasureColumn, via []int32, first, last int, negative bool) {
	if w.highs == nil {
		w.highs = make([]int64, len(w.sums))
		for i, s := range w.sums {
			w.highs[i] = s >> 63
		}
	}
	for i, s := range slots {
		if s = through(via, s); s < 0 {
			continue
		}
		v := c.Sum(i)
		if negative {
			v = v.Neg()
		}
		for j := int(s)*w.lanes + first; j < int(s)*w.lanes+last; j++ {
			sum := exact.Int128{Hi: w.highs[j], Lo: uint64(w.sums[j])}.Add(v)
			w.highs[j], w.sums[j] = sum.Hi, int64(sum.Lo)
		}
	}
}
