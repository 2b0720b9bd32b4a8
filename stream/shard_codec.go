package stream

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// entryWriter writes the values of a shard's entries.
type entryWriter struct{ out []byte }

func (w *entryWriter) number(v uint64) { w.out = binary.AppendUvarint(w.out, v) }

// time writes a signed number.
func (w *entryWriter) time(v int64) { w.out = binary.AppendVarint(w.out, v) }

func (w *entryWriter) bit(v bool) {
	if v {
		w.out = append(w.out, 1)
		return
	}
	w.out = append(w.out, 0)
}

// cells writes ascending cells.
func (w *entryWriter) cells(cells []geo.Cell) {
	w.number(uint64(len(cells)))
	before := geo.Cell(0)
	for _, c := range cells {
		w.number(uint64(c - before))
		before = c
	}
}

func (w *entryWriter) fixed(v uint64) { w.out = binary.LittleEndian.AppendUint64(w.out, v) }

func (w *entryWriter) floats(values []float64) {
	for _, v := range values {
		w.fixed(math.Float64bits(v))
	}
}

// How a measure's values are written: a byte that says which.
const (
	varints     = 0 // each as one
	wideVarints = 1 // each as two, for 128 bits
	offsets     = 2 // and so many more: the least of them, and of each so many bytes above it
)

// measure writes all values of a measure.
func (w *entryWriter) measure(c *aggregate.MeasureColumn) {
	if c.Hi != nil {
		w.out = append(w.out, wideVarints)
		for i := range c.Lo {
			w.time(int64(c.Lo[i]))
			w.time(c.Hi[i])
		}
		return
	}
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	for _, v := range c.Lo {
		least, most = min(least, int64(v)), max(most, int64(v))
	}
	width := 0
	if len(c.Lo) > 0 {
		width = (bits.Len64(uint64(most)-uint64(least)) + 7) / 8
	}
	w.out = append(w.out, offsets+byte(width))
	w.time(least)
	w.out = slices.Grow(w.out, len(c.Lo)*width+8)
	for _, v := range c.Lo {
		at := len(w.out)
		w.fixed(v - uint64(least))
		w.out = w.out[:at+width]
	}
}

// entryReader reads what entryWriter wrote. After the first error every read gives 0.
type entryReader struct {
	in  []byte
	err error
}

func (r *entryReader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("%w: it ends too early or holds what cannot be", ErrState)
	}
	r.in = nil
}

// end reports an error, or what is left over.
func (r *entryReader) end() error {
	if r.err == nil && len(r.in) > 0 {
		return fmt.Errorf("%w: %d bytes are left over", ErrState, len(r.in))
	}
	return r.err
}

func (r *entryReader) number() uint64 {
	v, n := binary.Uvarint(r.in)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.in = r.in[n:]
	return v
}

func (r *entryReader) time() int64 {
	v, n := binary.Varint(r.in)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.in = r.in[n:]
	return v
}

func (r *entryReader) bit() bool {
	if len(r.in) == 0 || r.in[0] > 1 {
		r.fail()
		return false
	}
	v := r.in[0] == 1
	r.in = r.in[1:]
	return v
}

func (r *entryReader) fixed() uint64 {
	if len(r.in) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.in)
	r.in = r.in[8:]
	return v
}

// length reads a number of things of at least some bytes each: a damaged one
// cannot ask for more than there is.
func (r *entryReader) length(least int) int {
	n := r.number()
	if n > uint64(len(r.in)/least) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *entryReader) cells() []geo.Cell {
	n := r.length(1)
	cells := make([]geo.Cell, n)
	at := geo.Cell(0)
	for i := range cells {
		at += geo.Cell(r.number())
		if !at.Valid() || i > 0 && at <= cells[i-1] {
			r.fail()
			return nil
		}
		cells[i] = at
	}
	return cells
}

func (r *entryReader) floats(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = math.Float64frombits(r.fixed())
	}
	return values
}

// measure reads n values of a measure.
func (r *entryReader) measure(n int) (c aggregate.MeasureColumn) {
	c.Lo = make([]uint64, n)
	switch kind := r.byte(); {
	case kind == varints:
		for i := range c.Lo {
			c.Lo[i] = uint64(r.time())
		}
	case kind == wideVarints:
		c.Hi = make([]int64, n)
		for i := range c.Lo {
			c.Lo[i], c.Hi[i] = uint64(r.time()), r.time()
		}
	case kind <= offsets+8:
		r.offsets(c.Lo, int(kind-offsets))
	default:
		r.fail()
	}
	return c
}

// offsets reads values of so many bytes each above their least.
func (r *entryReader) offsets(values []uint64, width int) {
	least := uint64(r.time())
	size := len(values) * width
	if size > len(r.in) {
		r.fail()
		return
	}
	in, mask := r.in[:size], uint64(1)<<(8*width%64)-1
	if width == 8 {
		mask = math.MaxUint64
	}
	i, at := 0, 0
	for ; at+8 <= len(in); i, at = i+1, at+width {
		values[i] = least + binary.LittleEndian.Uint64(in[at:])&mask
	}
	for ; i < len(values); i, at = i+1, at+width {
		var last [8]byte
		copy(last[:], in[at:at+width])
		values[i] = least + binary.LittleEndian.Uint64(last[:])
	}
	r.in = r.in[size:]
}

func (r *entryReader) byte() byte {
	if len(r.in) == 0 {
		r.fail()
		return 0
	}
	b := r.in[0]
	r.in = r.in[1:]
	return b
}
