package stream

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/pipeline"
	"github.com/zeebo/xxh3"
)

// AppendRecord appends row i's record, the bytes that are hashed for it:
//
//	resolution   1 byte
//	cell         8 bytes, little-endian
//	dimensions   of each value: 4-byte length, little-endian; UTF-8 (none yet)
//	window end   8 bytes, little-endian, µs of unix time
//	each column  0 where it is null; else 1 and 8 bytes, little-endian:
//	             the integer, or the float's IEEE 754 bits
//
// Revision, finality and the time of computing stay out: a value computed twice
// has one record.
func AppendRecord(dst []byte, r *Rows, i int) []byte {
	dst = append(dst, byte(r.Resolution))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Cells[i]))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.WindowEnd))
	for c := range r.Columns {
		v := &r.Columns[c]
		if v.Null(i) {
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, 1)
		dst = binary.LittleEndian.AppendUint64(dst, v.Bits(i))
	}
	return dst
}

// AppendSchemaRecord appends the record of the columns' names and types, which a
// ContentHash begins with: of each column its name's length in 4 bytes,
// little-endian, the name, and its type, 1 for int64 or 2 for float64.
func AppendSchemaRecord(dst []byte, names []string, kinds []column.Kind) []byte {
	for i, name := range names {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(name)))
		dst = append(dst, name...)
		kind := byte(1)
		if kinds[i] == column.Float {
			kind = 2
		}
		dst = append(dst, kind)
	}
	return dst
}

// RecordHash is the XXH3-128 hash of row i's record. scratch is memory to use
// again.
func RecordHash(r *Rows, i int, scratch *[]byte) xxh3.Uint128 {
	*scratch = AppendRecord((*scratch)[:0], r, i)
	return xxh3.Hash128(*scratch)
}

// ContentHash is the sum modulo 2^128 of the hashes of rows' records and of the
// record of their columns: equal for two sets of rows that are equal, in
// whatever order they are added.
type ContentHash struct {
	schema  xxh3.Uint128 // of the record of the columns
	sum     xxh3.Uint128 // schema included
	scratch []byte       // a record
	records []byte       // some of equal length
}

// NewContentHash begins with a plan's columns.
func NewContentHash(plan *pipeline.Plan) *ContentHash {
	names, kinds := make([]string, len(plan.Columns)), make([]column.Kind, len(plan.Columns))
	for i, c := range plan.Columns {
		names[i], kinds[i] = c.Name, c.Kind
	}
	return HashColumns(names, kinds)
}

// HashColumns begins with columns by their names and kinds (Int or Float).
func HashColumns(names []string, kinds []column.Kind) *ContentHash {
	schema := xxh3.Hash128(AppendSchemaRecord(nil, names, kinds))
	return &ContentHash{schema: schema, sum: schema}
}

// Add adds all rows of a block.
func (h *ContentHash) Add(r *Rows) {
	for c := range r.Columns {
		if r.Columns[c].Nulls.Any() {
			for i := range r.Cells {
				h.AddRow(r, i)
			}
			return
		}
	}
	h.frame(r)
	for from := 0; from < len(r.Cells); from += recordRows {
		h.addWhole(r, from, min(from+recordRows, len(r.Cells)))
	}
}

// recordRows is how many records are laid out at a time: as many as stay in the
// nearest cache with a usual number of columns.
const recordRows = 32

// Records without nulls are as long as each other.
const (
	recordEnd   = 1 + 8         // where the window end is
	recordHead  = recordEnd + 8 // where the columns begin
	recordValue = 1 + 8         // of a column
)

// frame lays out what the records of a block without nulls have in common.
func (h *ContentHash) frame(r *Rows) {
	length := recordHead + recordValue*len(r.Columns)
	n := min(recordRows, len(r.Cells)) * length
	h.records = slices.Grow(h.records[:0], n)[:n]
	for at := 0; at < n; at += length {
		record := h.records[at : at+length]
		record[0] = byte(r.Resolution)
		binary.LittleEndian.PutUint64(record[recordEnd:], uint64(r.WindowEnd))
		for c := recordHead; c < length; c += recordValue {
			record[c] = 1
		}
	}
}

