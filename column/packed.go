package column

import (
	"math/bits"
	"reflect"
	"slices"
)

// Packed is a block of number columns in few bits. Of each column it holds the
// smallest value and, for each row, how much more its value is, in as many bits as
// the greatest difference takes (frame of reference: Goldstein, Ramakrishnan and
// Shaft, Compressing Relations and Indexes, ICDE 1998), without the low bits that
// all differences have as 0. Each value is read by itself. A Packed never changes:
// any number of goroutines may read it.
type Packed struct {
	rows    int
	columns []frame
	words   []uint64 // and one beyond them: a value is read out of two
}

// frame is a column of a Packed: for each row a bit that tells whether it is null,
// if any is, then for each row its difference.
type frame struct {
	least uint64
	first uint32 // bit of words
	kind  Kind
	nulls bool
	shift uint8 // low bits that all differences have as 0
	width uint8 // bits of the others
}

// frameOf is the frame of values; where they are depends on what is before them.
func frameOf(values []int64) (f frame) {
	if len(values) == 0 {
		return f
	}
	least, most, differ := values[0], values[0], int64(0)
	for _, v := range values {
		least, most = min(least, v), max(most, v)
		differ |= v ^ values[0]
	}
	if f.least = uint64(least); differ != 0 {
		f.shift = uint8(bits.TrailingZeros64(uint64(differ)))
		f.width = uint8(bits.Len64((uint64(most) - uint64(least)) >> f.shift))
	}
	return f
}

// Len is the number of rows.
func (p *Packed) Len() int { return p.rows }

// Columns is the number of columns.
func (p *Packed) Columns() int { return len(p.columns) }

// Kind is the kind of a column.
func (p *Packed) Kind(column int) Kind { return p.columns[column].kind }

// At is a value as Vector.Bits has it, and whether it is null; then its bits are 0.
func (p *Packed) At(column, row int) (bits uint64, null bool) {
	f := &p.columns[column]
	first := int(f.first)
	if f.nulls {
		if p.bits(first+row, 1) == 1 {
			return 0, true
		}
		first += p.rows
	}
	return f.least + p.bits(first+row*int(f.width), f.width)<<(f.shift&63), false
}

// bits reads so many bits.
func (p *Packed) bits(first int, width uint8) uint64 {
	words, at := p.words[first>>6:first>>6+2], uint(first&63)
	return (words[0]>>at | words[1]<<(64-at)) & (1<<width - 1)
}

// Bytes is the memory that the block takes.
func (p *Packed) Bytes() int {
	return cap(p.columns)*frameBytes + cap(p.words)*8
}

var frameBytes = int(reflect.TypeFor[frame]().Size())

// Packer makes blocks of number columns, one after another. Less than 2^32 bits fit
// into one.
type Packer struct {
	block  Packed // the last of its words is the one that is not full yet
	used   int    // bits
	values []int64
}

// Reset begins a block of so many rows.
func (p *Packer) Reset(rows int) {
	p.block = Packed{rows, p.block.columns[:0], append(p.block.words[:0], 0)}
	p.used = 0
}

// Add adds a column with a value for each row.
func (p *Packer) Add(v *Vector) {
	values, nulls, first := v.Ints, v.Nulls.Any(), p.used
	if nulls {
		p.add(p.flags(v), frame{width: 1})
	}
	if nulls || v.Kind == Float {
		values = p.valid(v)
	}
	f := frameOf(values)
	p.add(values, f)
	f.first, f.kind, f.nulls = uint32(first), v.Kind, nulls
	p.block.columns = append(p.block.columns, f)
}

// flags are 1 where a column is null.
func (p *Packer) flags(v *Vector) []int64 {
	p.values = p.values[:0]
	for i := range p.block.rows {
		p.values = append(p.values, 0)
		if v.Null(i) {
			p.values[i] = 1
		}
	}
	return p.values
}

// valid are a column's bits; in place of its nulls, which nobody reads, is a value
// that it has beside them, so that they widen nothing.
func (p *Packer) valid(v *Vector) []int64 {
	some := 0
	for some < p.block.rows-1 && v.Null(some) {
		some++
	}
	p.values = p.values[:0]
	for i := range p.block.rows {
		at := i
		if v.Null(i) {
			at = some
		}
		p.values = append(p.values, int64(v.Bits(at)))
	}
	return p.values
}

// add adds the differences of values.
func (p *Packer) add(values []int64, f frame) {
	if f.width == 0 {
		return
	}
	i, at, width := p.used>>6, uint(p.used&63), uint(f.width)
	least, shift := f.least, uint(f.shift&63)
	word := p.block.words[i]
	p.used += len(values) * int(width)
	words := slices.Grow(p.block.words, p.used>>6-i)[:p.used>>6+1]
	for _, v := range values {
		difference := (uint64(v) - least) >> shift
		word |= difference << (at & 63)
		if at += width; at >= 64 {
			words[i] = word
			i++
			at -= 64
			word = difference >> (width - at)
		}
	}
	words[i] = word
	p.block.words = words
}

// Block is the block of the columns that were added.
func (p *Packer) Block() Packed {
	return Packed{p.block.rows, slices.Clone(p.block.columns), slices.Clone(append(p.block.words, 0))}
}
