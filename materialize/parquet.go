package materialize

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// groupRows is when a file or a row group is full: large enough to compress
// well, small enough that the blocks waiting for it fit in memory many times.
const groupRows = 48 << 10

// hashRows is how many rows are hashed at a time where no file is written: as
// few as are worth a goroutine, so that they are still near.
const hashRows = 8 << 10

// layout is what the files of one snapshot have in common.
type layout struct {
	nodes         []node
	before, after []byte                // a footer's row groups
	available     func(end int64) int64 // from when a lookup could have known a row, µs
}

// node is a column.
type node struct {
	name     string
	physical parquet.Type
	codec    compress.Compression
}

// The columns before the plan's own.
const (
	columnCell = iota
	columnH3
	columnResolution
	columnEnd
	columnAvailable
	columnRevision
	columnFinal
	fixedColumns
)

// newLayout makes the Parquet schema of a plan's rows.
func newLayout(plan *pipeline.Plan) (*layout, error) {
	stamp := schema.NewTimestampLogicalType(true, schema.TimeUnitMicros)
	nodes := schema.FieldList{
		logical("cell", schema.NewIntLogicalType(64, false), parquet.Types.Int64),
		logical("h3", schema.StringLogicalType{}, parquet.Types.ByteArray),
		logical("resolution", schema.NewIntLogicalType(8, true), parquet.Types.Int32),
		logical("window_end", stamp, parquet.Types.Int64),
		logical("available_at", stamp, parquet.Types.Int64),
		schema.NewInt32Node("revision", parquet.Repetitions.Required, -1),
		schema.NewBooleanNode("final", parquet.Repetitions.Required, -1),
	}
	for _, c := range plan.Columns {
		if c.Kind == column.Float {
			nodes = append(nodes, schema.NewFloat64Node(c.Name, parquet.Repetitions.Optional, -1))
		} else {
			nodes = append(nodes, schema.NewInt64Node(c.Name, parquet.Repetitions.Optional, -1))
		}
	}
	root, err := schema.NewGroupNode("row", parquet.Repetitions.Required, nodes, -1)
	if err != nil {
		return nil, fmt.Errorf("the Parquet schema of %s: %w", plan.Name, err)
	}
	l := &layout{available: plan.AvailableAt}
	for i, n := range nodes {
		codec := compress.Codecs.Zstd
		if i >= columnResolution && i < fixedColumns { // long runs: a few bytes each
			codec = compress.Codecs.Uncompressed
		}
		l.nodes = append(l.nodes, node{n.Name(), n.(*schema.PrimitiveNode).PhysicalType(), codec})
	}
	if l.before, l.after, err = footer(root); err != nil {
		return nil, fmt.Errorf("the Parquet footer of %s: %w", plan.Name, err)
	}
	return l, nil
}

// footer is the footer of a file without rows (FileMetaData), as the library writes it,
// without the two fields that say so: what a file's own fields come between.
func footer(root *schema.GroupNode) (before, after []byte, err error) {
	properties := parquet.NewWriterProperties(parquet.WithVersion(parquet.V2_6))
	whole, err := metadata.NewFileMetadataBuilder(schema.NewSchema(root), properties, nil).Finish()
	if err != nil {
		return nil, nil, err
	}
	text, err := whole.Serialize(context.Background())
	if err != nil {
		return nil, nil, err
	}
	none := record{last: fieldRows - 1}
	none.long(fieldRows, 0)
	none.list(fieldGroups, thriftStruct, 0)
	before, after, found := bytes.Cut(text, none.out)
	if !found {
		return nil, nil, errors.New("the library leaves out that there are no rows")
	}
	return before, after, nil
}

// Fields of a footer.
const (
	fieldRows   = 3
	fieldGroups = 4
)

func logical(name string, l schema.LogicalType, physical parquet.Type) schema.Node {
	return schema.MustPrimitive(schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Required, l, physical, 0, -1))
}

// encoder makes files of rows, one after another, in memory of its own.
type encoder struct {
	layout *layout
	zstd   *zstd.Encoder
	codes  *huff0.Scratch
	out    []byte // the file
	about  []byte // its row groups, for its footer
	page   []byte // of it
	packed []byte // a page, compressed

	places  cellDictionary
	indexed bool // whether the cells of this file are written by their dictionary
	blocks  dictionary

	// Of one column.
	levels []int32
	ints   []int64
	floats []float64
	bytes  []byte
}

func newEncoder(l *layout) (*encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithAllLitEntropyCompression(true), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
	return &encoder{layout: l, zstd: z, codes: newCodes(), places: cellDictionary{cells: aggregate.NewTable()}}, err
}

// magic is what a Parquet file begins and ends with.
const magic = "PAR1"

// encode makes a file of blocks in their order. It stays until the next call.
func (e *encoder) encode(blocks []*stream.Rows) []byte {
	e.out = append(e.out[:0], magic...)
	groups, rows := rowGroups(blocks), 0
	about := record{out: e.about[:0]}
	e.indexed = e.places.fill(groups[0], seldom)
	for i, group := range groups {
		if e.indexed && i > 0 {
			e.places.fill(group, 0)
		}
		rows += e.group(&about, i, group)
	}
	e.about = about.out
	start := len(e.out)
	r := record{out: append(e.out, e.layout.before...), last: fieldRows - 1}
	r.long(fieldRows, int64(rows))
	r.list(fieldGroups, thriftStruct, len(groups))
	e.out = append(append(r.out, e.about...), e.layout.after...)
	e.out = append(binary.LittleEndian.AppendUint32(e.out, uint32(len(e.out)-start)), magic...)
	return e.out
}

// rowGroups cuts blocks into what becomes a row group each.
func rowGroups(blocks []*stream.Rows) [][]*stream.Rows {
	var groups [][]*stream.Rows
	first, rows := 0, 0
	for i, r := range blocks {
		if rows += len(r.Cells); rows >= groupRows || i == len(blocks)-1 {
			groups = append(groups, blocks[first:i+1])
			first, rows = i+1, 0
		}
	}
	return groups
}

// group appends blocks as one row group, and what the footer says of it (RowGroup).
func (e *encoder) group(about *record, number int, blocks []*stream.Rows) (rows int) {
	for _, r := range blocks {
		rows += len(r.Cells)
	}
	start, raw := len(e.out), 0
	about.last = 0
	about.list(1, thriftStruct, len(e.layout.nodes))
	for i := range e.layout.nodes {
		c := chunk{node: &e.layout.nodes[i], rows: rows}
		e.chunk(i, &c, blocks)
		c.describe(about, len(e.out))
		raw += c.raw
	}
	about.last = 1
	about.long(2, int64(raw))
	about.long(3, int64(rows))
	about.long(5, int64(start))
	about.long(6, int64(len(e.out)-start))
	about.integer(7, thriftShort, int64(number))
	about.close(0)
	return rows
}
