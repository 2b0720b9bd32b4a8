package materialize

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"golang.org/x/sync/errgroup"
)

// groupRows is when a row group is full: large enough to compress well, small
// enough that the blocks waiting for it fit in memory many times.
const groupRows = 64 << 10

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
	for _, name := range []string{"window_end", "available_at", "revision", "resolution"} {
		properties = append(properties, parquet.WithDictionaryFor(name, true))
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
	return &layout{
		root: root, columns: len(nodes), available: plan.AvailableAt,
		writer: []file.WriteOption{file.WithWriterProps(parquet.NewWriterProperties(properties...))},
	}, nil
}

func logical(name string, l schema.LogicalType, physical parquet.Type) schema.Node {
	return schema.MustPrimitive(schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Required, l, physical, 0, -1))
}

// part is one Parquet file being written.
type part struct {
	path   string // relative to the snapshot
	layout *layout
	out    *os.File
	sum    hash.Hash
	writer *file.Writer
	blocks []*stream.Rows // of the row group to come, retained
	rows   int            // in blocks
	total  int64
}

// newPart creates a file; its folder is made where it is missing.
func newPart(dir, path string, l *layout) (*part, error) {
	full := filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return nil, err
	}
	out, err := os.Create(full)
	if err != nil {
		return nil, err
	}
	p := &part{path: path, layout: l, out: out, sum: sha256.New()}
	if p.writer, err = file.NewParquetWriterWithError(io.MultiWriter(out, p.sum), l.root, l.writer...); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return p, nil
}

// add takes over one ownership of a block.
func (p *part) add(rows *stream.Rows) error {
	p.blocks = append(p.blocks, rows)
	p.rows += len(rows.Cells)
	if p.rows >= groupRows {
		return p.flush()
	}
	return nil
}

// flush writes the blocks as one row group, its columns side by side.
func (p *part) flush() error {
	if p.rows == 0 {
		return nil
	}
	group, err := p.writer.AppendBufferedRowGroupChecked()
	if err != nil {
		return err
	}
	var columns errgroup.Group
	columns.SetLimit(runtime.GOMAXPROCS(0))
	for i := range p.layout.columns {
		chunk, err := group.Column(i)
		if err != nil {
			return err
		}
		columns.Go(func() error { return p.chunk(i, chunk) })
	}
	if err := columns.Wait(); err != nil {
		return err
	}
	p.total += int64(p.rows)
	p.release()
	return group.Close()
}

func (p *part) release() {
	for _, b := range p.blocks {
		b.Release()
	}
	p.blocks, p.rows = p.blocks[:0], 0
}

// close ends the file and makes it durable.
func (p *part) close() (Part, error) {
	if err := p.flush(); err != nil {
		return Part{}, err
	}
	if err := p.writer.Close(); err != nil {
		return Part{}, err
	}
	info, err := p.out.Stat()
	if err != nil {
		return Part{}, err
	}
	if err := p.out.Sync(); err != nil {
		return Part{}, err
	}
	if err := p.out.Close(); err != nil {
		return Part{}, err
	}
	return Part{Path: filepath.ToSlash(p.path), Rows: p.total, Bytes: info.Size(), SHA256: hex.EncodeToString(p.sum.Sum(nil))}, nil
}

// abandon gives a file up after an error.
func (p *part) abandon() {
	p.release()
	_ = p.out.Close() // it is not listed anywhere: whatever it holds does not count
}
