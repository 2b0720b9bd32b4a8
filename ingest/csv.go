package ingest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hextide/hextide/stream"
)

// frame is where the first record of some text ends.
type frame struct {
	end  int  // of the record, without its line end
	next int  // where the text goes on
	more bool // the record may go on behind the text; end and next mean nothing
}

// csvFrame finds the first record of data, which is not empty. A quoted field
// may hold line ends; a record whose quoting is wrong, or that is not over within
// limit bytes, ends at its first line end, so that one stray quote costs one line.
// final: nothing follows data. What is found does not depend on how much of the
// text behind the record data holds, so blocks may be cut anywhere.
func csvFrame(data []byte, limit int, final bool) frame {
	line := bytes.IndexByte(data, '\n')
	if line < 0 {
		if !final {
			return frame{more: true}
		}
		return frame{end: withoutCR(data), next: len(data)}
	}
	plainLine := frame{end: withoutCR(data[:line]), next: line + 1}
	quote := bytes.IndexByte(data[:line], '"')
	if quote < 0 {
		return plainLine
	}
	// The field that the first quote is in starts behind the last comma before it.
	at := bytes.LastIndexByte(data[:quote], ',') + 1
	for at < len(data) {
		end, more := fieldEnd(data, at, limit, final)
		switch {
		case more:
			return frame{more: true}
		case end < 0:
			return plainLine
		case end == len(data):
			return frame{end: withoutCR(data), next: end, more: !final}
		case data[end] == '\n':
			return frame{end: withoutCR(data[:end]), next: end + 1}
		}
		at = end + 1 // behind the comma
	}
	return frame{end: at, next: at, more: !final}
}

// fieldEnd is where the comma or line end behind the field that starts at from
// is, or the end of data; -1: the field's quoting is wrong, or it is not over
// within limit bytes of data.
func fieldEnd(data []byte, from, limit int, final bool) (end int, more bool) {
	if data[from] != '"' {
		n := bytes.IndexAny(data[from:], ",\n\"")
		switch {
		case n < 0 && len(data) > limit || n >= 0 && from+n > limit:
			return -1, false
		case n < 0:
			return len(data), !final
		case data[from+n] == '"':
			return -1, false
		}
		return from + n, false
	}
	closed, more := closingQuote(data, from+1, limit, final)
	if more || closed < 0 {
		return -1, more
	}
	end = closed + 1
	if end < len(data) && data[end] == '\r' && (end+1 == len(data) || data[end+1] == '\n') {
		end++
	}
	if end == len(data) {
		return end, !final
	}
	if data[end] != ',' && data[end] != '\n' {
		return -1, false
	}
	return end, false
}

// closingQuote finds the quote that ends a quoted field whose text starts at
// from; -1: there is none within limit bytes of data, so none counts.
func closingQuote(data []byte, from, limit int, final bool) (at int, more bool) {
	for at = from; at < len(data) && at <= limit; at++ {
		n := bytes.IndexByte(data[at:], '"')
		if n < 0 {
			break
		}
		at += n
		if at > limit {
			return -1, false
		}
		if at+1 == len(data) && !final {
			return 0, true // a doubled quote, perhaps
		}
		if at+1 == len(data) || data[at+1] != '"' {
			return at, false
		}
		at++
	}
	return -1, !final && len(data) <= limit
}

// withoutCR is the length of a line without a carriage return at its end.
func withoutCR(line []byte) int {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return n - 1
	}
	return len(line)
}

// csvCodec decodes csv records.
type csvCodec struct {
	decoder
	wanted  []int // of each column, the value that it is; -1: none
	values  []value
	scratch []byte // fields whose quotes are undoubled
}

func newCSVCodec(s *Schema, columns []string, maxRecord int) (*csvCodec, error) {
	c := &csvCodec{decoder: newDecoder(s, maxRecord), wanted: make([]int, len(columns))}
	for i := range c.wanted {
		c.wanted[i] = -1
	}
	names := s.Columns()
	c.values = make([]value, len(names))
	for i, name := range names {
		found := false
		for j, have := range columns {
			if have != name {
				continue
			}
			if found {
				return nil, fmt.Errorf("column %q is there twice", name)
			}
			c.wanted[j], found = i, true
		}
		if !found {
			others := slices.DeleteFunc(slices.Clone(columns), func(have string) bool { return slices.Contains(names, have) })
			return nil, &MissingColumnError{Path: "the input", Column: name, Near: near(name, others), Have: columns}
		}
	}
	return c, nil
}

// csvHeader gives the names of a header record.
func csvHeader(record []byte) ([]string, error) {
	c := &csvCodec{}
	var names []string
	if bytes.IndexByte(record, '"') < 0 {
		for _, name := range strings.Split(string(record), ",") {
			names = append(names, strings.TrimSpace(name))
		}
		return names, nil
	}
	for at := 0; at <= len(record); {
		text, next, ok := c.field(record, at)
		if !ok {
			return nil, fmt.Errorf("the header's quoting is wrong")
		}
		names = append(names, strings.TrimSpace(string(text)))
		at = next
	}
	return names, nil
}

