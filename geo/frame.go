package geo

import "slices"

// chartLevels is how many resolutions a chart is finer than a territory: 49 charts a territory.
const chartLevels = 2

// Frame unfolds a territory and its halo onto the plane's hexagonal lattice, where a disk is the same
// set of offsets everywhere.
//
// It is made of charts: coarse cells, each of which lies flat in itself, put beside one another by
// what the neighbour function says at their own coarse resolution (the hierarchy turns and stretches
// all alike, so what fits there fits below). Where two ways around lead to different places, or a
// pentagon is among the charts, the frame does not unfold, and its disks are gathered cell by cell.
//
// Invariant: where it unfolds, every cell within the widest ring of an own cell lies in a chart, and
// the disk of an own cell is the flat disk about its spot.
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
	byPlace     chartPlan
}

// chart is one flat piece of a frame.
type chart struct {
	cell  Cell
	place Spot  // on the charts' lattice
	at    Spot  // of its centre, on the cells' lattice
	turns uint8 // of its own axes against the frame's, 60° counterclockwise each
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
	f.unfolds = f.addHalo() && f.place() && f.plan()
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
			f.charts = append(f.charts, chart{cell: c})
		}
	}
}

// addHalo adds the charts that hold the halo; false if a pentagon is among the charts.
func (f *Frame) addHalo() bool {
	steps := coarseSteps(f.territories.widest, f.depth)
	start := 0
	for step := 0; ; step++ {
		end := len(f.charts)
		for _, c := range f.charts[start:end] {
			if c.cell.IsPentagon() {
				return false
			}
		}
		if step == steps {
			return true
		}
		for i := start; i < end; i++ {
			for digit := uint8(1); digit < 7; digit++ {
				near := stepTo(f.charts[i].cell, digit)
				if _, ok := f.byCell[near]; !ok {
					f.byCell[near] = int32(len(f.charts))
					f.charts = append(f.charts, chart{cell: near})
				}
			}
		}
		start = end
	}
}

// place puts every chart on the charts' lattice, going from neighbour to neighbour; false if two ways
// around disagree. Pieces that do not touch go side by side, farther apart than any disk reaches.
func (f *Frame) place() bool {
	gap := int32(coarseSteps(f.territories.widest, f.depth) + 1)
	placed := make([]bool, len(f.charts))
	queue := make([]int32, 0, len(f.charts))
	right := int32(0)
	for i := range f.charts {
		if placed[i] {
			continue
		}
		piece := len(queue)
		queue = append(queue, int32(i))
		placed[i] = true
		for k := piece; k < len(queue); k++ {
			var ok bool
			if queue, ok = f.placeAround(queue[k], placed, queue); !ok {
				return false
			}
		}
		left, end := f.charts[i].place.X, f.charts[i].place.X
		for _, k := range queue[piece:] {
			left, end = min(left, f.charts[k].place.X), max(end, f.charts[k].place.X)
		}
		for _, k := range queue[piece:] {
			f.charts[k].place.X += right - left
		}
		right += end - left + gap
	}
	return true
}

// placeAround places the neighbours of a placed chart and appends those that were not yet to queue;
// false if one already lies elsewhere or turned otherwise.
func (f *Frame) placeAround(i int32, placed []bool, queue []int32) ([]int32, bool) {
	from := f.charts[i]
	for digit := uint8(1); digit < 7; digit++ {
		near := stepTo(from.cell, digit)
		k, ok := f.byCell[near]
		if !ok {
			continue
		}
		// The step back, in the neighbour's axes, is the opposite of this one, in ours.
		back := stepBack(near, from.cell)
		place := from.place.plus(digitStep[turnedDigit[from.turns][digit]])
		turns := uint8((turnOf[digit] + int(from.turns) + 3 + 6 - turnOf[back]) % 6)
		to := &f.charts[k]
		if placed[k] {
			if to.place != place || to.turns != turns {
				return queue, false
			}
			continue
		}
		placed[k] = true
		to.place, to.turns = place, turns
		queue = append(queue, k)
	}
	return queue, true
}

// plan notes which chart lies where and where its centre is; false if two lie at one place.
func (f *Frame) plan() bool {
	low, high := f.charts[0].place, f.charts[0].place
	for _, c := range f.charts {
		low = Spot{min(low.X, c.place.X), min(low.Y, c.place.Y)}
		high = Spot{max(high.X, c.place.X), max(high.Y, c.place.Y)}
	}
	f.byPlace = newChartPlan(low, high)
	for i := range f.charts {
		c := &f.charts[i]
		if f.byPlace.at(c.place) >= 0 {
			return false
		}
		f.byPlace.put(c.place, int32(i))
		c.at = c.place
		for level := f.coarse + 1; level <= f.resolution; level++ {
			c.at = c.at.finer(level)
		}
	}
	return true
}

// chartPlan says which chart lies where on the charts' lattice.
type chartPlan struct {
	low    Spot
	width  int32
	height int32
	charts []int32 // index + 1; 0: none
}

func newChartPlan(low, high Spot) chartPlan {
	p := chartPlan{low: low, width: high.X - low.X + 1, height: high.Y - low.Y + 1}
	p.charts = make([]int32, int(p.width)*int(p.height))
	return p
}

// at is the index of the chart at a place, -1 if there is none.
func (p *chartPlan) at(place Spot) int32 {
	s := place.minus(p.low)
	if uint32(s.X) >= uint32(p.width) || uint32(s.Y) >= uint32(p.height) {
		return -1
	}
	return p.charts[int(s.Y)*int(p.width)+int(s.X)] - 1
}

func (p *chartPlan) put(place Spot, chart int32) {
	s := place.minus(p.low)
	p.charts[int(s.Y)*int(p.width)+int(s.X)] = chart + 1
}

// Unfolds reports that the frame lies flat, so that disks are six loads a ring. Disks gives the same
// sums either way.
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
	in := &f.charts[i]
	return in.at.plus(f.inner[digitsBelow(c, f.coarse, f.depth)].turn(in.turns)), true
}

// Cell returns the cell at a spot, 0 if the frame has none there, and whether it is the territory's own.
func (f *Frame) Cell(s Spot) (c Cell, own bool) {
	if !f.unfolds {
		c = Cell(uint32(s.X))<<32 | Cell(uint32(s.Y))
		i, ok := f.byCell[ancestorAt(c, f.coarse)]
		return c, ok && int(i) < f.own
	}
	digits := Cell(0)
	for level := f.resolution; level > f.coarse; level-- {
		var digit uint8
		s, digit = s.coarser(level)
		digits |= Cell(digit) << (3 * (15 - level))
	}
	i := f.byPlace.at(s)
	if i < 0 {
		return 0, false
	}
	in := &f.charts[i]
	c = descendant(in.cell, f.coarse, f.depth, 0)
	back := (6 - in.turns) % 6
	for level := f.coarse + 1; level <= f.resolution; level++ {
		shift := 3 * (15 - level)
		c |= Cell(turnedDigit[back][digits>>shift&7]) << shift
	}
	return c, int(i) < f.own
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
