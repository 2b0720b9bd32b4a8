package ingest

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// MaxRecord is how long a record may be, in bytes, where no option says so.
const MaxRecord = 1 << 20

// Codec turns records of one format into rows. It is used by one goroutine at a
// time and does not allocate per record.
type Codec interface {
	// Append decodes one record, without its line end, as the next row of b: its
	// time, location, fields and Reason. Positions, NotAfter and Raw are the
	// caller's. b must have been Reset by the codec's schema.
	Append(b *stream.Batch, record []byte)
}

// NewCodec makes the codec of a schema. columns are the names of the columns of
// a csv record, in order (nil: Schema.Columns); json has no use for them.
// maxRecord is the longest record that is no dead letter, in bytes (0: MaxRecord).
func NewCodec(s *Schema, columns []string, maxRecord int) (Codec, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if maxRecord <= 0 {
		maxRecord = MaxRecord
	}
	if s.Format == JSON {
		return newJSONCodec(s, maxRecord), nil
	}
	if columns == nil {
		columns = s.Columns()
	}
	return newCSVCodec(s, columns, maxRecord)
}

// value is one column of a record, found but not yet read.
type value struct {
	text []byte
	form form
}

// form says what a value's text is.
type form uint8

const (
	absent    form = iota // not there, or null
	scalar                // csv text, a json number or boolean, or a json string unescaped
	composite             // a json object or array
)

// decoder reads the values of a record, in the order of Schema.Columns, into a row.
type decoder struct {
	schema *Schema
	unit   Unit
	scale  int // of the event time to µs: 6 for seconds
	lat    int // index of the value; -1: none
	lng    int
	cell   int
	fields []int
	max    int // bytes of a record
}

func newDecoder(s *Schema, maxRecord int) decoder {
	d := decoder{schema: s, unit: s.Unit, lat: -1, lng: -1, cell: -1, max: maxRecord}
	index := map[string]int{}
	for i, name := range s.Columns() {
		index[name] = i
	}
	if s.Cell != "" {
		d.cell = index[s.Cell]
	} else {
		d.lat, d.lng = index[s.Lat], index[s.Lng]
	}
	for _, f := range s.Fields {
		d.fields = append(d.fields, index[f.Name])
	}
	d.scale = map[Unit]int{Seconds: 6, Milliseconds: 3, Microseconds: 0, RFC3339: 0}[s.Unit]
	return d
}

// row appends the row of the values: the first thing wrong, in the order event
// time, location, fields, is its reason, and then it holds zeros.
func (d *decoder) row(b *stream.Batch, values []value) {
	at, reason := d.time(values[0])
	if reason != stream.Accepted {
		d.reject(b, reason)
		return
	}
	var lat, lng float64
	var cell geo.Cell
	if d.cell >= 0 {
		cell, reason = parseCell(values[d.cell])
	} else if lat, reason = parseDegrees(values[d.lat]); reason == stream.Accepted {
		lng, reason = parseDegrees(values[d.lng])
	}
	if reason != stream.Accepted {
		d.reject(b, reason)
		return
	}
	for i, from := range d.fields {
		if reason = appendField(&b.Fields[i], values[from]); reason != stream.Accepted {
			d.reject(b, reason)
			return
		}
	}
	b.Times = append(b.Times, at)
	if d.cell >= 0 {
		b.Cells = append(b.Cells, cell)
	} else {
		b.Lats = append(b.Lats, lat)
		b.Lngs = append(b.Lngs, lng)
	}
	if b.Reasons != nil {
		b.Reasons = append(b.Reasons, stream.Accepted)
	}
}

// reject appends a row of zeros with a reason; fields that already have this
// row's value lose it.
func (d *decoder) reject(b *stream.Batch, reason stream.Reason) {
	n := len(b.Times)
	if b.Reasons == nil {
		b.Reasons = make([]stream.Reason, n, max(64, cap(b.Times)))
	}
	b.Reasons = append(b.Reasons, reason)
	b.Times = append(b.Times, 0)
	if d.cell >= 0 {
		b.Cells = append(b.Cells, 0)
	} else {
		b.Lats = append(b.Lats, 0)
		b.Lngs = append(b.Lngs, 0)
	}
	for i := range b.Fields {
		v := &b.Fields[i]
		switch v.Kind {
		case column.Float:
			v.Floats = append(v.Floats[:n], 0)
		case column.String:
			if v.Strings.Len() > n {
				start := uint32(0)
				if n > 0 {
					start = v.Strings.Ends[n-1]
				}
				v.Strings.Ends, v.Strings.Bytes = v.Strings.Ends[:n], v.Strings.Bytes[:start]
			}
			v.Strings.Append(nil)
		default:
			v.Ints = append(v.Ints[:n], 0)
		}
	}
}

