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
	spare       []rest
	stale       bool
}

// rest is the front without a pane and those before it, at that pane's entries.
type rest struct {
	start  int64
	values []int64
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
		x.clear()
	}
	if x.stale || p.Start >= x.split {
		x.turn(panes.Between(p.Start, to), via)
		x.split, x.stale = to, false
	}
	r := x.rests[0]
	for i, s := range p.Slots {
		if s = through(via, s); s >= 0 {
			x.front[s] = r.values[i]
		}
	}
	x.spare = append(x.spare, r)
	x.rests = slices.Delete(x.rests, 0, 1)
}

// refresh makes up for late entries.
func (x *extremum) refresh(panes *Panes, via []int32, end int64, slots int) {
	if !x.stale {
		return
	}
	x.grow(slots)
	x.clear()
	x.turn(panes.Between(before(end, x.size), end), via)
	x.split, x.stale = end, false
}

func (x *extremum) clear() {
	for s := range x.front {
		x.front[s], x.back[s] = x.none(), x.none()
	}
	x.spare = append(x.spare, x.rests...)
	x.rests = x.rests[:0]
}

// turn makes panes, which are all that the window holds, the front.
func (x *extremum) turn(panes []*Pane, via []int32) {
	for _, p := range panes {
		r := rest{}
		if n := len(x.spare); n > 0 {
			r, x.spare = x.spare[n-1], x.spare[:n-1]
		}
		r.start, r.values = p.Start, slices.Grow(r.values[:0], len(p.Slots))[:len(p.Slots)]
		x.rests = append(x.rests, r)
	}
	for n := len(panes) - 1; n >= 0; n-- {
		p, r := panes[n], x.rests[n].values
		values := p.Measures[x.measure].Lo
		for i, s := range p.Slots {
			if s = through(via, s); s >= 0 {
				r[i] = x.front[s]
				x.back[s] = x.none()
			}
		}
		for i, s := range p.Slots {
			if s = through(via, s); s >= 0 {
				x.front[s] = x.pick(x.front[s], int64(values[i]))
			}
		}
	}
}
