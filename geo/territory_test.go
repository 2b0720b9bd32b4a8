//go:build cgo

package geo

import (
	"errors"
	"slices"
	"testing"

	h3 "github.com/uber/h3-go/v4"
	"pgregory.net/rapid"
)

func TestTerritoryIsTheParentSixCoarser(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		resolution := rapid.IntRange(0, 15).Draw(rt, "resolution")
		c := cellAt(t, drawPlace(rt), resolution)
		ts, err := NewTerritories(resolution, nil, 1)
		if err != nil {
			rt.Fatal(err)
		}
		want, err := h3.Cell(c).Parent(max(resolution-6, 0))
		if err != nil {
			rt.Fatal(err)
		}
		if got := ts.Of(c); got != Territory(want) {
			rt.Fatalf("territory of %x is %x, want %x", uint64(c), uint64(got), uint64(want))
		}
		if got := ts.Members(ts.Of(c)); !slices.Equal(got, []Cell{Cell(want)}) {
			rt.Fatalf("members %x", got)
		}
		if got := ts.Name(ts.Of(c)); got != h3.Cell(want).String() {
			rt.Fatalf("name %s", got)
		}
	})
}

func TestHaloIsWhoIsWithinTheDisk(t *testing.T) {
	some := 0
	rapid.Check(t, func(rt *rapid.T) {
		k := rapid.SampledFrom([]int{0, 1, 2, 5, 20, 40}).Draw(rt, "widest")
		w := drawWorld(rt, t, k)
		c := w.drawOwn(rt)
		var want []Territory
		for _, near := range oracleDisk(t, c, k) {
			if id := w.t.Of(near); id != w.id && !slices.Contains(want, id) {
				want = append(want, id)
			}
		}
		slices.Sort(want)
		if len(want) > 0 {
			some++
		}
		if got := w.t.Halo([]Territory{7}, c); !slices.Equal(got[1:], want) || got[0] != 7 {
			rt.Fatalf("halo of %x is %x, want %x", uint64(c), got, want)
		}
	})
	if some == 0 {
		t.Error("no cell is in a halo")
	}
}

func TestRegionsJoin(t *testing.T) {
	c := cellAt(t, h3.LatLng{Lat: 37.77, Lng: -122.42}, 9)
	home := ancestorAt(c, 3)
	near := oracleDisk(t, home, 1)
	slices.Sort(near)
	one := Region{"one", []Cell{near[3], near[1]}}
	two := Region{"two", []Cell{near[0]}}
	ts, err := NewTerritories(9, []Region{two, one}, 20)
	if err != nil {
		t.Fatal(err)
	}
	if got := ts.Members(Territory(near[1])); !slices.Equal(got, []Cell{near[1], near[3]}) {
		t.Errorf("members %x", got)
	}
	if got := ts.Regions(); !slices.Equal(got, []Territory{Territory(near[0]), Territory(near[1])}) {
		t.Errorf("regions %x", got)
	}
	if got := ts.Name(Territory(near[1])); got != "one" {
		t.Errorf("name %q", got)
	}
	for i, m := range near[:5] {
		want := []Cell{near[0], near[1], near[2], near[1], near[4]}[i]
		if got := ts.Of(descendant(m, 3, 6, 1234)); got != Territory(want) {
			t.Errorf("territory of a cell in %x is %x, want %x", uint64(m), uint64(got), uint64(want))
		}
	}
	coarse, err := NewTerritories(9, []Region{{"all", []Cell{ancestorAt(home, 1)}}}, 20)
	if err != nil {
		t.Fatal(err)
	}
	if got := coarse.Of(c); got != Territory(ancestorAt(home, 1)) {
		t.Errorf("territory in a coarse region is %x", uint64(got))
	}
}

func TestRegionsThatCannotBe(t *testing.T) {
	home := ancestorAt(cellAt(t, h3.LatLng{Lat: 37.77, Lng: -122.42}, 9), 3)
	for name, regions := range map[string][]Region{
		"empty":    {{"a", nil}},
		"invalid":  {{"a", []Cell{home, 77}}},
		"too fine": {{"a", []Cell{descendant(home, 3, 1, 2)}}},
		"twice":    {{"a", []Cell{home, home}}},
		"shared":   {{"a", []Cell{home}}, {"b", []Cell{home}}},
		"within":   {{"a", []Cell{home}}, {"b", []Cell{ancestorAt(home, 2)}}},
		"itself":   {{"a", []Cell{home, ancestorAt(home, 0)}}},
	} {
		if _, err := NewTerritories(9, regions, 20); !errors.Is(err, ErrRegion) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := NewTerritories(15, []Region{{"a", []Cell{ancestorAt(home, 0)}}}, 20); !errors.Is(err, ErrRegion) {
		t.Errorf("a continent of small cells: error %v", err)
	}
	for _, resolution := range []int{-1, 16} {
		if _, err := NewTerritories(resolution, nil, 1); err == nil {
			t.Errorf("resolution %d is taken", resolution)
		}
	}
	if _, err := NewTerritories(9, nil, -1); err == nil {
		t.Error("ring -1 is taken")
	}
}

// TestHaloAtBorders holds the table of borders against whole disks all around some territories: a
// pentagon's, one beside it, one far from any, and a joined one.
func TestHaloAtBorders(t *testing.T) {
	pentagon := ancestorAt(cellAt(t, pentagonPlaces[3], 9), 3)
	beside, _ := pentagon.Neighbor(2)
	far := ancestorAt(cellAt(t, h3.LatLng{Lat: 40.71, Lng: -74}, 9), 3)
	near, _ := far.Neighbor(4)
	for _, regions := range [][]Region{nil, {{"joined", []Cell{far, near}}}, {{"around", []Cell{pentagon, beside}}}} {
		ts, err := NewTerritories(9, regions, 20)
		if err != nil {
			t.Fatal(err)
		}
		if ts.borders == nil {
			t.Fatal("no table")
		}
		for _, home := range []Cell{pentagon, beside, far, near} {
			haloed := 0
			for rank := 0; rank < power7(6); rank += 89 {
				c := descendant(home, 3, 6, rank)
				if deleted(c, 9) {
					continue
				}
				got, want := ts.Halo(nil, c), ts.gatherHalo(nil, c, ts.Of(c))
				if !slices.Equal(got, want) {
					t.Fatalf("halo of %x is %x, want %x", uint64(c), got, want)
				}
				if len(want) > 0 {
					haloed++
				}
			}
			if haloed == 0 {
				t.Errorf("no cell of %x is in a halo", uint64(home))
			}
		}
	}
}

func BenchmarkNewTerritories(b *testing.B) {
	for b.Loop() {
		if _, err := NewTerritories(9, nil, 20); err != nil {
			b.Fatal(err)
		}
	}
}
