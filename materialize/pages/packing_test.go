package pages

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Packed values are what a reader takes bit by bit, and no byte more.
func TestPackedBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(0, 64).Draw(t, "bits")
		most := uint64(1)<<width - 1
		values := rapid.SliceOfN(rapid.Uint64Range(0, most), 0, 100).Draw(t, "values")
		before := rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "before")
		packed := appendPacked(slices.Clip(slices.Clone(before)), values, width)
		if !slices.Equal(packed[:len(before)], before) {
			t.Fatal("what stood before has changed")
		}
		packed = packed[len(before):]
		if groups := (len(values) + 7) / 8; len(packed) != groups*width {
			t.Fatalf("%d bytes for %d values of %d bits", len(packed), len(values), width)
		}
		for i := range len(packed) * 8 {
			bit := uint64(packed[i/8] >> (i % 8) & 1)
			want := uint64(0) // behind the last value
			if n := i / max(width, 1); n < len(values) {
				want = values[n] >> (i % width) & 1
			}
			if bit != want {
				t.Fatalf("bit %d is %d", i, bit)
			}
		}
		if width <= 31 {
			numbers := make([]int32, len(values))
			for i, v := range values {
				numbers[i] = int32(v)
			}
			if !slices.Equal(appendPacked(nil, numbers, width), packed) {
				t.Fatal("numbers of 32 bits are packed in another way")
			}
		}
	})
}
