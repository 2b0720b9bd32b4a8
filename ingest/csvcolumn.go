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
// nothing. So many are expected until the batch is full.
func (c *plainColumn) read(b *stream.Batch, data []byte, ends []uint32, records, expected int) int {
	switch c.form {
	case plainSkipped:
		return c.skip(data, ends, records)
	case plainDecimal:
		return c.readDecimals(more(c.intsOf(b), records, expected), data, ends)
	case plainFloat:
		return c.readFloats(more(c.floatsOf(b), records, expected), data, ends)
	case plainString:
		return c.readStrings(b, data, ends, records, expected)
	}
	return c.readTexts(b, data, ends, records, expected)
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

// more makes a slice n elements longer and returns those. Where it must grow, there
// is room for so many as are expected.
func more[T any](s *[]T, n, expected int) []T {
	have := len(*s)
	if cap(*s)-have < n {
		*s = slices.Grow(*s, max(n, expected))
	}
	*s = (*s)[:have+n]
	return (*s)[have:]
}

// field is where the text of a column lies whose end is at a place of ends; not ok:
// another column ends there.
func field(data []byte, ends []uint32, at int, last bool) (start, end int, ok bool) {
	start, end = int(ends[at]+1), int(ends[at+1])
	if !last {
		return start, end, data[end] == ','
	}
	ok = data[end] == '\n'
	if end > start && data[end-1] == '\r' {
		end--
	}
	return start, end, ok
}

func (c *plainColumn) skip(data []byte, ends []uint32, records int) int {
	at, step, last := c.number, c.of, c.number+1 == c.of
	for i := range records {
		if _, _, ok := field(data, ends, at, last); !ok {
			return i
		}
		at += step
	}
	return records
}

// readDecimals reads numbers times 10^scale. What it does not read is rounded, may
// be no int64, or is no number.
func (c *plainColumn) readDecimals(to []int64, data []byte, ends []uint32) int {
	at, step, last := c.number, c.of, c.number+1 == c.of
	unit, longest := power10[c.scale], 18-c.scale
	for i := range to {
		start, end, ok := field(data, ends, at, last)
		if !ok {
			return i
		}
		at += step
		n := end - start
		if digit := data[start] - '0'; n == 1 && digit < 10 {
			to[i] = int64(digit) * unit
			continue
		}
		text := data[start : start+window : start+window]
		if 0 < n && n <= min(8, longest) {
			if mantissa, ok := fewDigits(text, n); ok {
				to[i] = int64(mantissa) * unit
				continue
			}
		} else if 8 < n && n <= min(16, longest) {
			high, ok := fewDigits(text, n-8)
			low, all := fewDigits(text[n-8:], 8)
			if ok && all {
				to[i] = int64(high*1e8+low) * unit
				continue
			}
		}
		number := anyNumber(text)
		if number.digits == 0 || number.end != n || number.fraction > c.scale || number.digits-number.fraction > longest {
			return i
		}
		to[i] = number.mantissa * power10[c.scale-number.fraction]
	}
	return len(to)
}

// readFloats reads numbers of up to 15 digits to the nearest float64, as
// parseFloat does.
func (c *plainColumn) readFloats(to []float64, data []byte, ends []uint32) int {
	at, step, last := c.number, c.of, c.number+1 == c.of
	whole := 2 // digits before the point of the number before
	for i := range to {
		start, end, ok := field(data, ends, at, last)
		if !ok {
			return i
		}
		at += step
		sign := 1.0
		if data[start] == '-' {
			sign = -1
			start++
		}
		n := end - start
		text := data[start : start+window : start+window]
		if whole+1 < n && n <= 9 && text[whole&7] == '.' {
			// The digits before the point and those behind it are moved together.
			before := uint64(1)<<(8*whole&63) - 1
			x := binary.LittleEndian.Uint64(text)&before | binary.LittleEndian.Uint64(text[1:])&^before
			x = (x ^ lowBits*'0') << ((72 - 8*n) & 63)
			if noDigits(x) == 0 {
				to[i] = float64(int64(joined(x))) / (sign * floatPower10[(n-1-whole)&15])
				continue
			}
		}
		number := anyNumber(text)
		if number.digits == 0 || number.digits > 15 || number.end != n || text[0] == '-' {
			return i
		}
		whole = number.digits - number.fraction
		to[i] = float64(number.mantissa) / (sign * floatPower10[number.fraction]) // minus zero too
	}
	return len(to)
}

// readStrings copies texts that are not empty, 8 bytes at a time, so that some
// bytes behind each are copied too, over which the next is.
func (c *plainColumn) readStrings(b *stream.Batch, data []byte, ends []uint32, records, expected int) int {
	into := &b.Fields[c.into].Strings
	to := len(into.Bytes)
	arena := into.Bytes[:cap(into.Bytes)]
	textEnds := more(&into.Ends, records, expected)
	at, step, last := c.number, c.of, c.number+1 == c.of
	for i := range textEnds {
		start, end, ok := field(data, ends, at, last)
		at += step
		if !ok || start == end {
			records = i
			break
		}
		if to+end-start+8 > len(arena) {
			arena = slices.Grow(arena, end-start+8)
			arena = arena[:cap(arena)]
		}
		wide := uint64(0)
		for from, to := start, to; from < end; from, to = from+8, to+8 {
			word := binary.LittleEndian.Uint64(data[from : from+8 : from+8])
			binary.LittleEndian.PutUint64(arena[to:to+8:to+8], word)
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
func (c *plainColumn) readTexts(b *stream.Batch, data []byte, ends []uint32, records, expected int) int {
	var ints []int64
	var cells []geo.Cell
	if c.form == plainCell {
		cells = more(&b.Cells, records, expected)
	} else {
		ints = more(c.intsOf(b), records, expected)
	}
	at, step, last := c.number, c.of, c.number+1 == c.of
	for i := range records {
		start, end, ok := field(data, ends, at, last)
		at += step
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
