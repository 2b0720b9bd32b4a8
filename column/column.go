// Package column holds the typed column vectors in which events and rows
// travel: a batch is a handful of vectors, never a slice of records.
//
// Vectors are reused between batches; nothing here allocates once a vector has
// grown to the size of its batches. A vector is owned by one goroutine at a time.
package column

import "math"

// Kind is the type of the values of a vector.
type Kind uint8

// The kinds. Bool and Decimal values are kept as integers: 0 or 1, and the
// value times 10^Scale.
const (
	Int Kind = iota + 1
	Float
	Bool
	Decimal
	String
)

// String is the kind's name as the definition writes it.
func (k Kind) String() string {
	switch k {
	case Int:
		return "int"
	case Float:
		return "float"
	case Bool:
		return "bool"
	case Decimal:
		return "decimal"
	case String:
		return "string"
	}
	return "invalid"
}

// Vector is a column of N values of one kind, some of which may be null.
type Vector struct {
	Kind    Kind
	Scale   int       // digits after the point; Decimal only
	Ints    []int64   // Int, Bool, Decimal
	Floats  []float64 // Float
	Strings Strings   // String
	Nulls   Bitmap    // bit i set: value i is null (its slot holds 0 or ""); nil: no nulls
}

// Len is the number of values.
func (v *Vector) Len() int {
	switch v.Kind {
	case Float:
		return len(v.Floats)
	case String:
		return v.Strings.Len()
	default:
		return len(v.Ints)
	}
}

// Reset empties the vector and keeps its memory.
func (v *Vector) Reset() {
	v.Ints = v.Ints[:0]
	v.Floats = v.Floats[:0]
	v.Strings.Reset()
	v.Nulls = v.Nulls[:0]
}

// Null tells whether value i is null.
func (v *Vector) Null(i int) bool { return v.Nulls.Get(i) }

// Bits is value i of a number column as the 8 bytes that hashes, rows in
// Redis and state files hold: the integer, or the float's IEEE 754 bits.
func (v *Vector) Bits(i int) uint64 {
	if v.Kind == Float {
		return math.Float64bits(v.Floats[i])
	}
	return uint64(v.Ints[i])
}

// AppendBits adds a value of a number column from its Bits.
func (v *Vector) AppendBits(bits uint64) {
	if v.Kind == Float {
		v.Floats = append(v.Floats, math.Float64frombits(bits))
		return
	}
	v.Ints = append(v.Ints, int64(bits))
}

// Strings is a column of byte strings in one arena.
type Strings struct {
	Ends  []uint32 // Ends[i] is where string i ends in Bytes
	Bytes []byte
}

// Len is the number of strings.
func (s *Strings) Len() int { return len(s.Ends) }

// At returns string i; the slice is valid until the next Reset.
func (s *Strings) At(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = s.Ends[i-1]
	}
	return s.Bytes[start:s.Ends[i]]
}

// Append adds one string.
func (s *Strings) Append(b []byte) {
	s.Bytes = append(s.Bytes, b...)
	s.Ends = append(s.Ends, uint32(len(s.Bytes)))
}

// Reset empties the column and keeps its memory.
func (s *Strings) Reset() { s.Ends, s.Bytes = s.Ends[:0], s.Bytes[:0] }

// Bitmap is a set of row numbers. Bits past its end read as unset, so nil is
// the empty set.
type Bitmap []uint64

// Get tells whether bit i is set.
func (b Bitmap) Get(i int) bool {
	w := i >> 6
	return w < len(b) && b[w]>>(i&63)&1 == 1
}

// Set sets bit i and grows the bitmap where it must.
func (b *Bitmap) Set(i int) {
	for i>>6 >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[i>>6] |= 1 << (i & 63)
}

// Any tells whether any bit is set.
func (b Bitmap) Any() bool {
	for _, w := range b {
		if w != 0 {
			return true
		}
	}
	return false
}
