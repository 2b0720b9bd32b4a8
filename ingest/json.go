package ingest

import (
	"unicode/utf8"

	"github.com/hextide/hextide/stream"
)

// jsonCodec decodes json objects. What is a valid record is what encoding/json
// takes for an object, and its bytes must be UTF-8.
type jsonCodec struct {
	decoder
	names   []string
	values  []value
	scratch []byte // strings whose escapes are resolved
}

func newJSONCodec(s *Schema, maxRecord int) *jsonCodec {
	names := s.Columns()
	return &jsonCodec{decoder: newDecoder(s, maxRecord), names: names, values: make([]value, len(names))}
}

// Append implements Codec.
func (c *jsonCodec) Append(b *stream.Batch, record []byte) {
	if len(record) > c.max || !utf8.Valid(record) || !c.object(record) {
		c.reject(b, stream.BadSyntax)
		return
	}
	c.row(b, c.values)
}

// object finds the values of the record's members and checks all of it.
func (c *jsonCodec) object(data []byte) bool {
	for i := range c.values {
		c.values[i] = value{}
	}
	c.scratch = c.scratch[:0]
	at := skipSpace(data, 0)
	if at == len(data) || data[at] != '{' {
		return false
	}
	at = skipSpace(data, at+1)
	if at < len(data) && data[at] == '}' {
		return skipSpace(data, at+1) == len(data)
	}
	hint := 0 // members mostly come in the same order
	for {
		key := at
		if at = scanKey(data, at); at < 0 {
			return false
		}
		to := c.find(data, key, hint)
		end := scanValue(data, at, 1)
		if end < 0 {
			return false
		}
		if to >= 0 {
			c.values[to] = c.value(data[at:end])
			hint = to + 1
		}
		at = skipSpace(data, end)
		switch {
		case at == len(data):
			return false
		case data[at] == '}':
			return skipSpace(data, at+1) == len(data)
		case data[at] != ',':
			return false
		}
		at = skipSpace(data, at+1)
	}
}

// find is the value that the member whose key's quote is at at is; -1: none.
func (c *jsonCodec) find(data []byte, at, hint int) int {
	end, escaped := scanString(data, at)
	key := data[at+1 : end-1]
	if escaped {
		start := len(c.scratch)
		c.scratch = unescape(c.scratch, key)
		key = c.scratch[start:]
	}
	if hint < len(c.names) && string(key) == c.names[hint] {
		return hint
	}
	for i, name := range c.names {
		if string(key) == name {
			return i
		}
	}
	return -1
}

// value is what a member's text, already checked, stands for.
func (c *jsonCodec) value(text []byte) value {
	switch text[0] {
	case 'n':
		return value{}
	case '{', '[':
		return value{form: composite}
	case '"':
		inside := text[1 : len(text)-1]
		for _, ch := range inside {
			if ch == '\\' {
				start := len(c.scratch)
				c.scratch = unescape(c.scratch, inside)
				return value{text: c.scratch[start:], form: scalar}
			}
		}
		return value{text: inside, form: scalar}
	}
	return value{text: text, form: scalar}
}
