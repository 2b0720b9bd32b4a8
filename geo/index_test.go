//go:build cgo

package geo

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	h3 "github.com/uber/h3-go/v4"
)

// offEdge tells whether a place is farther than 1e-10 degrees from the edge
// between two cells: the places around it at that distance all lie in one cell.
func offEdge(lat, lng float64, resolution int) bool {
	const far = 1e-10
	widen := 1 / math.Max(math.Cos(lat*math.Pi/180), 1e-9)
	first := oracleCell(lat, lng, resolution)
	for step := range 8 {
		sin, cos := math.Sincos(float64(step) * math.Pi / 4)
		if oracleCell(lat+far*sin, lng+far*cos*widen, resolution) != first {
			return false
		}
	}
	return true
}

func oracleCell(lat, lng float64, resolution int) Cell {
	c, err := h3.LatLngToCell(h3.NewLatLng(math.Max(-90, math.Min(90, lat)), lng), resolution)
	if err != nil {
		return 0
	}
	return Cell(c)
}

// compare holds Index and IndexBatch against H3 over some places; those that
// differ must lie on an edge.
func compare(t *testing.T, lats, lngs []float64, resolution int) (onEdges int) {
	t.Helper()
	batch := make([]Cell, len(lats))
	if err := IndexBatch(batch, lats, lngs, resolution); err != nil {
		t.Fatal(err)
	}
	for i := range lats {
		one, err := Index(lats[i], lngs[i], resolution)
		if err != nil || one != batch[i] {
			t.Fatalf("%v, %v at %d: alone %v (%v), in a batch %v", lats[i], lngs[i], resolution, one, err, batch[i])
		}
		if want := oracleCell(lats[i], lngs[i], resolution); one != want {
			if offEdge(lats[i], lngs[i], resolution) {
				t.Fatalf("%v, %v at %d: %v, want %v", lats[i], lngs[i], resolution, one, want)
			}
			onEdges++
		}
	}
	return onEdges
}

func TestIndexOfPlacesOverTheSphere(t *testing.T) {
	perResolution := 62_500 // a million in all
	if os.Getenv("HEXTIDE_NIGHTLY") != "" {
		perResolution *= 100
	}
	random := rand.New(rand.NewPCG(1, 2))
	lats, lngs := make([]float64, 2500), make([]float64, 2500)
	for resolution := 0; resolution <= 15; resolution++ {
		onEdges := 0
		for range perResolution / len(lats) {
			for i := range lats {
				lats[i] = math.Asin(2*random.Float64()-1) * 180 / math.Pi
				lngs[i] = random.Float64()*360 - 180
			}
			onEdges += compare(t, lats, lngs, resolution)
		}
		if onEdges > perResolution/10_000 {
			t.Errorf("resolution %d: %d of %d random places are said to lie on an edge", resolution, onEdges, perResolution)
		}
	}
}

