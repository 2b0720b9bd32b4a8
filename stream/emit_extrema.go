package stream

import "github.com/hextide/hextide/aggregate"

// ringExtrema are minima and maxima over rings of all rows of a Sum.
type ringExtrema struct {
	folded  []int64 // (row·rings + ring)·extrema + extremum
	sources []int64 // of the sources
}

// fold makes ready the extrema over rings of the rows of the last Sum.
func (d *diskSums) fold(em *emission) {
	x, sh := &d.extrema, em.t.shape
	if len(sh.extremes) == 0 {
		return
	}
	t, rings, width := em.t, len(sh.rings), len(sh.extremes)*len(sh.sizes)
	w := em.v.windows[0]
	x.sources = x.sources[:0]
	for _, slot := range d.slots {
		for _, m := range sh.extremes {
			for size := range sh.sizes {
				x.sources = append(x.sources, w.Extreme(&t.panes, nil, slot, m, size))
			}
		}
	}
	x.folded = x.folded[:0]
	for range t.disks.Rows() * rings {
		for _, m := range sh.extremes {
			for range sh.sizes {
				x.folded = append(x.folded, identity(sh.measures[m].Kind))
			}
		}
	}
	t.disks.Fold(func(row, ring, source int) {
		sh.pick(x.folded[(row*rings+ring)*width:][:width], x.sources[source*width:][:width])
	})
	for at := 0; at < len(x.folded); at += width {
		if at/width%rings > 0 {
			sh.pick(x.folded[at:][:width], x.folded[at-width:][:width])
		}
	}
}

// pick folds extrema of the same measures and windows.
func (sh *shape) pick(into, from []int64) {
	sizes := len(sh.sizes)
	for i, m := range sh.extremes {
		if sh.measures[m].Kind == aggregate.Min {
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

// column is an extremum over a ring of the rows from first on.
func (x *ringExtrema) column(sh *shape, first, ring, extremum int, lo []uint64) {
	width, rings := len(sh.extremes)*len(sh.sizes), len(sh.rings)
	for i := range lo {
		lo[i] = uint64(x.folded[((first+i)*rings+ring)*width+extremum])
	}
}
