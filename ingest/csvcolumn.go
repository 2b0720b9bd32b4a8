package ingest

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// plainColumn is a column of a file, and what of a batch its values go into.
type plainColumn struct {
	form  plainForm
	scale int  // plainDecimal: digits behind the point that a value counts
	into  int  // a field of the batch, or one of the places below
	last  bool // it is the file's last
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

// read appends the column's values in so many records, and returns how many of
// them are plain; what it appends behind them means nothing. So many are expected
// until the batch is full.
func (c *plainColumn) read(b *stream.Batch, r *plainRecords, records, expected int) int {
	switch c.form {
	case plainSkipped:
		records = c.skip(r, records)
	case plainDecimal:
		records = c.readDecimals(more(c.intsOf(b), records, expected), r)
	case plainFloat:
		records = c.readFloats(more(c.floatsOf(b), records, expected), r)
	case plainString:
		into := &b.Fields[c.into].Strings
		records = c.readStrings(more(&into.Ends, records, expected), &into.Bytes, r)
	default:
		records = c.readTexts(b, r, records, expected)
	}
	if !c.last {
		return records
	}
	for i, line := range r.lines[:records] {
		if r.at[i] != line.end+1 {
			return i
		}
	}
	return records
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

// mark is the byte behind a field, in nearly all records.
func (c *plainColumn) mark(r *plainRecords) byte {
	if c.last {
		return r.data[r.lines[0].end]
	}
	return ','
}

// closes makes the field behind a place of record i the next. It tells whether one
// ends there.
func (c *plainColumn) closes(r *plainRecords, i, end int) bool {
	r.at[i] = uint32(end + 1)
	return c.last || r.data[end] == ','
}

// field is where the next field of record i lies, and makes the one behind it the
// next. Not ok: there are fewer or more.
func (c *plainColumn) field(r *plainRecords, i int) (start, end int, ok bool) {
	start, end = int(r.at[i]), int(r.lines[i].end)
	n := bytes.IndexByte(r.data[start:end], ',')
	if n >= 0 {
		end = start + n
	}
	r.at[i] = uint32(end + 1)
	return start, end, c.last == (n < 0)
}

func (c *plainColumn) skip(r *plainRecords, records int) int {
	for i := range records {
		start := int(r.at[i])
		n := firstComma(binary.LittleEndian.Uint64(r.data[start : start+8 : start+8]))
		if n < 8 && start+n < int(r.lines[i].end) && !c.last {
			r.at[i] = uint32(start + n + 1)
		} else if _, _, ok := c.field(r, i); !ok {
			return i
		}
	}
	return records
}

// firstComma is which byte of a word is its first comma, 8 where there is none.
func firstComma(word uint64) int {
	differs := word ^ lowBits*','
	return bits.TrailingZeros64((differs-lowBits)&^differs&highBits) >> 3 // the lowest mark is right
}

// readDecimals reads numbers times 10^scale. What it does not read is rounded, may
// be no int64, or is no number.
func (c *plainColumn) readDecimals(to []int64, r *plainRecords) int {
	mark, longest := c.mark(r), 18-c.scale
	for i := 0; ; i++ {
		i += c.readIntegers(to[i:], r.data, r.at[i:], mark)
		if i == len(to) {
			return i
		}
		start := int(r.at[i])
		number := anyNumber(r.data[start:])
		if number.digits == 0 || number.fraction > c.scale || number.digits-number.fraction > longest || !c.closes(r, i, start+number.end) {
			return i
		}
		to[i] = number.mantissa * power10[c.scale-number.fraction]
	}
}

// readIntegers reads numbers of nothing but digits times 10^scale, as long as they
// are such, and returns how many they were.
func (c *plainColumn) readIntegers(to []int64, data []byte, at []uint32, mark byte) int {
	unit, longest := power10[c.scale], 18-c.scale
	first, high := uint64(0), uint64(0) // the first 8 digits of a number, and what they are
	at = at[:len(to)]
	for i := range to {
		start := int(at[i])
		text := data[start : start+window : start+window]
		x := binary.LittleEndian.Uint64(text) ^ lowBits*'0'
		if x != first {
			if byte(x>>8) == mark^'0' && byte(x) < 10 {
				to[i] = int64(byte(x)) * unit
				at[i] = uint32(start + 2)
				continue
			}
			if n := bits.TrailingZeros64(noDigits(x)) >> 3; n < 8 {
				if n == 0 || n > longest || text[n] != mark {
					return i
				}
				to[i] = int64(joined(x<<(64-8*n))) * unit
				at[i] = uint32(start + n + 1)
				continue
			}
			first, high = x, joined(x)
		}
		x = binary.LittleEndian.Uint64(text[8:]) ^ lowBits*'0'
		n := bits.TrailingZeros64(noDigits(x)) >> 3
		if n+8 > longest || text[8+n] != mark {
			return i
		}
		to[i] = int64(high*uintPower10[n]+joined(x<<(64-8*n))) * unit
		at[i] = uint32(start + n + 9)
	}
	return len(to)
}

// readFloats reads numbers of up to 15 digits to the nearest float64, as
// parseFloat does.
func (c *plainColumn) readFloats(to []float64, r *plainRecords) int {
	mark, whole := c.mark(r), 2
	for i := 0; ; i++ {
		i += readFixed(to[i:], r.data, r.at[i:], mark, whole)
		if i == len(to) {
			return i
		}
		start, sign := int(r.at[i]), 1.0
		if r.data[start] == '-' {
			start, sign = start+1, -1
		}
		number := anyNumber(r.data[start:])
		if number.digits == 0 || number.digits > 15 || r.data[start] == '-' || !c.closes(r, i, start+number.end) {
			return i
		}
		to[i] = float64(number.mantissa) / (sign * floatPower10[number.fraction]) // minus zero too
		whole = min(max(1, number.digits-number.fraction), 7)
	}
}

// readFixed reads numbers of up to 15 digits, so many of them before a point, as
// long as they are such, and returns how many they were.
func readFixed(to []float64, data []byte, at []uint32, mark byte, whole int) int {
	before, unit := uint64(1)<<(8*whole)-1, floatPower10[8-whole]
	at = at[:len(to)]
	for i := range to {
		start, by := int(at[i]), unit
		if data[start] == '-' {
			start++
			by = -unit
		}
		text := data[start : start+window : start+window]
		// The digits before the point and those behind it are moved together, and made
		// 8 by zeros behind them.
		x := binary.LittleEndian.Uint64(text)&before | binary.LittleEndian.Uint64(text[1:])&^before
		x ^= lowBits * '0'
		marks := noDigits(x) >> 7
		n := bits.TrailingZeros64(marks) >> 3
		if text[whole&7] != '.' || n < whole {
			return i
		}
		mantissa := joined(x & ((marks - 1) &^ marks))
		if text[n+1] != mark {
			if n < 8 {
				return i
			}
			x = binary.LittleEndian.Uint64(text[9:]) ^ lowBits*'0'
			more := bits.TrailingZeros64(noDigits(x)) >> 3
			if more == 8 || text[9+more] != mark {
				return i
			}
			mantissa = mantissa*uintPower10[more] + joined(x<<(64-8*more))
			by *= floatPower10[more]
			n += more
		}
		to[i] = float64(int64(mantissa)) / by // minus zero too
		at[i] = uint32(start + n + 2)
	}
	return len(to)
}

// readStrings copies texts that are not empty, 8 bytes at a time, so that some
// bytes behind each are copied too, over which the next is.
func (c *plainColumn) readStrings(ends []uint32, into *[]byte, r *plainRecords) int {
	data, at, lines := r.data, r.at[:len(ends)], r.lines[:len(ends)]
	to := len(*into)
	arena := (*into)[:cap(*into)]
	for i := range ends {
		start := int(at[i])
		text := data[start : start+window : start+window]
		if to+8 > len(arena) {
			arena = slices.Grow(arena, 8)
			arena = arena[:cap(arena)]
		}
		word := binary.LittleEndian.Uint64(text)
		binary.LittleEndian.PutUint64(arena[to:to+8:to+8], word)
		n, left := firstComma(word), int(lines[i].end)-start
		closed := n < left && text[n] == ','
		if c.last {
			closed, n = n >= left && left <= 8, left
		}
		if closed && n > 0 && word&highBits == 0 {
			at[i] = uint32(start + n + 1)
			to += n
			ends[i] = uint32(to)
			continue
		}
		start, end, ok := c.field(r, i)
		if !ok || start == end || !utf8.Valid(data[start:end]) {
			*into = arena
			return i
		}
		arena = append(arena[:to], data[start:end]...)
		to = len(arena)
		arena = arena[:cap(arena)]
		ends[i] = uint32(to)
	}
	*into = arena
	return len(ends)
}

// readTexts reads booleans, times and cells.
func (c *plainColumn) readTexts(b *stream.Batch, r *plainRecords, records, expected int) int {
	var ints []int64
	var cells []geo.Cell
	if c.form == plainCell {
		cells = more(&b.Cells, records, expected)
	} else {
		ints = more(c.intsOf(b), records, expected)
	}
	for i := range records {
		start, end, ok := c.field(r, i)
		if !ok {
			return i
		}
		text := r.data[start:end]
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
