package materialize

import (
	"encoding/binary"
	"slices"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/materialize/pages"
	"github.com/hextide/hextide/stream"
)

// chunk writes one column of a row group's blocks.
func (e *encoder) chunk(i int, c *chunk, blocks []*stream.Rows) {
	switch i {
	case columnCell:
		e.cells(c, blocks)
	case columnH3:
		e.names(c, blocks)
	case columnResolution:
		e.perBlock(c, 4, blocks, func(r *stream.Rows) int64 { return int64(r.Resolution) })
	case columnEnd:
		e.perBlock(c, 8, blocks, func(r *stream.Rows) int64 { return r.WindowEnd })
		c.bounds(slices.Min(e.blocks.values), slices.Max(e.blocks.values))
	case columnAvailable:
		e.perBlock(c, 8, blocks, func(r *stream.Rows) int64 { return e.layout.available(r.WindowEnd) })
	case columnRevision:
		e.perBlock(c, 4, blocks, func(r *stream.Rows) int64 { return int64(r.Revision) })
	case columnFinal:
		e.final(c)
	default:
		e.values(c, i-fixedColumns, blocks)
	}
}

// perBlock writes a column whose value, of so many bytes, is one for a whole block: a
// dictionary and runs.
func (e *encoder) perBlock(c *chunk, size int, blocks []*stream.Rows, of func(*stream.Rows) int64) {
	e.blocks.fill(blocks, of)
	e.page = e.page[:0]
	var value [8]byte
	for _, v := range e.blocks.values {
		binary.LittleEndian.PutUint64(value[:], uint64(v))
		e.page = append(e.page, value[:size]...)
	}
	e.out = c.appendDictionary(e.out, len(e.blocks.values), len(e.page), e.page)
	e.page = appendNumbers(e.page[:0], e.blocks.rows, len(e.blocks.values))
	e.out = c.appendData(e.out, parquet.Encodings.RLEDict, len(e.page), e.page)
}

// final writes that all rows are.
func (e *encoder) final(c *chunk) {
	e.page = appendLevels(e.page[:0], c.rows, nil)
	e.out = c.appendData(e.out, parquet.Encodings.RLE, len(e.page), e.page)
}

// cells writes the cells as numbers.
func (e *encoder) cells(c *chunk, blocks []*stream.Rows) {
	if e.indexed {
		least, most := e.places.bounds()
		c.bounds(int64(least), int64(most))
		e.index(c, e.places.numbers())
		return
	}
	e.ints = e.ints[:0]
	for _, r := range blocks {
		for _, cell := range r.Cells {
			e.ints = append(e.ints, int64(cell))
		}
	}
	c.bounds(slices.Min(e.ints), slices.Max(e.ints))
	e.page = pages.AppendDeltas(e.page[:0], e.ints)
	e.compressed(c, parquet.Encodings.DeltaBinaryPacked)
}

// names writes the cells as hexadecimal digits.
func (e *encoder) names(c *chunk, blocks []*stream.Rows) {
	if e.indexed {
		e.index(c, e.places.names())
		return
	}
	e.named = e.named[:0]
	for _, r := range blocks {
		e.named = append(e.named, r.Cells...)
	}
	e.page = pages.AppendNames(e.page[:0], e.named, &e.ints)
	e.compressed(c, parquet.Encodings.DeltaByteArray)
}

// index writes a column of cells by their dictionary, of values that are the cells in
// its own way.
func (e *encoder) index(c *chunk, values pages.Entries) {
	n := e.places.cells.Len()
	if raw := n * len(values.Entry); values.Fits() {
		e.packed = values.AppendFrame(e.packed[:0], e.codes)
		e.out = c.appendDictionary(e.out, n, raw, e.packed)
	} else {
		e.page = values.AppendPlain(e.page[:0])
		e.packed = e.zstd.EncodeAll(e.page, e.packed[:0])
		e.out = c.appendDictionary(e.out, n, raw, e.packed)
	}
	e.packed = pages.AppendStored(e.packed[:0], e.places.page)
	e.out = c.appendData(e.out, parquet.Encodings.RLEDict, len(e.places.page), e.packed)
}

// compressed writes the page as a column's data.
func (e *encoder) compressed(c *chunk, encoding parquet.Encoding) {
	e.packed = e.zstd.EncodeAll(e.page, e.packed[:0])
	e.out = c.appendData(e.out, encoding, len(e.page), e.packed)
}

