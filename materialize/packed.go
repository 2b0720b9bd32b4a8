package materialize

import (
	"encoding/binary"
	"fmt"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

// A packed row is the value of one entity in Redis, little-endian:
//
//	 0  uint8   format version, 1
//	 1  uint8   flags: 1 final, 2 empty (a marker: the entity's row has ceased)
//	 2  uint16  n, the number of columns
//	 4  int32   revision
//	 8  int64   window end, µs of unix time, exclusive
//	16  int64   incarnation
//	24  int64   computed at, µs of unix time
//	32  nulls   ceil(n/64) uint64; bit c of them set: column c is null
//	..  n x 8   the columns in the definition's order: int64, or IEEE 754 double
//
// The columns' names and types are those of the plan whose hash is in the key.
const (
	packedVersion = 1
	packedHeader  = 32
	flagFinal     = 1
	flagEmpty     = 2
)

// Packed is a decoded packed row.
type Packed struct {
	Final, Empty bool
	Revision     int32
	WindowEnd    int64 // µs
	Incarnation  int64
	ComputedAt   int64 // µs
	Nulls        column.Bitmap
	Bits         []uint64 // one a column
}

// AppendPacked appends row i of a block in packed form.
func AppendPacked(dst []byte, r *stream.Rows, i int) []byte {
	flags := byte(0)
	if r.Final {
		flags |= flagFinal
	}
	if r.Empty {
		flags |= flagEmpty
	}
	dst = append(dst, packedVersion, flags)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(r.Columns)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.Revision))
	for _, v := range [3]int64{r.WindowEnd, r.Incarnation, r.ComputedAt} {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
	}
	for first := 0; first < len(r.Columns); first += 64 {
		word := uint64(0)
		for c := first; c < min(first+64, len(r.Columns)); c++ {
			if r.Columns[c].Null(i) {
				word |= 1 << (c - first)
			}
		}
		dst = binary.LittleEndian.AppendUint64(dst, word)
	}
	for c := range r.Columns {
		dst = binary.LittleEndian.AppendUint64(dst, r.Columns[c].Bits(i))
	}
	return dst
}

// ParsePacked decodes a packed row.
func ParsePacked(b []byte) (*Packed, error) {
	if len(b) < packedHeader {
		return nil, fmt.Errorf("a packed row has at least %d bytes, not %d", packedHeader, len(b))
	}
	if b[0] != packedVersion {
		return nil, fmt.Errorf("packed row of format version %d; this program reads %d", b[0], packedVersion)
	}
	n := int(binary.LittleEndian.Uint16(b[2:]))
	words := (n + 63) / 64
	if want := packedHeader + 8*(words+n); len(b) != want {
		return nil, fmt.Errorf("a packed row of %d columns has %d bytes, not %d", n, want, len(b))
	}
	p := &Packed{
		Final: b[1]&flagFinal != 0, Empty: b[1]&flagEmpty != 0,
		Revision:    int32(binary.LittleEndian.Uint32(b[4:])),
		WindowEnd:   int64(binary.LittleEndian.Uint64(b[8:])),
		Incarnation: int64(binary.LittleEndian.Uint64(b[16:])),
		ComputedAt:  int64(binary.LittleEndian.Uint64(b[24:])),
		Nulls:       make(column.Bitmap, words), Bits: make([]uint64, n),
	}
	for i := range p.Nulls {
		p.Nulls[i] = binary.LittleEndian.Uint64(b[packedHeader+8*i:])
	}
	for i := range p.Bits {
		p.Bits[i] = binary.LittleEndian.Uint64(b[packedHeader+8*(words+i):])
	}
	return p, nil
}

// packedNewer tells whether packed row a is newer than b, or the same row
// again: by window end, revision, incarnation. The Redis script says the same.
func packedNewer(a, b []byte) bool {
	key := func(p []byte) [3]int64 {
		return [3]int64{int64(binary.LittleEndian.Uint64(p[8:])), int64(int32(binary.LittleEndian.Uint32(p[4:]))), int64(binary.LittleEndian.Uint64(p[16:]))}
	}
	ka, kb := key(a), key(b)
	for i := range ka {
		if ka[i] != kb[i] {
			return ka[i] > kb[i]
		}
	}
	return true
}
