package geo

import (
	"testing"
	"time"
)

// pass sums and reads all rows of one pane, and returns their number.
func pass(tb testing.TB, d *Disks, s Sources, b *Block) int {
	if err := d.Sum(s, Exists{0, 1<<64 - 1}); err != nil {
		tb.Fatal(err)
	}
	for d.Next(b) {
	}
	return d.Rows()
}

// perRow is the time that one row takes, in nanoseconds, over passes of at least 50 ms.
func perRow(tb testing.TB, d *Disks, s Sources) float64 {
	var b Block
	pass(tb, d, s, &b)
	rows := 0
	start := time.Now()
	for time.Since(start) < 50*time.Millisecond {
		rows += pass(tb, d, s, &b)
	}
	return float64(time.Since(start).Nanoseconds()) / float64(rows)
}

// BenchmarkDisks closes panes of a city: 9 rings of two words, which is 54 columns of three lanes each.
func BenchmarkDisks(b *testing.B) {
	w, rings, values := city(b, 2000)
	d, err := NewDisks(w.frame, rings)
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
	d, err := NewDisks(w.frame, rings)
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

// BenchmarkDiskRatios gives, each in one run, what a row of ring 20 takes over a row of ring 1, and what
// gathering takes over cones.
func BenchmarkDiskRatios(b *testing.B) {
	w, rings, values := city(b, 2000)
	s, _ := w.spread(b, values, 0)
	var wide, gathered float64
	for b.Loop() {
		of := func(rings ...int) float64 {
			d, err := NewDisks(w.frame, rings)
			if err != nil {
				b.Fatal(err)
			}
			return perRow(b, d, s)
		}
		wide = of(20) / of(1)
		slow := &Disks{frame: w.frame, rings: rings, sums: newGathering(w.frame, rings)}
		gathered = perRow(b, slow, s) / of(rings...)
	}
	b.ReportMetric(wide, "ring20/ring1")
	b.ReportMetric(gathered, "gather/cones")
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
