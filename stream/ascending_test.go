package stream

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestAscending(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mask := rapid.Uint64().Draw(t, "bits that differ")
		keys := rapid.SliceOfDistinct(rapid.Uint64(), func(k uint64) uint64 { return k & mask >> 1 }).Draw(t, "numbers")
		for i := range keys {
			keys[i] &= mask
		}
		order := ascending(keys, 1)
		got := make([]uint64, len(keys))
		for to, from := range order {
			got[to] = keys[from]
		}
		if want := slices.Sorted(slices.Values(keys)); !slices.Equal(got, want) {
			t.Fatalf("%x comes as %x", keys, got)
		}
	})
}
