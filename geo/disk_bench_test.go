//go:build cgo

package geo

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	h3 "github.com/uber/h3-go/v4"
)

// pass sums and reads all rows of one pane, and returns their number.
func pass(tb testing.TB, d *Disks, s Sources, b *Block) int {
	if err := d.Sum(s, Exists{0, 1<<64 - 1}); err != nil {
		tb.Fatal(err)
	}
	for first := 0; d.Fill(b, first); first += BlockRows {
	}
	return d.Rows()
}

// passTime is the time of one pane's sums at the given cells, in nanoseconds, over at least 50 ms.
func passTime(tb testing.TB, d *Disks, s Sources, own []Cell) float64 {
	var b Block
	passes := 0
	start := time.Now()
	for ; time.Since(start) < 50*time.Millisecond; passes++ {
		if err := d.SumAt(s, own); err != nil {
			tb.Fatal(err)
		}
		for first := 0; d.Fill(&b, first); first += BlockRows {
		}
	}
	return float64(time.Since(start).Nanoseconds()) / float64(passes)
}

// BenchmarkDisks closes panes of a city: 9 rings of two words, which is 54 columns of three lanes each.
func BenchmarkDisks(b *testing.B) {
	w, rings, values := city(b, 2000)
	d, err := NewDisks(w.frame, rings, nil)
	if err != nil {
		b.Fatal(err)
	}
	s, _ := w.spread(b, values, 0)
	var block Block
	rows := pass(b, d, s, &block)
	b.ReportAllocs()
	for b.Loop() {
		pass(b, d, s, &block)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
	b.ReportMetric(float64(rows), "rows")
}

// BenchmarkDisksSparse has 50 cells far apart.
func BenchmarkDisksSparse(b *testing.B) {
	w, rings, _ := city(b, 1)
	values := map[Cell][]uint64{}
	for i := range 50 {
		values[w.frame.CellOf((i*w.frame.Ranks()+1)/50)] = []uint64{1, 1}
	}
	d, err := NewDisks(w.frame, rings, nil)
	if err != nil {
		b.Fatal(err)
	}
	s, _ := w.spread(b, values, 0)
	var block Block
	rows := pass(b, d, s, &block)
	b.ReportAllocs()
	for b.Loop() {
		pass(b, d, s, &block)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
	b.ReportMetric(float64(rows), "rows")
}

// BenchmarkDiskRatios gives, each in one run and for the same rows, what a ring of 20 takes over one
// of 1, and what gathering takes over cones.
func BenchmarkDiskRatios(b *testing.B) {
	w, rings, values := city(b, 2000)
	s, _ := w.spread(b, values, 0)
	of := func(rings ...int) *Disks {
		d, err := NewDisks(w.frame, rings, nil)
		if err != nil {
			b.Fatal(err)
		}
		return d
	}
	all := of(rings...)
	var own []Cell
	for block, more := (Block{}), all.Sum(s, Exists{0, 1<<64 - 1}) == nil; more; {
		more = all.Fill(&block, len(own))
		own = append(own, block.Cells...)
	}
	var wide, gathered float64
	for b.Loop() {
		wide = passTime(b, of(20), s, own) / passTime(b, of(1), s, own)
		slow := &Disks{frame: w.frame, rings: rings, sums: newGathering(w.frame, rings)}
		gathered = passTime(b, slow, s, own) / passTime(b, all, s, own)
	}
	b.ReportMetric(wide, "ring20/ring1")
	b.ReportMetric(gathered, "gather/cones")
}

// BenchmarkPentagonRatio gives what the pane of a city on a pentagon takes over that of one, with as many
// cells, in the middle of a territory elsewhere.
func BenchmarkPentagonRatio(b *testing.B) {
	const cells = 1500
	rings := []int{0, 1, 2, 3, 4, 5, 10, 15, 20}
	ts, err := NewTerritories(9, nil, 20)
	if err != nil {
		b.Fatal(err)
	}
	pane := func(middle Cell) (float64, int) {
		w := world{ts, ts.Of(middle), NewFrame(ts, ts.Of(middle))}
		lat, lng := middle.Center()
		random := rand.New(rand.NewPCG(3, 4))
		values := map[Cell][]uint64{}
		for len(values) < cells {
			p := h3.LatLng{
				Lat: lat + 0.04*random.NormFloat64(),
				Lng: lng + 0.04*random.NormFloat64()/math.Cos(lat*math.Pi/180),
			}
			if c := cellAt(b, p, 9); w.t.Of(c) == w.id {
				values[c] = []uint64{1, 1<<42 | 2<<21 | 3}
			}
		}
		d, err := NewDisks(w.frame, rings, nil)
		if err != nil {
			b.Fatal(err)
		}
		s, _ := w.spread(b, values, 0)
		var block Block
		passes, start := 0, time.Now()
		for ; time.Since(start) < 50*time.Millisecond; passes++ {
			pass(b, d, s, &block)
		}
		return float64(time.Since(start).Nanoseconds()) / float64(passes), d.Rows()
	}
	pentagon := cellAt(b, pentagonPlaces[0], 9)
	elsewhere := descendant(ancestorAt(cellAt(b, h3.LatLng{Lat: 40.71, Lng: -74}, 9), 3), 3, 6, 0)
	var on, off float64
	var rowsOn, rowsOff int
	for b.Loop() {
		var took float64
		took, rowsOn = pane(pentagon)
		on += took
		took, rowsOff = pane(elsewhere)
		off += took
	}
	b.ReportMetric(on/off, "pentagon/elsewhere")
	b.ReportMetric(float64(rowsOn), "rows-pentagon")
	b.ReportMetric(float64(rowsOff), "rows-elsewhere")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkNewFrame(b *testing.B) {
	w, _, _ := city(b, 1)
	for b.Loop() {
		NewFrame(w.t, w.id)
	}
}

func BenchmarkHaloInside(b *testing.B) {
	w, _, values := city(b, 1)
	var halo [4]Territory
	for c := range values {
		for b.Loop() {
			w.t.Halo(halo[:0], c)
		}
	}
}
