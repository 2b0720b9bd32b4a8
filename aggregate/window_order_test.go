package aggregate

import (
	"cmp"
	"slices"
	"testing"

	"github.com/hextide/hextide/geo"
	"pgregory.net/rapid"
)

// Whatever cells come, leave and lose their slots, the order is that of sorting
// the active ones.
func TestOrderIsSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, held := NewTable(), []int32{}
		o := &order{table: table}
		cells := rapid.Custom(func(t *rapid.T) (some []uint64) {
			step := rapid.SampledFrom([]uint64{1, 2, 61}).Draw(t, "step")
			c := rapid.Uint64Range(1, 6000).Draw(t, "from")
			for range rapid.SampledFrom([]int{1, 100, 3000}).Draw(t, "count") {
				some = append(some, c)
				c = (c+step-1)%6000 + 1
			}
			return some
		})
		for range rapid.IntRange(1, 30).Draw(t, "turns") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				table.Keep(func(s int32) bool { return int(s) < len(held) && held[s] > 0 })
			case 1:
				clear(held)
				o.empty()
			case 2, 3:
				for _, c := range cells.Draw(t, "leaving") {
					if s, known := table.Find(geo.Cell(c)); known && held[s] > 0 {
						held[s] = 0
						o.leave(s)
					}
				}
			default:
				var entering []int32
				for _, c := range cells.Draw(t, "entering") {
					s, _ := table.Add(geo.Cell(c))
					entering = append(entering, s)
				}
				held = append(held, make([]int32, max(0, table.Slots()-len(held)))...)
				o.follow()
				for _, s := range entering {
					if held[s] == 0 {
						held[s] = 1
						o.enter([]int32{s})
					}
				}
			}
			if rapid.IntRange(0, 2).Draw(t, "look") > 0 {
				sorted(t, o, table, held)
			}
		}
		sorted(t, o, table, held)
	})
}

// sorted compares an order with sorting.
func sorted(t *rapid.T, o *order, table *Table, held []int32) {
	var want []Ordered
	for s, n := range held {
		if n > 0 {
			want = append(want, Ordered{table.Cell(int32(s)), int32(s)})
		}
	}
	slices.SortFunc(want, func(a, b Ordered) int { return cmp.Compare(a.Cell, b.Cell) })
	got := o.now()
	if len(o.young) > youngCells+len(o.active) {
		t.Fatalf("%d young cells beside %d ranked ones", len(o.young), len(o.ranked))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d active cells are in the order %v, want %v", len(want), got, want)
	}
}
