package materialize

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
)

// sheet is one Parquet file of an export: rows gather in its fields and leave as
// row groups.
//
// Invariant: all fields hold the same number of rows.
type sheet struct {
	name   string
	path   string
	fields []sheetField
	rows   int   // gathered
	total  int64 // written, and gathered
	out    *os.File
	writer *file.Writer
}

// sheetField is a column of a sheet.
type sheetField interface {
	node() schema.Node
	write(chunk file.ColumnChunkWriter) error // and forget what was written
}

func newSheet(dir, name string) *sheet { return &sheet{name: name, path: filepath.Join(dir, name)} }

// open makes the file; the fields are known.
func (s *sheet) open() error {
	nodes := make(schema.FieldList, len(s.fields))
	for i, f := range s.fields {
		nodes[i] = f.node()
	}
	root, err := schema.NewGroupNode("row", parquet.Repetitions.Required, nodes, -1)
	if err != nil {
		return fmt.Errorf("the Parquet schema of %s: %w", s.name, err)
	}
	if s.out, err = os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644); err != nil {
		return err
	}
	s.writer, err = file.NewParquetWriterWithError(s.out, root, file.WithWriterProps(parquet.NewWriterProperties(
		parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(1),
		parquet.WithVersion(parquet.V2_6), parquet.WithDataPageVersion(parquet.DataPageV1),
	)))
	return err
}

// next ends a row, of which every field was given its value.
func (s *sheet) next() error {
	s.rows++
	s.total++
	if s.rows < groupRows {
		return nil
	}
	return s.flush()
}

func (s *sheet) flush() error {
	if s.rows == 0 {
		return nil
	}
	s.rows = 0
	group, err := s.writer.AppendRowGroupChecked()
	if err != nil {
		return fmt.Errorf("writing %s: %w", s.path, err)
	}
	for _, f := range s.fields {
		chunk, err := group.NextColumn()
		if err == nil {
			err = f.write(chunk)
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", s.path, err)
		}
	}
	if err := group.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", s.path, err)
	}
	return nil
}

// close ends the file with what is gathered.
func (s *sheet) close() error {
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.writer.Close(); err != nil { // and the file with it
		return fmt.Errorf("writing %s: %w", s.path, err)
	}
	s.out = nil
	return nil
}

// abandon removes the file.
func (s *sheet) abandon() {
	if s.out == nil && s.writer == nil {
		return // it was never made
	}
	if s.out != nil {
		_ = s.out.Close() // its content is of no account any more
	}
	_ = os.Remove(s.path) // the export has failed and says why
}

// field is a column of one type. Every value may be null; of a list none is.
type field[T any] struct {
	of      schema.Node
	values  []T
	levels  []int16
	repeats []int16 // lists only
}

// batchWriter is what takes the values of a column chunk.
type batchWriter[T any] interface {
	WriteBatch(values []T, levels, repeats []int16) (int64, error)
}

func (f *field[T]) node() schema.Node { return f.of }

func (f *field[T]) write(chunk file.ColumnChunkWriter) error {
	w, is := chunk.(batchWriter[T])
	if !is {
		return fmt.Errorf("column %s has no writer for %T", f.of.Name(), chunk)
	}
	if _, err := w.WriteBatch(f.values, f.levels, f.repeats); err != nil {
		return fmt.Errorf("column %s: %w", f.of.Name(), err)
	}
	f.values, f.levels, f.repeats = f.values[:0], f.levels[:0], f.repeats[:0]
	return nil
}

// add appends a value.
func (f *field[T]) add(v T) {
	f.values, f.levels = append(f.values, v), append(f.levels, 1)
}

// null appends no value.
func (f *field[T]) null() { f.levels = append(f.levels, 0) }

// addIf appends a value where there is one.
func (f *field[T]) addIf(there bool, v T) {
	if there {
		f.add(v)
	} else {
		f.null()
	}
}

