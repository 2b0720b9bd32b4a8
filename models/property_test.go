package models

import (
	"slices"

	"github.com/hextide/hextide/geo"
)

func ascending(cells []geo.Cell) []geo.Cell {
	slices.Sort(cells)
	return cells
}
