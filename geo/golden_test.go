package geo

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"testing"
)

// What geo computes is the same on every machine, compiled to fuse multiplications with additions or
// not, and with cgo or without. The sums were made with GOAMD64=v1, and v3, which fuses, has the same.
func TestSameBitsEverywhere(t *testing.T) {
	const n = 40000
	lats, lngs := make([]float64, n), make([]float64, n)
	for i := range n {
		// A spiral over the sphere; every eighth place is the centre of a cell, which lies on edges and
		// corners of finer ones.
		lats[i] = float64(180*float64(i)/(n-1)) - 90
		lngs[i] = math.Mod(float64(float64(i)*137.50776405), 360) - 180
		if i%8 == 7 {
			c, err := Index(lats[i], lngs[i], i/8%16)
			if err != nil {
				t.Fatal(err)
			}
			lats[i], lngs[i] = c.Center()
		}
	}
	cells := make([]Cell, n)
	indexed, placed := fnv.New64a(), fnv.New64a()
	var word [8]byte
	for resolution := range 16 {
		if err := IndexBatch(cells, lats, lngs, resolution); err != nil {
			t.Fatal(err)
		}
		for i, c := range cells {
			indexed.Write(binary.LittleEndian.AppendUint64(word[:0], uint64(c)))
			if i%100 == 0 {
				for _, corner := range c.Boundary(nil) {
					placed.Write(binary.LittleEndian.AppendUint64(word[:0], math.Float64bits(corner.Lat)))
					placed.Write(binary.LittleEndian.AppendUint64(word[:0], math.Float64bits(corner.Lng)))
				}
			}
		}
	}
	for _, sum := range []struct {
		what      string
		got, want uint64
	}{
		{"cells", indexed.Sum64(), 0xf9090dc00f369cb0},
		{"boundaries", placed.Sum64(), 0x9134effe7d32f51c},
	} {
		if sum.got != sum.want {
			t.Errorf("%s: %#x, want %#x", sum.what, sum.got, sum.want)
		}
	}
}
