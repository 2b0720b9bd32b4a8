package stream

import (
	"math/bits"
	"slices"

	"github.com/hextide/hextide/geo"
)

// routes remembers to which territories each cell's partials go: finding a halo
// is far dearer than looking it up.
//
// Invariant: as in paneTable; route n's territories are in targets from
// ends[n−1] to ends[n], the cell's own first.
type routes struct {
	territories *geo.Territories
	slots       []uint32
	shift       uint
	cells       []geo.Cell
	ends        []uint32
	targets     []geo.Territory
	made        map[routeTarget]int // while one pane is split: positions in lists
	hints       [routeHints]uint32  // positions in lists, found without made if they are right
	lists       []routeList
}

// routeList is the rows of a pane that go to a target.
type routeList struct {
	routeTarget
	rows []int32
}

// routeTarget is where partials go, and as what.
type routeTarget struct {
	territory geo.Territory
	halo      bool
}

// routeHints is a power of two.
const routeHints = 64

// routesKept bounds the cells remembered; beyond it the memory starts anew.
const routesKept = 1 << 20

const routeSlots = 1024

func newRoutes(t *geo.Territories) *routes {
	r := &routes{territories: t, made: map[routeTarget]int{}}
	r.forget()
	return r
}

func (r *routes) forget() {
	r.slots = make([]uint32, routeSlots)
	r.shift = 64 - uint(bits.TrailingZeros(routeSlots))
	r.cells, r.ends, r.targets = r.cells[:0], r.ends[:0], r.targets[:0]
}

// of is a cell's own territory followed by those in whose halo it lies; valid
// until the next call.
func (r *routes) of(c geo.Cell) []geo.Territory {
	mask := uint64(len(r.slots) - 1)
	at := r.slot(c)
	for ; r.slots[at] != 0; at = (at + 1) & mask {
		if n := r.slots[at] - 1; r.cells[n] == c {
			return r.route(int(n))
		}
	}
	if len(r.cells) >= routesKept {
		r.forget()
		at = r.slot(c)
	}
	r.cells = append(r.cells, c)
	r.targets = r.territories.Halo(append(r.targets, r.territories.Of(c)), c)
	r.ends = append(r.ends, uint32(len(r.targets)))
	n := len(r.cells)
	r.slots[at] = uint32(n)
	if 2*n > len(r.slots) {
		r.rehash()
	}
	return r.route(n - 1)
}

func (r *routes) route(n int) []geo.Territory {
	start := uint32(0)
	if n > 0 {
		start = r.ends[n-1]
	}
	return r.targets[start:r.ends[n]]
}

func (r *routes) slot(c geo.Cell) uint64 { return c.Hash() >> r.shift }

func (r *routes) rehash() {
	r.slots = make([]uint32, 4*len(r.slots))
	r.shift -= 2
	mask := uint64(len(r.slots) - 1)
	for n, c := range r.cells {
		at := r.slot(c)
		for r.slots[at] != 0 {
			at = (at + 1) & mask
		}
		r.slots[at] = uint32(n + 1)
	}
}

// split turns a pane's table into partials, one a territory: its own cells, and
// another for those in its halo.
func (r *routes) split(p *paneTable, pool *PartialsPool, dst []*Partials) []*Partials {
	clear(r.made)
	r.lists = r.lists[:0]
	if r.territories.WidestRing() == 0 { // no halos
		for row, c := range p.cells() {
			own := r.list(routeTarget{r.territories.Of(c), false})
			own.rows = append(own.rows, int32(row))
		}
	} else {
		for row, c := range p.cells() {
			for n, t := range r.of(c) {
				to := r.list(routeTarget{t, n > 0})
				to.rows = append(to.rows, int32(row))
			}
		}
	}
	for i := range r.lists {
		l := &r.lists[i]
		q := pool.Get(len(p.columns))
		q.Territory, q.Halo, q.Pane = l.territory, l.halo, p.start
		q.take(p, l.rows)
		dst = append(dst, q)
	}
	return dst
}

// list finds the list of a target's rows among those made for this pane; valid until
// the next call.
func (r *routes) list(to routeTarget) *routeList {
	hint := &r.hints[geo.Cell(to.territory).Hash()>>(64-6)]
	if i := int(*hint); i < len(r.lists) && r.lists[i].routeTarget == to {
		return &r.lists[i]
	}
	i, is := r.made[to]
	if !is {
		i = len(r.lists)
		r.lists = slices.Grow(r.lists, 1)[:i+1]
		r.lists[i].routeTarget, r.lists[i].rows = to, r.lists[i].rows[:0]
		r.made[to] = i
	}
	*hint = uint32(i)
	return &r.lists[i]
}

// take copies rows of a table.
func (q *Partials) take(p *paneTable, rows []int32) {
	q.Cells = gather(q.Cells, p.cells(), rows)
	for m := range p.columns {
		from, to := &p.columns[m], &q.Measures[m]
		to.Lo = gather(to.Lo, from.lo, rows)
		if from.hi != nil {
			to.Hi = gather(to.Hi, from.hi, rows)
		}
	}
}

// gather is the given rows of a column, in the memory of dst where they have room.
func gather[T any](dst, column []T, rows []int32) []T {
	dst = slices.Grow(dst[:0], len(rows))[:len(rows)]
	for n, row := range rows {
		dst[n] = column[row]
	}
	return dst
}