// Append implements Codec.
func (c *csvCodec) Append(b *stream.Batch, record []byte) {
	count, ok := 0, len(record) > 0 && len(record) <= c.max
	if ok {
		count, ok = c.split(record)
	}
	switch {
	case !ok || count > len(c.wanted):
		c.reject(b, stream.BadSyntax)
	case count < len(c.wanted):
		c.reject(b, stream.MissingField)
	default:
		c.row(b, c.values)
	}
}

// split finds the record's values and counts its columns.
func (c *csvCodec) split(record []byte) (int, bool) {
	if bytes.IndexByte(record, '"') >= 0 {
		return c.splitQuoted(record)
	}
	column := 0
	for {
		n := bytes.IndexByte(record, ',')
		field := record
		if n >= 0 {
			field = record[:n]
		}
		if column < len(c.wanted) {
			if to := c.wanted[column]; to >= 0 {
				c.values[to] = value{text: field, form: scalar}
			}
		}
		column++
		if n < 0 {
			return column, true
		}
		record = record[n+1:]
	}
}

// splitQuoted is split for a record with a quote in it.
func (c *csvCodec) splitQuoted(record []byte) (int, bool) {
	c.scratch = c.scratch[:0]
	column := 0
	for at := 0; at <= len(record); column++ {
		text, next, ok := c.field(record, at)
		if !ok {
			return column, false
		}
		if column < len(c.wanted) {
			if to := c.wanted[column]; to >= 0 {
				c.values[to] = value{text: text, form: scalar}
			}
		}
		at = next
	}
	return column, true
}

// field reads the field that starts at at; next is where the one behind it
// starts, beyond the record's end where there is none.
func (c *csvCodec) field(record []byte, at int) (text []byte, next int, ok bool) {
	if at == len(record) || record[at] != '"' {
		end := bytes.IndexByte(record[at:], ',')
		if end < 0 {
			end = len(record)
		} else {
			end += at
		}
		text = record[at:end]
		return text, end + 1, bytes.IndexByte(text, '"') < 0
	}
	closed, _ := closingQuote(record, at+1, len(record), true)
	if closed < 0 || closed+1 < len(record) && record[closed+1] != ',' {
		return nil, 0, false
	}
	text = record[at+1 : closed]
	if bytes.IndexByte(text, '"') < 0 {
		return text, closed + 2, true
	}
	start := len(c.scratch)
	for i := 0; i < len(text); i++ {
		c.scratch = append(c.scratch, text[i])
		if text[i] == '"' {
			i++ // the second of a pair
		}
	}
	return c.scratch[start:], closed + 2, true
}

// appendCSV adds a field to a csv line, in quotes where it needs them.
func appendCSV(line, field []byte) []byte {
	if !bytes.ContainsAny(field, ",\"\r\n") {
		return append(line, field...)
	}
	line = append(line, '"')
	for _, ch := range field {
		if ch == '"' {
			line = append(line, '"')
		}
		line = append(line, ch)
	}
	return append(line, '"')
}

// canonical rewrites csv records of one file so that their columns are those of
// Schema.Columns.
type canonical struct {
	from, to *csvCodec
	line     []byte
}

func newCanonical(s *Schema, columns []string, maxRecord int) (*canonical, error) {
	if columns == nil {
		columns = s.Columns()
	}
	from, err := newCSVCodec(s, columns, maxRecord)
	if err != nil {
		return nil, err
	}
	to, err := newCSVCodec(s, s.Columns(), maxRecord)
	if err != nil {
		return nil, err
	}
	return &canonical{from: from, to: to}, nil
}

// of is the canonical line of a record; valid until the next call. What is a
// dead letter in the file is one as a line too, for the same reason: a record
// that does not parse stays as it is, with commas behind it where it would parse
// as a canonical one, and one with columns missing has one missing still.
func (c *canonical) of(record []byte) []byte {
	clear(c.from.values)
	c.line = c.line[:0]
	count, ok := 0, len(record) <= c.from.max
	if ok {
		count, ok = c.from.split(record)
	}
	have, want := len(c.from.wanted), len(c.to.wanted)
	if !ok || count > have {
		c.line = append(c.line, record...)
		if count, ok := c.to.split(record); ok && count <= want {
			for range want {
				c.line = append(c.line, ',')
			}
		}
		return c.line
	}
	if count < have {
		if count < want {
			return append(c.line, record...)
		}
		want--
	}
	for i, v := range c.from.values[:want] {
		if i > 0 {
			c.line = append(c.line, ',')
		}
		c.line = appendCSV(c.line, v.text)
	}
	return c.line
}
