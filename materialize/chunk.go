package materialize

import (
	"fmt"

	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

// chunk writes one column of a row group's blocks.
func (e *encoder) chunk(i int, chunk file.ColumnChunkWriter, blocks []*stream.Rows) error {
	if i >= fixedColumns {
		return e.values(chunk, i-fixedColumns, blocks)
	}
	switch w := chunk.(type) {
	case *file.Int64ColumnChunkWriter:
		return e.int64s(i, w, blocks)
	case *file.Int32ColumnChunkWriter:
		return write(blocks, &e.shorts, w.WriteBatch, func(r *stream.Rows) int32 {
			if i == columnResolution {
				return int32(r.Resolution)
			}
			return r.Revision
		})
	case *file.BooleanColumnChunkWriter:
		return write(blocks, &e.flags, w.WriteBatch, func(*stream.Rows) bool { return true })
	case *file.ByteArrayColumnChunkWriter:
		return e.names(w, blocks)
	}
	return fmt.Errorf("column %d has no writer for %T", i, chunk)
}

// int64s writes cells or times.
func (e *encoder) int64s(i int, w *file.Int64ColumnChunkWriter, blocks []*stream.Rows) error {
	switch i {
	case columnEnd:
		return write(blocks, &e.stamps, w.WriteBatch, func(r *stream.Rows) int64 { return r.WindowEnd })
	case columnAvailable:
		return write(blocks, &e.stamps, w.WriteBatch, func(r *stream.Rows) int64 { return e.layout.available(r.WindowEnd) })
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

// write sends a required column whose value is one for a whole block.
func write[T comparable](blocks []*stream.Rows, scratch *[]T, batch func([]T, []int16, []int16) (int64, error), of func(*stream.Rows) T) error {
	for _, r := range blocks {
		*scratch = repeated(*scratch, of(r), len(r.Cells))
		if _, err := batch(*scratch, nil, nil); err != nil {
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

// nameDigits is how many hexadecimal digits a cell's name has.
const nameDigits = 15

// names writes the cells as hexadecimal digits.
func (e *encoder) names(w *file.ByteArrayColumnChunkWriter, blocks []*stream.Rows) error {
	for _, r := range blocks {
		for len(e.texts) < len(r.Cells) {
			e.digits = append(e.digits, make([]byte, nameDigits)...)
			e.texts = append(e.texts, nil)
		}
		for i, c := range r.Cells {
			text := e.digits[i*nameDigits:][:nameDigits:nameDigits]
			for at := nameDigits - 1; at >= 0; at-- {
				text[at] = "0123456789abcdef"[c&15]
				c >>= 4
			}
			e.texts[i] = text
		}
		if _, err := w.WriteBatch(e.texts[:len(r.Cells)], nil, nil); err != nil {
			return err
		}
	}
	return nil
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
