package stream

import (
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
)

// Batch is a run of records of one source partition in the order of their
// positions, decoded into columns. Row i of every column is record i; a record
// with a Reason other than Accepted holds zero values there. Batches are reused:
// nobody keeps a slice of one after handing it back. The task puts ancestors at
// the grid's resolution in the place of finer cells.
type Batch struct {
	Positions []int64         // of each record: Kafka's offset, or the record's number in the merged files
	Next      int64           // the position to read on from
	Times     []int64         // event time, µs
	NotAfter  []int64         // the latest event time acceptable, µs; nil: Limit for all
	Limit     int64           // used where NotAfter is nil
	Lats      []float64       // degrees; nil where the location is a cell
	Lngs      []float64       // degrees
	Cells     []geo.Cell      // of the grid's resolution or finer; nil where the location is latitude and longitude
	Fields    []column.Vector // one a field of the plan, in the definition's order
	Reasons   []Reason        // what the decoder found; nil: all Accepted
	Raw       Raw             // the records as they were read
}

// Len is the number of records.
func (b *Batch) Len() int { return len(b.Positions) }

// Raw gives a record's bytes back, for dead letters and late records.
type Raw interface {
	// At returns record i; valid until its batch is handed back.
	At(i int) []byte
}

// Reason says why a record became a dead letter.
type Reason uint8

// The reasons. Their names are metric labels and part of the dead-letter format.
const (
	Accepted     Reason = iota
	BadSyntax           // the record does not parse: quoting, JSON, UTF-8, size
	MissingField        // a declared field, the event time or the location is absent or empty
	BadValue            // a field's text is not of its kind or does not fit it
	BadLocation         // NaN, infinite or out of range; no cell
	TooEarly            // event time before not_before
	TooFarAhead         // event time after not_after
)

// String is the reason's name in metrics and dead letters.
func (r Reason) String() string {
	return [...]string{"accepted", "bad_syntax", "missing_field", "bad_value", "bad_location", "too_early", "too_far_ahead"}[r]
}

// DeadLetter is a record that could not become an event.
type DeadLetter struct {
	Partition int32
	Position  int64
	Reason    Reason
	Raw       []byte // a copy
}

// LateRecord is an event whose pane was complete when it was read.
type LateRecord struct {
	Partition int32
	Position  int64
	Time      int64 // event time, µs
	PaneEnd   int64 // µs
	Watermark int64 // of its partition when it was read, µs
	Raw       []byte
}
