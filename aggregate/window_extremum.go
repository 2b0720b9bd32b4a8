package aggregate

import (
	"math"
	"slices"
)

// extremum is a running minimum or maximum over one window, of every slot: two
// stacks make a queue. The panes before split are in front, the others at the
// back. Of the back only the extremum is kept; of the front the extremum too,
// and beside each pane what the front's is without that pane and those before
// it. A pane leaves by putting that in place; when the front is empty, the back
// becomes the front. Each pane is turned over once: constant work an entry,
// however wide the window.
//
// A late entry in a pane that has entered makes it stale: it is turned over anew
// when it is next needed.
type extremum struct {
	measure     int
	size        int64 // µs
	low         bool  // a minimum
	split       int64 // µs
	front, back []int64
	rests       []rest // of the front's panes, the oldest first
	spare       [][]int64
	stale       bool
}

// rest is the front without a pane and those before it, at that pane's entries.
type rest struct {
	start  int64
	values []int64
	number uint64 // not 0: the values are outside, under it
}

func newExtremum(kind MeasureKind, measure int, size int64) *extremum {
	return &extremum{measure: measure, size: size, low: kind == Min, split: math.MinInt64}
}

// none is the extremum of nothing.
func (x *extremum) none() int64 {
	if x.low {
		return None(Min)
	}
	return None(Max)
}

func (x *extremum) pick(a, b int64) int64 {
	if x.low {
		return min(a, b)
	}
	return max(a, b)
}

func (x *extremum) grow(slots int) {
	for len(x.front) < slots {
		x.front, x.back = append(x.front, x.none()), append(x.back, x.none())
	}
}

func (x *extremum) value(slot int32) int64 {
	if int(slot) >= len(x.front) {
		return x.none()
	}
	return x.pick(x.front[slot], x.back[slot])
}

// enter adds a pane at the back.
func (x *extremum) enter(p *Pane, via []int32) {
	values := p.Measures[x.measure].Lo
	for i, s := range p.Slots {
		if s = through(via, s); s >= 0 {
			x.back[s] = x.pick(x.back[s], int64(values[i]))
		}
	}
}

// leave removes the oldest pane of those that begin before to.
func (x *extremum) leave(p *Pane, panes *Panes, via []int32, to int64) {
	if x.stale {
		x.clear(panes)
	}
	if x.stale || p.Start >= x.split {
		x.turn(panes, p.Start, to, via)
		x.split, x.stale = to, false
	}
	r := x.take(panes, len(p.Slots))
	for i, s := range p.Slots {
		if s = through(via, s); s >= 0 {
			x.front[s] = r[i]
		}
	}
}

// refresh makes up for late entries.
func (x *extremum) refresh(panes *Panes, via []int32, end int64, slots int) {
	if !x.stale {
		return
	}
	x.grow(slots)
	x.clear(panes)
	x.turn(panes, before(end, x.size), end, via)
	x.split, x.stale = end, false
}

func (x *extremum) clear(panes *Panes) {
	for s := range x.front {
		x.front[s], x.back[s] = x.none(), x.none()
	}
	for len(x.rests) > 0 {
		x.take(panes, 0)
	}
}

// turn makes the panes that begin in [from, to), which are all that the window
// holds, the front.
func (x *extremum) turn(panes *Panes, from, to int64, via []int32) {
	turned := panes.Between(from, to)
	x.rests = slices.Grow(x.rests, len(turned))[:len(turned)]
	for n := len(turned) - 1; n >= 0; n-- {
		panes.show(turned[n], func(p *Pane) bool {
			r := rest{start: p.Start, values: x.room(len(p.Slots))}
			x.turnOver(p, r.values, via)
			x.rests[n] = x.keep(panes, r)
			return true
		})
	}
}

// turnOver adds a pane to the front, of which rest is set to what it was without.
func (x *extremum) turnOver(p *Pane, rest []int64, via []int32) {
	values := p.Measures[x.measure].Lo
	for i, s := range p.Slots {
		if s = through(via, s); s >= 0 {
			rest[i] = x.front[s]
			x.back[s] = x.none()
		}
	}
	for i, s := range p.Slots {
		if s = through(via, s); s >= 0 {
			x.front[s] = x.pick(x.front[s], int64(values[i]))
		}
	}
}

// room is memory for a rest's values.
func (x *extremum) room(n int) (values []int64) {
	if last := len(x.spare) - 1; last >= 0 {
		values, x.spare = x.spare[last], x.spare[:last]
	}
	return slices.Grow(values[:0], n)[:n]
}

// keep keeps a rest where there is room for it.
func (x *extremum) keep(panes *Panes, r rest) rest {
	o := panes.outside
	switch {
	case o == nil:
	case o.Over():
		panes.buffer = appendInts(panes.buffer[:0], r.values)
		x.spare = append(x.spare, r.values)
		r.number, r.values = o.Put(0, panes.buffer), nil
	default:
		o.Count(8 * int64(cap(r.values)))
	}
	return r
}

// take gives the oldest rest up and returns n of its values, valid until the next turn.
func (x *extremum) take(panes *Panes, n int) []int64 {
	r, o := x.rests[0], panes.outside
	x.rests = slices.Delete(x.rests, 0, 1)
	switch {
	case r.number != 0:
		r.values = x.room(n)
		if content := o.Get(r.number); n > 0 && len(content) > 0 {
			readInts(r.values, content)
		}
		o.Delete(r.number)
	case o != nil:
		o.Count(-8 * int64(cap(r.values)))
	}
	if o == nil || len(x.spare) == 0 {
		x.spare = append(x.spare, r.values)
	}
	return r.values
}