// addWhole adds rows without nulls. Their records are laid out column by column: a
// column's values lie side by side.
func (h *ContentHash) addWhole(r *Rows, from, to int) {
	length := recordHead + recordValue*len(r.Columns)
	layIntegers(h.records[1:], length, r.Cells[from:to])
	for c := 0; c < len(r.Columns); {
		columns := r.Columns[c:]
		at := h.records[recordHead+recordValue*c:]
		switch {
		case integers(columns):
			layEight(at, length, columns, from, to)
			c += 7
		case columns[0].Kind == column.Float:
			layFloats(at[1:], length, columns[0].Floats[from:to])
		default:
			layIntegers(at[1:], length, columns[0].Ints[from:to])
		}
		c++
	}
	for at := 0; at < (to-from)*length; at += length {
		h.add(xxh3.Hash128(h.records[at : at+length]))
	}
}

// integers tells whether the next eight columns all hold integers.
func integers(columns []column.Vector) bool {
	if len(columns) < 8 {
		return false
	}
	for c := range columns[:8] {
		if columns[c].Kind == column.Float {
			return false
		}
	}
	return true
}

// layIntegers lays a column's values into records, which are so long and begin
// where the first of them has the value.
func layIntegers[T ~int64 | ~uint64](records []byte, length int, values []T) {
	at := 0
	for _, v := range values {
		binary.LittleEndian.PutUint64(records[at:at+8], uint64(v))
		at += length
	}
}

// layFloats is layIntegers for floats.
func layFloats(records []byte, length int, values []float64) {
	at := 0
	for _, v := range values {
		binary.LittleEndian.PutUint64(records[at:at+8], math.Float64bits(v))
		at += length
	}
}

// layEight is layIntegers for eight columns, from the 1 before the first on: their
// 72 bytes of a record are written as nine words, each with parts of two values and
// the 1 between them.
func layEight(records []byte, length int, columns []column.Vector, from, to int) {
	n := to - from
	a, b, c, d := columns[0].Ints[from:to], columns[1].Ints[from:][:n], columns[2].Ints[from:][:n], columns[3].Ints[from:][:n]
	e, f, g, h := columns[4].Ints[from:][:n], columns[5].Ints[from:][:n], columns[6].Ints[from:][:n], columns[7].Ints[from:][:n]
	for i := range a {
		record := records[i*length:][:72]
		binary.LittleEndian.PutUint64(record[0:8], 1|uint64(a[i])<<8)
		binary.LittleEndian.PutUint64(record[8:16], uint64(a[i])>>56|1<<8|uint64(b[i])<<16)
		binary.LittleEndian.PutUint64(record[16:24], uint64(b[i])>>48|1<<16|uint64(c[i])<<24)
		binary.LittleEndian.PutUint64(record[24:32], uint64(c[i])>>40|1<<24|uint64(d[i])<<32)
		binary.LittleEndian.PutUint64(record[32:40], uint64(d[i])>>32|1<<32|uint64(e[i])<<40)
		binary.LittleEndian.PutUint64(record[40:48], uint64(e[i])>>24|1<<40|uint64(f[i])<<48)
		binary.LittleEndian.PutUint64(record[48:56], uint64(f[i])>>16|1<<48|uint64(g[i])<<56)
		binary.LittleEndian.PutUint64(record[56:64], uint64(g[i])>>8|1<<56)
		binary.LittleEndian.PutUint64(record[64:72], uint64(h[i]))
	}
}

// AddRow adds row i of a block.
func (h *ContentHash) AddRow(r *Rows, i int) { h.add(RecordHash(r, i, &h.scratch)) }

// Merge adds the rows of another, which began with the same columns: the record
// of the columns counts once.
func (h *ContentHash) Merge(o *ContentHash) {
	h.add(o.sum)
	lo, borrow := bits.Sub64(h.sum.Lo, o.schema.Lo, 0)
	hi, _ := bits.Sub64(h.sum.Hi, o.schema.Hi, borrow)
	h.sum = xxh3.Uint128{Hi: hi, Lo: lo}
}

func (h *ContentHash) add(v xxh3.Uint128) {
	lo, carry := bits.Add64(h.sum.Lo, v.Lo, 0)
	hi, _ := bits.Add64(h.sum.Hi, v.Hi, carry)
	h.sum = xxh3.Uint128{Hi: hi, Lo: lo}
}

// String is the sum as 32 hexadecimal digits, the most significant first.
func (h *ContentHash) String() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], h.sum.Hi)
	binary.BigEndian.PutUint64(b[8:], h.sum.Lo)
	return hex.EncodeToString(b[:])
}

// Parse sets the sum from what String gave.
func (h *ContentHash) Parse(text string) error {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 16 {
		return fmt.Errorf("content hash %q is not 32 hexadecimal digits", text)
	}
	h.sum = xxh3.Uint128{Hi: binary.BigEndian.Uint64(b[:8]), Lo: binary.BigEndian.Uint64(b[8:])}
	return nil
}
