package stream

import (
	"math/bits"
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// diskSums puts the active cells' windows into the words that disks are summed
// over. Each sum of a window is a lane:
//
//	narrow  21 bits, three to a word: no value is below 0, and the total is below 2^21
//	full    a word: the total of the magnitudes is below 2^63
//	wide    four words, each with 32 bits of the 128: sums of them cannot overflow
//
// The total over all sources bounds every disk, so each is right whatever wraps
// in between.
type diskSums struct {
	lanes   []lane
	slots   []int32 // of the sources
	sources geo.Sources
	exists  geo.Exists
	extrema ringExtrema
}

// lane is where a sum of a window lies.
type lane struct {
	kind  laneKind
	word  int
	shift int // narrow
}

type laneKind uint8

const (
	narrow laneKind = iota
	full
	wide
)

const (
	laneBits = 21
	laneMask = 1<<laneBits - 1
	limbs    = 4 // of a wide lane
	limbBits = 32
)

// load takes the active cells of some windows for sources.
func (d *diskSums) load(t *territory, w *aggregate.Windows) {
	d.slots = append(d.slots[:0], w.Active()...)
	d.sources.At = d.sources.At[:0]
	for _, s := range d.slots {
		d.sources.At = append(d.sources.At, t.places[s].spot)
	}
	lows, highs := w.Sums()
	d.assign(t.shape, w, lows, highs)
	n := len(d.slots) * d.sources.Words
	d.sources.Values = slices.Grow(d.sources.Values[:0], n)[:n]
	clear(d.sources.Values)
	for l := range d.lanes {
		d.fill(&d.lanes[l], l, w.Lanes(), lows, highs)
	}
}

// assign gives each lane its kind and place. Rows exist by the count of all
// events over the widest window.
func (d *diskSums) assign(sh *shape, w *aggregate.Windows, lows, highs []int64) {
	d.lanes = d.lanes[:0]
	words, free := 0, 0
	word, shift := 0, 0
	for l := range w.Lanes() {
		kind := d.kindOf(l, w.Lanes(), lows, highs)
		switch kind {
		case narrow:
			if free == 0 {
				word, shift, free = words, 0, 64/laneBits
				words++
			}
			d.lanes = append(d.lanes, lane{narrow, word, shift})
			shift, free = shift+laneBits, free-1
		case full:
			d.lanes = append(d.lanes, lane{kind: full, word: words})
			words++
		default:
			d.lanes = append(d.lanes, lane{kind: wide, word: words})
			words += limbs
		}
	}
	l := d.lanes[w.Lane(aggregate.Events, len(sh.sizes)-1)]
	d.exists = geo.Exists{Word: l.word, Mask: ^uint64(0)}
	if l.kind == narrow {
		d.exists.Mask = laneMask << l.shift
	}
	d.sources.Words, d.sources.Shown = words, words
}

// kindOf looks at a lane's values.
func (d *diskSums) kindOf(l, lanes int, lows, highs []int64) laneKind {
	var total, over uint64
	sign := int64(0)
	for _, s := range d.slots {
		v := lows[int(s)*lanes+l]
		if highs != nil && highs[int(s)*lanes+l] != v>>63 {
			return wide
		}
		sign |= v
		var carry uint64
		total, carry = bits.Add64(total, uint64((v^v>>63)-v>>63), 0)
		over += carry
	}
	switch {
	case over > 0 || total>>63 > 0:
		return wide
	case sign >= 0 && total <= laneMask:
		return narrow
	}
	return full
}

// fill writes a lane's values into the sources.
func (d *diskSums) fill(to *lane, l, lanes int, lows, highs []int64) {
	words, values := d.sources.Words, d.sources.Values
	for i, s := range d.slots {
		v := uint64(lows[int(s)*lanes+l])
		switch to.kind {
		case narrow:
			values[i*words+to.word] |= v << to.shift
		case full:
			values[i*words+to.word] = v
		default:
			hi := uint64(int64(v) >> 63)
			if highs != nil {
				hi = uint64(highs[int(s)*lanes+l])
			}
			w := values[i*words+to.word:][:limbs]
			w[0], w[1], w[2], w[3] = v&(1<<limbBits-1), v>>limbBits, hi&(1<<limbBits-1), hi>>limbBits
		}
	}
}

// column is the block's sums of a lane over a ring, in the words as they are
// where they can stay, else in the memory of the values' column with a number.
func (d *diskSums) column(b *geo.Block, ring, l int, v *values, number int) (aggregate.MeasureColumn, packed) {
	at := d.lanes[l]
	words := b.Column(ring, at.word)
	switch at.kind {
	case narrow:
		return aggregate.MeasureColumn{}, packed{words, at.shift}
	case full:
		return aggregate.MeasureColumn{Lo: words}, packed{}
	}
	lo, hi := v.own(number), v.upper(number)
	wideSums(b, ring, at.word, lo, hi)
	return aggregate.MeasureColumn{Lo: lo, Hi: hi}, packed{}
}

// wideSums puts limbs together, modulo 2^128.
func wideSums(block *geo.Block, ring, word int, lo []uint64, hi []int64) {
	a, b := block.Column(ring, word), block.Column(ring, word+1)
	c, e := block.Column(ring, word+2), block.Column(ring, word+3)
	for i := range lo {
		low, carry := bits.Add64(a[i], b[i]<<limbBits, 0)
		lo[i] = low
		hi[i] = int64(b[i]>>limbBits + c[i] + e[i]<<limbBits + carry)
	}
}

// occupied tells of a block's rows whether they exist by their events.
func (d *diskSums) occupied(b *geo.Block, rows []bool) {
	widest := len(b.Sums)/d.sources.Shown - 1
	for i, w := range b.Column(widest, d.exists.Word) {
		rows[i] = w&d.exists.Mask != 0
	}
}
