package pages

import (
	"encoding/binary"
	"slices"
)

// Hybrids of runs and bit-packed values (Encodings.md, "Run Length Encoding /
// Bit-Packing Hybrid"), in which Parquet keeps definition levels and the numbers of a
// dictionary's values.

// Run is so many rows of one value.
type Run struct {
	Value int32
	Rows  int
}

// AppendRuns appends runs of values that have at most so many bits, at least one.
func AppendRuns(out []byte, runs []Run, width int) []byte {
	for _, r := range runs {
		out = binary.AppendUvarint(out, uint64(r.Rows)<<1)
		for at := 0; at < width; at += 8 {
			out = append(out, byte(r.Value>>at))
		}
	}
	return out
}

// AppendPackedRun appends values one by one, so many bits each.
func AppendPackedRun(out []byte, values []int32, width int) []byte {
	groups := (len(values) + 7) / 8
	return appendPacked(binary.AppendUvarint(out, uint64(groups)<<1|1), values, width)
}

// AppendPackedBytes appends values one by one, 8 bits each.
func AppendPackedBytes(out, values []byte) []byte {
	groups := (len(values) + 7) / 8
	out = append(binary.AppendUvarint(out, uint64(groups)<<1|1), values...)
	return append(out, make([]byte, 8*groups-len(values))...)
}

// appendPacked appends values of so many bits each, up to 64, the least significant bit
// first. The last group of 8 is filled with zeros.
func appendPacked[T int32 | uint64](out []byte, values []T, width int) []byte {
	const beyond = 16 // bytes that may be stored behind a group, for the next to overwrite
	start := len(out)
	end := start + (len(values)+7)/8*width
	out = slices.Grow(out, end-start+beyond)[:end+beyond]
	at := start
	for ; len(values) >= 8; at += width {
		if width <= 16 {
			packFew8(out[at:], (*[8]T)(values), uint(width))
		} else {
			pack8(out[at:], (*[8]T)(values), uint(width))
		}
		values = values[8:]
	}
	if len(values) > 0 {
		var rest [8]T
		copy(rest[:], values)
		pack8(out[at:], &rest, uint(width))
	}
	return out[:end]
}

// packFew8 stores 8 values of up to 16 bits, and zeros behind them: 16 bytes in all.
func packFew8[T int32 | uint64](to []byte, v *[8]T, width uint) {
	w := width & 31
	low := uint64(v[0]) | uint64(v[1])<<w | uint64(v[2])<<(2*w&63) | uint64(v[3])<<(3*w&63)
	high := uint64(v[4]) | uint64(v[5])<<w | uint64(v[6])<<(2*w&63) | uint64(v[7])<<(3*w&63)
	binary.LittleEndian.PutUint64(to, low|high<<(4*w))
	binary.LittleEndian.PutUint64(to[8:], high>>(64-4*w))
}

// pack8 stores 8 values, and up to 7 bytes of zeros behind them.
func pack8[T int32 | uint64](to []byte, v *[8]T, width uint) {
	word, taken := uint64(0), uint(0)
	for _, x := range v {
		word |= uint64(x) << taken
		if taken += width; taken >= 64 {
			binary.LittleEndian.PutUint64(to, word)
			to = to[8:]
			taken -= 64
			word = uint64(x) >> (width - taken)
		}
	}
	if taken > 0 {
		binary.LittleEndian.PutUint64(to, word)
	}
}
