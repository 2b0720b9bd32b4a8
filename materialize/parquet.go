package materialize

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// groupRows is when a file or a row group is full: large enough to compress
// well, small enough that the blocks waiting for it fit in memory many times.
const groupRows = 48 << 10

// hashRows is how many rows are hashed at a time where no file is written: as
// few as are worth a goroutine, so that they are still near.
const hashRows = 8 << 10

// layout is what the files of one snapshot have in common.
type layout struct {
	root      *schema.GroupNode
	plain     file.WriteOption // cells by their differences
	indexed   file.WriteOption // cells by a dictionary
	columns   int
	available func(end int64) int64 // from when a lookup could have known a row, µs
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
		parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(1),
		parquet.WithDictionaryDefault(false), parquet.WithStats(false), parquet.WithStatsFor("window_end", true), parquet.WithStatsFor("cell", true),
		parquet.WithBatchSize(8192), parquet.WithVersion(parquet.V2_6), parquet.WithDataPageVersion(parquet.DataPageV1),
		parquet.WithEncodingFor("cell", parquet.Encodings.DeltaBinaryPacked),
		parquet.WithEncodingFor("h3", parquet.Encodings.DeltaByteArray),
	}
	for _, name := range []string{"window_end", "available_at", "revision", "resolution"} { // long runs: a few bytes each, not worth a compressor's start
		properties = append(properties, parquet.WithDictionaryFor(name, true), parquet.WithCompressionFor(name, compress.Codecs.Uncompressed))
	}
	properties = append(properties, parquet.WithEncodingFor("final", parquet.Encodings.RLE), parquet.WithCompressionFor("final", compress.Codecs.Uncompressed))
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
	schema.NewSchema(root) // nodes keep their paths from now on, so that writers on several goroutines only read them
	return &layout{
		root: root, columns: len(nodes), available: plan.AvailableAt,
		plain:   file.WithWriterProps(parquet.NewWriterProperties(properties...)),
		indexed: file.WithWriterProps(parquet.NewWriterProperties(append(properties, parquet.WithDictionaryFor("cell", true), parquet.WithDictionaryFor("h3", true))...)),
	}, nil
}

func logical(name string, l schema.LogicalType, physical parquet.Type) schema.Node {
	return schema.MustPrimitive(schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Required, l, physical, 0, -1))
}

// encoder makes files of rows, one after another, in memory of its own.
type encoder struct {
	layout *layout
	out    bytes.Buffer

	places  cellDictionary
	indexed bool // whether the cells of this file are written by their dictionary
	times   dictionary[int64]
	numbers dictionary[int32]

	// Scratch. In the first two all values are equal.
	trues  []bool
	levels []int16
	mixed  []int16
	ints   []int64
	floats []float64
	digits []byte
	texts  []parquet.ByteArray // slices of digits
}

// encode makes a file of blocks in their order. It stays until the next call.
func (e *encoder) encode(blocks []*stream.Rows) ([]byte, error) {
	e.out.Reset()
	groups := rowGroups(blocks)
	properties := e.layout.plain
	if e.indexed = e.places.fill(groups[0], seldom); e.indexed {
		properties = e.layout.indexed
	}
	writer, err := file.NewParquetWriterWithError(&e.out, e.layout.root, properties)
	if err != nil {
		return nil, err
	}
	for i, group := range groups {
		if e.indexed && i > 0 {
			e.places.fill(group, 0)
		}
		if err := e.group(writer, group); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return e.out.Bytes(), nil
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

// group writes blocks as one row group.
func (e *encoder) group(writer *file.Writer, blocks []*stream.Rows) error {
	group, err := writer.AppendRowGroupChecked()
	if err != nil {
		return err
	}
	for i := range e.layout.columns {
		chunk, err := group.NextColumn()
		if err != nil {
			return err
		}
		if err := e.chunk(i, chunk, blocks); err != nil {
			return err
		}
	}
	return group.Close()
}
