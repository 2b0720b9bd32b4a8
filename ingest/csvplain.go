package ingest

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// plainCSV decodes runs of plain csv records, which nearly all are, in one pass
// over their bytes: no quote, as many columns as the header, numbers of at most 16
// digits without an exponent, nothing wrong. It leaves every other record to
// csvCodec, and gives each row that csvCodec would give. Text is looked at 8 bytes
// at a time, as integers whose lowest byte is the first of the text.
type plainCSV struct {
	columns []plainColumn // of the file, in its order
	max     int           // bytes of a record
}

// plainColumn is a column of a file and where its values go. Its slices are those
// of the batch that is filled, as long as the run of records may become.
type plainColumn struct {
	form   plainForm
	scale  int // plainDecimal: digits behind the point that a value counts
	into   int // a field of the batch, or one of the places below
	ints   []int64
	floats []float64
	cells  []geo.Cell
	ends   []uint32 // of strings in arena
	arena  []byte   // at its whole capacity
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
	plainDecimal                  // to ints: the number times 10^scale
	plainFloat                    // to floats
	plainBool                     // to ints
	plainTime                     // to ints: a time of RFC 3339 in µs
	plainCell                     // to cells
	plainString                   // to the arena
)

// window is how many bytes must follow from a column's start on for it to be read
// as plain: no fewer than the longest number needs with what is looked at behind.
const window = 48

// newPlainCSV is nil where one column of the file has two values of a row.
func newPlainCSV(c *csvCodec) *plainCSV {
	p := &plainCSV{columns: make([]plainColumn, len(c.wanted)), max: c.max}
	of := make([]*plainColumn, len(c.values))
	for i, value := range c.wanted {
		if value >= 0 {
			of[value] = &p.columns[i]
		}
	}
	once := true
	read := func(value int, as plainColumn) {
		once = once && of[value].form == plainSkipped
		*of[value] = as
	}
	if c.unit == RFC3339 {
		read(0, plainColumn{form: plainTime, into: intoTimes})
	} else {
		read(0, plainColumn{form: plainDecimal, scale: c.scale, into: intoTimes})
	}
	if c.cell >= 0 {
		read(c.cell, plainColumn{form: plainCell, into: intoCells})
	} else {
		read(c.lat, plainColumn{form: plainFloat, into: intoLats})
		read(c.lng, plainColumn{form: plainFloat, into: intoLngs})
	}
	forms := map[column.Kind]plainForm{
		column.Int: plainDecimal, column.Decimal: plainDecimal, column.Float: plainFloat,
		column.Bool: plainBool, column.String: plainString,
	}
	for i, value := range c.fields {
		f := &c.schema.Fields[i]
		as := plainColumn{form: forms[f.Kind], into: i}
		if f.Kind == column.Decimal {
			as.scale = f.Scale
		}
		read(value, as)
	}
	if !once {
		return nil
	}
	return p
}

// run decodes the plain records at the beginning of data[from:], which ends with a
// whole record: room at most. It gives back where the first record lies that it
// left, and adds where each lies to spans.
func (p *plainCSV) run(b *stream.Batch, spans *[]span, data []byte, from, room int) int {
	// Most records have two bytes a column at least; where not, another run follows.
	room = min(room, (len(data)-from)/(2*len(p.columns))+1)
	have := len(b.Times)
	for i := range p.columns {
		p.columns[i].open(b, room)
	}
	places := spread(spans, room)
	row := have
	for row < have+room {
		line, end := p.record(data, from, row)
		if end < 0 {
			break
		}
		places[row] = span{uint32(from), uint32(line)}
		from = end
		row++
	}
	for i := range p.columns {
		p.columns[i].close(b, row)
	}
	*spans = places[:row]
	for b.Reasons != nil && len(b.Reasons) < row {
		b.Reasons = append(b.Reasons, stream.Accepted)
	}
	return from
}

