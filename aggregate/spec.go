package aggregate

import (
	"fmt"
	"math"
	"slices"

	"github.com/hextide/hextide/column"
)

// Spec is one aggregate of a definition.
type Spec struct {
	Name  string
	Op    string // a name of Ops
	Of    int    // index of the field; -1: none is given
	Where int    // index of the plan's where program; -1: every event
}

// Field is what an aggregate must know of a field of the events.
type Field struct {
	Name  string
	Kind  column.Kind
	Scale int // Decimal only
}

// Aggregate is a checked aggregate: how its column is made of measures.
type Aggregate struct {
	Name     string
	Kind     column.Kind // of the column: Int or Float
	Zero     bool        // 0, not null, where no event counts
	Measures []int       // positions in the layout
	finish   finish
}

// finish makes one value of a column: of the aggregate's measures in its own
// order, at row i. ok is false where the value is null; overflow where it is
// null because it does not fit.
type finish func(in []MeasureColumn, i int) (bits uint64, ok, overflow bool)

// Layout is what a plan's aggregates store and how they are finished.
// Measure 0 counts all accepted events: by it a row exists.
type Layout struct {
	Measures   []Measure
	Aggregates []Aggregate
}

// Events is the position of the measure that counts all events.
const Events = 0

// op is one kind of aggregate. Each has a file of its own.
type op struct {
	needsField bool
	// check returns what is wrong with summing or comparing a field; "" is nothing.
	check func(f Field) string
	// build makes the aggregate; l shares measures.
	build func(l *Layout, s Spec, f Field) Aggregate
}

var ops = map[string]op{"count": countOp, "sum": sumOp, "mean": meanOp, "min": minOp, "max": maxOp}

// Ops are the names of the aggregates that there are.
func Ops() []string { return []string{"count", "sum", "mean", "min", "max"} }

// Check returns what is wrong with an aggregate; nil is nothing.
func (s Spec) Check(fields []Field) error {
	o, known := ops[s.Op]
	switch {
	case !known:
		return fmt.Errorf("there is no aggregate %q", s.Op)
	case o.needsField && s.Of < 0:
		return fmt.Errorf("%s needs a field: of", s.Op)
	case !o.needsField && s.Of >= 0:
		return fmt.Errorf("%s counts events and takes no field", s.Op)
	case o.needsField:
		if what := o.check(fields[s.Of]); what != "" {
			return fmt.Errorf("%s of %s: %s", s.Op, fields[s.Of].Name, what)
		}
	}
	return nil
}

// NewLayout makes the layout of aggregates that have been checked.
func NewLayout(specs []Spec, fields []Field) (*Layout, error) {
	l := &Layout{Measures: []Measure{{Kind: Sum, Field: -1, Where: -1}}}
	for _, s := range specs {
		if err := s.Check(fields); err != nil {
			return nil, fmt.Errorf("aggregate %s: %w", s.Name, err)
		}
		var f Field
		if s.Of >= 0 {
			f = fields[s.Of]
		}
		a := ops[s.Op].build(l, s, f)
		a.Name = s.Name
		l.Aggregates = append(l.Aggregates, a)
	}
	return l, nil
}

// Counting finds or adds the measure that counts the events that pass a where
// program; -1: all.
func (l *Layout) Counting(where int) int {
	return l.measure(Measure{Kind: Sum, Field: -1, Where: where})
}

// measure finds or adds a measure.
func (l *Layout) measure(m Measure) int {
	if i := slices.Index(l.Measures, m); i >= 0 {
		return i
	}
	l.Measures = append(l.Measures, m)
	return len(l.Measures) - 1
}

// Finish appends n values to a column. in holds the aggregate's measures, in the
// order of Measures, for n rows. It returns how many values are null because
// they do not fit the column.
func (a *Aggregate) Finish(dst *column.Vector, in []MeasureColumn, n int) (overflows int64) {
	for i := range n {
		bits, ok, overflow := a.finish(in, i)
		if overflow {
			overflows++
		}
		if !ok {
			dst.Nulls.Set(dst.Len())
			bits = 0
		}
		dst.AppendBits(bits)
	}
	return overflows
}

// Plain tells whether the column is its one measure's value as it is, wherever
// that fits 64 bits: then it may be copied.
func (a *Aggregate) Plain() bool {
	return a.Kind == column.Int && a.Zero
}

// summable returns why a field has no sum.
func summable(f Field) string {
	switch f.Kind {
	case column.Int, column.Decimal, column.Bool:
		return ""
	case column.Float:
		return "sums are exact, and a float has no exact sum: declare the field decimal(SCALE)"
	}
	return fmt.Sprintf("a %s field has no sum", f.Kind)
}

func floatBits(v float64) (bits uint64, ok, overflow bool) { return math.Float64bits(v), true, false }
