package geo

import h3 "github.com/uber/h3-go/v4"

func isCell(c Cell) bool { return h3.Cell(c).IsValid() }

func resolutionOf(c Cell) int { return int(c>>52) & 15 }

func pentagonal(c Cell) bool { return h3.Cell(c).IsPentagon() }

// neighboursOf appends the five or six neighbours of a cell.
func neighboursOf(dst []Cell, c Cell) []Cell {
	for digit := uint8(1); digit < 7; digit++ {
		if near := stepTo(c, digit); near != 0 {
			dst = append(dst, near)
		}
	}
	return dst
}

// stepTo is the neighbour of a cell in the direction of a digit (1 to 6) of its own axes, 0 if there is
// none.
func stepTo(c Cell, digit uint8) Cell {
	if pentagonal(c) && digit == 1 {
		return 0
	}
	// H3's directed edge: mode 2, the direction in the three bits from bit 56.
	near, err := h3.DirectedEdge(c&^(0xff<<56) | 2<<59 | Cell(digit)<<56).Destination()
	if err != nil {
		return 0
	}
	return Cell(near)
}

// stepBack is the direction from a cell to a neighbour, in the cell's own axes.
func stepBack(c, to Cell) uint8 {
	for digit := uint8(1); digit < 7; digit++ {
		if stepTo(c, digit) == to {
			return digit
		}
	}
	return 0
}
