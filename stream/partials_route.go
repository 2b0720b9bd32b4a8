package stream

import (
	"math/bits"

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
	made        map[routeTarget]*Partials // while one pane is split
}

// routeTarget is where partials go, and as what.
type routeTarget struct {
	territory geo.Territory
	halo      bool
}

// routesKept bounds the cells remembered; beyond it the memory starts anew.
const routesKept = 1 << 20

const routeSlots = 1024

func newRoutes(t *geo.Territories) *routes {
	r := &routes{territories: t, made: map[routeTarget]*Partials{}}
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
	if r.territories.WidestRing() == 0 { // no halos
		r.targets = append(r.targets[:0], r.territories.Of(c))
		return r.targets
	}
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

func (r *routes) slot(c geo.Cell) uint64 { return uint64(c) * 0x9e3779b97f4a7c15 >> r.shift }

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
	var own *Partials
	for row, c := range p.cells {
		targets := r.of(c)
		if own == nil || own.Territory != targets[0] {
			own, dst = r.target(dst, targets[0], false, p, pool)
		}
		own.take(p, row)
		for _, t := range targets[1:] {
			var halo *Partials
			halo, dst = r.target(dst, t, true, p, pool)
			halo.take(p, row)
		}
	}
	return dst
}

// target finds the partials for a territory among those made for this pane.
func (r *routes) target(dst []*Partials, t geo.Territory, halo bool, p *paneTable, pool *PartialsPool) (*Partials, []*Partials) {
	to := routeTarget{t, halo}
	if q := r.made[to]; q != nil {
		return q, dst
	}
	q := pool.Get(len(p.columns))
	q.Territory, q.Halo, q.Pane = t, halo, p.start
	r.made[to] = q
	return q, append(dst, q)
}

// take appends a row of a table.
func (q *Partials) take(p *paneTable, row int) {
	q.Cells = append(q.Cells, p.cells[row])
	for m := range p.columns {
		from, to := &p.columns[m], &q.Measures[m]
		to.Lo = append(to.Lo, from.lo[row])
		if from.hi != nil {
			to.Hi = append(to.Hi, from.hi[row])
		}
	}
}