// time reads the event time in µs.
func (d *decoder) time(v value) (int64, stream.Reason) {
	text, reason := trimmed(v)
	if reason != stream.Accepted {
		return 0, reason
	}
	if d.unit == RFC3339 {
		at, ok := parseRFC3339(text)
		if !ok {
			return 0, stream.BadValue
		}
		return at, stream.Accepted
	}
	at, err := parseDecimal(text, d.scale)
	if err != nil {
		return 0, stream.BadValue
	}
	return at, stream.Accepted
}

// trimmed is a value's text without spaces around it.
func trimmed(v value) ([]byte, stream.Reason) {
	text := v.text
	if v.form == composite {
		return nil, stream.BadValue
	}
	if n := len(text); n > 0 && (text[0] == ' ' || text[n-1] == ' ') {
		text = bytes.Trim(text, " ")
	}
	if len(text) == 0 {
		return nil, stream.MissingField
	}
	return text, stream.Accepted
}

// parseDegrees reads a latitude or longitude. Its range is not judged here.
func parseDegrees(v value) (float64, stream.Reason) {
	text, reason := trimmed(v)
	if reason != stream.Accepted {
		return 0, reason
	}
	degrees, err := parseFloat(text)
	switch {
	case err == nil:
		return degrees, stream.Accepted
	case errors.Is(err, exact.ErrRange):
		return 0, stream.BadLocation
	}
	// "NaN" and "inf" are what some writers print for no position.
	if len(text) <= 9 {
		if _, err := strconv.ParseFloat(string(text), 64); err == nil && notFinite(text) {
			return 0, stream.BadLocation
		}
	}
	return 0, stream.BadValue
}

// notFinite tells whether a text that ParseFloat of strconv takes is NaN or an infinity.
func notFinite(text []byte) bool {
	c := bytes.TrimLeft(text, "+-")
	return len(c) > 0 && (c[0]|0x20 == 'n' || c[0]|0x20 == 'i')
}

// parseCell reads an H3 index: 15 or 16 hexadecimal digits, or an integer, which
// for a cell always has 18 decimal digits, so the two cannot be confused.
func parseCell(v value) (geo.Cell, stream.Reason) {
	text, reason := trimmed(v)
	if reason != stream.Accepted {
		return 0, reason
	}
	var cell uint64
	switch len(text) {
	case 15, 16:
		for _, c := range text {
			digit, ok := hexDigit(c)
			if !ok {
				return 0, stream.BadLocation
			}
			cell = cell<<4 | uint64(digit)
		}
	case 18:
		n, err := exact.ParseInt(text)
		if err != nil {
			return 0, stream.BadLocation
		}
		cell = uint64(n)
	}
	if cell>>59 != 1 { // the reserved bit 0, mode 1
		return 0, stream.BadLocation
	}
	return geo.Cell(cell), stream.Accepted
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// appendField reads a value into its column; where it cannot, nothing is appended.
func appendField(to *column.Vector, v value) stream.Reason {
	if to.Kind == column.String {
		switch {
		case v.form == composite:
			return stream.BadValue
		case len(v.text) == 0:
			return stream.MissingField
		case !utf8.Valid(v.text):
			return stream.BadSyntax
		}
		to.Strings.Append(v.text)
		return stream.Accepted
	}
	text, reason := trimmed(v)
	if reason != stream.Accepted {
		return reason
	}
	if to.Kind == column.Float {
		f, err := parseFloat(text)
		if err != nil {
			return stream.BadValue
		}
		to.Floats = append(to.Floats, f)
		return stream.Accepted
	}
	var n int64
	var err error
	switch to.Kind {
	case column.Bool:
		n, err = parseBool(text)
	case column.Decimal:
		n, err = parseDecimal(text, to.Scale)
	default:
		n, err = exact.ParseInt(text)
	}
	if err != nil {
		return stream.BadValue
	}
	to.Ints = append(to.Ints, n)
	return stream.Accepted
}

// parseBool reads 1, t, true, 0, f, false, in any case.
func parseBool(text []byte) (int64, error) {
	switch len(text) {
	case 1:
		switch text[0] | 0x20 {
		case '1' | 0x20, 't':
			return 1, nil
		case '0' | 0x20, 'f':
			return 0, nil
		}
	case 4:
		if bytes.EqualFold(text, trueText) {
			return 1, nil
		}
	case 5:
		if bytes.EqualFold(text, falseText) {
			return 0, nil
		}
	}
	return 0, exact.ErrSyntax
}

var (
	trueText  = []byte("true")
	falseText = []byte("false")
)
