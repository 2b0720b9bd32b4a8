package stream

import (
	"bytes"
	"cmp"
	"math"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
)

// winnerLayout says how the winner of a key is kept: as a row of 64-bit words,
//
//	time | latitude or cell | longitude or 0 | null bits … | where bits … | fields …
//
// A number takes one word (an integer, or a float's bits), a string two: where
// it begins in the span's bytes, and its length. Bit f of the null bits stands
// for field f, bit w of the where bits says that the event passes the plan's
// where program w.
type winnerLayout struct {
	kinds      []column.Kind
	keys       []int // fields of the key
	nulls      int   // first word of the null bits
	wheres     int   // first word of the where bits
	fields     []int // first word of each field
	words      int
	byCell     bool
	resolution int
}

// Words of a winner's row that are always there.
const (
	wordTime = iota
	wordLat  // or the cell
	wordLng
	wordMarks
)

func newWinnerLayout(kinds []column.Kind, keys []int, wheres int, byCell bool, resolution int) winnerLayout {
	l := winnerLayout{kinds: kinds, keys: keys, byCell: byCell, resolution: resolution}
	l.nulls = wordMarks
	l.wheres = l.nulls + (len(kinds)+63)/64
	next := l.wheres + (wheres+63)/64
	for _, k := range kinds {
		l.fields = append(l.fields, next)
		next++
		if k == column.String {
			next++
		}
	}
	l.words = next
	return l
}

// sameKey tells whether event i has the key of a row.
func (l *winnerLayout) sameKey(fields []column.Vector, i int, row []uint64, text []byte) bool {
	for _, f := range l.keys {
		v := &fields[f]
		null := row[l.nulls+f>>6]>>(f&63)&1 == 1
		if v.Null(i) != null {
			return false
		}
		if null {
			continue
		}
		at := l.fields[f]
		if l.kinds[f] == column.String {
			if !bytes.Equal(v.Strings.At(i), text[row[at]:row[at]+row[at+1]]) {
				return false
			}
		} else if v.Bits(i) != row[at] {
			return false
		}
	}
	return true
}

// before tells whether event i of a batch comes before a row in the order of
// winners: event time, field values in the definition's order, cell. Of events
// equal in all of these it does not matter which one stays; the point decides,
// so that the state does not depend on the order either.
func (l *winnerLayout) before(b *Batch, i int, row []uint64, text []byte) bool {
	if t := int64(row[wordTime]); b.Times[i] != t {
		return b.Times[i] < t
	}
	for f := range l.kinds {
		if c := l.compareField(&b.Fields[f], i, f, row, text); c != 0 {
			return c < 0
		}
	}
	if l.byCell {
		return uint64(b.Cells[i]) < row[wordLat]
	}
	lat, lng := math.Float64frombits(row[wordLat]), math.Float64frombits(row[wordLng])
	if b.Lats[i] == lat && b.Lngs[i] == lng {
		return false
	}
	// Both points have passed the check of locations, so neither call fails.
	a, _ := geo.Index(b.Lats[i], b.Lngs[i], l.resolution)
	c, _ := geo.Index(lat, lng, l.resolution)
	if a != c {
		return a < c
	}
	return cmp.Or(cmp.Compare(b.Lats[i], lat), cmp.Compare(b.Lngs[i], lng)) < 0
}

// compareField orders null before every value, numbers by value, strings by bytes.
func (l *winnerLayout) compareField(v *column.Vector, i, f int, row []uint64, text []byte) int {
	a, b := v.Null(i), row[l.nulls+f>>6]>>(f&63)&1 == 1
	at := l.fields[f]
	switch {
	case a && b:
		return 0
	case a:
		return -1
	case b:
		return 1
	case l.kinds[f] == column.String:
		return bytes.Compare(v.Strings.At(i), text[row[at]:row[at]+row[at+1]])
	case l.kinds[f] == column.Float:
		return cmp.Compare(aggregate.FloatKey(v.Floats[i]), aggregate.FloatKey(math.Float64frombits(row[at])))
	}
	return cmp.Compare(v.Ints[i], int64(row[at]))
}

// store writes event i into a row and returns the span's bytes, grown by those
// of its strings that are not there already.
func (l *winnerLayout) store(b *Batch, wheres []column.Bitmap, i int, row []uint64, text []byte) []byte {
	row[wordTime] = uint64(b.Times[i])
	if l.byCell {
		row[wordLat] = uint64(b.Cells[i])
	} else {
		row[wordLat], row[wordLng] = math.Float64bits(b.Lats[i]), math.Float64bits(b.Lngs[i])
	}
	for w := l.nulls; w < l.fieldsStart(); w++ {
		row[w] = 0
	}
	for w := range wheres {
		if wheres[w].Get(i) {
			row[l.wheres+w>>6] |= 1 << (w & 63)
		}
	}
	for f := range l.kinds {
		v := &b.Fields[f]
		if v.Null(i) {
			row[l.nulls+f>>6] |= 1 << (f & 63)
		}
		at := l.fields[f]
		if l.kinds[f] != column.String {
			row[at] = v.Bits(i)
			continue
		}
		s := v.Strings.At(i)
		if old := text[row[at] : row[at]+row[at+1]]; !bytes.Equal(old, s) {
			row[at], row[at+1] = uint64(len(text)), uint64(len(s))
			text = append(text, s...)
		}
	}
	return text
}

func (l *winnerLayout) fieldsStart() int {
	if len(l.fields) == 0 {
		return l.words
	}
	return l.fields[0]
}
