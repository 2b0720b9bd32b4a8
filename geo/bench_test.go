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
