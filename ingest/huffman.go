package ingest

import "math/bits"

// An entry of a huffman says what the next bits of a deflate stream are: the bits of
// the code (lowest byte), how many bits behind it are added to the value (6 bits),
// two flags, and the value. Special entries are the block's end, which has a value;
// those of codes longer than top, which have bits to be added; and badCode, with the
// bits of its code where it has one.
const (
	extraShift  = 8
	extraMask   = 1<<6 - 1
	literalFlag = 1 << 14 // the value is a byte
	specialFlag = 1 << 15
	valueShift  = 16

	badCode = specialFlag // no code begins so, or one that means nothing
)

// huffman finds the codes of one alphabet. The first entries are those of the next
// top bits. Where longer codes begin so, the entry's value is where the entries of the
// bits behind are, and its bits to be added are how many bits those are.
type huffman struct {
	entries []uint32
	top     uint
}

// build makes the entries of a code, of which symbol i has lengths[i] bits and is
// meaning[i]. It tells whether there is such a code: a complete one, none, or a
// single symbol of 1 bit.
func (h *huffman) build(lengths []uint8, meaning []uint32, top uint) bool {
	var counts, next [16]uint
	for _, n := range lengths {
		counts[n]++
	}
	counts[0] = 0
	longest, left := uint(0), 1
	for n := uint(1); n < 16; n++ {
		next[n] = (next[n-1] + counts[n-1]) << 1
		if left = left<<1 - int(counts[n]); left < 0 {
			return false
		}
		if counts[n] > 0 {
			longest = n
		}
	}
	if left > 0 && longest > 0 && !(longest == 1 && counts[1] == 1) {
		return false
	}
	h.top, h.entries = top, h.entries[:0]
	for range 1 << top {
		h.entries = append(h.entries, badCode)
	}
	for symbol, length := range lengths {
		n := uint(length)
		if n == 0 {
			continue
		}
		code := uint(bits.Reverse16(uint16(next[n])) >> (16 - n))
		next[n]++
		entry := meaning[symbol] | uint32(n)
		if n > top {
			h.long(code, n, longest-top, entry)
			continue
		}
		for at := code; at < 1<<top; at += 1 << n {
			h.entries[at] = entry
		}
	}
	return true
}

// long adds an entry of a code of n bits, more than top; none has more than so many
// behind those.
func (h *huffman) long(code, n, behind uint, entry uint32) {
	first := code & (1<<h.top - 1)
	if h.entries[first] == badCode {
		h.entries[first] = specialFlag | uint32(h.top) | uint32(behind)<<extraShift | uint32(len(h.entries))<<valueShift
		for range 1 << behind {
			h.entries = append(h.entries, badCode)
		}
	}
	below := h.entries[h.entries[first]>>valueShift:]
	for at := code >> h.top; at < 1<<behind; at += 1 << (n - h.top) {
		below[at] = entry - uint32(h.top)
	}
}

// longer finds the entry of a code that is longer than top, if it is such a one that
// the entry found with the next bits is of.
func (h *huffman) longer(word uint64, count uint, entry uint32) (uint64, uint, uint32) {
	if extra := entry >> extraShift & extraMask; extra != 0 {
		word, count = word>>h.top, count-h.top
		entry = h.entries[uint64(entry>>valueShift)+word&(1<<extra-1)]
	}
	return word, count, entry
}
