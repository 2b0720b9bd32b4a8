package pipeline

import (
	"time"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/features"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/models"
)

// Plan is a checked definition: what is computed. It does not change and may be
// shared by goroutines.
type Plan struct {
	Name     string
	Text     string // the definition
	Hash     string // XXH3-128 over all that bears on rows, 32 hexadecimal digits
	Source   SourcePlan
	Grid     GridPlan
	Pane     time.Duration
	Windows  []time.Duration // ascending
	Layout   *aggregate.Layout
	Wheres   []*features.Program // conditions over the fields, by Measure.Where
	Backoffs []BackoffPlan
	Features []FeaturePlan
	Models   []ModelPlan
	Columns  []Column // in the order of rows: aggregates, backoffs, features, models
	Sinks    Sinks
	Warnings []string
}

// SourcePlan is what is taken from the records, and how time is judged.
type SourcePlan struct {
	Format          string // csv or json
	Topic           string
	EventTime       EventTime
	Location        Location
	Fields          []FieldType
	Filter          *features.Program // nil: every event passes; variables are the fields
	OutOfOrder      time.Duration
	AllowedLateness time.Duration
	IdleAfter       time.Duration
	MaxAhead        time.Duration
	NotBefore       int64 // µs
	Dedup           *DedupPlan
}

// DedupPlan is the key and the span of dedup.
type DedupPlan struct {
	By     []int // fields
	Within time.Duration
}

// GridPlan is the cells of a plan.
type GridPlan struct {
	Resolution   int
	Rings        []int // ascending
	Parents      []int // descending
	Neighborhood bool  // emit: neighborhood; else emit: cell
	Regions      []geo.Region
	Territories  *geo.Territories
}

// BackoffPlan is a checked backoff: for each window a column with the value of an
// aggregate at the finest resolution that has enough events in it, of the row's
// own and its ancestors at the grid's parents, and one with that resolution; both
// null where none has.
type BackoffPlan struct {
	Name      string
	Aggregate int   // of the layout
	Count     int   // the measure that counts its events
	AtLeast   int64 // events
}

// FeaturePlan is a compiled feature; the program's variables are the plan's
// columns.
type FeaturePlan struct {
	Name    string
	Program *features.Program
}

// ModelPlan is a checked model.
type ModelPlan struct {
	Name    string
	Kind    string
	Target  int // column
	Options models.DemandOptions
	First   int // its first column
	Count   int // how many columns it has
}

// Window is the length of the windows that the model forecasts.
func (m *ModelPlan) Window() time.Duration { return m.Options.Window }

// Origin says where a column's values come from.
type Origin uint8

// The origins.
const (
	FromAggregate Origin = iota
	FromFeature
	FromModel
	FromBackoff
)

// String names the origin.
func (o Origin) String() string { return [...]string{"aggregate", "feature", "model", "backoff"}[o] }

// Column is one column of the rows.
type Column struct {
	Name        string
	Kind        column.Kind // Int or Float
	Origin      Origin
	Index       int // of the aggregate, backoff, feature or model
	Ring        int // position in Grid.Rings; aggregates only
	Window      int // position in Windows; aggregates and backoffs only
	Output      int // which of a model's columns; of a backoff's: 0 the value, 1 the resolution
	Description string
}

// WidestRing is the greatest grid distance.
func (p *Plan) WidestRing() int { return p.Grid.Rings[len(p.Grid.Rings)-1] }

// WidestWindow is the longest window.
func (p *Plan) WidestWindow() time.Duration { return p.Windows[len(p.Windows)-1] }

// ZeroWhenEmpty tells whether a column is 0, not null, where no event has come.
func (p *Plan) ZeroWhenEmpty(i int) bool {
	c := p.Columns[i]
	return c.Origin == FromAggregate && p.Layout.Aggregates[c.Index].Zero
}

// ModelsKnow tells whether models have columns in the rows of a resolution: then
// its entities stay known when their rows cease.
func (p *Plan) ModelsKnow(resolution int) bool {
	return len(p.Models) > 0 && resolution == p.Grid.Resolution
}

// AvailableAt is from when a lookup could have known the row of a window end:
// the end rounded up to the dedup span, and what may be out of order or late. µs.
func (p *Plan) AvailableAt(end int64) int64 {
	if d := p.Source.Dedup; d != nil {
		span := d.Within.Microseconds()
		end = (end + span - 1) / span * span
	}
	return end + p.Source.OutOfOrder.Microseconds() + p.Source.AllowedLateness.Microseconds()
}

// FinalLag is how far the final frontier trails the provisional one.
func (p *Plan) FinalLag() time.Duration {
	if p.Source.Dedup != nil {
		return 0
	}
	return p.Source.AllowedLateness
}

// Variables are the fields as expressions know them.
func (s *SourcePlan) Variables() []features.Variable {
	vars := make([]features.Variable, len(s.Fields))
	for i, f := range s.Fields {
		vars[i] = features.Variable{Name: f.Name, Kind: f.Kind, Scale: f.Scale}
	}
	return vars
}

// Load reads a definition and makes its plan. The error, *Errors, has every
// mistake.
func Load(text []byte, file string) (*Plan, error) {
	found := &issues{positions: map[string]Position{}, broken: map[Position]bool{}}
	d := read(text, found)
	p := &Plan{Name: d.Name, Text: string(text), Sinks: d.Sinks}
	c := &checker{definition: d, plan: p, issues: found, names: map[string]bool{}}
	if _, read := found.positions[""]; read { // else it is no YAML, and has been said to be none
		c.check()
	}
	if err := found.err(file); err != nil {
		return nil, err
	}
	p.Hash = hash(p, d.Aggregates)
	return p, nil
}
