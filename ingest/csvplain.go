package ingest

import (
	"bytes"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

// plainCSV decodes runs of plain csv records, which nearly all are: no quote, as
// many columns as the header, numbers of at most 16 digits without an exponent,
// nothing wrong. It leaves every other record to csvCodec, and gives each row that
// csvCodec would give. A run is decoded in passes, in which a record does not wait
// for the one before: the first finds where some tens of records lie, each of the
// others reads one column of them, and by that where the next column begins. Text
// is looked at 8 bytes at a time, as integers whose lowest byte is the first of the
// text.
type plainCSV struct {
	columns []plainColumn // of the file, in its order
	max     int           // bytes of a record
	at      [longestRun]uint32
	run     int // records to find at once: fewer after one that was not plain

	expected int // records of the piece that are to come, about
}

// plainRecords are records on their way through the columns.
type plainRecords struct {
	data  []byte
	at    []uint32 // where in data the next column of each begins
	lines []span   // where each lies; none holds a line end
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
	of := make([]*plainColumn, len(c.values))
	for i, value := range c.wanted {
		p.columns[i] = plainColumn{last: i+1 == len(c.wanted)}
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
	found, end := p.lines(data[:max(0, min(quote, len(data)-window))], spans, from, min(room, p.run))
	if found > 0 { // columns that must grow do so once a piece, mostly
		p.expected = min(room, (len(data)-from)*found/(end-from)+found)
	}
	records := plainRecords{data: data, at: p.at[:found], lines: (*spans)[have : have+found]}
	rows := found
	for i := range p.columns {
		if rows > 0 {
			rows = p.columns[i].read(b, &records, rows, p.expected)
		}
	}
	for i := range p.columns {
		p.columns[i].keep(b, have+rows)
	}
	for b.Reasons != nil && len(b.Reasons) < have+rows {
		b.Reasons = append(b.Reasons, stream.Accepted)
	}
	p.run = min(2*p.run, longestRun)
	if rows < found {
		p.run = shortestRun
		end = int(records.lines[rows].start)
	}
	*spans = (*spans)[:have+rows]
	return end
}

// lines adds where the records of data[from:] lie to spans, so many at most and
// none that is longer than it may be. It returns how many they are, and where the
// one behind them lies.
func (p *plainCSV) lines(data []byte, spans *[]span, from, records int) (found, next int) {
	to := more(spans, records, p.expected)
	if from > len(data) {
		return 0, from
	}
	for i := range to {
		n := bytes.IndexByte(data[from:], '\n')
		if n < 0 {
			return i, from
		}
		end := from + n
		if n > 0 && data[end-1] == '\r' {
			n--
		}
		if n > p.max {
			return i, from
		}
		p.at[i], to[i] = uint32(from), span{uint32(from), uint32(from + n)}
		from = end + 1
	}
	return records, from
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
