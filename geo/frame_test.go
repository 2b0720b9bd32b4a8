//go:build cgo

package geo

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	h3 "github.com/uber/h3-go/v4"
	"pgregory.net/rapid"
)

// drawPlace draws a point of the earth, most often one where the grid is odd: about a pentagon, a
// corner of the icosahedron, an edge between two of its faces, the antimeridian or a pole.
func drawPlace(t *rapid.T) h3.LatLng {
	near := func(p h3.LatLng) h3.LatLng {
		spread := rapid.SampledFrom([]float64{1e-4, 1e-2, 0.3, 3}).Draw(t, "spread")
		return h3.LatLng{
			Lat: max(-90, min(90, p.Lat+spread*rapid.Float64Range(-1, 1).Draw(t, "north"))),
			Lng: p.Lng + spread*rapid.Float64Range(-1, 1).Draw(t, "east"),
		}
	}
	switch rapid.SampledFrom([]string{"anywhere", "pentagon", "edge", "antimeridian", "pole"}).Draw(t, "place") {
	case "pentagon":
		return near(pentagonPlaces[rapid.IntRange(0, 11).Draw(t, "pentagon")])
	case "edge":
		a := pentagonPlaces[rapid.IntRange(0, 11).Draw(t, "one")]
		b := pentagonPlaces[rapid.IntRange(0, 11).Draw(t, "other")]
		return near(between(a, b, rapid.Float64Range(0, 1).Draw(t, "along")))
	case "antimeridian":
		return near(h3.LatLng{Lat: rapid.Float64Range(-80, 80).Draw(t, "lat"), Lng: 180})
	case "pole":
		return near(h3.LatLng{Lat: rapid.SampledFrom([]float64{-90, 90}).Draw(t, "pole")})
	}
	z := rapid.Float64Range(-1, 1).Draw(t, "z")
	return h3.LatLng{Lat: math.Asin(z) * 180 / math.Pi, Lng: rapid.Float64Range(-180, 180).Draw(t, "lng")}
}

// pentagonPlaces are the corners of the icosahedron.
var pentagonPlaces = func() (places []h3.LatLng) {
	cells, err := h3.Pentagons(15)
	if err != nil {
		panic(err)
	}
	for _, c := range cells {
		p, err := c.LatLng()
		if err != nil {
			panic(err)
		}
		places = append(places, p)
	}
	return places
}()

// between is a point on the chord of two points, which is on an edge of two faces where they are
// neighbouring corners.
func between(a, b h3.LatLng, along float64) h3.LatLng {
	vector := func(p h3.LatLng) [3]float64 {
		lat, lng := p.Lat*math.Pi/180, p.Lng*math.Pi/180
		return [3]float64{math.Cos(lat) * math.Cos(lng), math.Cos(lat) * math.Sin(lng), math.Sin(lat)}
	}
	u, v := vector(a), vector(b)
	var w [3]float64
	for i := range w {
		w[i] = u[i]*(1-along) + v[i]*along
	}
	return h3.LatLng{
		Lat: math.Atan2(w[2], math.Hypot(w[0], w[1])) * 180 / math.Pi,
		Lng: math.Atan2(w[1], w[0]) * 180 / math.Pi,
	}
}

func cellAt(t testing.TB, p h3.LatLng, resolution int) Cell {
	c, err := h3.LatLngToCell(p, resolution)
	if err != nil {
		t.Fatalf("cell at %v: %v", p, err)
	}
	return Cell(c)
}

// oracleDisk is h3-go's grid disk.
func oracleDisk(t testing.TB, c Cell, k int) []Cell {
	disk, err := h3.GridDisk(h3.Cell(c), k)
	if err != nil {
		t.Fatalf("disk %d of %x: %v", k, uint64(c), err)
	}
	cells := make([]Cell, 0, len(disk))
	for _, d := range disk {
		if d != 0 {
			cells = append(cells, Cell(d))
		}
	}
	return cells
}

// world is a drawn division into territories and one of them.
type world struct {
	t     *Territories
	id    Territory
	frame *Frame
}

