package models

import (
	"testing"
	"time"

	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
)

// synthetic is a city with a day's and a week's shape, whose counts follow from a hash alone.
type synthetic struct {
	cells  []geo.Cell
	window int64
}

// newSynthetic takes n cells around one in San Francisco.
func newSynthetic(n int, window time.Duration) synthetic {
	return synthetic{cells: around(0x8828308287fffff, n), window: int64(window / time.Second)}
}

// around is the n cells nearest to one, by rings, ascending.
func around(centre geo.Cell, n int) []geo.Cell {
	seen := map[geo.Cell]bool{centre: true}
	found := []geo.Cell{centre}
	for i := 0; len(found) < n; i++ {
		for _, near := range found[i].Neighbors(nil) {
			if !seen[near] && len(found) < n {
				seen[near] = true
				found = append(found, near)
			}
		}
	}
	return ascending(found)
}

// counts are those of window number t: a few a window in a usual cell, many cells with hardly any.
func (s synthetic) counts(t int, cells []geo.Cell, counts []int64) ([]geo.Cell, []int64) {
	second := int64(t) * s.window % 86400
	shape := 1 + second/10800%3 + int64(t)*s.window/86400%7/5
	for i, cell := range s.cells {
		rate := int64(1) << (i % 7)
		draw := exact.Splitmix64(uint64(cell) ^ uint64(t)<<20)
		n := int64(draw%uint64(rate*shape+1)) / 4
		if n > 0 {
			cells, counts = append(cells, cell), append(counts, n)
		}
	}
	return cells, counts
}

// benchmarkStep measures a step of 1,000 cells after a week, in time for a cell and window.
func benchmarkStep(b *testing.B, window time.Duration) {
	const n = 1000
	city := newSynthetic(n, window)
	d, err := NewDemand(DemandOptions{Window: window, Resolution: 8, Parent: 6})
	if err != nil {
		b.Fatal(err)
	}
	var cells []geo.Cell
	var counts []int64
	t := 0
	step := func() {
		t++
		cells, counts = city.counts(t, cells[:0], counts[:0])
		d.Step(int64(t)*city.window*1e6, cells, counts)
	}
	for range d.clock.week + 10 {
		step()
	}
	var spent time.Duration
	b.ReportAllocs()
	for b.Loop() {
		t++
		cells, counts = city.counts(t, cells[:0], counts[:0])
		began := time.Now()
		d.Step(int64(t)*city.window*1e6, cells, counts)
		spent += time.Since(began)
	}
	perCell := float64(spent.Nanoseconds()) / float64(b.N) / float64(len(d.Cells()))
	mean := 0.0
	for _, mu := range d.Outputs().Mu {
		mean += mu
	}
	b.ReportMetric(perCell, "ns/cell-window")
	b.ReportMetric(mean/float64(len(d.Cells())), "events/cell-window")
	b.ReportMetric(perCell/logTime(), "logarithms/cell-window")
}

// logTime is how long a logarithm takes here and now, in ns.
func logTime() float64 {
	const n = 1 << 20
	sum := 0.0
	began := time.Now()
	for i := range n {
		sum += exact.Log(float64(i + 2))
	}
	spent := time.Since(began)
	if sum == 0 {
		return 0
	}
	return float64(spent.Nanoseconds()) / n
}

func BenchmarkStep15Minutes(b *testing.B) { benchmarkStep(b, 15*time.Minute) }

func BenchmarkStep5Minutes(b *testing.B) { benchmarkStep(b, 5*time.Minute) }
