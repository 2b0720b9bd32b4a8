package geo

import (
	"testing"
)

// The cells of a region, near or wide, fine or coarse, are spread over a table as
// keys drawn at random are: 1.3 places looked at for each where three in eight are
// taken (Knuth, The Art of Computer Programming, volume 3, 6.4: half of
// 1 + 1/(1 − 3/8)).
func TestHashSpreadsRegions(t *testing.T) {
	for resolution := 5; resolution <= 13; resolution++ {
		for _, ring := range []int{10, 60, 180} {
			home, err := Index(37.77, -122.42, resolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, coarser := range []int{0, 1} { // neighbours, and one of each seven
				cells := Disk(nil, home, ring)
				if coarser > 0 {
					for i, c := range cells {
						if cells[i], err = c.Parent(resolution - coarser); err != nil {
							t.Fatal(err)
						}
					}
				}
				if looked := probes(cells); looked > 1.5 {
					t.Errorf("resolution %d, ring %d: %.2f places looked at for a cell", resolution-coarser, ring, looked)
				}
			}
		}
	}
}

// probes are the places that adding each distinct cell to a table looks at, on
// average, by linear probing.
func probes(cells []Cell) float64 {
	bits := 1
	for 1<<bits*3 < 8*len(cells) {
		bits++
	}
	table, looked, distinct := make([]Cell, 1<<bits), 0, 0
	for _, c := range cells {
		at := c.Hash() >> (64 - bits)
		n := 1
		for ; table[at] != 0 && table[at] != c; at = (at + 1) & (1<<bits - 1) {
			n++
		}
		if table[at] == 0 {
			table[at] = c
			looked, distinct = looked+n, distinct+1
		}
	}
	return float64(looked) / float64(distinct)
}
