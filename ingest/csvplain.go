package ingest

import (
	"bytes"
	"encoding/binary"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

// plainCSV decodes runs of plain csv records, which nearly all are: no quote, as
// many columns as the header, numbers of at most 16 digits without an exponent,
// nothing wrong. It leaves every other record to csvCodec, and gives each row that
// csvCodec would give. A run is decoded in two passes, in which the next step never
// waits for the one before: the first finds where the fields of some tens of
// records end, the second reads one column of them after the other. Text is looked
// at 8 bytes at a time, as integers whose lowest byte is the first of the text.
type plainCSV struct {
	columns []plainColumn // of the file, in its order
	max     int           // bytes of a record
	ends    []uint32      // see index
	run     int           // records to find at once: fewer after one that was not plain

	expected int // records of the piece that are to come, about
}

const (
	shortestRun = 8
	longestRun  = 128
	// window is how many bytes from a field's start on there are: no fewer than the
	// longest number needs with what is looked at behind.
	window = 48
)

// newPlainCSV is nil where one column of the file has two values of a row.
func newPlainCSV(c *csvCodec) *plainCSV {
	p := &plainCSV{columns: make([]plainColumn, len(c.wanted)), max: c.max, run: shortestRun}
	p.ends = make([]uint32, longestRun*len(p.columns)+16)
	of := make([]*plainColumn, len(c.values))
	for i, value := range c.wanted {
		p.columns[i] = plainColumn{number: i, of: len(c.wanted)}
		if value >= 0 {
			of[value] = &p.columns[i]
		}
	}
	once := true
	read := func(value int, form plainForm, scale, into int) {
		once = once && of[value].form == plainSkipped
		of[value].form, of[value].scale, of[value].into = form, scale, into
	}
	if c.unit == RFC3339 {
		read(0, plainTime, 0, intoTimes)
	} else {
		read(0, plainDecimal, c.scale, intoTimes)
	}
	if c.cell >= 0 {
		read(c.cell, plainCell, 0, intoCells)
	} else {
		read(c.lat, plainFloat, 0, intoLats)
		read(c.lng, plainFloat, 0, intoLngs)
	}
	forms := map[column.Kind]plainForm{
		column.Int: plainDecimal, column.Decimal: plainDecimal, column.Float: plainFloat,
		column.Bool: plainBool, column.String: plainString,
	}
	for i, value := range c.fields {
		f := &c.schema.Fields[i]
		scale := 0
		if f.Kind == column.Decimal {
			scale = f.Scale
		}
		read(value, forms[f.Kind], scale, i)
	}
	if !once {
		return nil
	}
	return p
}

// decode appends the rows of the plain records at the beginning of data[from:],
// which ends with a whole record: room at most, and perhaps not all. quote is where
// the first quote is, len(data) where there is none. It returns where the first
// record lies that it left, and adds where each lies to spans.
func (p *plainCSV) decode(b *stream.Batch, spans *[]span, data []byte, quote, from, room int) int {
	have := len(b.Times)
	found := p.index(data[:max(0, min(quote, len(data)-window))], from, min(room, p.run))
	if found > 0 { // columns that must grow do so once a piece, mostly
		length := int(p.ends[found*len(p.columns)]) - from
		p.expected = min(room, (len(data)-from)*found/length+found)
	}
	rows := p.lines(data, spans, found)
	for i := range p.columns {
		if rows > 0 {
			rows = p.columns[i].read(b, data, p.ends, rows, p.expected)
		}
	}
	for i := range p.columns {
		p.columns[i].keep(b, have+rows)
	}
	*spans = (*spans)[:have+rows]
	for b.Reasons != nil && len(b.Reasons) < have+rows {
		b.Reasons = append(b.Reasons, stream.Accepted)
	}
	p.run = min(2*p.run, longestRun)
	if rows < found {
		p.run = shortestRun
	}
	return int(p.ends[rows*len(p.columns)] + 1)
}

// index finds the commas and line ends of data[from:], up to those of so many
// records, and counts the records. ends[0] is the place before from; those of
// record i and column c of n are ends[n*i+c+1], where nothing is wrong.
func (p *plainCSV) index(data []byte, from, records int) int {
	want := records * len(p.columns)
	p.ends[0] = uint32(from) - 1
	return min(want, findEnds(p.ends[1:], data, from, want)) / len(p.columns)
}

// findEnds finds the commas and line ends of data[at:], want at least where there
// are so many, and counts them. ends has room for 8 more than are wanted.
func findEnds(ends []uint32, data []byte, at, want int) int {
	n := 0
	for ; n < want && at+8 <= len(data); at += 8 {
		marks := separators(binary.LittleEndian.Uint64(data[at : at+8 : at+8]))
		places := &markPlaces[marks]
		// Mostly there are two in 8 bytes or fewer; two are written in any case.
		ends[n] = uint32(at) + uint32(places[0])
		ends[n+1] = uint32(at) + uint32(places[1])
		count := int(markCounts[marks])
		for i := 2; i < count; i++ {
			ends[n+i] = uint32(at) + uint32(places[i&7])
		}
		n += count
	}
	return n
}

// lines adds where so many records lie to spans, and returns how many of them are
// no longer than they may be.
func (p *plainCSV) lines(data []byte, spans *[]span, records int) int {
	to := more(spans, records, p.expected)
	for i := range to {
		start, end := p.ends[i*len(p.columns)]+1, p.ends[(i+1)*len(p.columns)]
		if end > start && data[end-1] == '\r' {
			end--
		}
		if int(end-start) > p.max {
			return i
		}
		to[i] = span{start, end}
	}
	return records
}

// nextQuote is where the first quote of data[from:] is, len(data) where there is none.
func nextQuote(data []byte, from int) int {
	n := bytes.IndexByte(data[from:], '"')
	if n < 0 {
		return len(data)
	}
	return from + n
}

const (
	lowBits  = 0x0101010101010101 // the lowest of each byte
	highBits = 0x8080808080808080 // the highest of each byte
)

// separators has a bit for each byte of a word that is a comma or a line end.
func separators(word uint64) uint8 {
	// The sum's highest bit is 0 only where the byte's lower bits are.
	comma, line := word^lowBits*',', word^lowBits*'\n'
	comma |= comma&^highBits + lowBits*127
	line |= line&^highBits + lowBits*127
	marks := ^(comma & line) & highBits
	// Bit 8i+7 times 2^(49-7i) is bit 56+i; no other product comes there.
	return uint8(marks * 0x0002040810204081 >> 56)
}

// markCounts and markPlaces say of each byte how many bits it has, and where.
var markCounts, markPlaces = func() (counts [256]uint8, places [256][8]uint8) {
	for marks := range counts {
		for i := range uint8(8) {
			if marks>>i&1 == 1 {
				places[marks][counts[marks]] = i
				counts[marks]++
			}
		}
	}
	return counts, places
}()
