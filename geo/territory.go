package geo

import (
	"errors"
	"fmt"
	"slices"
)

// ErrRegion marks a definition of regions that cannot be built: members that overlap, are finer than
// a territory, or are no cells.
var ErrRegion = errors.New("region")

// territoryDepth is how many resolutions a territory is coarser than the pipeline's cells: 7^6 =
// 117,649 cells. Grids coarser than this depth have their base cells for territories.
const territoryDepth = 6

// maxJoined is how many territories' worth of cells a region may hold: 2,401 of the 12,400 km²
// that they have at resolution 9 are as large as Africa.
const maxJoined = 2401

// Territory is the id of a region of cells that one shard owns whole: the cell's ancestor six
// resolutions coarser (its base cell where there are not as many), or, for a joined region, the
// numerically smallest of its members. The two never collide: a plain territory that is a member of
// a region is not a territory of its own.
type Territory Cell

// Region joins cells at the territories' resolution or coarser into one territory. Members need not
// touch one another.
type Region struct {
	Name  string
	Cells []Cell
}

// Territories divides the earth's cells of one resolution into territories.
//
// Immutable: any goroutine may call any method.
type Territories struct {
	resolution int // of the cells
	coarse     int // resolution of plain territories
	widest     int // widest ring, in cells: the width of a halo
	joined     map[Cell]Territory
	members    map[Territory][]Cell // Invariant: ascending
	names      map[Territory]string
	regions    []Territory // ascending
	levels     []int       // resolutions at which there are members, ascending
	borders    *borders    // nil: there are no halos, or the flat grid does not answer for them
}

// NewTerritories divides the cells of a resolution (0 to 15); widestRing is the width of the halos in
// cells. The error names the region at fault and matches ErrRegion.
func NewTerritories(resolution int, regions []Region, widestRing int) (*Territories, error) {
	if resolution < 0 || resolution > 15 {
		return nil, fmt.Errorf("territories of resolution %d: not within 0 to 15", resolution)
	}
	if widestRing < 0 {
		return nil, fmt.Errorf("territories with a widest ring of %d: below 0", widestRing)
	}
	t := &Territories{
		resolution: resolution,
		coarse:     max(resolution-territoryDepth, 0),
		widest:     widestRing,
		joined:     map[Cell]Territory{},
		members:    map[Territory][]Cell{},
		names:      map[Territory]string{},
	}
	for _, region := range regions {
		if err := t.join(region); err != nil {
			return nil, fmt.Errorf("%w %q: %w", ErrRegion, region.Name, err)
		}
	}
	if err := t.disjoint(); err != nil {
		return nil, fmt.Errorf("%w %w", ErrRegion, err)
	}
	slices.Sort(t.regions)
	t.borders = newBorders(t)
	return t, nil
}

// join adds one region.
func (t *Territories) join(region Region) error {
	if len(region.Cells) == 0 {
		return errors.New("has no cells")
	}
	members := slices.Clone(region.Cells)
	slices.Sort(members)
	territories := 0
	id := Territory(members[0])
	for _, m := range members {
		if !m.Valid() {
			return fmt.Errorf("member %x is no H3 cell", uint64(m))
		}
		if m.Resolution() > t.coarse {
			return fmt.Errorf("member %x has resolution %d, finer than the territories' %d", uint64(m), m.Resolution(), t.coarse)
		}
		if territories += power7(t.coarse - m.Resolution()); territories > maxJoined {
			return fmt.Errorf("holds more than %d territories", maxJoined)
		}
		if other, taken := t.joined[m]; taken {
			if other == id {
				return fmt.Errorf("member %x is named twice", uint64(m))
			}
			return fmt.Errorf("member %x belongs to region %q too", uint64(m), t.names[other])
		}
		t.joined[m] = id
		if !slices.Contains(t.levels, m.Resolution()) {
			t.levels = append(t.levels, m.Resolution())
			slices.Sort(t.levels)
		}
	}
	t.members[id] = members
	t.names[id] = region.Name
	t.regions = append(t.regions, id)
	return nil
}

// disjoint reports a member that lies within another one.
func (t *Territories) disjoint() error {
	for _, id := range t.regions {
		for _, m := range t.members[id] {
			for _, level := range t.levels {
				if level >= m.Resolution() {
					break
				}
				if other, ok := t.joined[ancestorAt(m, level)]; ok {
					return fmt.Errorf("%q: member %x lies within %x of %q",
						t.names[id], uint64(m), uint64(ancestorAt(m, level)), t.names[other])
				}
			}
		}
	}
	return nil
}

// Of returns the territory of a valid cell of the pipeline's resolution or of any other that is not
// coarser than the territories.
func (t *Territories) Of(c Cell) Territory {
	for _, level := range t.levels {
		if id, ok := t.joined[ancestorAt(c, level)]; ok {
			return id
		}
	}
	return Territory(ancestorAt(c, t.coarse))
}

// Members returns the cells that make up a territory, ascending. The caller must not change them.
func (t *Territories) Members(id Territory) []Cell {
	if members, ok := t.members[id]; ok {
		return members
	}
	return []Cell{Cell(id)}
}

// Regions returns the ids of the joined regions, ascending. The caller must not change them.
func (t *Territories) Regions() []Territory { return t.regions }

// Name returns the region's name, or the 15 hexadecimal digits of a plain territory.
func (t *Territories) Name(id Territory) string {
	if name, ok := t.names[id]; ok {
		return name
	}
	return fmt.Sprintf("%x", uint64(id))
}

// Resolution returns the resolution of the cells.
func (t *Territories) Resolution() int { return t.resolution }

// WidestRing returns the width of the halos, in cells.
func (t *Territories) WidestRing() int { return t.widest }

// innerRadius is the grid distance from the centre of a cell to its farthest descendant `depth`
// levels down: the sum of the lengths of the digits' steps, which alternate between 7^i and 3·7^i.
func innerRadius(depth int) int {
	radius, step := 0, 1
	for level := range depth {
		if level%2 == 0 {
			radius += step
		} else {
			radius += 3 * step
			step *= 7
		}
	}
	return radius
}

// spanOf is a lower bound of the grid distance, `depth` levels down, between the centres of cells that
// are n apart. Two levels stretch every distance by exactly 7; a single one stretches lengths by √7 and
// grid distances by at least √7·√3/2 = 2.291 > 16/7.
func spanOf(n, depth int) int {
	for ; depth >= 2; depth -= 2 {
		n *= 7
	}
	if depth == 1 {
		n = (16*n + 6) / 7
	}
	return n
}

// coarseSteps is how many coarse cells away a walk of k cells may end, starting anywhere in a coarse
// cell `depth` levels up, where the grid is flat.
func coarseSteps(k, depth int) int {
	reach := k + 2*innerRadius(depth)
	n := 0
	for spanOf(n+1, depth) <= reach {
		n++
	}
	return n
}
