package stream

import (
	"slices"

	"github.com/hextide/hextide/geo"
)

// routes remembers to which territories each cell's partials go: finding a halo
// is far dearer than looking it up.
//
// Invariant: the territories of cell n are in targets from ends[n−1] to ends[n],
// the cell's own first.
type routes struct {
	territories *geo.Territories
	cells       numbers[geo.Cell]
	ends        []uint32
	targets     []geo.Territory
	some        []int32             // numbers of cells
	made        map[routeTarget]int // while one pane is split: positions in lists
	hints       [routeHints]uint32  // positions in lists that are likely, by the hash of the territory
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

const (
	routesKept     = 1 << 20 // bounds the cells remembered; beyond it the memory starts anew
	routesTogether = 1 << 12 // that are looked up together
	routeHints     = 64
)

func newRoutes(t *geo.Territories) *routes {
	return &routes{territories: t, cells: newNumbers[geo.Cell](), made: map[routeTarget]int{}}
}

// find finds the routes of cells, and makes those that are missing; what it returns, and
// the routes, are valid until the next call.
func (r *routes) find(cells []geo.Cell) []int32 {
	if len(r.ends)+len(cells) > routesKept {
		r.cells, r.ends, r.targets = newNumbers[geo.Cell](), r.ends[:0], r.targets[:0]
	}
	r.some = resize(r.some, len(cells))
	r.cells.of(r.some, cells)
	for _, c := range r.cells.words()[len(r.ends):] {
		r.targets = r.territories.Halo(append(r.targets, r.territories.Of(c)), c)
		r.ends = append(r.ends, uint32(len(r.targets)))
	}
	return r.some
}

// route is a cell's own territory followed by those in whose halo it lies.
func (r *routes) route(n int32) []geo.Territory {
	start := uint32(0)
	if n > 0 {
		start = r.ends[n-1]
	}
	return r.targets[start:r.ends[n]]
}

// split turns a pane's table into partials, one a territory: its own cells, and
// another for those in its halo.
func (r *routes) split(p *paneTable, pool *PartialsPool, dst []*Partials) []*Partials {
	clear(r.made)
	r.lists = r.lists[:0]
	if r.territories.WidestRing() == 0 {
		r.own(p.cells())
	} else {
		r.ownAndHalos(p.cells())
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

// own lists rows where there are no halos.
func (r *routes) own(cells []geo.Cell) {
	to := &routeList{}
	for row, c := range cells {
		if t := r.territories.Of(c); t != to.territory {
			to = r.list(routeTarget{t, false})
		}
		to.rows = append(to.rows, int32(row))
	}
}

// ownAndHalos lists rows by the routes of their cells.
func (r *routes) ownAndHalos(cells []geo.Cell) {
	for from := 0; from < len(cells); from += routesTogether {
		to := min(from+routesTogether, len(cells))
		for n, route := range r.find(cells[from:to]) {
			for i, t := range r.route(route) {
				l := r.list(routeTarget{t, i > 0})
				l.rows = append(l.rows, int32(from+n))
			}
		}
	}
}

// list finds the list of a target's rows among those made for this pane; valid until
// the next call.
func (r *routes) list(to routeTarget) *routeList {
	hint := &r.hints[geo.Cell(to.territory).Hash()>>32%routeHints]
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
