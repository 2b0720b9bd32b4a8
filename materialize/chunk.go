package materialize

import (
	"encoding/binary"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/metadata"
)

// chunk is a column of a row group while its pages are appended to a file: a dictionary
// page where the column has one, then one data page.
type chunk struct {
	meta       *metadata.ColumnChunkMetaDataBuilder
	rows       int
	dictionary int64            // where its page begins; 0: there is none
	data       int64            // where the data page begins
	encoding   parquet.Encoding // of the data page
	raw        int64            // bytes of the pages before they are compressed, with their headers
}

// Types of Thrift's compact protocol, in which Parquet's page headers are written.
const (
	thriftInteger = 5
	thriftStruct  = 12
)

// Fields of a page's header (parquet.thrift, PageHeader).
const (
	pageData       = 0 // its type
	pageDictionary = 2
	fieldData      = 5
	fieldIndexed   = 7 // of a dictionary page
)

// appendInteger appends the next field of a Thrift struct, a number.
func appendInteger(out []byte, v int) []byte {
	return binary.AppendVarint(append(out, 1<<4|thriftInteger), int64(v))
}

// appendPage appends a page: how many values it has, their encoding, the page's size
// before it was compressed, and its content.
func (c *chunk) appendPage(out []byte, kind, values int, encoding parquet.Encoding, raw int, content []byte) []byte {
	start := len(out)
	out = appendInteger(out, kind)
	out = appendInteger(out, raw)
	out = appendInteger(out, len(content)) // field 3
	if kind == pageDictionary {
		out = append(out, (fieldIndexed-3)<<4|thriftStruct)
		out = appendInteger(out, values)
		out = appendInteger(out, int(encoding))
	} else {
		out = append(out, (fieldData-3)<<4|thriftStruct)
		out = appendInteger(out, values)
		out = appendInteger(out, int(encoding))
		out = appendInteger(out, int(parquet.Encodings.RLE)) // of definition and
		out = appendInteger(out, int(parquet.Encodings.RLE)) // repetition levels
	}
	out = append(out, 0, 0) // the ends of both structs
	c.raw += int64(len(out) - start + raw)
	return append(out, content...)
}

// appendDictionary appends the page of the distinct values.
func (c *chunk) appendDictionary(out []byte, values, raw int, content []byte) []byte {
	c.dictionary = int64(len(out))
	return c.appendPage(out, pageDictionary, values, parquet.Encodings.Plain, raw, content)
}

// appendData appends the page of all rows.
func (c *chunk) appendData(out []byte, encoding parquet.Encoding, raw int, content []byte) []byte {
	c.data, c.encoding = int64(len(out)), encoding
	return c.appendPage(out, pageData, c.rows, encoding, raw, content)
}

// bounds says what values the chunk has, for readers to leave it out by.
func (c *chunk) bounds(least, most int64) {
	var s metadata.EncodedStatistics
	s.SetMin(binary.LittleEndian.AppendUint64(nil, uint64(least)))
	s.SetMax(binary.LittleEndian.AppendUint64(nil, uint64(most)))
	s.SetNullCount(0)
	c.meta.SetStats(s)
}

// finish completes the chunk's description; the file ends with its last page.
func (c *chunk) finish(out []byte) error {
	stats := metadata.EncodingStats{DataEncodingStats: map[parquet.Encoding]int32{c.encoding: 1}}
	start := c.data
	if c.dictionary > 0 {
		stats.DictEncodingStats = map[parquet.Encoding]int32{parquet.Encodings.Plain: 1}
		start = c.dictionary
	}
	return c.meta.Finish(metadata.ChunkMetaInfo{
		NumValues: int64(c.rows), DictPageOffset: c.dictionary, IndexPageOffset: -1, DataPageOffset: c.data,
		CompressedSize: int64(len(out)) - start, UncompressedSize: c.raw,
	}, c.dictionary > 0, false, stats)
}