// addAll appends a list.
func (f *field[T]) addAll(list []T) {
	if len(list) == 0 {
		f.levels, f.repeats = append(f.levels, 0), append(f.repeats, 0)
	}
	for i, v := range list {
		f.add(v)
		f.repeats = append(f.repeats, int16(min(i, 1)))
	}
}

// enter makes a field the next column of a sheet.
func enter[T any](s *sheet, of schema.Node) *field[T] {
	f := &field[T]{of: of}
	s.fields = append(s.fields, f)
	return f
}

func optionalNode(name string, l schema.LogicalType, physical parquet.Type, length int) schema.Node {
	return schema.MustPrimitive(schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Optional, l, physical, length, -1))
}

func (s *sheet) int32(name string) *field[int32] {
	return enter[int32](s, schema.NewInt32Node(name, parquet.Repetitions.Optional, -1))
}

func (s *sheet) int64(name string) *field[int64] {
	return enter[int64](s, schema.NewInt64Node(name, parquet.Repetitions.Optional, -1))
}

func (s *sheet) float(name string) *field[float64] {
	return enter[float64](s, schema.NewFloat64Node(name, parquet.Repetitions.Optional, -1))
}

func (s *sheet) bool(name string) *field[bool] {
	return enter[bool](s, schema.NewBooleanNode(name, parquet.Repetitions.Optional, -1))
}

func (s *sheet) text(name string) *field[parquet.ByteArray] {
	return enter[parquet.ByteArray](s, optionalNode(name, schema.StringLogicalType{}, parquet.Types.ByteArray, 0))
}

// floats is a column of lists.
func (s *sheet) floats(name string) *field[float64] {
	element := schema.NewFloat64Node("element", parquet.Repetitions.Required, -1)
	return enter[float64](s, schema.MustGroup(schema.ListOfWithName(name, element, parquet.Repetitions.Required, -1)))
}

// moment is a column of event times, UTC.
type moment struct{ *field[int64] }

func (s *sheet) time(name string) moment {
	stamp := schema.NewTimestampLogicalType(true, schema.TimeUnitMicros)
	return moment{enter[int64](s, optionalNode(name, stamp, parquet.Types.Int64, 0))}
}

// at appends µs; the first and the last time there are stand for none.
func (m moment) at(us int64) { m.addIf(us != math.MinInt64 && us != math.MaxInt64, us) }

// cells is a cell as a number and as text; 0 is none.
type cells struct {
	number *field[int64]
	text   *field[parquet.ByteArray]
}

func (s *sheet) cell() cells { return cells{s.id("cell"), s.text("h3")} }

// id is a column of H3's numbers.
func (s *sheet) id(name string) *field[int64] {
	return enter[int64](s, optionalNode(name, schema.NewIntLogicalType(64, false), parquet.Types.Int64, 0))
}

func (c cells) add(cell geo.Cell) {
	c.number.addIf(cell != 0, int64(cell))
	c.text.addIf(cell != 0, parquet.ByteArray(cell.String()))
}

// decimal is a column of 128-bit numbers with so many digits after the point.
type decimal struct {
	*field[parquet.FixedLenByteArray]
}

// decimalDigits is the greatest precision that readers have. No sum of as many
// events as can be counted reaches it.
const decimalDigits = 38

func (s *sheet) decimal(name string, scale int) decimal {
	l := schema.NewDecimalLogicalType(decimalDigits, int32(scale))
	return decimal{enter[parquet.FixedLenByteArray](s, optionalNode(name, l, parquet.Types.FixedLenByteArray, 16))}
}

func (d decimal) set(there bool, v exact.Int128) {
	if !there {
		d.null()
		return
	}
	out := make(parquet.FixedLenByteArray, 0, 16)
	d.add(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(out, uint64(v.Hi)), v.Lo))
}

// closeAll ends sheets; the first that fails does not keep the others open.
func closeAll(sheets []*sheet) error {
	var errs error
	for _, s := range sheets {
		errs = errors.Join(errs, s.close())
	}
	return errs
}
