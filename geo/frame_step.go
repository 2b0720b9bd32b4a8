package geo

// stepTo is the neighbour of a cell in the direction of a digit (1 to 6) of its own axes, 0 if there is
// none.
func stepTo(c Cell, digit uint8) Cell {
	near, _ := c.Neighbor(int(digit))
	return near
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