func drawWorld(t *rapid.T, tb testing.TB, widest int) world {
	resolution := rapid.SampledFrom([]int{9, 9, 8, 7, 6, 10, 11, 15, 5, 4, 3, 2, 1, 0}).Draw(t, "resolution")
	c := cellAt(tb, drawPlace(t), resolution)
	var regions []Region
	if rapid.Bool().Draw(t, "joined") {
		coarse := max(resolution-territoryDepth, 0)
		member := ancestorAt(c, coarse)
		near := oracleDisk(tb, member, 1)
		extra := rapid.SliceOfNDistinct(rapid.SampledFrom(near), 1, min(len(near), 3), rapid.ID[Cell]).Draw(t, "members")
		if !slices.Contains(extra, member) {
			extra = append(extra, member)
		}
		if rapid.Bool().Draw(t, "apart") {
			if far := ancestorAt(cellAt(tb, drawPlace(t), resolution), coarse); !slices.Contains(extra, far) {
				extra = append(extra, far)
			}
		}
		regions = append(regions, Region{"city", extra})
	}
	ts, err := NewTerritories(resolution, regions, widest)
	if err != nil {
		t.Fatal(err)
	}
	id := ts.Of(c)
	return world{ts, id, NewFrame(ts, id)}
}

// drawOwn draws an own cell: anywhere, or beside the centre of the pentagon or the drawn corner.
func (w world) drawOwn(t *rapid.T) Cell {
	for {
		rank := rapid.IntRange(0, w.frame.Ranks()-1).Draw(t, "rank")
		if rapid.IntRange(0, 2).Draw(t, "centre") == 0 {
			rank = rank / len(w.frame.inner) * len(w.frame.inner)
		}
		if c := w.frame.CellOf(rank); !deleted(c, w.t.resolution) {
			return c
		}
	}
}

func TestFrameIsFlat(t *testing.T) {
	unfolded := 0
	rapid.Check(t, func(rt *rapid.T) {
		k := rapid.SampledFrom([]int{0, 1, 2, 5, 20}).Draw(rt, "widest")
		w := drawWorld(rt, t, k)
		if !w.frame.Unfolds() {
			return
		}
		unfolded++
		c := w.drawOwn(rt)
		centre, ok := w.frame.Position(c)
		if !ok {
			rt.Fatalf("own cell %x has no position", uint64(c))
		}
		seen := map[Spot]bool{}
		disk, err := h3.GridDiskDistances(h3.Cell(c), k)
		if err != nil {
			rt.Fatal(err)
		}
		cells := 0
		for distance, ring := range disk {
			for _, near := range ring {
				if near == 0 {
					continue
				}
				cells++
				home, ok := w.frame.Position(Cell(near))
				if !ok {
					rt.Fatalf("%v near %x has no position", near, uint64(c))
				}
				images := 0
				for _, at := range w.frame.images(nil, home) {
					if at.minus(centre).distance() > k {
						continue
					}
					if images++; seen[at] || at.minus(centre).distance() != distance {
						rt.Fatalf("%v at distance %d of %x: position %v, seen %v", near, distance, uint64(c), at.minus(centre), seen[at])
					}
					seen[at] = true
				}
				if images != 1 {
					rt.Fatalf("%v near %x: %d images", near, uint64(c), images)
				}
			}
		}
		if len(seen) != cells {
			rt.Fatalf("disk of %d cells, %d spots", cells, len(seen))
		}
	})
	if unfolded == 0 {
		t.Error("no frame unfolds")
	}
}

func TestFrameRanks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt, t, 2)
		a, b := w.drawOwn(rt), w.drawOwn(rt)
		i, ok1 := w.frame.Rank(a)
		j, ok2 := w.frame.Rank(b)
		if !ok1 || !ok2 || (a < b) != (i < j) || w.frame.CellOf(i) != a || i >= w.frame.Ranks() {
			rt.Fatalf("%x has rank %d of %d, %x has %d", uint64(a), i, w.frame.Ranks(), uint64(b), j)
		}
		if !h3.Cell(a).IsValid() || w.t.Of(a) != w.id {
			rt.Fatalf("rank %d is cell %x of %x", i, uint64(a), uint64(w.t.Of(a)))
		}
		for _, near := range oracleDisk(t, a, 3) {
			if _, own := w.frame.Rank(near); own != (w.t.Of(near) == w.id) {
				rt.Fatalf("%x is own: %v", uint64(near), own)
			}
		}
	})
}

