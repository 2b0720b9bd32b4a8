package ingest

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// plainColumn is a column of a file, and what of a batch its values go into.
type plainColumn struct {
	form       plainForm
	scale      int // plainDecimal: digits behind the point that a value counts
	into       int // a field of the batch, or one of the places below
	number, of int // which column of how many it is
}

// The places that values go to beside the batch's fields.
const (
	intoTimes = -1 - iota
	intoLats
	intoLngs
	intoCells
)

// plainForm is how the text of a column is read.
type plainForm uint8

const (
	plainSkipped plainForm = iota // not read
	plainDecimal                  // to integers: the number times 10^scale
	plainFloat                    // to floats
	plainBool                     // to integers
	plainTime                     // to integers: a time of RFC 3339 in µs
	plainCell                     // to cells
	plainString                   // to strings
)

// read appends the column's values in so many records, whose fields end at ends,
// and returns how many of them are plain; what it appends behind them means
// nothing.
func (c *plainColumn) read(b *stream.Batch, data []byte, ends []uint32, records int) int {
	switch c.form {
	case plainSkipped:
		return c.skip(data, ends, records)
	case plainDecimal:
		return c.readDecimals(c.intsOf(b), data, ends, records)
	case plainFloat:
		return c.readFloats(c.floatsOf(b), data, ends, records)
	case plainString:
		return c.readStrings(b, data, ends, records)
	}
	return c.readTexts(b, data, ends, records)
}

// keep makes the column n values long.
func (c *plainColumn) keep(b *stream.Batch, n int) {
	switch c.form {
	case plainSkipped:
	case plainFloat:
		to := c.floatsOf(b)
		*to = (*to)[:n]
	case plainCell:
		b.Cells = b.Cells[:n]
	case plainString:
		to := &b.Fields[c.into].Strings
		end := uint32(0)
		if n > 0 {
			end = to.Ends[n-1]
		}
		to.Ends, to.Bytes = to.Ends[:n], to.Bytes[:end]
	default:
		to := c.intsOf(b)
		*to = (*to)[:n]
	}
}

func (c *plainColumn) intsOf(b *stream.Batch) *[]int64 {
	if c.into == intoTimes {
		return &b.Times
	}
	return &b.Fields[c.into].Ints
}

func (c *plainColumn) floatsOf(b *stream.Batch) *[]float64 {
	switch c.into {
	case intoLats:
		return &b.Lats
	case intoLngs:
		return &b.Lngs
	}
	return &b.Fields[c.into].Floats
}

// more makes a slice n elements longer and returns those.
func more[T any](s *[]T, n int) []T {
	have := len(*s)
	*s = slices.Grow(*s, n)[:have+n]
	return (*s)[have:]
}

// field is where the column's text lies in a record; not ok: another column ends there.
func (c *plainColumn) field(data []byte, ends []uint32, record int) (start, end int, ok bool) {
	at := record*c.of + c.number
	start, end = int(ends[at]+1), int(ends[at+1])
	if c.number+1 < c.of {
		return start, end, data[end] == ','
	}
	ok = data[end] == '\n'
	if end > start && data[end-1] == '\r' {
		end--
	}
	return start, end, ok
}

func (c *plainColumn) skip(data []byte, ends []uint32, records int) int {
	for i := range records {
		if _, _, ok := c.field(data, ends, i); !ok {
			return i
		}
	}
	return records
}

// readDecimals reads numbers times 10^scale. What it does not read is rounded, may
// be no int64, or is no number.
func (c *plainColumn) readDecimals(into *[]int64, data []byte, ends []uint32, records int) int {
	to := more(into, records)
	unit := power10[c.scale]
	for i := range to {
		start, end, ok := c.field(data, ends, i)
		if !ok {
			return i
		}
		if digit := data[start] - '0'; digit < 10 && end == start+1 {
			to[i] = int64(digit) * unit
			continue
		}
		if mantissa, ok := wholeNumber(data[start:], end-start); ok && end-start+c.scale <= 18 {
			to[i] = int64(mantissa) * unit
			continue
		}
		n := anyNumber(data[start:])
		if n.digits == 0 || n.end != end-start || n.fraction > c.scale || n.digits+c.scale-n.fraction > 18 {
			return i
		}
		to[i] = n.mantissa * power10[c.scale-n.fraction]
	}
	return records
}

// readFloats reads numbers of up to 15 digits to the nearest float64, as
// parseFloat does.
func (c *plainColumn) readFloats(into *[]float64, data []byte, ends []uint32, records int) int {
	to := more(into, records)
	whole := 2 // digits before the point of the number before
	for i := range to {
		start, end, ok := c.field(data, ends, i)
		if !ok {
			return i
		}
		text, n := data[start:], end-start
		negative := text[0] == '-'
		if negative {
			text, n = text[1:], n-1
		}
		if mantissa, ok := pointNumber(text, n, whole); ok {
			value := float64(int64(mantissa)) / floatPower10[(n-1-whole)&15]
			if negative {
				value = -value // a minus zero too
			}
			to[i] = value
			continue
		}
		number := anyNumber(text)
		if number.digits == 0 || number.digits > 15 || number.end != n || text[0] == '-' {
			return i
		}
		whole = number.digits - number.fraction
		to[i] = float64(number.mantissa) / floatPower10[number.fraction]
		if negative {
			to[i] = -to[i]
		}
	}
	return records
}

// readStrings copies texts that are not empty, 8 bytes at a time, so that some
// bytes behind each are copied too, over which the next is.
func (c *plainColumn) readStrings(b *stream.Batch, data []byte, ends []uint32, records int) int {
	into := &b.Fields[c.into].Strings
	to := len(into.Bytes)
	arena := into.Bytes[:cap(into.Bytes)]
	textEnds := more(&into.Ends, records)
	for i := range textEnds {
		start, end, ok := c.field(data, ends, i)
		if !ok || start == end {
			records = i
			break
		}
		if to+end-start+8 > len(arena) {
			arena = slices.Grow(arena, end-start+8)
			arena = arena[:cap(arena)]
		}
		wide := uint64(0)
		for at := start; at < end; at += 8 {
			word := binary.LittleEndian.Uint64(data[at:])
			binary.LittleEndian.PutUint64(arena[to+at-start:], word)
			wide |= word
		}
		if wide&highBits != 0 && !utf8.Valid(data[start:end]) {
			records = i
			break
		}
		to += end - start
		textEnds[i] = uint32(to)
	}
	into.Bytes = arena
	return records
}

// readTexts reads booleans, times and cells.
func (c *plainColumn) readTexts(b *stream.Batch, data []byte, ends []uint32, records int) int {
	var ints []int64
	var cells []geo.Cell
	if c.form == plainCell {
		cells = more(&b.Cells, records)
	} else {
		ints = more(c.intsOf(b), records)
	}
	for i := range records {
		start, end, ok := c.field(data, ends, i)
		if !ok {
			return i
		}
		text := data[start:end]
		switch c.form {
		case plainBool:
			n, err := parseBool(text)
			ints[i], ok = n, err == nil
		case plainTime:
			ints[i], ok = parseRFC3339(text)
		case plainCell:
			cell, reason := parseCell(value{text: text, form: scalar})
			cells[i], ok = cell, reason == stream.Accepted
		}
		if !ok {
			return i
		}
	}
	return records
}
