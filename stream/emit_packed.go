package stream

import "slices"

// packed is a column of narrow lanes in the words that hold them.
type packed struct {
	words []uint64 // nil: the column is elsewhere
	shift int
}

// beside tells whether two columns are lanes of the same words.
func (p *packed) beside(q *packed) bool {
	return len(p.words) > 0 && len(q.words) > 0 && &p.words[0] == &q.words[0]
}

// lanesPerWord is how many narrow lanes a word holds.
const lanesPerWord = 64 / laneBits

// unpack writes the columns that begin with a given one and fill the same words
// together, one pass for all; 0: they do not.
func (w *columnWriter) unpack(r *Rows, v *values, finals []finalSpec) (columns int) {
	if len(finals) < lanesPerWord {
		return 0
	}
	var to [lanesPerWord][]int64
	var first *packed
	for i := range to {
		f := &finals[i]
		a := &w.shape.aggregates[f.aggregate]
		if !a.Plain() {
			return 0
		}
		p := &v.packed[v.number(f.ring, f.size, a.Measures[0])]
		if i == 0 {
			first = p
		}
		if p.shift != i*laneBits || !p.beside(first) {
			return 0
		}
	}
	for i := range to {
		c := &r.Columns[finals[i].column]
		n := len(c.Ints)
		c.Ints = slices.Grow(c.Ints, v.n)[:n+v.n]
		to[i] = c.Ints[n:]
	}
	words := first.words[:v.n]
	a, b, c := to[0][:len(words)], to[1][:len(words)], to[2][:len(words)]
	for i, x := range words {
		a[i] = int64(x & laneMask)
		b[i] = int64(x >> laneBits & laneMask)
		c[i] = int64(x >> (2 * laneBits) & laneMask)
	}
	return lanesPerWord
}
