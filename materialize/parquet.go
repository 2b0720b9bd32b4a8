package materialize

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/materialize/pages"
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
	schema     *schema.Schema
	properties *parquet.WriterProperties // encodings without a dictionary, and compressors
	available  func(end int64) int64     // from when a lookup could have known a row, µs
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
	properties := []parquet.WriterProperty{
		parquet.WithCompression(compress.Codecs.Zstd), parquet.WithDictionaryDefault(false), parquet.WithVersion(parquet.V2_6),
		parquet.WithEncodingFor("cell", parquet.Encodings.DeltaBinaryPacked), parquet.WithEncodingFor("h3", parquet.Encodings.DeltaByteArray),
		parquet.WithEncodingFor("final", parquet.Encodings.RLE),
	}
	for _, name := range []string{"resolution", "window_end", "available_at", "revision", "final"} { // long runs: a few bytes each
		properties = append(properties, parquet.WithCompressionFor(name, compress.Codecs.Uncompressed))
	}
	for _, c := range plan.Columns {
		if c.Kind == column.Float {
			nodes = append(nodes, schema.NewFloat64Node(c.Name, parquet.Repetitions.Optional, -1))
			properties = append(properties, parquet.WithEncodingFor(c.Name, parquet.Encodings.ByteStreamSplit))
			continue
		}
		nodes = append(nodes, schema.NewInt64Node(c.Name, parquet.Repetitions.Optional, -1))
		properties = append(properties, parquet.WithEncodingFor(c.Name, parquet.Encodings.DeltaBinaryPacked))
	}
	root, err := schema.NewGroupNode("row", parquet.Repetitions.Required, nodes, -1)
	if err != nil {
		return nil, fmt.Errorf("the Parquet schema of %s: %w", plan.Name, err)
	}
	return &layout{schema: schema.NewSchema(root), properties: parquet.NewWriterProperties(properties...), available: plan.AvailableAt}, nil
}

func logical(name string, l schema.LogicalType, physical parquet.Type) schema.Node {
	return schema.MustPrimitive(schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Required, l, physical, 0, -1))
}

// encoder makes files of rows, one after another, in memory of its own.
type encoder struct {
	layout *layout
	zstd   *zstd.Encoder
	codes  *huff0.Scratch
	out    []byte // the file
	page   []byte // of it
	packed []byte // a page, compressed

	places  cellDictionary
	indexed bool // whether the cells of this file are written by their dictionary
	blocks  dictionary

	// Of one column.
	levels []int32
	named  []geo.Cell
	ints   []int64
	floats []float64
	bytes  []byte
}

func newEncoder(l *layout) (*encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithAllLitEntropyCompression(true), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
	return &encoder{layout: l, zstd: z, codes: pages.NewCodes(), places: cellDictionary{cells: aggregate.NewTable()}}, err
}

// magic is what a Parquet file begins and ends with.
const magic = "PAR1"

// encode makes a file of blocks in their order. It stays until the next call.
func (e *encoder) encode(blocks []*stream.Rows) ([]byte, error) {
	e.out = append(e.out[:0], magic...)
	about := metadata.NewFileMetadataBuilder(e.layout.schema, e.layout.properties, nil)
	groups := rowGroups(blocks)
	e.indexed = e.places.fill(groups[0], seldom)
	for i, group := range groups {
		if e.indexed && i > 0 {
			e.places.fill(group, 0)
		}
		if err := e.group(about.AppendRowGroup(), int16(i), group); err != nil {
			return nil, err
		}
	}
	return e.out, e.footer(about)
}

// footer appends what the file's chunks are and where.
func (e *encoder) footer(about *metadata.FileMetaDataBuilder) error {
	whole, err := about.Finish()
	if err != nil {
		return err
	}
	text, err := whole.Serialize(context.Background())
	if err != nil {
		return err
	}
	e.out = append(e.out, text...)
	e.out = append(binary.LittleEndian.AppendUint32(e.out, uint32(len(text))), magic...)
	return nil
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

// group appends blocks as one row group.
func (e *encoder) group(about *metadata.RowGroupMetaDataBuilder, number int16, blocks []*stream.Rows) error {
	rows := 0
	for _, r := range blocks {
		rows += len(r.Cells)
	}
	start := len(e.out)
	for i := range e.layout.schema.NumColumns() {
		c := chunk{meta: about.NextColumnChunk(), rows: rows}
		e.chunk(i, &c, blocks)
		if err := c.finish(e.out); err != nil {
			return err
		}
	}
	about.SetNumRows(rows)
	return about.Finish(int64(len(e.out)-start), number)
}
