//go:build cgo

package geo

import (
	"fmt"
	"math"
	"slices"
	"testing"

	h3 "github.com/uber/h3-go/v4"
)

func TestNeighbors(t *testing.T) {
	g := newCells(21)
	pentagons := 0
	for range 50000 {
		c := g.drawNear(g.draw(), 3)
		want, err := h3.GridDiskDistances(h3.Cell(c), 1)
		if err != nil {
			t.Fatal(err)
		}
		got := c.Neighbors(nil)
		if !sameCells(got, want[1]) {
			t.Fatalf("neighbours of %s: %s, want %s", c, got, want[1])
		}
		if c.IsPentagon() {
			pentagons++
		}
		// H3 numbers the directions of its edges as we do.
		for direction := 1; direction < 7; direction++ {
			near, turns := c.Neighbor(direction)
			if near == 0 {
				if !c.IsPentagon() || direction != 1 {
					t.Fatalf("%s has no neighbour in direction %d", c, direction)
				}
				continue
			}
			edge, err := h3.Cell(c).DirectedEdge(h3.Cell(near))
			if err != nil || int(edge>>56&7) != direction || turns < 0 || turns > 5 {
				t.Fatalf("%s to %s: edge %x, direction %d, %d turns, error %v", c, near, uint64(edge), direction, turns, err)
			}
		}
	}
	if pentagons < 1000 {
		t.Errorf("%d pentagons", pentagons)
	}
}

// Turned by what Neighbor says, a walk straight on and back comes home, away from pentagons.
func TestNeighborTurns(t *testing.T) {
	g := newCells(22)
	walks := 0
	for range 20000 {
		c := g.drawNear(g.draw(), 30)
		steps := 1 + g.IntN(12)
		if slices.ContainsFunc(Disk(nil, c, steps), Cell.IsPentagon) {
			continue
		}
		walks++
		direction := uint8(1 + g.IntN(6))
		at, turns := c, 0
		for range steps {
			near, turned := at.Neighbor(int(turnedDigit[turns][direction]))
			at, turns = near, (turns+turned)%6
		}
		if ring := Ring(nil, c, steps); !slices.Contains(ring, at) {
			t.Fatalf("%d steps from %s lead to %s", steps, c, at)
		}
		for range steps {
			near, turned := at.Neighbor(int(turnedDigit[(turns+3)%6][direction]))
			at, turns = near, (turns+turned)%6
		}
		if at != c || turns != 0 {
			t.Fatalf("%d steps from %s and back lead to %s, turned by %d", steps, c, at, turns)
		}
	}
	if walks < 1000 {
		t.Errorf("%d walks", walks)
	}
}

// Every base cell's neighbours, and every pentagon's at every resolution.
func TestNeighborsOfAllBaseCells(t *testing.T) {
	for base := range Cell(122) {
		c := cellMode | base<<baseShift | everyDigit
		for r := 0; r <= 15; r++ {
			child, err := c.CenterChild(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range append(child.Neighbors(nil), child) {
				want, _ := h3.GridDiskDistances(h3.Cell(at), 1)
				if got := at.Neighbors(nil); !sameCells(got, want[1]) {
					t.Fatalf("neighbours of %s: %s, want %s", at, got, want[1])
				}
			}
		}
	}
}

func TestDiskAndRing(t *testing.T) {
	g := newCells(23)
	flat, closed := 0, 0
	for range 4000 {
		c := g.drawNear(g.draw(), 12)
		k := g.IntN(9)
		want, err := h3.GridDiskDistances(h3.Cell(c), k)
		if err != nil {
			t.Fatal(err)
		}
		disk := Disk([]Cell{5}, c, k)
		if disk[0] != 5 || disk[1] != c {
			t.Fatalf("disk begins %s", disk[:2])
		}
		if len(disk) == 3*k*(k+1)+2 {
			flat++
		} else {
			closed++
		}
		disk = disk[1:]
		for ring := range k + 1 {
			got := Ring([]Cell{5}, c, ring)
			if !sameCells(got[1:], want[ring]) || got[0] != 5 {
				t.Fatalf("ring %d of %s: %s, want %s", ring, c, got[1:], want[ring])
			}
			if len(disk) < len(got)-1 || !sameCells(disk[:len(got)-1], want[ring]) {
				t.Fatalf("disk %d of %s has ring %d as %s, the ring is %s", k, c, ring, disk, got[1:])
			}
			disk = disk[len(got)-1:]
		}
		if len(disk) > 0 {
			t.Fatalf("disk %d of %s goes on", k, c)
		}
	}
	if flat < 100 || closed < 100 {
		t.Errorf("%d flat, %d around pentagons", flat, closed)
	}
}

// Wide rings around places where pentagons are far off, inside and beside the walk.
func TestWideRings(t *testing.T) {
	g := newCells(24)
	for range 60 {
		c := g.drawNear(g.drawAt(g.IntN(7)), 60)
		k := 5 + g.IntN(40)
		want := ringByNeighbors(t, h3.Cell(c), k)
		if got := Ring(nil, c, k); !sameCells(got, want) {
			t.Fatalf("ring %d of %s: %d cells, want %d", k, c, len(got), len(want))
		}
	}
	if got := Ring(nil, g.drawAt(0), 1000); len(got) != 0 {
		t.Errorf("a ring beyond the end of the earth: %s", got)
	}
	if got := Disk(nil, g.drawAt(0), math.MaxInt); len(got) != 122 {
		t.Errorf("%d base cells", len(got))
	}
	if got := Disk(nil, g.draw(), -1); len(got) != 0 {
		t.Errorf("disk -1: %s", got)
	}
}

func TestTraversalDoesNotAllocate(t *testing.T) {
	g := newCells(25)
	for range 200 {
		c := g.draw()
		dst := make([]Cell, 0, 2000)
		if n := testing.AllocsPerRun(1, func() {
			dst = c.Neighbors(dst[:0])
			dst = Disk(dst[:0], c, 7)
			dst = Ring(dst[:0], c, 7)
			_, _ = c.Parent(0)
			_, _ = c.CenterChild(15)
		}); n > 0 {
			t.Fatalf("%s: %v allocations", c, n)
		}
	}
}

// ringByNeighbors goes from neighbour to neighbour (h3.GridRing itself errs where its walk around many
// pentagons happens to close, as of 4.4.1).
func ringByNeighbors(t *testing.T, c h3.Cell, k int) []h3.Cell {
	seen := map[h3.Cell]bool{c: true}
	ring := []h3.Cell{c}
	for range k {
		var next []h3.Cell
		for _, at := range ring {
			around, err := h3.GridDisk(at, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, near := range around {
				if near != 0 && !seen[near] {
					seen[near] = true
					next = append(next, near)
				}
			}
		}
		ring = next
	}
	return ring
}

// sameCells ignores order, and the zeros that H3 leaves for what a pentagon lacks.
func sameCells(got []Cell, want []h3.Cell) bool {
	got = slices.Clone(got)
	slices.Sort(got)
	sorted := slices.Clone(want)
	slices.Sort(sorted)
	for len(sorted) > 0 && sorted[0] == 0 {
		sorted = sorted[1:]
	}
	return slices.EqualFunc(got, sorted, func(a Cell, b h3.Cell) bool { return a == Cell(b) })
}

func ExampleDisk() {
	c, _ := ParseCell("8928308280fffff")
	for _, near := range Disk(nil, c, 1) {
		fmt.Println(near)
	}
	// Output:
	// 8928308280fffff
	// 89283082803ffff
	// 8928308280bffff
	// 89283082873ffff
	// 89283082877ffff
	// 8928308283bffff
	// 89283082807ffff
}
