package materialize

import (
	"encoding/binary"

	"github.com/apache/arrow-go/v18/parquet"
)

// chunk is a column of a row group while its pages are appended to a file: a dictionary
// page where the column has one, then one data page.
type chunk struct {
	node       *node
	rows       int
	dictionary int              // where its page begins; 0: there is none
	data       int              // where the data page begins
	encoding   parquet.Encoding // of the data page
	raw        int              // bytes of the pages before they are compressed, with their headers
	bounded    bool
	least      int64 // where it is bounded, for readers to leave it out by
	most       int64
}

// Types of pages (parquet.thrift, PageType).
const (
	pageData       = 0
	pageDictionary = 2
)

// appendPage appends a page (PageHeader): how many values it has, their encoding, its
// size before it was compressed, and its content.
func (c *chunk) appendPage(out []byte, kind, values int, encoding parquet.Encoding, raw int, content []byte) []byte {
	header := record{out: out}
	header.number(1, kind)
	header.number(2, raw)
	header.number(3, len(content))
	about := 5 // DataPageHeader
	if kind == pageDictionary {
		about = 7 // DictionaryPageHeader
	}
	header.open(about)
	header.number(1, values)
	header.number(2, int(encoding))
	if kind == pageData {
		header.number(3, int(parquet.Encodings.RLE)) // of definition and
		header.number(4, int(parquet.Encodings.RLE)) // repetition levels
	}
	header.close(about)
	header.close(0)
	c.raw += len(header.out) - len(out) + raw
	return append(header.out, content...)
}

// appendDictionary appends the page of the distinct values.
func (c *chunk) appendDictionary(out []byte, values, raw int, content []byte) []byte {
	c.dictionary = len(out)
	return c.appendPage(out, pageDictionary, values, parquet.Encodings.Plain, raw, content)
}

// appendData appends the page of all rows.
func (c *chunk) appendData(out []byte, encoding parquet.Encoding, raw int, content []byte) []byte {
	c.data, c.encoding = len(out), encoding
	return c.appendPage(out, pageData, c.rows, encoding, raw, content)
}

// bounds says between which values the chunk's lie.
func (c *chunk) bounds(least, most int64) { c.bounded, c.least, c.most = true, least, most }

// start is where the chunk's first page begins.
func (c *chunk) start() int {
	if c.dictionary > 0 {
		return c.dictionary
	}
	return c.data
}

// describe writes what a footer says of the chunk (ColumnChunk), whose last page ends
// at a place in the file.
func (c *chunk) describe(r *record, end int) {
	r.last = 0
	r.long(2, int64(c.start()))
	r.open(3) // ColumnMetaData
	r.number(1, int(c.node.physical))
	encodings := []parquet.Encoding{c.encoding, parquet.Encodings.RLE}
	if c.dictionary > 0 {
		encodings = append(encodings, parquet.Encodings.Plain)
	}
	r.list(2, thriftNumber, len(encodings))
	for _, e := range encodings {
		r.out = binary.AppendVarint(r.out, int64(e))
	}
	r.list(3, thriftBytes, 1)
	r.text(c.node.name)
	r.number(4, int(c.node.codec))
	r.long(5, int64(c.rows))
	r.long(6, int64(c.raw))
	r.long(7, int64(end-c.start()))
	r.long(9, int64(c.data))
	if c.dictionary > 0 {
		r.long(11, int64(c.dictionary))
	}
	if c.bounded {
		var b [8]byte
		r.open(12) // Statistics
		r.long(3, 0)
		binary.LittleEndian.PutUint64(b[:], uint64(c.most))
		r.bytes(5, b[:])
		binary.LittleEndian.PutUint64(b[:], uint64(c.least))
		r.bytes(6, b[:])
		r.close(12)
	}
	c.describePages(r)
	r.close(3)
	r.close(0)
}

// describePages writes how many pages of each type there are (PageEncodingStats).
func (c *chunk) describePages(r *record) {
	page := func(kind int, encoding parquet.Encoding) {
		r.last = 0
		r.number(1, kind)
		r.number(2, int(encoding))
		r.number(3, 1)
		r.close(13)
	}
	if c.dictionary > 0 {
		r.list(13, thriftStruct, 2)
		page(pageDictionary, parquet.Encodings.Plain)
	} else {
		r.list(13, thriftStruct, 1)
	}
	page(pageData, c.encoding)
}
