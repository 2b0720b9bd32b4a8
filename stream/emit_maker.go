package stream

import (
	"slices"

	"github.com/hextide/hextide/geo"
)

// maker makes blocks of rows. Those of one pane are independent of one another once
// the disks are summed, so several makers, each with memory of its own, make them
// side by side; what they share they only read.
type maker struct {
	values   values
	columns  columnWriter
	block    geo.Block
	occupied []bool // by row of a block: something is in it
}

// made is a block of rows on its way.
type made struct {
	rows      *Rows
	occupied  []bool // by row: something is in it
	overflows int64
}

// makerBlocks is how many blocks are worth a maker beside the first: so many take a
// tenth of a millisecond.
const makerBlocks = 8

func newMaker(sh *shape) maker {
	return maker{values: newValues(sh), columns: newColumnWriter(sh), occupied: make([]bool, BlockRows)}
}

// write makes the columns of a block whose cells and values are there.
func (m *maker) write(em *emission, level int, b *made) {
	b.overflows = m.columns.write(b.rows, em, &m.values, level)
	m.columns.features(b.rows)
}

// ringed makes the block of disk sums that begins with a row.
func (m *maker) ringed(em *emission, d *diskSums, first int, b *made) {
	em.t.disks.Fill(&m.block, first)
	m.values.ringed(d, &m.block)
	b.occupied = slices.Grow(b.occupied[:0], BlockRows)[:len(m.block.Cells)]
	d.occupied(&m.block, b.occupied)
	b.rows.Cells = append(b.rows.Cells, m.block.Cells...)
	m.write(em, 0, b)
}

// makeAll makes the blocks of the disk sums, on as many goroutines as it pays, and
// hands them on meanwhile.
func (e *emitter) makeAll(em *emission) error {
	n := (em.t.disks.Rows() + BlockRows - 1) / BlockRows
	e.made = slices.Grow(e.made[:0], n)[:n]
	take := func(i int) error {
		e.take(em, 0, &e.made[i])
		if err := e.shard.options.memory.failed(); err != nil {
			return err // what was read back is in these rows
		}
		return em.out.relieve()
	}
	if makers := e.makers(n); makers > 1 {
		return e.shard.options.Spread(makers, n, func(maker, i int) { e.build(em, maker, i) }, take)
	}
	for i := range e.made {
		e.build(em, 0, i)
		if err := take(i); err != nil {
			return err
		}
	}
	return nil
}

// makers is how many make so many blocks. Backoffs read windows that may have to be
// brought back into memory: one does.
func (e *emitter) makers(blocks int) int {
	makers := min(e.shard.options.Makers, blocks/makerBlocks)
	if makers <= 1 || len(e.shape.backoffs) > 0 {
		return 1
	}
	for len(e.beside) < makers-1 {
		m := newMaker(e.shape)
		e.beside = append(e.beside, &m)
	}
	return makers
}

// build has a maker make one of the blocks.
func (e *emitter) build(em *emission, maker, i int) {
	m := &e.maker
	if maker > 0 {
		m = e.beside[maker-1]
	}
	b := &e.made[i]
	b.rows = e.begin(em, 0)
	m.ringed(em, &e.sums, i*BlockRows, b)
}