// TestFramesUnfold holds the speed of a city to be the rule, on pentagons too. Only what holds two of
// them gathers.
func TestFramesUnfold(t *testing.T) {
	ts, err := NewTerritories(9, nil, 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, city := range []h3.LatLng{
		{Lat: 37.77, Lng: -122.42}, {Lat: 40.71, Lng: -74}, {Lat: 35.68, Lng: 139.69}, {Lat: -33.87, Lng: 151.21},
		{Lat: 51.5, Lng: -0.12}, {Lat: -23.55, Lng: -46.63}, {Lat: -16.5, Lng: 179.99}, {Lat: 55.75, Lng: 37.62},
	} {
		if f := NewFrame(ts, ts.Of(cellAt(t, city, 9))); !f.Unfolds() {
			t.Errorf("the frame at %v does not unfold", city)
		}
	}
	for _, p := range pentagonPlaces {
		c := cellAt(t, p, 9)
		for _, near := range oracleDisk(t, Cell(ts.Of(c)), 1) {
			if !NewFrame(ts, Territory(near)).Unfolds() {
				t.Errorf("the frame of %x, a pentagon's or beside it, does not unfold", uint64(near))
			}
		}
	}
	if twoPentagons(t, 2, 40).frame.Unfolds() {
		t.Error("a piece with two pentagons unfolds")
	}
}

// twoPentagons is a territory about two pentagons, which disks of widest rings bring together.
func twoPentagons(tb testing.TB, resolution, widest int) world {
	c := cellAt(tb, pentagonPlaces[0], resolution)
	both := []Cell{ancestorAt(c, 0), ancestorAt(cellAt(tb, pentagonPlaces[1], resolution), 0)}
	ts, err := NewTerritories(resolution, []Region{{"both", both}}, widest)
	if err != nil {
		tb.Fatal(err)
	}
	id := ts.Of(c)
	return world{ts, id, NewFrame(ts, id)}
}

// TestFrameAroundAPentagon joins the territories about a pentagon's: all around they do not close on the
// plane, though no disk meets the pentagon; with a gap, or with the pentagon, they unfold.
func TestFrameAroundAPentagon(t *testing.T) {
	pentagon := ancestorAt(cellAt(t, pentagonPlaces[3], 9), 3)
	var around []Cell
	for _, near := range oracleDisk(t, pentagon, 1) {
		if near != pentagon {
			around = append(around, near)
		}
	}
	around = append(around, pentagon)
	for count, flat := range map[int]bool{6: true, 5: false, 4: true} {
		ts, err := NewTerritories(9, []Region{{"round", around[:count]}}, 4)
		if err != nil {
			t.Fatal(err)
		}
		w := world{ts, ts.Of(descendant(around[0], 3, 6, 0)), nil}
		w.frame = NewFrame(ts, w.id)
		if w.frame.Unfolds() != flat {
			t.Errorf("%d territories of 6 around a pentagon: unfolds %v", count, !flat)
		}
		values := map[Cell][]uint64{}
		for rank := 0; rank < w.frame.Ranks(); rank += w.frame.Ranks() / 40 {
			for _, c := range oracleDisk(t, w.frame.CellOf(rank), 1) {
				if w.sees(t, c) {
					values[c] = []uint64{uint64(rank + 1)}
				}
			}
		}
		rings := []int{0, 1, 4}
		d, err := NewDisks(w.frame, rings, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := w.spread(t, values, 0)
		e := Exists{0, 1<<64 - 1}
		if err := d.Sum(s, e); err != nil {
			t.Fatal(err)
		}
		if err := checkRows(d, &Block{}, oracleRows(t, w, rings, values, e), 1); err != nil {
			t.Errorf("%d territories of 6 around a pentagon: %v", count, err)
		}
	}
}

// TestDiskSumsOnAPentagon scatters sources all about a pentagon and sums over disks that hold it.
func TestDiskSumsOnAPentagon(t *testing.T) {
	rings := []int{0, 1, 2, 7, 20}
	for _, resolution := range []int{4, 5, 9, 10} {
		ts, err := NewTerritories(resolution, nil, 20)
		if err != nil {
			t.Fatal(err)
		}
		centre := cellAt(t, pentagonPlaces[2], resolution)
		w := world{ts, ts.Of(centre), NewFrame(ts, ts.Of(centre))}
		if !centre.IsPentagon() || !w.frame.Unfolds() {
			t.Fatalf("resolution %d: %v, unfolds %v", resolution, centre, w.frame.Unfolds())
		}
		random := rand.New(rand.NewPCG(9, uint64(resolution)))
		values := map[Cell][]uint64{centre: {1, 1}}
		for _, c := range oracleDisk(t, centre, 30) {
			if w.t.Of(c) == w.id && random.IntN(16) == 0 {
				values[c] = []uint64{1 + random.Uint64N(9), random.Uint64()}
			}
		}
		d, err := NewDisks(w.frame, rings, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := w.spread(t, values, 0)
		if err := d.Sum(s, Exists{0, 1<<64 - 1}); err != nil {
			t.Fatal(err)
		}
		if err := checkRows(d, &Block{}, fanOut(t, w, rings, values), 2); err != nil {
			t.Errorf("resolution %d: %v", resolution, err)
		}
	}
}
