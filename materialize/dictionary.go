package materialize

import (
	"encoding/binary"
	"math/bits"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/materialize/pages"
	"github.com/hextide/hextide/stream"
)

// seldom is how many rows there must be for each distinct cell of a file before a
// dictionary of cells is smaller than their differences. Where ground is dense,
// cells of a window follow one another, and their differences are a bit or two.
const seldom = 4

// dictionary is Parquet's dictionary encoding (its RLE_DICTIONARY) of a column whose
// value is one for a whole block: the distinct values once, and which of them the rows
// have.
type dictionary struct {
	values []int64 // distinct, in the order of their first rows
	rows   []pages.Run
	number map[int64]int32 // of a value in values
}

// fill makes the dictionary of a row group's blocks.
func (d *dictionary) fill(blocks []*stream.Rows, of func(*stream.Rows) int64) {
	if d.number == nil {
		d.number = map[int64]int32{}
	}
	clear(d.number)
	d.values, d.rows = d.values[:0], d.rows[:0]
	for i, r := range blocks {
		value := of(r)
		if last := len(d.rows) - 1; i > 0 && d.values[d.rows[last].Value] == value {
			d.rows[last].Rows += len(r.Cells)
			continue
		}
		n, is := d.number[value]
		if !is {
			n = int32(len(d.values))
			d.number[value] = n
			d.values = append(d.values, value)
		}
		d.rows = append(d.rows, pages.Run{Value: n, Rows: len(r.Cells)})
	}
}

// appendNumbers appends the data page of a dictionary of so many values.
func appendNumbers(out []byte, rows []pages.Run, values int) []byte {
	width := numberBits(values)
	return pages.AppendRuns(append(out, byte(width)), rows, width)
}

// numberBits is how many bits the number of one of so many values takes. No reader
// minds a bit for a single one.
func numberBits(values int) int { return max(bits.Len(uint(values-1)), 1) }

// cellDictionary is that of the cells of a row group, as numbers and as names.
type cellDictionary struct {
	cells   *aggregate.Table // their slots are their numbers
	rows    []int32
	page    []byte // of the rows' numbers, for both columns
	varying []byte
}

// fill fills the dictionary and tells whether there are at least so many rows for
// each distinct cell; where not, it is not filled.
func (d *cellDictionary) fill(blocks []*stream.Rows, each int) bool {
	d.cells.Clear()
	d.rows = d.rows[:0]
	rows := 0
	for _, r := range blocks {
		rows += len(r.Cells)
	}
	for _, r := range blocks {
		for _, c := range r.Cells {
			n, _ := d.cells.Add(c)
			d.rows = append(d.rows, n)
		}
		if d.cells.Len()*each > rows {
			return false
		}
	}
	width := numberBits(d.cells.Len())
	d.page = pages.AppendPackedRun(append(d.page[:0], byte(width)), d.rows, width)
	return true
}

// differ has the bits in which the distinct cells are not all the same, and one more
// where there is a single cell.
func (d *cellDictionary) differ() geo.Cell {
	differ, first := geo.Cell(0), d.cells.Cell(0)
	for n := range d.cells.Len() {
		differ |= d.cells.Cell(int32(n)) ^ first
	}
	return max(differ, 1)
}

// bounds are the least and the greatest cell.
func (d *cellDictionary) bounds() (least, most geo.Cell) {
	least = d.cells.Cell(0)
	for n := range d.cells.Len() {
		c := d.cells.Cell(int32(n))
		least, most = min(least, c), max(most, c)
	}
	return least, most
}

// numbers are the distinct cells as numbers of 8 bytes. They stay until the next call.
func (d *cellDictionary) numbers() pages.Entries {
	differ := uint64(d.differ())
	a := pages.Entries{
		Entry: binary.LittleEndian.AppendUint64(nil, uint64(d.cells.Cell(0))),
		From:  bits.TrailingZeros64(differ) / 8, To: (bits.Len64(differ) + 7) / 8, Varying: d.varying[:0],
	}
	for n := range d.cells.Len() {
		c := d.cells.Cell(int32(n)) >> (8 * a.From)
		for range a.To - a.From {
			a.Varying = append(a.Varying, byte(c))
			c >>= 8
		}
	}
	d.varying = a.Varying
	return a
}

// names are the distinct cells in hexadecimal digits, each behind their number. They
// stay until the next call.
func (d *cellDictionary) names() pages.Entries {
	from, to := pages.Digits(d.differ())
	entry := binary.LittleEndian.AppendUint32(nil, pages.NameDigits)
	a := pages.Entries{Entry: pages.AppendDigits(entry, d.cells.Cell(0), 0, pages.NameDigits), From: len(entry) + from, To: len(entry) + to, Varying: d.varying[:0]}
	for n := range d.cells.Len() {
		a.Varying = pages.AppendDigits(a.Varying, d.cells.Cell(int32(n)), from, to)
	}
	d.varying = a.Varying
	return a
}
