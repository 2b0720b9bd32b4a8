package ingest

import (
	"fmt"
	"strings"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

// Format is how a record is written.
type Format string

// The formats.
const (
	CSV  Format = "csv"
	JSON Format = "json"
)

// Unit is how an event time is written.
type Unit string

// The units. Seconds, milliseconds and microseconds count from 1970-01-01 UTC
// and may have a fraction; what is finer than a microsecond is rounded half to even.
const (
	Seconds      Unit = "s"
	Milliseconds Unit = "ms"
	Microseconds Unit = "us"
	RFC3339      Unit = "rfc3339"
)

// Field is a value that events carry.
type Field struct {
	Name  string
	Kind  column.Kind
	Scale int // digits after the point; Decimal only
}

// Schema is what a codec takes out of a record: the part of a definition's
// source that concerns bytes.
type Schema struct {
	Format   Format
	Time     string // the event time's field
	Unit     Unit
	Lat, Lng string // fields in degrees; empty where Cell is given
	Cell     string // a field with an H3 index as hexadecimal text or as an integer
	Fields   []Field
}

// Columns names the fields that are taken out of a record, each once: event
// time, latitude and longitude or cell, then the others in the definition's
// order. It is the order of columns of a csv value in Kafka.
func (s *Schema) Columns() []string {
	names := []string{s.Time}
	add := func(name string) {
		for _, have := range names {
			if have == name {
				return
			}
		}
		names = append(names, name)
	}
	if s.Cell != "" {
		add(s.Cell)
	} else {
		add(s.Lat)
		add(s.Lng)
	}
	for _, f := range s.Fields {
		add(f.Name)
	}
	return names
}

// check refuses a schema that no record could be decoded by.
func (s *Schema) check() error {
	switch {
	case s.Format != CSV && s.Format != JSON:
		return fmt.Errorf("source format %q is not known: csv or json", s.Format)
	case s.Time == "":
		return fmt.Errorf("the source names no field for the event time")
	case s.Cell == "" && (s.Lat == "" || s.Lng == ""):
		return fmt.Errorf("the source names no location: lat and lng, or cell")
	}
	switch s.Unit {
	case Seconds, Milliseconds, Microseconds, RFC3339:
	default:
		return fmt.Errorf("event time unit %q is not known: s, ms, us or rfc3339", s.Unit)
	}
	for _, f := range s.Fields {
		if f.Kind < column.Int || f.Kind > column.String {
			return fmt.Errorf("field %q has no kind", f.Name)
		}
	}
	return nil
}

// Reset empties a batch, keeps its memory, and gives it the schema's columns.
func (s *Schema) Reset(b *stream.Batch) {
	b.Positions, b.Next = b.Positions[:0], 0
	b.Times, b.NotAfter, b.Limit = b.Times[:0], nil, 0
	b.Reasons = nil
	if s.Cell != "" {
		b.Cells, b.Lats, b.Lngs = b.Cells[:0], nil, nil
	} else {
		b.Cells, b.Lats, b.Lngs = nil, b.Lats[:0], b.Lngs[:0]
	}
	if len(b.Fields) != len(s.Fields) {
		b.Fields = make([]column.Vector, len(s.Fields))
	}
	for i := range b.Fields {
		f, v := &s.Fields[i], &b.Fields[i]
		if v.Kind != f.Kind || v.Scale != f.Scale {
			*v = column.Vector{Kind: f.Kind, Scale: f.Scale}
		}
		v.Reset()
	}
}

// MissingColumnError says that a file's header lacks a column that the
// definition names.
type MissingColumnError struct {
	Path   string
	Column string
	Near   string   // the column that it may have been meant to be; empty: none is near
	Have   []string // the header
}

func (e *MissingColumnError) Error() string {
	text := fmt.Sprintf("%s has no column %q", e.Path, e.Column)
	if e.Near != "" {
		text += fmt.Sprintf("; is %q meant?", e.Near)
	}
	return text + ". The header is: " + strings.Join(e.Have, ", ")
}

// near is the name in have that is fewest edits from want, where that is few.
func near(want string, have []string) string {
	best, distance := "", len(want)/3+2
	for _, h := range have {
		if strings.EqualFold(h, want) {
			return h
		}
		if d := edits(strings.ToLower(want), strings.ToLower(h)); d < distance {
			best, distance = h, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two names.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
