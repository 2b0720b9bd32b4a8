package stream

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/models"
	"github.com/hextide/hextide/pipeline"
)

// Shard owns some territories. It merges partials into their panes, and when the
// frontier passes a pane's end it slides the windows, sums the rings, steps the
// models and leaves the rows that end there.
//
// Final rows are a function of the events merged: neither the order nor the
// splitting of partials, nor how far Advance went at a time, changes a bit.
//
// Where final rows trail (allowed_lateness L > 0), two sets of windows run over
// the same panes. Each close has its turn: a provisional one at its window end E,
// a final one at E + L, the final one first where both are due. So a provisional
// row at E knows the models as of E − L, whichever way the frontiers came.
//
// It is a state machine on one goroutine at a time; it reads no clock.
type Shard struct {
	shape       *shape
	id          int32
	options     ShardOptions
	territories []*territory // Invariant: ascending by id
	byID        map[geo.Territory]*territory
	emitter     *emitter
	asked       frontiers // as Advance was told, whole panes
	done        frontiers // Invariant: everything at or before is closed; whole panes
	told        frontiers // in the last output
	silent      frontiers // of a course of events that was abandoned, whose rows stay told
	again       bool      // told by an earlier incarnation, of which nobody may have heard
	versions    versions
	head        head
	stats       ShardStats
	movable     []movable
}

// frontiers are both frontiers, µs.
type frontiers struct{ provisional, final int64 }

// ShardOptions of one shard. The zero value is good.
type ShardOptions struct {
	FinalOnly bool         // history: neither provisional rows nor markers
	MaxPanes  int          // panes of territories that a Step closes; default 16
	Pool      *RowPool     // nil: one of its own
	Grids     geo.GridPool // nil: each territory's are its own
	Makers    int          // that may make the rows of a pane side by side; default 1
	memory    *share       // nil: there is no bound

	// Spread has n things made, each once, by as many of the makers as are of use, in
	// whatever order or at the same time; what is made it hands to take, in order, on
	// the goroutine of the caller. It returns when all are taken, or none is at work any
	// more and take has failed. Needed where there are several makers.
	Spread func(makers, n int, build func(maker, i int), take func(i int) error) error
}

// ShardStats counts what a shard did since it was made.
type ShardStats struct {
	Rows        int64 // final rows, or with two revisions those of revision 0
	Revised     int64 // rows of revision 1
	Markers     int64
	Overflows   int64 // values of final rows that are null because they do not fit their column
	Panes       int64 // closed, one a territory
	Beyond      int64 // partials' cells for panes that were final already: none, if the caller keeps its word
	Territories int
	Cells       int // that have a place in memory
	StoredPanes int
}

// ErrPartials marks partials that cannot be of this shard's plan.
var ErrPartials = errors.New("partials do not fit the plan")

// NewShard makes an empty shard.
func NewShard(plan *pipeline.Plan, id int32, o ShardOptions) (*Shard, error) {
	sh, err := newShape(plan)
	if err != nil {
		return nil, fmt.Errorf("shard %d: %w", id, err)
	}
	return newShard(sh, id, o), nil
}

func newShard(sh *shape, id int32, o ShardOptions) *Shard {
	if o.MaxPanes <= 0 {
		o.MaxPanes = 16
	}
	if o.Pool == nil {
		o.Pool = &RowPool{}
	}
	none := frontiers{NoTime, NoTime}
	s := &Shard{
		shape: sh, id: id, options: o, byID: map[geo.Territory]*territory{},
		asked: none, done: none, told: none, silent: none, versions: newVersions(),
	}
	s.emitter = newEmitter(s)
	if o.memory != nil {
		o.memory.move = s.moveOut
	}
	return s
}

// twice tells whether provisional rows come before final ones.
func (s *Shard) twice() bool { return s.shape.trail > 0 && !s.options.FinalOnly }

// Merge merges partials of a territory of this shard, its own cells' or its
// halo's; it copies what it keeps. Cells must be named once.
func (s *Shard) Merge(p *Partials) error {
	if len(p.Measures) != len(s.shape.measures) || p.Pane%s.shape.pane != 0 {
		return fmt.Errorf("%w: pane %d, %d measures", ErrPartials, p.Pane, len(p.Measures))
	}
	for m := range p.Measures {
		c := &p.Measures[m]
		if len(c.Lo) != len(p.Cells) || c.Hi != nil && len(c.Hi) != len(p.Cells) {
			return fmt.Errorf("%w: measure %d of %d cells has %d values", ErrPartials, m, len(p.Cells), len(c.Lo))
		}
	}
	if p.Pane < s.done.final {
		s.stats.Beyond += int64(len(p.Cells))
		return nil
	}
	t, err := s.territory(p.Territory)
	if err != nil {
		return err
	}
	if p.Pane < t.final.end() {
		s.stats.Beyond += int64(len(p.Cells))
		return nil
	}
	t.merge(p, s.done.provisional)
	return s.options.memory.failed()
}

// territory is made by the first partials that reach it.
func (s *Shard) territory(id geo.Territory) (*territory, error) {
	if t := s.byID[id]; t != nil {
		return t, nil
	}
	t, err := newTerritory(s.shape, id, s.twice(), &s.versions, s.options.Grids)
	if err != nil {
		return nil, err
	}
	if s.options.memory != nil {
		t.panes.Bound(s.options.memory)
	}
	s.byID[id] = t
	at, _ := slices.BinarySearchFunc(s.territories, id, func(t *territory, id geo.Territory) int { return cmp.Compare(t.id, id) })
	s.territories = slices.Insert(s.territories, at, t)
	return t, nil
}

