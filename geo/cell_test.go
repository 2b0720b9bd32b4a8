//go:build cgo

package geo

import (
	"errors"
	"math/rand/v2"
	"testing"

	h3 "github.com/uber/h3-go/v4"
)

// cells makes cells of all resolutions, of which many are pentagons or near one: few digits differ
// from 0, and the base cell is a pentagon as often as not.
type cells struct{ *rand.Rand }

func newCells(seed uint64) cells { return cells{rand.New(rand.NewPCG(seed, 17))} }

func (g cells) draw() Cell { return g.drawAt(g.IntN(16)) }

func (g cells) drawAt(resolution int) Cell {
	for {
		base := g.IntN(122)
		for want := g.IntN(2) == 0; want && !pentagonBase(uint8(base)); {
			base = g.IntN(122)
		}
		c := cellMode | Cell(resolution)<<levelShift | Cell(base)<<baseShift | everyDigit
		zeros := g.Float64()
		for level := 1; level <= resolution; level++ {
			digit := Cell(0)
			if g.Float64() >= zeros {
				digit = Cell(g.IntN(7))
			}
			at := 3 * (MaxResolution - level)
			c = c&^(7<<at) | digit<<at
		}
		if h3.Cell(c).IsValid() {
			return c
		}
	}
}

// drawNear is a cell some steps away from c.
func (g cells) drawNear(c Cell, steps int) Cell {
	for range g.IntN(steps + 1) {
		if near, _ := c.Neighbor(1 + g.IntN(6)); near != 0 {
			c = near
		}
	}
	return c
}

// drawBroken is a valid cell with some bits changed, or any bits at all.
func (g cells) drawBroken() Cell {
	if g.IntN(8) == 0 {
		return Cell(g.Uint64())
	}
	c := g.draw()
	for range 1 + g.IntN(3) {
		c ^= 1 << g.IntN(64)
	}
	return c
}

func TestValidIsH3s(t *testing.T) {
	g := newCells(1)
	valid := 0
	for range 300000 {
		c := g.drawBroken()
		if g.IntN(4) == 0 { // the digits of a pentagon's missing sector
			c = g.draw()
			at := 3 * g.IntN(15)
			c = c&^(7<<at) | 1<<at
		}
		if c.Valid() != h3.Cell(c).IsValid() {
			t.Fatalf("%x is valid: %v", uint64(c), c.Valid())
		}
		if c.Valid() {
			valid++
		}
	}
	if valid < 1000 || valid > 299000 {
		t.Errorf("%d valid cells", valid)
	}
}

func TestCellParts(t *testing.T) {
	g := newCells(2)
	for range 100000 {
		c := g.draw()
		o := h3.Cell(c)
		if c.Resolution() != o.Resolution() || c.BaseCell() != o.BaseCellNumber() || c.IsPentagon() != o.IsPentagon() {
			t.Fatalf("%x: resolution %d, base cell %d, pentagon %v", uint64(c), c.Resolution(), c.BaseCell(), c.IsPentagon())
		}
		if c.String() != o.String() {
			t.Fatalf("%s, want %s", c, o)
		}
		if back, err := ParseCell(c.String()); back != c || err != nil {
			t.Fatalf("%s reads as %s, %v", c, back, err)
		}
	}
}

func TestParseCellRefuses(t *testing.T) {
	for _, s := range []string{
		"", "8928308280fffff0", "8928308280ffff", "892830828ffffff ", "x", "-1", "0", "+8928308280fffff", "0x8928308280fffff",
		"ffffffffffffffff", "99999999999999999999999", "8f28308280fffff", "1928308280fffff",
		Cell(cellMode | 1<<levelShift | 4<<baseShift | everyDigit&^(6<<42)).String(), // in a pentagon's missing sector
	} {
		if c, err := ParseCell(s); !errors.Is(err, ErrCell) || c != 0 {
			t.Errorf("%q: cell %x, error %v", s, uint64(c), err)
		}
	}
	if Cell(0).String() != "000000000000000" {
		t.Errorf("0 is written %s", Cell(0))
	}
}

// An invalid cell is refused by all that can say so, and is nothing's neighbour.
func TestInvalidCells(t *testing.T) {
	g := newCells(3)
	for range 20000 {
		c := g.drawBroken()
		if c.Valid() {
			continue
		}
		good := g.draw()
		for what, err := range map[string]error{
			"parent":   second(c.Parent(0)),
			"center":   second(c.CenterChild(15)),
			"count":    second(c.ChildCount(15)),
			"children": second(c.Children(nil, c.Resolution())),
		} {
			if !errors.Is(err, ErrCell) {
				t.Fatalf("%s of %x: error %v", what, uint64(c), err)
			}
		}
		if near, _ := c.Neighbor(1 + g.IntN(6)); near != 0 || len(c.Neighbors(nil)) != 0 ||
			len(Disk(nil, c, 2)) != 0 || len(Ring(nil, c, 2)) != 0 {
			t.Fatalf("%x has neighbours", uint64(c))
		}
		if near, _ := good.Neighbor(7 + g.IntN(60)); near != 0 {
			t.Fatalf("a neighbour in no direction")
		}
	}
}

func second[T any](_ T, err error) error { return err }
