package stream

import (
	"maps"
	"math/rand/v2"
	"slices"
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

// A pane's partials are, of each territory, its own cells and those of its halo.
func TestSplitNamesEachCellOnce(t *testing.T) {
	for _, ring := range []int{0, 3} {
		territories, err := geo.NewTerritories(9, nil, ring)
		if err != nil {
			t.Fatal(err)
		}
		r := newRoutes(territories)
		random := rand.New(rand.NewPCG(3, 4))
		for _, n := range []int{1, 3 * routesTogether} {
			p := newPaneTable(0, 1)
			cells := make([]geo.Cell, n)
			for i := range cells { // where territories meet
				if cells[i], err = geo.Index(37.74+random.NormFloat64()/2, -121.9+random.NormFloat64()/2, 9); err != nil {
					t.Fatal(err)
				}
			}
			p.find(make([]int32, n), cells, []aggregate.Measure{{Kind: aggregate.Sum, Field: -1, Where: -1}})
			type part struct {
				to   routeTarget
				cell geo.Cell
			}
			want, got := map[part]uint64{}, map[part]uint64{}
			for row, c := range p.cells() {
				p.columns[0].lo[row] = uint64(row)
				want[part{routeTarget{territories.Of(c), false}, c}] = uint64(row)
				for _, halo := range territories.Halo(nil, c) {
					want[part{routeTarget{halo, true}, c}] = uint64(row)
				}
			}
			rows := 0
			for _, q := range r.split(p, &PartialsPool{}, nil) {
				for i, c := range q.Cells {
					got[part{routeTarget{q.Territory, q.Halo}, c}] = q.Measures[0].Lo[i]
					rows++
				}
			}
			if rows != len(want) || !maps.Equal(got, want) {
				t.Errorf("ring %d, %d cells: %d rows of partials, %d of them different ones; want %d", ring, n, rows, len(got), len(want))
			}
		}
	}
}

// Where there would be too many routes they are found anew, and are the same.
func TestRoutesAreBounded(t *testing.T) {
	territories, err := geo.NewTerritories(9, nil, 3)
	if err != nil {
		t.Fatal(err)
	}
	cells := []geo.Cell{0x89283082803ffff, 0x89283082807ffff}
	r := newRoutes(territories)
	for range 2 {
		for i, n := range r.find(cells) {
			if got, want := r.route(n), territories.Halo([]geo.Territory{territories.Of(cells[i])}, cells[i]); !slices.Equal(got, want) {
				t.Errorf("cell %v goes to %v, want %v", cells[i], got, want)
			}
		}
		if len(r.ends) != len(cells) {
			t.Errorf("%d routes are kept", len(r.ends))
		}
		r.ends = make([]uint32, routesKept-1)
	}
}
