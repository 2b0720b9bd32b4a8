package models

import "slices"

// Outputs are the columns of a model after a step, each aligned with Cells. They hold until the next
// Step.
type Outputs struct {
	Mu        []float64 // forecast of the window that begins at At
	Lo, Hi    []int64   // its interval, both ends included
	At        []int64   // µs: when the forecast was made, the end of the last window closed
	Miss      []int64   // of that last window: 1 where the tracked interval missed, else 0
	MissValid []bool    // false: the cell had no forecast of it, or the feed was silent
	Up        []float64 // probability of at least as much as came in the hour so far
	Down      []float64 // of at most as much
	UpStart   []float64 // both against the level at which the hour began
	DownStart []float64
}

// ColumnKind is the type of a model's column.
type ColumnKind uint8

// The kinds of columns.
const (
	IntColumn ColumnKind = iota
	FloatColumn
)

// ColumnSpec is one column that a model adds to every row of its city. Every column is null until there
// is a forecast; Nullable marks those that may be null afterwards.
type ColumnSpec struct {
	Name     string
	Suffix   string // what follows the model's name: "", "_lo", ...
	Kind     ColumnKind
	Nullable bool
	What     string // one line for people, with the unit
}

// DemandColumns are the columns of a demand model of a name, in the order of Outputs.
func DemandColumns(name string) []ColumnSpec {
	columns := []ColumnSpec{
		{Suffix: "", Kind: FloatColumn, What: "forecast count of the window that begins at _at"},
		{Suffix: "_lo", Kind: IntColumn, What: "lower end of the forecast's interval, included"},
		{Suffix: "_hi", Kind: IntColumn, What: "upper end of the forecast's interval, included"},
		{Suffix: "_at", Kind: IntColumn, What: "when the forecast was made, µs of unix time"},
		{Suffix: "_miss", Kind: IntColumn, Nullable: true, What: "1 where the interval missed the window that closed at _at, else 0"},
		{Suffix: "_up", Kind: FloatColumn, What: "probability of at least as much as came in the hour so far"},
		{Suffix: "_down", Kind: FloatColumn, What: "probability of at most as much as came in the hour so far"},
		{Suffix: "_up_start", Kind: FloatColumn, What: "the same as _up against the level at which the hour began"},
		{Suffix: "_down_start", Kind: FloatColumn, What: "the same as _down against the level at which the hour began"},
	}
	for i := range columns {
		columns[i].Name = name + columns[i].Suffix
	}
	return columns
}

// Outputs are the columns after the last step.
func (d *Demand) Outputs() *Outputs { return &d.outputs }

// resize makes every column n long.
func (o *Outputs) resize(n int) {
	for _, column := range []*[]float64{&o.Mu, &o.Up, &o.Down, &o.UpStart, &o.DownStart} {
		*column = slices.Grow((*column)[:0], n)[:n]
	}
	for _, column := range []*[]int64{&o.Lo, &o.Hi, &o.At, &o.Miss} {
		*column = slices.Grow((*column)[:0], n)[:n]
	}
	o.MissValid = slices.Grow(o.MissValid[:0], n)[:n]
}

// publish fills the columns from forecasts and verdicts.
func (d *Demand) publish() {
	o := &d.outputs
	o.resize(len(d.cells))
	size := d.city.windowSpread.size()
	for c := range d.states {
		state := &d.states[c]
		o.Mu[c] = d.ahead[c].mean
		o.Lo[c], o.Hi[c] = interval(d.ahead[c].mean, size, clampQuantile(state.quantile))
		o.At[c] = d.end
		o.Miss[c] = 0
		if state.verdict.miss == missed {
			o.Miss[c] = 1
		}
		o.MissValid[c] = state.verdict.miss != unjudged
		o.Up[c], o.Down[c] = state.verdict.running.up, state.verdict.running.down
		o.UpStart[c], o.DownStart[c] = state.verdict.start.up, state.verdict.start.down
	}
}
