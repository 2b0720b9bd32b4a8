package pages

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The shape of Parquet's DELTA_BINARY_PACKED (Encodings.md, "Delta Encoding"): a block
// of differences has its least, and each part of it how many bits the rest of one takes.
const (
	deltaBlock = 128
	deltaPart  = 32
)

// AppendDeltas appends integers, one at least, by their differences.
func AppendDeltas(out []byte, values []int64) []byte {
	out = binary.AppendUvarint(out, deltaBlock)
	out = binary.AppendUvarint(out, deltaBlock/deltaPart)
	out = binary.AppendUvarint(out, uint64(len(values)))
	last := values[0]
	out = binary.AppendVarint(out, last)
	var differences [deltaBlock]uint64
	for values = values[1:]; len(values) > 0; {
		block := values[:min(deltaBlock, len(values))]
		values = values[len(block):]
		least := int64(math.MaxInt64)
		own := differences[:len(block)]
		for i, v := range block {
			d := v - last // wraps, and so it does where it is read
			last = v
			own[i] = uint64(d)
			least = min(least, d)
		}
		for i := len(block); i%deltaPart > 0; i++ {
			differences[i] = uint64(least)
		}
		out = binary.AppendVarint(out, least)
		widths := len(out)
		out = append(out, 0, 0, 0, 0) // a byte for each part
		for at := 0; at < len(block); at += deltaPart {
			part := (*[deltaPart]uint64)(differences[at:])
			all := uint64(0)
			for i := range part {
				part[i] -= uint64(least)
				all |= part[i]
			}
			width := bits.Len64(all)
			out[widths+at/deltaPart] = byte(width)
			out = appendPacked(out, part[:], width)
		}
	}
	return out
}

// AppendSplit appends numbers as BYTE_STREAM_SPLIT: the first byte of all, the second
// of all and so on.
func AppendSplit(out []byte, values []float64) []byte {
	start := len(out)
	out = append(out, make([]byte, 8*len(values))...)
	for i, v := range values {
		b := math.Float64bits(v)
		for at := start + i; at < len(out); at += len(values) {
			out[at] = byte(b)
			b >>= 8
		}
	}
	return out
}