// TestIndexOfSpecialPlaces looks on and around vertices, edges and centres of
// the icosahedron's faces, pentagons, poles and the antimeridian.
func TestIndexOfSpecialPlaces(t *testing.T) {
	var lats, lngs []float64
	add := func(p vector) {
		length := math.Sqrt(p.dot(&p))
		lats = append(lats, math.Asin(p.z/length)*180/math.Pi)
		lngs = append(lngs, math.Atan2(p.y, p.x)*180/math.Pi)
	}
	for f := range faces {
		add(faces[f].centre)
		for g := range faces {
			if d := faces[f].centre.dot(&faces[g].centre); g != f && d > 0.7 { // they share an edge
				for share := 0.4; share <= 0.6; share += 0.025 {
					add(plus(faces[f].centre, share, faces[g].centre, 1-share))
				}
			}
		}
	}
	pentagons, err := h3.Pentagons(2)
	if err != nil {
		t.Fatal(err)
	}
	var vertices []vector
	for _, p := range pentagons {
		at, err := p.LatLng()
		if err != nil {
			t.Fatal(err)
		}
		lats, lngs = append(lats, at.Lat), append(lngs, at.Lng)
		v, _ := place(at.Lat, at.Lng)
		for _, w := range vertices {
			if v.dot(&w) > 0.4 { // an edge between them
				for share := 0.05; share < 1; share += 0.05 {
					add(plus(v, share, w, 1-share))
				}
			}
		}
		vertices = append(vertices, v)
	}
	for lat := -90.0; lat <= 90; lat += 7.5 {
		lats, lngs = append(lats, lat, lat, lat), append(lngs, 180, -180, 0)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for i := range len(lats) {
		for range 60 {
			away := math.Pow(10, -9*random.Float64())
			lats = append(lats, math.Max(-90, math.Min(90, lats[i]+away*random.NormFloat64())))
			lngs = append(lngs, math.Remainder(lngs[i]+away*random.NormFloat64(), 360))
		}
	}
	for resolution := 0; resolution <= 15; resolution++ {
		t.Logf("resolution %d: %d of %d places on an edge", resolution, compare(t, lats, lngs, resolution), len(lats))
	}
}

// TestIndexOnEdges bisects the way between two places until it knows the edge between their cells to the
// last bit. There H3 and we may differ, and do, but nowhere farther than compare allows.
func TestIndexOnEdges(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	differ := 0
	for resolution := 0; resolution <= 15; resolution++ {
		var lats, lngs []float64
		for range 400 {
			lat, lng := math.Asin(2*random.Float64()-1)*180/math.Pi, random.Float64()*358-179
			size := 10 / math.Pow(math.Sqrt(7), float64(resolution))
			north, east := size*random.NormFloat64(), size*random.NormFloat64()
			if math.Abs(lat+north) > 90 || math.Abs(lng+east) > 180 {
				continue
			}
			low, high := 0.0, 1.0
			first := oracleCell(lat, lng, resolution)
			for range 60 {
				if middle := (low + high) / 2; oracleCell(lat+north*middle, lng+east*middle, resolution) == first {
					low = middle
				} else {
					high = middle
				}
			}
			lats, lngs = append(lats, lat+north*low, lat+north*high), append(lngs, lng+east*low, lng+east*high)
		}
		differ += compare(t, lats, lngs, resolution)
	}
	t.Logf("%d of some 12800 places on edges differ", differ)
	if differ == 0 {
		t.Error("no place lies on an edge")
	}
}

func TestIndexRefusesWhatIsNoPlace(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, place := range [][2]float64{{90.0001, 0}, {-91, 0}, {nan, 0}, {0, nan}, {inf, 0}, {0, inf}, {0, -inf}, {0, 180.0001}, {0, -181}} {
		if c, err := Index(place[0], place[1], 9); !errors.Is(err, ErrLatLng) || c != 0 {
			t.Errorf("%v: %v, %v", place, c, err)
		}
		if err := IndexBatch(make([]Cell, 1), place[:1], place[1:], 9); !errors.Is(err, ErrLatLng) {
			t.Errorf("%v: %v", place, err)
		}
	}
	for _, resolution := range []int{-1, 16} {
		if c, err := Index(0, 0, resolution); !errors.Is(err, ErrResolution) || c != 0 {
			t.Errorf("resolution %d: %v, %v", resolution, c, err)
		}
	}
}

// Places that lie together have the cells that they have alone: in cities of all sizes, at edges of
// faces and at pentagons.
func TestIndexBatchOfPlacesThatLieTogether(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	var centres []vector
	for f := range faces {
		centres = append(centres, faces[f].centre, plus(faces[f].centre, 0.5, faces[(f+1)%20].centre, 0.5), vector{random.NormFloat64(), random.NormFloat64(), random.NormFloat64()})
	}
	pentagons, err := h3.Pentagons(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pentagons {
		at, err := p.LatLng()
		if err != nil {
			t.Fatal(err)
		}
		v, _ := place(at.Lat, at.Lng)
		centres = append(centres, v)
	}
	lats, lngs, cells := make([]float64, 300), make([]float64, 300), make([]Cell, 300)
	for _, centre := range centres {
		at := centre.latLng()
		for resolution := range MaxResolution + 1 {
			size := 30 / math.Pow(math.Sqrt(7), random.Float64()*float64(resolution))
			for i := range lats {
				lats[i] = max(-90, min(90, at.Lat+size*random.NormFloat64()))
				lngs[i] = math.Remainder(at.Lng+size*random.NormFloat64(), 360)
			}
			if err := IndexBatch(cells, lats, lngs, resolution); err != nil {
				t.Fatal(err)
			}
			for i, c := range cells {
				if alone, err := Index(lats[i], lngs[i], resolution); err != nil || c != alone {
					t.Fatalf("%v, %v at %d: alone %v (%v), in a batch %v", lats[i], lngs[i], resolution, alone, err, c)
				}
			}
		}
	}
}

func TestIndexBatchNamesTheFirstBadRow(t *testing.T) {
	const n = 1000
	lats, lngs, cells := make([]float64, n), make([]float64, n), make([]Cell, n)
	for _, row := range []int{0, 127, 128, 640, 999} {
		lats[row], lngs[n-1] = 91, math.NaN()
		err := IndexBatch(cells, lats, lngs, 9)
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Row != row || invalid.Lat != lats[row] {
			t.Errorf("row %d: %v", row, err)
		}
		lats[row], lngs[n-1] = 0, 0
	}
	if err := IndexBatch(cells[1:], lats, lngs, 9); err == nil {
		t.Error("columns of different lengths are indexed")
	}
	if err := IndexBatch(nil, nil, nil, 9); err != nil {
		t.Error(err)
	}
}

func TestIndexBatchDoesNotAllocate(t *testing.T) {
	lats, lngs, cells := []float64{37.7, 40.7, -33.8}, []float64{-122.4, -74, 151.2}, make([]Cell, 3)
	if n := testing.AllocsPerRun(100, func() { _ = IndexBatch(cells, lats, lngs, 9) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
