package geo

import (
	"errors"
	"fmt"
)

// BlockRows is the most rows that one block holds.
const BlockRows = 256

// Sources are the cells that hold something, each with a few 64-bit words. Sums are taken word by word
// modulo 2^64: a word may hold one number (two's complement too), or several in lanes, which come out
// right as long as every final lane fits.
type Sources struct {
	At     []Spot   // where each lies, from Frame.Position; a spot named twice counts twice
	Words  int      // words per source, at least 1
	Values []uint64 // len(At)·Words, source by source
	// Shown is how many of the words, from the first, are summed over every ring; 0 means all. Those
	// beyond it serve Exists alone, over the widest ring.
	Shown int
}

// Exists says which sum makes a cell a row: word Word over the widest ring, under Mask, is not 0. What
// the mask leaves of the word is a count: of no source below 0, and of all together within the mask.
type Exists struct {
	Word int
	Mask uint64
}

// Disks sums sources over the grid disks of a territory's own cells: for each row (an own cell) and
// each ring k the sum over all cells within grid distance k, in the territory or its halo.
//
// How is the frame's affair: where it unfolds, pentagons included, six loads a ring from prefix sums
// over three cones (disk_cone.go); else cell by cell (disk_gather.go). The sums are the same.
//
// A row costs about as much to sum as to compare with the one before, so rows are summed anew from pane
// to pane, but for panes in which no source has changed: those are answered as before, unless their grids
// are so large that their memory is the pool's.
//
// Scratch that is used again from pane to pane: one goroutine at a time, but for Fill. The frame may be
// shared.
type Disks struct {
	frame *Frame
	rings []int
	sums  summing
	last  question // that sums has the answer to
}

// summing is one way to sum over disks.
type summing interface {
	// near finds the rows that exist and makes ready to fill them.
	near(s Sources, e Exists)
	// at makes the given own cells the rows.
	at(s Sources, own []Cell)
	// rows are the cells of the rows.
	rows() []Cell
	// fill writes the sums of the block's rows, which begin with row first. It changes the block alone.
	fill(b *Block, first int)
	// fold is Disks.Fold.
	fold(fold func(row, ring, source int))
	// rest gives back what was lent, and reports whether anything was.
	rest() bool
}

// NewDisks makes scratch for a frame and a set of rings, ascending and none wider than the
// territories' widest. Memory for large grids comes from a pool, if there is one.
func NewDisks(f *Frame, rings []int, pool GridPool) (*Disks, error) {
	if err := checkRings(rings); err != nil {
		return nil, fmt.Errorf("disks of territory %s: %w", f.territories.Name(f.id), err)
	}
	if last := rings[len(rings)-1]; last > f.territories.widest {
		return nil, fmt.Errorf("disks of territory %s: ring %d is wider than the halo, %d",
			f.territories.Name(f.id), last, f.territories.widest)
	}
	d := &Disks{frame: f, rings: rings}
	if f.unfolds {
		d.sums = newCones(f, rings, pool)
	} else {
		d.sums = newGathering(f, rings)
	}
	return d, nil
}

// Rest gives back what the pool has lent. Then there are no rows until the next Sum or SumAt.
func (d *Disks) Rest() {
	if d.sums.rest() {
		d.last.asked = false
	}
}

func checkRings(rings []int) error {
	if len(rings) == 0 {
		return errors.New("no rings")
	}
	for i, k := range rings {
		if k < 0 || i > 0 && k <= rings[i-1] {
			return fmt.Errorf("rings %v do not ascend from 0", rings)
		}
	}
	return nil
}

// Sum finds the own cells for which the sum that e names is not 0, and makes their sums ready for
// Fill, in ascending order of the cells.
func (d *Disks) Sum(s Sources, e Exists) error {
	if err := d.check(&s); err != nil {
		return err
	}
	if e.Word < 0 || e.Word >= s.Words {
		return fmt.Errorf("disk sums of %d words: existence by word %d", s.Words, e.Word)
	}
	if !d.last.again(s, e, nil) {
		d.sums.near(d.last.sources(), e)
	}
	return nil
}

// SumAt makes the sums of the given own cells ready for Fill, in the order given, zero or not.
func (d *Disks) SumAt(s Sources, own []Cell) error {
	if err := d.check(&s); err != nil {
		return err
	}
	var last cursor
	for _, c := range own {
		if i := d.frame.chartOf(c, &last); uint(i) >= uint(d.frame.own) {
			return fmt.Errorf("disk sums: cell %x is not of territory %s", uint64(c), d.frame.territories.Name(d.frame.id))
		}
	}
	if !d.last.again(s, atGiven, own) {
		d.sums.at(d.last.sources(), own)
	}
	return nil
}

func (d *Disks) check(s *Sources) error {
	if s.Shown == 0 {
		s.Shown = s.Words
	}
	if s.Words < 1 || s.Shown < 0 || s.Shown > s.Words || len(s.Values) != len(s.At)*s.Words {
		return fmt.Errorf("disk sums of %d sources with %d words, %d shown: %d values", len(s.At), s.Words, s.Shown, len(s.Values))
	}
	return nil
}

// Rows is the number of rows of the last Sum or SumAt.
func (d *Disks) Rows() int { return len(d.sums.rows()) }

// Cells are the rows' cells, ascending: good until the next Sum or SumAt, not to be changed.
func (d *Disks) Cells() []Cell { return d.sums.rows() }

// Fill fills b with the rows of the last Sum or SumAt from a number on, at most BlockRows; false, and b
// empty, where there are none. Several goroutines may fill blocks of their own at a time.
func (d *Disks) Fill(b *Block, first int) bool {
	rows := d.sums.rows()
	b.First = min(first, len(rows))
	b.Cells = rows[b.First:min(b.First+BlockRows, len(rows))]
	if len(b.Cells) == 0 {
		b.Sums = b.Sums[:0]
		return false
	}
	d.sums.fill(b, b.First)
	return true
}

// Fold calls fold once for each pair of a row and a source of the last Sum or SumAt that lie within the widest ring of one another, with the index of the smallest ring that
// holds them: what a minimum or maximum over rings is made of. row counts over all blocks, source is
// an index into At. The order is fixed, but means nothing. Cost: the sources times the cells of the
// widest disk.
func (d *Disks) Fold(fold func(row, ring, source int)) { d.sums.fold(fold) }

// Block is a run of rows with the sums of each ring and word as a column.
type Block struct {
	First int    // number of the first row since Sum
	Cells []Cell // ascending; good until the next Sum; not to be changed
	// Sums[ring·shown + word][row] is the sum of one word over one ring, by the index of the ring in
	// NewDisks' rings. Overwritten by the next Fill of this block.
	Sums [][]uint64

	words  int // shown
	memory []uint64
	row    []uint64 // sums of one row
}

// Column is the sums of one word over one ring, by the ring's index.
func (b *Block) Column(ring, word int) []uint64 { return b.Sums[ring*b.words+word] }

// shape gives the block its columns.
func (b *Block) shape(rings, words int) {
	columns, rows := rings*words, len(b.Cells)
	if len(b.memory) < columns*BlockRows {
		b.memory = make([]uint64, columns*BlockRows)
		b.Sums = nil
	}
	b.words = words
	if cap(b.Sums) < columns {
		b.Sums = make([][]uint64, columns)
	}
	b.Sums = b.Sums[:columns]
	for i := range b.Sums {
		b.Sums[i] = b.memory[i*BlockRows : i*BlockRows+rows : (i+1)*BlockRows]
	}
}