// record decodes the record at data[at:] into a row. line is where it ends, next
// where the one behind it starts; -1: it is not plain, and the row is not there.
func (p *plainCSV) record(data []byte, at, row int) (line, next int) {
	start, last := at, len(p.columns)-1
	for i := range p.columns {
		if at+window > len(data) {
			return 0, -1
		}
		c := &p.columns[i]
		end := c.read(data, at, row)
		if end < 0 {
			return 0, -1
		}
		if i < last {
			if data[end] != ',' {
				return 0, -1
			}
			at = end + 1
			continue
		}
		line, at = end, end
		if data[at] == '\r' {
			at++
		}
	}
	if data[at] != '\n' || line-start > p.max {
		return 0, -1
	}
	return line, at + 1
}

// open makes room for n values more.
func (c *plainColumn) open(b *stream.Batch, n int) {
	switch c.form {
	case plainSkipped:
	case plainFloat:
		c.floats = spread(c.floatsOf(b), n)
	case plainCell:
		c.cells = spread(&b.Cells, n)
	case plainString:
		to := &b.Fields[c.into].Strings
		c.ends, c.arena = spread(&to.Ends, n), to.Bytes[:cap(to.Bytes)]
	default:
		c.ints = spread(c.intsOf(b), n)
	}
}

// close makes the column n values long.
func (c *plainColumn) close(b *stream.Batch, n int) {
	switch c.form {
	case plainSkipped:
	case plainFloat:
		*c.floatsOf(b) = c.floats[:n]
	case plainCell:
		b.Cells = c.cells[:n]
	case plainString:
		to := &b.Fields[c.into].Strings
		to.Ends, to.Bytes = c.ends[:n], c.arena[:c.textEnd(n)]
	default:
		*c.intsOf(b) = c.ints[:n]
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

// textEnd is how much of the arena the first n strings take.
func (c *plainColumn) textEnd(n int) int {
	if n == 0 {
		return 0
	}
	return int(c.ends[n-1])
}

// spread is a slice with n elements more, for which there is room in it from now on.
func spread[T any](s *[]T, n int) []T {
	*s = slices.Grow(*s, n)
	return (*s)[:len(*s)+n]
}

// read reads the column's value at data[at:] into a row and returns where its text
// ends; -1: it is not plain.
func (c *plainColumn) read(data []byte, at, row int) int {
	switch c.form {
	case plainDecimal:
		n := readNumber(data, at)
		if n.digits == 0 || n.fraction > c.scale || n.digits+c.scale-n.fraction > 18 {
			return -1 // the rest is rounded, or may be no int64
		}
		c.ints[row] = n.mantissa * power10[c.scale-n.fraction]
		return n.end
	case plainFloat:
		n := readNumber(data, at)
		if n.digits == 0 || n.digits > 15 || n.mantissa == 0 && data[at] == '-' {
			return -1 // see parseFloat; minus zero has a bit of its own
		}
		c.floats[row] = float64(n.mantissa) / floatPower10[n.fraction]
		return n.end
	case plainString:
		return c.readString(data, at, row)
	}
	end := textEnd(data, at)
	if end < 0 || c.form == plainSkipped {
		return end
	}
	return c.readText(data[at:end], end, row)
}

// readText reads a value whose text is known, and returns end; -1: it is not plain.
func (c *plainColumn) readText(text []byte, end, row int) int {
	ok := false
	switch c.form {
	case plainBool:
		n, err := parseBool(text)
		c.ints[row], ok = n, err == nil
	case plainTime:
		c.ints[row], ok = parseRFC3339(text)
	case plainCell:
		cell, reason := parseCell(value{text: text, form: scalar})
		c.cells[row], ok = cell, reason == stream.Accepted
	}
	if !ok {
		return -1
	}
	return end
}

// readString copies a string into the arena and returns where it ends in data; -1:
// it is not plain.
func (c *plainColumn) readString(data []byte, at, row int) int {
	start := at
	to := c.textEnd(row)
	wide := uint64(0)
	for {
		if at+8 > len(data) {
			return -1
		}
		if to+8 > len(c.arena) {
			c.arena = slices.Grow(c.arena, 4<<10)
			c.arena = c.arena[:cap(c.arena)]
		}
		word := binary.LittleEndian.Uint64(data[at:])
		binary.LittleEndian.PutUint64(c.arena[to:], word)
		stop := stops(word)
		if stop == 0 {
			wide |= word
			at, to = at+8, to+8
			continue
		}
		wide |= word & (stop&-stop - 1) // the bits below the first mark
		n := bits.TrailingZeros64(stop) >> 3
		at, to = at+n, to+n
		break
	}
	if at > start && data[at] == '\n' && data[at-1] == '\r' {
		at, to = at-1, to-1
	}
	if at == start || wide&highBits != 0 && !utf8.Valid(data[start:at]) {
		return -1
	}
	c.ends[row] = uint32(to)
	return at
}

// textEnd is where the text that starts at at ends; -1: the data ends before.
func textEnd(data []byte, at int) int {
	for start := at; at+8 <= len(data); at += 8 {
		stop := stops(binary.LittleEndian.Uint64(data[at:]))
		if stop == 0 {
			continue
		}
		at += bits.TrailingZeros64(stop) >> 3
		if at > start && data[at] == '\n' && data[at-1] == '\r' {
			at--
		}
		return at
	}
	return -1
}

const (
	lowBits  = 0x0101010101010101 // the lowest of each byte
	highBits = 0x8080808080808080 // the highest of each byte
)

// stops marks the bytes of a word that end a text, comma, line end and quote, by
// their highest bits. The lowest mark is right; those above one may be wrong.
func stops(word uint64) uint64 {
	comma, line, quote := word^lowBits*',', word^lowBits*'\n', word^lowBits*'"'
	return ((comma-lowBits)&^comma | (line-lowBits)&^line | (quote-lowBits)&^quote) & highBits
}

// number is a text of digits, perhaps with a minus before and a point in them: it
// is mantissa / 10^fraction.
type number struct {
	mantissa int64
	digits   int // 0: it is no number, or a longer one
	fraction int // digits behind the point
	end      int // where its text ends
}

// readNumber reads the number at data[at:], which has window bytes at least. It
// has up to 16 digits before the point and behind it, 16 in all.
func readNumber(data []byte, at int) number {
	text := data[at : at+window]
	negative := text[0] == '-'
	i := 0
	if negative {
		i = 1
	}
	mantissa, digits := leadingDigits(text[i:])
	i += digits
	if digits == 8 {
		more, n := leadingDigits(text[i:])
		mantissa, digits, i = mantissa*uintPower10[n&15]+more, digits+n, i+n
	}
	if digits == 0 {
		return number{}
	}
	fraction := 0
	if text[i] == '.' {
		var more uint64
		more, fraction = leadingDigits(text[i+1:])
		mantissa, digits, i = mantissa*uintPower10[fraction&15]+more, digits+fraction, i+1+fraction
		if fraction == 8 {
			more, n := leadingDigits(text[i:])
			mantissa, digits, i, fraction = mantissa*uintPower10[n&15]+more, digits+n, i+n, fraction+n
		}
		if fraction == 0 || digits > 16 {
			return number{}
		}
	}
	n := number{mantissa: int64(mantissa), digits: digits, fraction: fraction, end: at + i}
	if negative {
		n.mantissa = -n.mantissa
	}
	return n
}

// leadingDigits reads the digits that a text of 8 bytes or more begins with: the
// number that they are, and how many they are, 8 at most.
func leadingDigits(text []byte) (value uint64, digits int) {
	// A byte is a digit where it is below 10 now; the sum carries into the highest
	// bit of others, and beyond it only into bytes behind the first of them.
	x := binary.LittleEndian.Uint64(text) ^ lowBits*'0'
	others := (x + lowBits*(128-10) | x) & highBits
	digits = bits.TrailingZeros64(others) >> 3
	// Zeros come before the digits, so that there are 8; then neighbours are put
	// together, to 4 pairs, 2 fours, and one.
	x <<= 64 - 8*digits
	x = x*10 + x>>8
	const pairs, hundreds, ones = 0x000000ff000000ff, 100 + 1e6*(1<<32), 1 + 1e4*(1<<32)
	return ((x&pairs)*hundreds + (x>>16&pairs)*ones) >> 32, digits
}
