package stream

import (
	"github.com/hextide/hextide/aggregate"
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
	columns []aggregate.MeasureColumn
	packed  []packed // by column: where it is not in columns yet
	memory  []uint64
	highs   []int64
	folded  []int64 // extrema over rings, of all rows: (row·rings + ring)·extremes + extremum
	sources []int64 // extrema of the sources
}

func newValues(sh *shape) values {
	n := len(sh.rings) * len(sh.sizes) * len(sh.measures)
	return values{
		shape: sh, columns: make([]aggregate.MeasureColumn, n), packed: make([]packed, n),
		memory: make([]uint64, n*BlockRows), highs: make([]int64, n*BlockRows),
	}
}

// own is the memory of a column, and of its upper half.
func (v *values) own(column int) ([]uint64, []int64) {
	at := column * BlockRows
	return v.memory[at : at+v.n : at+v.n], v.highs[at : at+v.n : at+v.n]
}

// number is a column's number.
func (v *values) number(ring, window, measure int) int {
	return (ring*len(v.shape.sizes)+window)*len(v.shape.measures) + measure
}

// column is a column of the block.
func (v *values) column(number int) aggregate.MeasureColumn {
	if p := &v.packed[number]; p.words != nil {
		lo, _ := v.own(number)
		for i, w := range p.words {
			lo[i] = w >> (p.shift & 63) & laneMask
		}
		v.columns[number], p.words = aggregate.MeasureColumn{Lo: lo}, nil
	}
	return v.columns[number]
}

// integers writes a column that is an int64 column as it stands; false where it
// does not fit 64 bits.
func (v *values) integers(dst []int64, number int) bool {
	if p := &v.packed[number]; p.words != nil {
		words, shift := p.words[:len(dst)], p.shift&63
		for i := range dst {
			dst[i] = int64(words[i] >> shift & laneMask)
		}
		return true
	}
	c := &v.columns[number]
	if c.Hi != nil {
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
		lo, _ := v.own(i)
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
	sums, highs := w.Sums()
	lanes := w.Lanes()
	for size := range v.shape.sizes {
		for m := range v.shape.measures {
			number := v.number(0, size, m)
			lo, hi := v.own(number)
			lane := w.Lane(m, size)
			if lane < 0 {
				v.extremes(em, level, rows, m, size, lo)
				v.columns[number] = aggregate.MeasureColumn{Lo: lo}
				continue
			}
			for i, r := range rows {
				lo[i] = 0
				if r.Slot >= 0 {
					lo[i] = uint64(sums[int(r.Slot)*lanes+lane])
				}
			}
			v.columns[number] = aggregate.MeasureColumn{Lo: lo}
			if highs == nil {
				continue
			}
			for i, r := range rows {
				hi[i] = 0
				if r.Slot >= 0 {
					hi[i] = highs[int(r.Slot)*lanes+lane]
				}
			}
			v.columns[number].Hi = hi
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

// fold makes ready the extrema over rings of the rows of the last Sum.
func (v *values) fold(em *emission, d *diskSums) {
	extremes, sizes := v.shape.extremes, len(v.shape.sizes)
	if len(extremes) == 0 {
		return
	}
	t, rings, x := em.t, len(v.shape.rings), len(extremes)*sizes
	w := em.v.windows[0]
	v.sources = v.sources[:0]
	for _, slot := range d.slots {
		for _, m := range extremes {
			for size := range sizes {
				v.sources = append(v.sources, w.Extreme(&t.panes, nil, slot, m, size))
			}
		}
	}
	v.folded = v.folded[:0]
	for range t.disks.Rows() * rings {
		for _, m := range extremes {
			for range sizes {
				v.folded = append(v.folded, identity(v.shape.measures[m].Kind))
			}
		}
	}
	t.disks.Fold(func(row, ring, source int) {
		v.pick(v.folded[(row*rings+ring)*x:][:x], v.sources[source*x:][:x])
	})
	for at := 0; at < len(v.folded); at += x {
		if at/x%rings > 0 {
			v.pick(v.folded[at:][:x], v.folded[at-x:][:x])
		}
	}
}

// pick folds extrema of the same measures and windows.
func (v *values) pick(into, from []int64) {
	sizes := len(v.shape.sizes)
	for i, m := range v.shape.extremes {
		if v.shape.measures[m].Kind == aggregate.Min {
			for j := i * sizes; j < (i+1)*sizes; j++ {
				into[j] = min(into[j], from[j])
			}
			continue
		}
		for j := i * sizes; j < (i+1)*sizes; j++ {
			into[j] = max(into[j], from[j])
		}
	}
}

// ringed loads the disk sums' block.
func (v *values) ringed(d *diskSums) {
	v.n, v.rings = len(d.block.Cells), len(v.shape.rings)
	clear(v.packed)
	for ring := range v.shape.rings {
		for size := range v.shape.sizes {
			for m := range v.shape.measures {
				number := v.number(ring, size, m)
				lo, hi := v.own(number)
				if x := v.shape.extremeOf[m]; x >= 0 {
					v.picked(d.block.First, ring, x*len(v.shape.sizes)+size, lo)
					v.columns[number] = aggregate.MeasureColumn{Lo: lo}
					continue
				}
				v.columns[number], v.packed[number] = d.column(ring, v.shape.lane(m, size), lo, hi)
			}
		}
	}
}

func (v *values) picked(first, ring, extremum int, lo []uint64) {
	x, rings := len(v.shape.extremes)*len(v.shape.sizes), len(v.shape.rings)
	for i := range lo {
		lo[i] = uint64(v.folded[((first+i)*rings+ring)*x+extremum])
	}
}
