package stream

import (
	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
)

// values are the measures of a block's rows over every ring and window, in
// columns: that of a measure over window w and the ring with index k is number
// (k·windows + w)·measures + measure. Parents' rows have the first ring alone.
//
// A column may lie in another's memory: it is read only.
type values struct {
	shape   *shape
	n       int // rows
	rings   int // loaded
	slots   slotSums
	columns []aggregate.MeasureColumn
	packed  []packed // by column: where it is not in columns yet
	memory  []uint64 // nil before a column of its own is needed
	highs   []int64  // likewise
}

// slotSums are the columns that are sums of rows' own windows, where they are narrow:
// they are gathered where they are wanted.
type slotSums struct {
	windows *aggregate.Windows // nil: columns are not of those
	rows    []aggregate.Ordered
}

func newValues(sh *shape) values {
	n := len(sh.rings) * len(sh.sizes) * len(sh.measures)
	return values{shape: sh, columns: make([]aggregate.MeasureColumn, n), packed: make([]packed, n)}
}

// own is the memory of a column.
func (v *values) own(column int) []uint64 {
	if v.memory == nil {
		v.memory = make([]uint64, len(v.columns)*BlockRows)
	}
	return v.memory[column*BlockRows:][:v.n:v.n]
}

// upper is the memory of a column's upper half.
func (v *values) upper(column int) []int64 {
	if v.highs == nil {
		v.highs = make([]int64, len(v.columns)*BlockRows)
	}
	return v.highs[column*BlockRows:][:v.n:v.n]
}

// number is a column's number.
func (v *values) number(ring, window, measure int) int {
	return (ring*len(v.shape.sizes)+window)*len(v.shape.measures) + measure
}

// column is a column of the block.
func (v *values) column(number int) aggregate.MeasureColumn {
	switch p, c := &v.packed[number], &v.columns[number]; {
	case p.words != nil:
		lo := v.own(number)
		for i, w := range p.words {
			lo[i] = w >> (p.shift & 63) & laneMask
		}
		v.columns[number], p.words = aggregate.MeasureColumn{Lo: lo}, nil
	case c.Lo == nil:
		c.Lo = v.own(number)
		load(v, c.Lo, number)
	}
	return v.columns[number]
}

// load sets values to a column that is not there yet.
func load[T int64 | uint64](v *values, dst []T, number int) {
	measures := len(v.shape.measures)
	aggregate.Gather(dst, v.slots.windows, v.slots.rows, number%measures, number/measures)
}

// integers writes a column that is an int64 column as it stands; false where it
// does not fit 64 bits.
func (v *values) integers(dst []int64, number int) bool {
	c := &v.columns[number]
	switch p := &v.packed[number]; {
	case p.words != nil:
		words, shift := p.words[:len(dst)], p.shift&63
		for i := range dst {
			dst[i] = int64(words[i] >> shift & laneMask)
		}
		return true
	case c.Lo == nil:
		load(v, dst, number)
		return true
	case c.Hi != nil:
		return false
	}
	lo := c.Lo[:len(dst)]
	for i := range dst {
		dst[i] = int64(lo[i])
	}
	return true
}

// nothing loads n rows in which there is nothing.
func (v *values) nothing(n int) {
	v.n, v.rings = n, len(v.shape.rings)
	clear(v.packed)
	for i := range v.columns {
		lo := v.own(i)
		none := uint64(identity(v.shape.measures[i%len(v.shape.measures)].Kind))
		for row := range lo {
			lo[row] = none
		}
		v.columns[i] = aggregate.MeasureColumn{Lo: lo}
	}
}

// direct loads the windows' own values; slot −1 is a cell with nothing.
func (v *values) direct(em *emission, level int, rows []aggregate.Ordered) {
	v.n, v.rings = len(rows), 1
	clear(v.packed)
	w := em.v.windows[level]
	v.slots = slotSums{w, rows}
	for size := range v.shape.sizes {
		for m := range v.shape.measures {
			number := v.number(0, size, m)
			switch {
			case v.shape.sumOf[m] < 0:
				lo := v.own(number)
				v.extremes(em, level, rows, m, size, lo)
				v.columns[number] = aggregate.MeasureColumn{Lo: lo}
			case w.Narrow():
				v.columns[number] = aggregate.MeasureColumn{}
			default:
				lo, hi := v.own(number), v.upper(number)
				for i, r := range rows {
					sum := exact.Int128{}
					if r.Slot >= 0 {
						sum = w.Sum(r.Slot, m, size)
					}
					lo[i], hi[i] = sum.Lo, sum.Hi
				}
				v.columns[number] = aggregate.MeasureColumn{Lo: lo, Hi: hi}
			}
		}
	}
}

func (v *values) extremes(em *emission, level int, rows []aggregate.Ordered, m, size int, lo []uint64) {
	w, via := em.v.windows[level], em.t.via(level)
	for i, r := range rows {
		lo[i] = uint64(identity(v.shape.measures[m].Kind))
		if r.Slot >= 0 {
			lo[i] = uint64(w.Extreme(&em.t.panes, via, r.Slot, m, size))
		}
	}
}

// ringed loads a block of disk sums.
func (v *values) ringed(d *diskSums, b *geo.Block) {
	v.n, v.rings = len(b.Cells), len(v.shape.rings)
	clear(v.packed)
	for ring := range v.shape.rings {
		for size := range v.shape.sizes {
			for m := range v.shape.measures {
				number := v.number(ring, size, m)
				if x := v.shape.extremeOf[m]; x >= 0 {
					lo := v.own(number)
					d.extrema.column(v.shape, b.First, ring, x*len(v.shape.sizes)+size, lo)
					v.columns[number] = aggregate.MeasureColumn{Lo: lo}
					continue
				}
				v.columns[number], v.packed[number] = d.column(b, ring, v.shape.lane(m, size), v, number)
			}
		}
	}
}
