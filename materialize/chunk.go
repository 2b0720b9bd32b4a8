package materialize

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

// chunk writes one column of the row group's blocks.
func (p *part) chunk(i int, chunk file.ColumnChunkWriter) error {
	if i >= fixedColumns {
		return p.values(chunk, i-fixedColumns)
	}
	switch w := chunk.(type) {
	case *file.Int64ColumnChunkWriter:
		return write(p.blocks, w.WriteBatch, func(dst []int64, r *stream.Rows) []int64 { return p.int64s(i, dst, r) })
	case *file.Int32ColumnChunkWriter:
		return write(p.blocks, w.WriteBatch, func(dst []int32, r *stream.Rows) []int32 {
			value := r.Revision
			if i == columnResolution {
				value = int32(r.Resolution)
			}
			return repeated(dst, value, len(r.Cells))
		})
	case *file.BooleanColumnChunkWriter:
		return write(p.blocks, w.WriteBatch, func(dst []bool, r *stream.Rows) []bool { return repeated(dst, true, len(r.Cells)) })
	case *file.ByteArrayColumnChunkWriter:
		return p.texts(w)
	}
	return fmt.Errorf("column %d has no writer for %T", i, chunk)
}

// int64s gives a block's cells or times.
func (p *part) int64s(i int, dst []int64, r *stream.Rows) []int64 {
	switch i {
	case columnEnd:
		return repeated(dst, r.WindowEnd, len(r.Cells))
	case columnAvailable:
		return repeated(dst, p.layout.available(r.WindowEnd), len(r.Cells))
	}
	for _, c := range r.Cells {
		dst = append(dst, int64(c))
	}
	return dst
}

func repeated[T any](dst []T, value T, n int) []T {
	for range n {
		dst = append(dst, value)
	}
	return dst
}

// write sends a required column block by block.
func write[T any](blocks []*stream.Rows, batch func([]T, []int16, []int16) (int64, error), of func([]T, *stream.Rows) []T) error {
	var values []T
	for _, r := range blocks {
		values = of(values[:0], r)
		if _, err := batch(values, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// texts writes the cells as 15 hexadecimal digits.
func (p *part) texts(w *file.ByteArrayColumnChunkWriter) error {
	const width = 15
	var arena []byte
	var values []parquet.ByteArray
	for _, r := range p.blocks {
		arena, values = slices.Grow(arena[:0], width*len(r.Cells)), values[:0]
		for _, c := range r.Cells {
			start := len(arena)
			for shift := 4 * (width - 1); shift >= 0; shift -= 4 {
				arena = append(arena, "0123456789abcdef"[uint64(c)>>shift&15])
			}
			values = append(values, arena[start:len(arena):len(arena)])
		}
		if _, err := w.WriteBatch(values, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// values writes one of the plan's columns; nulls are left out, as Parquet has it.
func (p *part) values(chunk file.ColumnChunkWriter, c int) error {
	switch w := chunk.(type) {
	case *file.Int64ColumnChunkWriter:
		return optional(p.blocks, c, func(v *column.Vector) []int64 { return v.Ints }, w.WriteBatch)
	case *file.Float64ColumnChunkWriter:
		return optional(p.blocks, c, func(v *column.Vector) []float64 { return v.Floats }, w.WriteBatch)
	}
	return fmt.Errorf("column %d has no writer for %T", c, chunk)
}

func optional[T any](blocks []*stream.Rows, c int, of func(*column.Vector) []T, batch func([]T, []int16, []int16) (int64, error)) error {
	var levels []int16
	var present []T
	for _, r := range blocks {
		v := &r.Columns[c]
		values := of(v)
		levels = repeated(levels[:0], int16(1), len(values))
		if v.Nulls.Any() {
			present = present[:0]
			for i, x := range values {
				if v.Null(i) {
					levels[i] = 0
					continue
				}
				present = append(present, x)
			}
			values = present
		}
		if _, err := batch(values, levels, nil); err != nil {
			return err
		}
	}
	return nil
}
