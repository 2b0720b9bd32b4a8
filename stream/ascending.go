package stream

import (
	"math/bits"
)

// ascending gives the positions of different numbers in their ascending order,
// which bits below the first do not change. It looks only at the bytes in which
// the numbers differ: cells of a territory differ in two or three.
func ascending(keys []uint64, first int) []int32 {
	order := make([]int32, len(keys))
	differ := uint64(0)
	for i, k := range keys {
		order[i] = int32(i)
		differ |= k ^ keys[0]
	}
	differ = differ >> first << first
	if differ == 0 {
		return order
	}
	next := make([]int32, len(keys))
	for shift := bits.TrailingZeros64(differ); shift < bits.Len64(differ); shift += 8 {
		if byte(differ>>shift) == 0 {
			continue
		}
		var ends [256]int32
		for _, k := range keys {
			ends[byte(k>>shift)]++
		}
		at := int32(0)
		for i, n := range ends {
			ends[i], at = at, at+n
		}
		for _, i := range order {
			b := byte(keys[i] >> shift)
			next[ends[b]] = i
			ends[b]++
		}
		order, next = next, order
	}
	return order
}
