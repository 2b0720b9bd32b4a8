package materialize

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/stream"
)

// seldom is how many rows there must be for each distinct cell of a file before a
// dictionary of cells is smaller than their differences. Where ground is dense,
// cells of a window follow one another, and their differences are a bit or two.
const seldom = 4

// dictionary is Parquet's dictionary encoding of a column (its RLE_DICTIONARY): the
// distinct values once, and for each row which of them it has.
type dictionary[T comparable] struct {
	values []T // distinct, in the order of their first rows
	rows   []int32
	number map[T]int32 // of a value in values
}

// cellDictionary is that of the cells of a row group, as numbers and as names.
type cellDictionary struct {
	cells   *aggregate.Table // their slots are their numbers
	rows    []int32
	ints    []int64 // the cells
	digits  []byte  // of their names, one after another
	offsets []int32
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
	return true
}

// numbers are the distinct cells as an array.
func (d *cellDictionary) numbers() arrow.Array {
	d.ints = d.ints[:0]
	for n := range d.cells.Slots() {
		d.ints = append(d.ints, int64(d.cells.Cell(int32(n))))
	}
	return plainArray(arrow.PrimitiveTypes.Int64, len(d.ints), arrow.GetBytes(d.ints))
}

// names are the distinct cells in hexadecimal digits as an array.
func (d *cellDictionary) names() arrow.Array {
	d.digits, d.offsets = d.digits[:0], append(d.offsets[:0], 0)
	for n := range d.cells.Slots() {
		d.digits = appendName(d.digits, d.cells.Cell(int32(n)))
		d.offsets = append(d.offsets, int32(len(d.digits)))
	}
	return plainArray(arrow.BinaryTypes.String, d.cells.Slots(), arrow.GetBytes(d.offsets), d.digits)
}

// perBlock fills the dictionary of a column whose value is one for a whole block.
func perBlock[T comparable](d *dictionary[T], blocks []*stream.Rows, of func(*stream.Rows) T) {
	if d.number == nil {
		d.number = map[T]int32{}
	}
	clear(d.number)
	d.values, d.rows = d.values[:0], d.rows[:0]
	for _, r := range blocks {
		value := of(r)
		n, is := d.number[value]
		if !is {
			n = int32(len(d.values))
			d.number[value] = n
			d.values = append(d.values, value)
		}
		for range r.Cells {
			d.rows = append(d.rows, n)
		}
	}
}

// writeIndexed writes a required column by its dictionary.
func writeIndexed(chunk file.ColumnChunkWriter, values arrow.Array, rows []int32) error {
	defer values.Release()
	if s, is := chunk.PageStatistics().(*metadata.Int64Statistics); is {
		s.Update(values.(*array.Int64).Int64Values(), 0)
	}
	encoder, is := chunk.CurrentEncoder().(interface{ PutDictionary(arrow.Array) error })
	if !is {
		return fmt.Errorf("the column %s has no dictionary", chunk.Descr().Name())
	}
	if err := encoder.PutDictionary(values); err != nil {
		return err
	}
	indices := plainArray(arrow.PrimitiveTypes.Int32, len(rows), arrow.GetBytes(rows))
	defer indices.Release()
	return chunk.WriteDictIndices(indices, nil, nil)
}

// plainArray makes an array without nulls over buffers that stay the caller's.
func plainArray(of arrow.DataType, n int, buffers ...[]byte) arrow.Array {
	all := []*memory.Buffer{nil}
	for _, b := range buffers {
		all = append(all, memory.NewBufferBytes(b))
	}
	data := array.NewData(of, n, all, nil, 0, 0)
	defer data.Release()
	return array.MakeFromData(data)
}
