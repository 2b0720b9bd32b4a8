package stream

import (
	"maps"
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
	"pgregory.net/rapid"
)

// A pane's table adds up what a map does, however many cells come at once.
func TestPaneTableIsAMap(t *testing.T) {
	measures := []aggregate.Measure{{Kind: aggregate.Sum, Field: -1, Where: -1}, {Kind: aggregate.Min, Field: 0, Where: -1}}
	rapid.Check(t, func(rt *rapid.T) {
		a := accumulation{measures: measures, length: 10}
		for range rapid.IntRange(1, 3).Draw(rt, "panes") { // the second and third in the first's table
			want, seen := map[geo.Cell][2]int64{}, []geo.Cell{}
			for range rapid.IntRange(1, 4).Draw(rt, "runs") {
				n, cells := rapid.SampledFrom([]int{1, 20, 255, 256, 257, 2000}).Draw(rt, "n"), rapid.IntRange(1, 3000).Draw(rt, "cells")
				seed := rapid.Uint64().Draw(rt, "seed")
				e := events{contributions: [][]int64{nil, nil}}
				for i := range n {
					seed = mix(seed, uint64(i))
					c, x := geo.Cell(seed>>32)%geo.Cell(cells), int64(seed&0xff)
					e.times, e.cells, e.contributions[1] = append(e.times, 7), append(e.cells, c), append(e.contributions[1], x)
					sum, known := want[c]
					if !known {
						seen, sum[1] = append(seen, c), x
					}
					want[c] = [2]int64{sum[0] + 1, min(sum[1], x)}
				}
				a.add(&e)
			}
			p := a.panes[0]
			got := map[geo.Cell][2]int64{}
			for r, c := range p.cells() {
				if c != seen[r] {
					rt.Fatalf("row %d is of cell %d, want %d", r, c, seen[r])
				}
				got[c] = [2]int64{int64(p.columns[0].lo[r]), int64(p.columns[1].lo[r])}
			}
			if len(p.cells()) != len(want) || !maps.Equal(got, want) {
				rt.Fatalf("got %v, want %v", got, want)
			}
			a.drop(1)
		}
	})
}
