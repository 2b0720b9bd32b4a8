//go:build cgo

package geo

import (
	"math"
	"testing"

	h3 "github.com/uber/h3-go/v4"
)

// apart is the distance of two places in radians, good for small ones.
func apart(a LatLng, b h3.LatLng) float64 {
	at := func(lat, lng float64) vector {
		sinLat, cosLat := math.Sincos(lat * math.Pi / 180)
		sinLng, cosLng := math.Sincos(lng * math.Pi / 180)
		return vector{cosLat * cosLng, cosLat * sinLng, sinLat}
	}
	p, q := at(a.Lat, a.Lng), at(b.Lat, b.Lng)
	between := plus(p, 1, q, -1)
	return math.Sqrt(between.dot(&between))
}

func TestCenterAndBoundary(t *testing.T) {
	g := newCells(41)
	bent, pentagons := 0, 0
	worst := 0.0
	for range 60000 {
		c := g.drawNear(g.draw(), 2)
		lat, lng := c.Center()
		want, err := h3.Cell(c).LatLng()
		if err != nil {
			t.Fatal(err)
		}
		worst = max(worst, apart(LatLng{lat, lng}, want))
		outline, err := h3.Cell(c).Boundary()
		if err != nil {
			t.Fatal(err)
		}
		got := c.Boundary([]LatLng{{1, 2}})[1:]
		if len(got) != len(outline) {
			t.Fatalf("%s has %d corners, want %d: %v, want %v", c, len(got), len(outline), got, outline)
		}
		for i := range got {
			d := apart(got[i], outline[i])
			if d > 1e-9 {
				t.Fatalf("corner %d of %s is %v, want %v", i, c, got[i], outline[i])
			}
			worst = max(worst, d)
		}
		if c.IsPentagon() {
			pentagons++
		} else if len(got) > 6 {
			bent++
		}
	}
	t.Logf("farthest from H3: %.3g radians", worst)
	if worst > 1e-13 {
		t.Errorf("a corner is %.3g radians from H3's", worst)
	}
	if bent < 200 || pentagons < 200 {
		t.Errorf("%d bent cells, %d pentagons", bent, pentagons)
	}
}

func TestCenterIsInItsCell(t *testing.T) {
	g := newCells(42)
	for range 200000 {
		c := g.draw()
		lat, lng := c.Center()
		if back, err := Index(lat, lng, c.Resolution()); back != c || err != nil {
			t.Fatalf("the centre of %s, %v, %v, is in %s, %v", c, lat, lng, back, err)
		}
	}
}

func TestBoundaryDoesNotAllocate(t *testing.T) {
	g := newCells(43)
	dst := make([]LatLng, 0, 10)
	for range 200 {
		c := g.draw()
		if n := testing.AllocsPerRun(1, func() {
			dst = c.Boundary(dst[:0])
			c.Center()
		}); n > 0 {
			t.Fatalf("%s: %v allocations", c, n)
		}
	}
}

func TestDegreesOf(t *testing.T) {
	for i := range 3600001 {
		a := float64(i)/1e4 - 180
		sin, cos := math.Sincos(a * math.Pi / 180)
		if got := degreesOf(sin, cos); math.Abs(got-a) > 1e-13 && math.Abs(math.Abs(got-a)-360) > 1e-13 {
			t.Fatalf("%v comes out as %v", a, got)
		}
	}
	if degreesOf(0, 0) != 0 {
		t.Error("no direction has an angle")
	}
}
