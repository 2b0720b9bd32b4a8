//go:build cgo

package geo

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	h3 "github.com/uber/h3-go/v4"
)

// BenchmarkIndexRatios gives how many times as fast as h3-go a place is indexed, alone and in columns,
// all measured in turns within one run, over the whole sphere and within a city.
func BenchmarkIndexRatios(b *testing.B) {
	const n = 4096
	random := rand.New(rand.NewPCG(5, 6))
	lats, lngs, cells := make([]float64, n), make([]float64, n), make([]Cell, n)
	for _, spread := range []string{"sphere", "city"} {
		for i := range n {
			if spread == "sphere" {
				lats[i], lngs[i] = math.Asin(2*random.Float64()-1)*180/math.Pi, random.Float64()*360-180
			} else {
				lats[i], lngs[i] = 40.75+0.05*random.NormFloat64(), -73.97+0.05*random.NormFloat64()
			}
		}
		for _, resolution := range []int{5, 7, 9, 12} {
			b.Run(fmt.Sprintf("%s/%d", spread, resolution), func(b *testing.B) {
				var theirs, alone, batch time.Duration
				for b.Loop() {
					theirs += spent(func() {
						for i := range n {
							c, _ := h3.LatLngToCell(h3.LatLng{Lat: lats[i], Lng: lngs[i]}, resolution)
							cells[i] = Cell(c)
						}
					})
					alone += spent(func() {
						for i := range n {
							cells[i], _ = Index(lats[i], lngs[i], resolution)
						}
					})
					batch += spent(func() { _ = IndexBatch(cells, lats, lngs, resolution) })
				}
				b.ReportMetric(float64(theirs)/float64(alone), "times-single")
				b.ReportMetric(float64(theirs)/float64(batch), "times-batch")
				b.ReportMetric(float64(alone)/float64(b.N*n), "ns/single")
				b.ReportMetric(float64(batch)/float64(b.N*n), "ns/batch")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func spent(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

// BenchmarkTraversalRatios gives how many times as fast as h3-go the other functions are, over cells of
// resolution 9.
func BenchmarkTraversalRatios(b *testing.B) {
	g := newCells(61)
	some := make([]Cell, 256)
	for i := range some {
		lat, lng := math.Asin(2*g.Float64()-1)*180/math.Pi, g.Float64()*360-180
		some[i], _ = Index(lat, lng, 9)
	}
	var dst []Cell
	var outline []LatLng
	for _, f := range []struct {
		name         string
		ours, theirs func(c Cell)
	}{
		{"parent", func(c Cell) { _, _ = c.Parent(5) }, func(c Cell) { _, _ = h3.Cell(c).Parent(5) }},
		{"neighbors", func(c Cell) { dst = c.Neighbors(dst[:0]) }, func(c Cell) { _, _ = h3.GridDisk(h3.Cell(c), 1) }},
		{"disk10", func(c Cell) { dst = Disk(dst[:0], c, 10) }, func(c Cell) { _, _ = h3.GridDisk(h3.Cell(c), 10) }},
		{"distance", func(c Cell) { _, _ = Distance(c, c&^(7<<24)) }, func(c Cell) { _, _ = h3.GridDistance(h3.Cell(c), h3.Cell(c&^(7<<24))) }},
		{"center", func(c Cell) { c.Center() }, func(c Cell) { _, _ = h3.CellToLatLng(h3.Cell(c)) }},
		{"boundary", func(c Cell) { outline = c.Boundary(outline[:0]) }, func(c Cell) { _, _ = h3.CellToBoundary(h3.Cell(c)) }},
	} {
		b.Run(f.name, func(b *testing.B) {
			var ours, theirs time.Duration
			for b.Loop() {
				for _, way := range []struct {
					spent *time.Duration
					do    func(c Cell)
				}{{&theirs, f.theirs}, {&ours, f.ours}} {
					*way.spent += spent(func() {
						for _, c := range some {
							way.do(c)
						}
					})
				}
			}
			b.ReportMetric(float64(theirs)/float64(ours), "times")
			b.ReportMetric(float64(ours)/float64(b.N*len(some)), "ns")
			b.ReportMetric(0, "ns/op")
		})
	}
}
