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
	writer    []file.WriteOption
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
		parquet.WithVersion(parquet.V2_6), parquet.WithDataPageVersion(parquet.DataPageV1),
		parquet.WithEncodingFor("cell", parquet.Encodings.DeltaBinaryPacked),
		parquet.WithEncodingFor("h3", parquet.Encodings.DeltaByteArray),
	}
	for _, name := range []string{"window_end", "available_at", "revision", "resolution"} { // long runs: a few bytes for 128 rows, not worth a compressor's start
		properties = append(properties, parquet.WithEncodingFor(name, parquet.Encodings.DeltaBinaryPacked), parquet.WithCompressionFor(name, compress.Codecs.Uncompressed))
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
		writer: []file.WriteOption{file.WithWriterProps(parquet.NewWriterProperties(properties...))},
	}, nil
}

func logical(name string, l schema.LogicalType, physical parquet.Type) schema.Node {
	return schema.MustPrimitive(schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Required, l, physical, 0, -1))
}

// encoder makes files of rows, one after another, in memory of its own.
type encoder struct {
	layout *layout
	out    bytes.Buffer

	// Scratch. In the first four all values are equal.
	stamps []int64
	shorts []int32
	flags  []bool
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
	writer, err := file.NewParquetWriterWithError(&e.out, e.layout.root, e.layout.writer...)
	if err != nil {
		return nil, err
	}
	for len(blocks) > 0 {
		n, rows := 0, 0
		for n < len(blocks) && rows < groupRows {
			rows += len(blocks[n].Cells)
			n++
		}
		if err := e.group(writer, blocks[:n]); err != nil {
			return nil, err
		}
		blocks = blocks[n:]
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return e.out.Bytes(), nil
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
