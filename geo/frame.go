package geo

import "slices"

// chartLevels is how many resolutions a chart is finer than a territory: 49 charts a territory.
const chartLevels = 2

// Frame unfolds a territory and its halo onto the plane's hexagonal lattice, where a disk is the same
// set of offsets everywhere.
//
// It is made of charts: coarse cells, each of which lies flat in itself, put beside one another by
// what the neighbour function says at their own coarse resolution (the hierarchy turns and stretches
// all alike, so what fits there fits below). Charts that touch make a piece. A piece with one pentagon
// is unrolled about it onto five sheets (frame_apex.go). Where two ways around lead to different
// places, or a piece has two pentagons, the frame does not unfold, and its disks are gathered cell by
// cell.
//
// Invariant: where it unfolds, every cell within the widest ring of an own cell lies in a chart, and
// the disk of an own cell is the flat disk about its spot, of images (frame_apex.go) where its piece
// has a pentagon.
//
// Immutable: any goroutine may call any method.
type Frame struct {
	territories *Territories
	id          Territory
	unfolds     bool
	resolution  int // of the cells
	coarse      int // of the charts
	depth       int // resolution − coarse
	inner       []Spot
	charts      []chart // Invariant: own charts first, ascending
	own         int     // how many charts are the territory's own
	byCell      map[Cell]int32
	apexes      []apex // ascending by their sheets
}

// chart is one flat piece of a frame.
type chart struct {
	cell     Cell
	pentagon bool
	turns    uint8 // of its own axes against the piece's, 60° counterclockwise each
	apex     int16 // number of its piece's pentagon plus 1; 0: the piece has none
	place    Spot  // on the charts' lattice of its piece
	at       Spot  // of its centre, on the cells' lattice: of the frame, or about the apex
}

// NewFrame unfolds a territory of t with its halo, as far as it unfolds.
func NewFrame(t *Territories, id Territory) *Frame {
	f := &Frame{territories: t, id: id, resolution: t.resolution}
	f.coarse = min(t.coarse+chartLevels, t.resolution)
	f.depth = f.resolution - f.coarse
	f.inner = innerSpots(f.coarse, f.depth)
	for _, m := range t.Members(id) {
		f.addMember(m)
	}
	slices.SortFunc(f.charts, func(a, b chart) int {
		if a.cell < b.cell {
			return -1
		}
		return 1
	})
	f.own = len(f.charts)
	f.byCell = make(map[Cell]int32, 2*f.own)
	for i, c := range f.charts {
		f.byCell[c.cell] = int32(i)
	}
	f.addHalo()
	f.unfolds = f.unfold()
	if !f.unfolds {
		f.charts = slices.Clip(f.charts[:f.own])
	}
	return f
}

// addMember adds the charts of one member of the territory.
func (f *Frame) addMember(m Cell) {
	level := m.Resolution()
	for number := range power7(f.coarse - level) {
		c := descendant(m, level, f.coarse-level, number)
		if !deleted(c, f.coarse) {
			f.charts = append(f.charts, chart{cell: c, pentagon: c.IsPentagon()})
		}
	}
}

// addHalo adds the charts that hold the halo.
func (f *Frame) addHalo() {
	start := 0
	for range coarseSteps(f.territories.widest, f.depth) {
		end := len(f.charts)
		for i := start; i < end; i++ {
			for digit := uint8(1); digit < 7; digit++ {
				near := stepTo(f.charts[i].cell, digit)
				if _, ok := f.byCell[near]; !ok && near != 0 {
					f.byCell[near] = int32(len(f.charts))
					f.charts = append(f.charts, chart{cell: near, pentagon: near.IsPentagon()})
				}
			}
		}
		start = end
	}
}

// Unfolds reports that the frame lies flat, or on the sheets of pentagons, so that disks are six loads
// a ring. Disks gives the same sums either way.
func (f *Frame) Unfolds() bool { return f.unfolds }

// Position returns the spot of a cell of the pipeline's resolution; false if it is outside the
// territory and its halo. It is true for some cells a little beyond the halo, which do no harm, and
// for all cells where the frame does not unfold.
func (f *Frame) Position(c Cell) (Spot, bool) {
	if !f.unfolds {
		return Spot{int32(c >> 32), int32(c)}, true
	}
	i, ok := f.byCell[ancestorAt(c, f.coarse)]
	if !ok {
		return Spot{}, false
	}
	return f.spot(&f.charts[i], digitsBelow(c, f.coarse, f.depth)), true
}

// spot is the spot of the cell with a number in a chart.
func (f *Frame) spot(in *chart, number int) Spot {
	if in.apex == 0 {
		return in.at.plus(f.inner[number].turn(in.turns))
	}
	wedge, at, _ := f.unroll(in, number)
	return f.apexes[in.apex-1].sheet(wedge).plus(at)
}

// gathered is the cell that Position put into a spot of a frame that does not unfold.
func gathered(s Spot) Cell { return Cell(uint32(s.X))<<32 | Cell(uint32(s.Y)) }

// cursor remembers the chart of the last cell: cells that are near in order are mostly in one.
type cursor struct {
	cell  Cell
	chart int32 // −1: in none
}

// chartOf is the number of the chart that a cell lies in, −1 for none.
func (f *Frame) chartOf(c Cell, last *cursor) int32 {
	if at := ancestorAt(c, f.coarse); at != last.cell {
		i, ok := f.byCell[at]
		if !ok {
			i = -1
		}
		*last = cursor{at, i}
	}
	return last.chart
}

// Rank numbers the territory's own cells in ascending order, leaving out numbers only where a pentagon
// lacks children; false for a cell that is not the territory's own.
func (f *Frame) Rank(c Cell) (int, bool) {
	i, ok := f.byCell[ancestorAt(c, f.coarse)]
	if !ok || int(i) >= f.own {
		return 0, false
	}
	return int(i)*len(f.inner) + digitsBelow(c, f.coarse, f.depth), true
}

// CellOf returns the own cell of a rank that Rank gave.
func (f *Frame) CellOf(rank int) Cell {
	return descendant(f.charts[rank/len(f.inner)].cell, f.coarse, f.depth, rank%len(f.inner))
}

// Ranks is the number that all ranks are below.
func (f *Frame) Ranks() int { return f.own * len(f.inner) }

// innerSpots are the spots of all cells `depth` levels below a cell, from its centre, in its own axes,
// in ascending order of the cells.
func innerSpots(coarse, depth int) []Spot {
	spots := []Spot{{}}
	for level := coarse + 1; level <= coarse+depth; level++ {
		next := make([]Spot, 0, 7*len(spots))
		for _, s := range spots {
			for _, step := range digitStep {
				next = append(next, s.finer(level).plus(step))
			}
		}
		spots = next
	}
	return spots
}
