package stream

import (
	"math"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// noDue is when something is due that is not.
const noDue = math.MaxInt64

// view is all windows of a territory that end at one time: of its cells, and of
// the parents at each level.
type view struct {
	windows []*aggregate.Windows // 0: the cells'; 1 on: the levels'
	live    [][]geo.Cell         // by windows: the cells last told of with something in their row; ascending
}

func newView(t *territory) *view {
	sh := t.shape
	ordered := !sh.ringed || sh.emitCell
	v := &view{windows: []*aggregate.Windows{aggregate.NewWindows(sh.measures, sh.pane, sh.sizes, t.table, ordered)}}
	for i := range t.levels {
		v.windows = append(v.windows, aggregate.NewWindows(sh.measures, sh.pane, sh.sizes, t.levels[i].table, true))
	}
	v.live = make([][]geo.Cell, len(v.windows))
	return v
}

// end is where the windows end; NoTime before the first pane.
func (v *view) end() int64 { return v.windows[0].End() }

func (v *view) slide(t *territory, to int64) {
	for i, w := range v.windows {
		w.Slide(to, &t.panes, t.via(i))
	}
}

// include adds late entries to the windows that passed their pane.
func (v *view) include(t *territory, pane int64, e *aggregate.Entries, fresh []bool) {
	for i, w := range v.windows {
		w.Include(pane, e, fresh, t.via(i))
	}
}

// discard gives back what a view that is not used any more keeps outside.
func (v *view) discard(t *territory) {
	for _, w := range v.windows {
		w.Discard(&t.panes)
	}
}

// via maps the panes' slots to those of a view's windows.
func (t *territory) via(i int) []int32 {
	if i == 0 {
		return nil
	}
	return t.levels[i-1].via
}

// busy tells whether a window holds anything, or an entity waits to be told that
// its row has ceased.
func (v *view) busy() bool {
	if !v.windows[0].Empty() {
		return true
	}
	for _, live := range v.live {
		if len(live) > 0 {
			return true
		}
	}
	return false
}

// due is the next window end that has rows or markers: while windows hold
// anything the next pane's, else that of the next pane with events.
func (v *view) due(t *territory) int64 {
	if v.busy() {
		return v.end() + t.shape.pane
	}
	if next := t.panes.Between(v.end(), math.MaxInt64); len(next) > 0 {
		return next[0].Start + t.shape.pane
	}
	return noDue
}

// spans are runs of window ends, both bounds included.
//
// Invariant: the runs ascend and do not overlap.
type spans struct{ runs [][2]int64 }

// add joins a run with those that it overlaps.
func (s *spans) add(from, to int64) {
	kept := s.runs[:0]
	at := 0
	for _, r := range s.runs {
		switch {
		case r[1] < from:
			at++
		case r[0] <= to:
			from, to = min(from, r[0]), max(to, r[1])
			continue
		}
		kept = append(kept, r)
	}
	s.runs = append(kept, [2]int64{})
	copy(s.runs[at+1:], s.runs[at:])
	s.runs[at] = [2]int64{from, to}
}

func (s *spans) has(t int64) bool {
	for _, r := range s.runs {
		if r[0] <= t && t <= r[1] {
			return true
		}
	}
	return false
}

// drop forgets what is at or before a time.
func (s *spans) drop(t int64) {
	n := 0
	for n < len(s.runs) && s.runs[n][1] <= t {
		n++
	}
	if n > 0 {
		s.runs = append(s.runs[:0], s.runs[n:]...)
	}
}

func (s *spans) save(w *entryWriter) {
	w.number(uint64(len(s.runs)))
	for _, r := range s.runs {
		w.time(r[0])
		w.time(r[1])
	}
}

func (s *spans) load(r *entryReader) {
	for n := r.length(2); n > 0; n-- {
		s.runs = append(s.runs, [2]int64{r.time(), r.time()})
	}
}
