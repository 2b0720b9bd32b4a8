package materialize

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// chunk writes one column of a row group's blocks.
func (e *encoder) chunk(i int, chunk file.ColumnChunkWriter, blocks []*stream.Rows) error {
	switch i {
	case columnCell:
		return e.cells(chunk.(*file.Int64ColumnChunkWriter), blocks)
	case columnH3:
		return e.names(chunk.(*file.ByteArrayColumnChunkWriter), blocks)
	case columnResolution:
		return e.shorts(chunk, blocks, func(r *stream.Rows) int32 { return int32(r.Resolution) })
	case columnEnd:
		return e.stamps(chunk, blocks, func(r *stream.Rows) int64 { return r.WindowEnd })
	case columnAvailable:
		return e.stamps(chunk, blocks, func(r *stream.Rows) int64 { return e.layout.available(r.WindowEnd) })
	case columnRevision:
		return e.shorts(chunk, blocks, func(r *stream.Rows) int32 { return r.Revision })
	case columnFinal:
		return e.final(chunk.(*file.BooleanColumnChunkWriter), blocks)
	}
	return e.values(chunk, i-fixedColumns, blocks)
}

// stamps writes a time that is one for a whole block.
func (e *encoder) stamps(chunk file.ColumnChunkWriter, blocks []*stream.Rows, of func(*stream.Rows) int64) error {
	perBlock(&e.times, blocks, of)
	return writeIndexed(chunk, plainArray(arrow.PrimitiveTypes.Int64, len(e.times.values), arrow.GetBytes(e.times.values)), e.times.rows)
}

// shorts writes a small number that is one for a whole block.
func (e *encoder) shorts(chunk file.ColumnChunkWriter, blocks []*stream.Rows, of func(*stream.Rows) int32) error {
	perBlock(&e.numbers, blocks, of)
	return writeIndexed(chunk, plainArray(arrow.PrimitiveTypes.Int32, len(e.numbers.values), arrow.GetBytes(e.numbers.values)), e.numbers.rows)
}

// final writes that all rows are.
func (e *encoder) final(w *file.BooleanColumnChunkWriter, blocks []*stream.Rows) error {
	for _, r := range blocks {
		for len(e.trues) < len(r.Cells) {
			e.trues = append(e.trues, true)
		}
		if _, err := w.WriteBatch(e.trues[:len(r.Cells)], nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// cells writes the cells as numbers.
func (e *encoder) cells(w *file.Int64ColumnChunkWriter, blocks []*stream.Rows) error {
	if e.indexed {
		return writeIndexed(w, e.places.numbers(), e.places.rows)
	}
	for _, r := range blocks {
		e.ints = e.ints[:0]
		for _, c := range r.Cells {
			e.ints = append(e.ints, int64(c))
		}
		if _, err := w.WriteBatch(e.ints, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// nameDigits is how many hexadecimal digits a cell's name has.
const nameDigits = 15

// names writes the cells as hexadecimal digits.
func (e *encoder) names(w *file.ByteArrayColumnChunkWriter, blocks []*stream.Rows) error {
	if e.indexed {
		return writeIndexed(w, e.places.names(), e.places.rows)
	}
	for _, r := range blocks {
		e.digits, e.texts = slices.Grow(e.digits[:0], nameDigits*len(r.Cells)), e.texts[:0]
		for i, c := range r.Cells {
			e.digits = appendName(e.digits, c)
			e.texts = append(e.texts, e.digits[i*nameDigits:])
		}
		if _, err := w.WriteBatch(e.texts, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// appendName appends the hexadecimal digits of a cell.
func appendName(to []byte, c geo.Cell) []byte {
	var text [nameDigits]byte
	for at := nameDigits - 1; at >= 0; at-- {
		text[at] = "0123456789abcdef"[c&15]
		c >>= 4
	}
	return append(to, text[:]...)
}

// values writes one of the plan's columns; nulls are left out, as Parquet has it.
func (e *encoder) values(chunk file.ColumnChunkWriter, c int, blocks []*stream.Rows) error {
	switch w := chunk.(type) {
	case *file.Int64ColumnChunkWriter:
		return optional(e, blocks, c, &e.ints, func(v *column.Vector) []int64 { return v.Ints }, w.WriteBatch)
	case *file.Float64ColumnChunkWriter:
		return optional(e, blocks, c, &e.floats, func(v *column.Vector) []float64 { return v.Floats }, w.WriteBatch)
	}
	return fmt.Errorf("column %d has no writer for %T", c, chunk)
}

func optional[T any](e *encoder, blocks []*stream.Rows, c int, scratch *[]T, of func(*column.Vector) []T, batch func([]T, []int16, []int16) (int64, error)) error {
	for _, r := range blocks {
		v := &r.Columns[c]
		values := of(v)
		if !v.Nulls.Any() {
			e.levels = repeated(e.levels, 1, len(values))
			if _, err := batch(values, e.levels, nil); err != nil {
				return err
			}
			continue
		}
		present := (*scratch)[:0]
		e.mixed = e.mixed[:0]
		for i, x := range values {
			if v.Null(i) {
				e.mixed = append(e.mixed, 0)
				continue
			}
			e.mixed, present = append(e.mixed, 1), append(present, x)
		}
		*scratch = present
		if _, err := batch(present, e.mixed, nil); err != nil {
			return err
		}
	}
	return nil
}

// repeated makes n of one value, in dst where it holds as many already.
func repeated[T comparable](dst []T, value T, n int) []T {
	if len(dst) >= n && n > 0 && dst[0] == value { // the values of dst are equal: it only ever comes from here
		return dst[:n]
	}
	dst = dst[:0]
	for range n {
		dst = append(dst, value)
	}
	return dst
}