// Advance tells how far event time is complete, µs. Frontiers that are behind
// what was told before change nothing.
func (s *Shard) Advance(provisional, final int64) {
	s.asked.final = max(s.asked.final, wholePanes(final, s.shape.pane))
	s.asked.provisional = max(s.asked.provisional, wholePanes(provisional, s.shape.pane), s.asked.final)
	if !s.twice() {
		s.asked.provisional = s.asked.final
	}
}

func wholePanes(t, pane int64) int64 {
	if t == NoTime {
		return NoTime
	}
	return floor(t, pane)
}

// Silent tells how far rows were told by a course of events that was abandoned, and
// are not told again: the provisional ones after its final frontier may have been
// others than this shard's. So their final rows all go out, changed or not.
func (s *Shard) Silent(told Frontiers) { s.silent = frontiers{told.Provisional, told.Final} }

// End tells that event time ends: windows close up to end, a pane's end, and
// rows stop there.
func (s *Shard) End(end int64) { s.Advance(end, end) }

// turn is when a close is due: after everything that sorts before it.
type turn struct {
	at    int64 // µs: the window end; that plus the trail for a final close of two
	later bool  // provisional
}

var never = turn{at: math.MaxInt64}

func (a turn) before(b turn) bool { return a.at < b.at || a.at == b.at && !a.later && b.later }

// Step closes a bounded number of panes: ascending by window end, then by
// territory. The frontier that it leaves covers the rows before it. more says
// that there are panes left to close.
//
// Of a pane with many rows, blocks leave before the others are made: hand takes
// them, in order, before what is left in out. Where it is nil all gather there.
func (s *Shard) Step(out *Output, hand func([]*Rows) error) (more bool, err error) {
	o := &s.emitter.outlet
	*o = outlet{out: out, hand: hand}
	for budget := s.options.MaxPanes; ; {
		next := s.next()
		if next == never {
			s.done = s.asked
			break
		}
		if budget <= 0 {
			s.behind(next)
			more = true
			break
		}
		for _, t := range s.territories {
			if s.turnOf(t, next.later) != next {
				continue
			}
			if err := s.close(t, next, o); err != nil {
				return false, fmt.Errorf("territory %s: %w", s.shape.territories.Name(t.id), err)
			}
			if budget--; o.blocks >= stepBlocks {
				budget = 0
			}
			if budget <= 0 {
				break
			}
		}
	}
	if s.done != s.told || s.again && s.done != (frontiers{NoTime, NoTime}) {
		s.told, s.again = s.done, false
		out.Frontier = &Frontier{Shard: s.id, Provisional: s.done.provisional, Final: s.done.final}
	}
	return more, nil
}

// next is the earliest turn of all territories.
func (s *Shard) next() turn {
	next := never
	for _, t := range s.territories {
		for _, later := range [...]bool{false, true} {
			if turn := s.turnOf(t, later); turn.before(next) {
				next = turn
			}
		}
	}
	return next
}

// turnOf is a territory's next final or provisional close, never if it is not due.
func (s *Shard) turnOf(t *territory, provisional bool) turn {
	if provisional {
		if t.provisional == nil {
			return never
		}
		if end := t.dueProvisional(s.done.provisional); end <= s.asked.provisional {
			return turn{end, true}
		}
		return never
	}
	end := t.dueFinal()
	switch {
	case end > s.asked.final:
		return never
	case s.twice():
		return turn{at: end + s.shape.trail}
	}
	return turn{at: end}
}

// behind sets done while there is more to close: to what sorts before the next turn.
func (s *Shard) behind(next turn) {
	pane, trail := s.shape.pane, int64(0)
	if s.twice() {
		trail = s.shape.trail
	}
	final := next.at - trail
	if !next.later {
		final--
	}
	s.done.final = max(s.done.final, min(s.asked.final, floor(final, pane)))
	s.done.provisional = max(s.done.provisional, min(s.asked.provisional, floor(next.at-1, pane)))
}

// close closes one pane of one territory.
func (s *Shard) close(t *territory, at turn, out *outlet) error {
	s.stats.Panes++
	t.changed = s.versions.now
	if at.later {
		return errors.Join(s.emitter.provisional(t, at.at, out), s.options.memory.failed())
	}
	end := at.at
	if s.twice() {
		end -= s.shape.trail
	}
	t.slideFinal(end)
	for _, m := range t.models {
		if err := m.step(t, end); err != nil {
			return err
		}
	}
	err := s.emitter.final(t, end, out)
	t.forget(end)
	return errors.Join(err, s.options.memory.failed())
}

// Scores are the models' scores, in the definition's order, summed over
// territories.
func (s *Shard) Scores() []models.Score {
	scores := make([]models.Score, len(s.shape.models))
	for _, t := range s.territories {
		for i, m := range t.models {
			scores[i] = scores[i].Plus(m.demand.Score())
		}
	}
	return scores
}

// Stats counts what the shard did.
func (s *Shard) Stats() ShardStats {
	st := s.stats
	st.Territories = len(s.territories)
	for _, t := range s.territories {
		st.Cells += t.table.Len()
		st.StoredPanes += len(t.panes.All())
	}
	return st
}
