package stream

import (
	"slices"

	"github.com/hextide/hextide/geo"
)

// numbers numbers different words, cells or others, from 0 on in the order in which
// they come. It is an open-addressed table over a dense list.
//
// Invariant: a slot holds 0 or a word's number plus 1, its position in known; at most
// half of the slots are taken; every word is in known once, from position 1 on.
type numbers[W ~uint64] struct {
	slots []uint32 // a power of two
	known []W      // at 0 the one that is looked for
}

const numberSlots = 16 // of a new table

func newNumbers[W ~uint64]() numbers[W] {
	return numbers[W]{slots: make([]uint32, numberSlots), known: make([]W, 1)}
}

// words are those that have numbers, in their order.
func (t *numbers[W]) words() []W { return t.known[1:] }

// reset forgets all words and keeps the memory. What it costs goes by how many there
// are, not by how many there once were.
func (t *numbers[W]) reset() {
	const sparse = 16 // slots a word
	if len(t.slots) < sparse*len(t.known) {
		clear(t.slots)
	} else {
		mask := uint64(len(t.slots) - 1)
		for n := 1; n < len(t.known); n++ {
			at := hashWord(t.known[n]) & mask
			for t.slots[at] != uint32(n) {
				at = (at + 1) & mask
			}
			t.slots[at] = 0
		}
	}
	t.known = t.known[:1]
}

// of finds the numbers of words, and gives numbers to those that have none.
func (t *numbers[W]) of(dst []int32, words []W) {
	const together = 256 // as many may be new before there is room for others
	for from := 0; from < len(words); from += together {
		to := min(from+together, len(words))
		t.reserve(to - from)
		t.find(dst[from:to], words[from:to])
	}
}

// find is of where there is room. Whether a word is new is often a matter of chance, so
// nothing branches on it: the word that is looked for lies at 0, where an empty slot
// leads too, and each is written to where the next new one belongs.
func (t *numbers[W]) find(dst []int32, words []W) {
	dst = dst[:len(words)]
	slots, known := t.slots, t.known[:cap(t.known)]
	if len(known) == 0 {
		return // there always is one
	}
	mask, next := uint64(len(slots)-1), uint32(len(t.known))
	for i, w := range words {
		known[0], known[next] = w, w
		at := hashWord(w) & mask
		n := slots[at]
		for known[n] != w {
			at = (at + 1) & mask
			n = slots[at]
		}
		if n == 0 {
			n = next
		}
		slots[at] = n
		dst[i] = int32(n - 1)
		if n == next {
			next++
		}
	}
	t.known = known[:next]
}

// reserve makes room for so many words more.
func (t *numbers[W]) reserve(more int) {
	need := len(t.known) + more
	t.known = slices.Grow(t.known, more+1)
	if 2*need <= len(t.slots) {
		return
	}
	for 2*need > len(t.slots) {
		t.slots = make([]uint32, 4*len(t.slots))
	}
	mask := uint64(len(t.slots) - 1)
	for n := 1; n < len(t.known); n++ {
		at := hashWord(t.known[n]) & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = uint32(n)
	}
}

// hashWord spreads words over 32 bits, the lower ones.
func hashWord[W ~uint64](w W) uint64 { return geo.Cell(w).Hash() >> 32 }