// values writes one of the plan's columns; nulls are left out, as Parquet has it.
func (e *encoder) values(c *chunk, i int, blocks []*stream.Rows) {
	e.page = appendLevels(e.page[:0], c.rows, e.present(i, blocks))
	if blocks[0].Columns[i].Kind == column.Float {
		e.floats = gathered(e.floats[:0], blocks, i, func(v *column.Vector) []float64 { return v.Floats })
		e.page = pages.AppendSplit(e.page, e.floats)
		e.compressed(c, parquet.Encodings.ByteStreamSplit)
		return
	}
	if most, fits := mostByte(blocks, i); fits {
		e.narrow(c, i, most, blocks)
		return
	}
	e.ints = gathered(e.ints[:0], blocks, i, func(v *column.Vector) []int64 { return v.Ints })
	e.page = pages.AppendDeltas(e.page, e.ints)
	e.compressed(c, parquet.Encodings.DeltaBinaryPacked)
}

// byteValues is how many values from 0 up a column may have to be written by a byte each.
const byteValues = 1 << 8

// narrow writes a column of small integers, whose levels are on the page: a dictionary
// of all up to the greatest, in which each is its own number. Where they seldom repeat,
// as counts of one cell and another do, codes by their frequency are shorter than copies
// and sooner found.
func (e *encoder) narrow(c *chunk, i, most int, blocks []*stream.Rows) {
	upTo := pages.Entries{Entry: make([]byte, 8), To: 1, Varying: make([]byte, 0, most+8)}
	for v := range most + 1 {
		upTo.Varying = append(upTo.Varying, byte(v))
	}
	e.packed = upTo.AppendFrame(e.packed[:0], e.codes)
	e.out = c.appendDictionary(e.out, most+1, 8*(most+1), e.packed)
	e.bytes = e.bytes[:0]
	for _, r := range blocks {
		e.bytes = appendBytes(e.bytes, &r.Columns[i])
	}
	e.page = append(e.page, 8) // bits of a number
	e.page = pages.AppendPackedBytes(e.page, e.bytes)
	if seldomRepeat(e.bytes) {
		e.packed = pages.AppendCoded(e.packed[:0], e.page, e.codes)
	} else {
		e.packed = e.zstd.EncodeAll(e.page, e.packed[:0])
	}
	e.out = c.appendData(e.out, parquet.Encodings.RLEDict, len(e.page), e.packed)
}

// mostByte is the greatest value of a column of integers, if a byte has room for it and
// none is negative.
func mostByte(blocks []*stream.Rows, i int) (most int, fits bool) {
	all := uint64(0)
	for _, r := range blocks {
		for _, v := range r.Columns[i].Ints {
			all = max(all, uint64(v))
		}
		if all >= byteValues {
			return 0, false
		}
	}
	return int(all), true
}

// appendBytes appends the values of a column that are not null, a byte each.
func appendBytes(to []byte, v *column.Vector) []byte {
	if !v.Nulls.Any() {
		at := len(to)
		to = slices.Grow(to, len(v.Ints))[:at+len(v.Ints)]
		for row, x := range v.Ints {
			to[at+row] = byte(x)
		}
		return to
	}
	for row, x := range v.Ints {
		if !v.Null(row) {
			to = append(to, byte(x))
		}
	}
	return to
}

// seldomRepeat tells, from the first of them, whether more than one of four values is
// another than the one before.
func seldomRepeat(values []byte) bool {
	const enough = 4 << 10
	values = values[:min(len(values), enough)]
	repeated := 0
	for i := 1; i < len(values); i++ {
		repeated += int((uint32(values[i]^values[i-1]) - 1) >> 31) // 1 where there is no difference, and no branch
	}
	return 4*repeated < 3*len(values)
}

// present tells of each row whether it has a value in a column, 1 or 0; nil: all have.
func (e *encoder) present(i int, blocks []*stream.Rows) []int32 {
	if !slices.ContainsFunc(blocks, func(r *stream.Rows) bool { return r.Columns[i].Nulls.Any() }) {
		return nil
	}
	e.levels = e.levels[:0]
	for _, r := range blocks {
		for row := range r.Cells {
			level := int32(1)
			if r.Columns[i].Null(row) {
				level = 0
			}
			e.levels = append(e.levels, level)
		}
	}
	return e.levels
}

// appendLevels appends bits of all rows behind their length: definition levels, or what
// a column of true and false has; nil stands for ones.
func appendLevels(out []byte, rows int, bits []int32) []byte {
	start := len(out)
	out = append(out, 0, 0, 0, 0)
	if bits == nil {
		out = pages.AppendRuns(out, []pages.Run{{Value: 1, Rows: rows}}, 1)
	} else {
		out = pages.AppendPackedRun(out, bits, 1)
	}
	binary.LittleEndian.PutUint32(out[start:], uint32(len(out)-start-4))
	return out
}

// gathered appends the values of a column that are not null.
func gathered[T any](to []T, blocks []*stream.Rows, i int, of func(*column.Vector) []T) []T {
	for _, r := range blocks {
		v := &r.Columns[i]
		if !v.Nulls.Any() {
			to = append(to, of(v)...)
			continue
		}
		for row, x := range of(v) {
			if !v.Null(row) {
				to = append(to, x)
			}
		}
	}
	return to
}
