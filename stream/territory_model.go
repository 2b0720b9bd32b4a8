package stream

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/models"
)

// modelSpec is what a territory's model must know of the plan.
type modelSpec struct {
	name    string
	options models.DemandOptions
	window  int64 // W, µs
	week    int64 // windows a week
	measure int   // of the target count
	size    int   // of the target's window, among the sizes
	column  int   // first of the model's columns, in the order of models.DemandColumns
}

// territoryModel is the demand model of one territory. Its clock starts with the
// window of the first own event; from there on each window is a step, with
// events or without.
//
// Invariant: forecasts ascend by at, one a step, from the oldest that a row may
// still need.
type territoryModel struct {
	spec      *modelSpec
	shape     *shape
	demand    *models.Demand
	next      int64         // end of the next window to step, µs; noDue before the clock starts
	first     int64         // end of the first window stepped, µs
	silent    int64         // steps since one with own events
	changed   []int64       // by part of the model's state: version of its last change; 0: restored
	saved     []models.Part // of a state that is being restored
	forecasts []forecast
	spare     []forecast
	cells     []aggregate.Ordered
	known     []geo.Cell
	counts    []int64
}

// forecast is what a model's columns hold in the rows from one step to the next.
type forecast struct {
	at    int64 // µs
	born  int64 // version of the shard; 0: restored
	quiet bool  // a week without own events: no rows for its sake
	cells []geo.Cell
	out   models.Outputs
}

func newTerritoryModel(sh *shape, spec *modelSpec) (*territoryModel, error) {
	d, err := models.NewDemand(spec.options)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", spec.name, err)
	}
	return &territoryModel{spec: spec, shape: sh, demand: d, next: noDue, changed: make([]int64, d.Parts())}, nil
}

// step closes the window that ends here, if one does.
func (m *territoryModel) step(t *territory, end int64) error {
	if floor(end, m.spec.window) != end {
		return nil
	}
	came := false
	for _, p := range t.panes.Between(end-m.spec.window, end) {
		came = came || p.Own
	}
	if m.next == noDue {
		if !came {
			return nil
		}
		m.next, m.first = end, end
	}
	if m.next != end {
		return fmt.Errorf("model %s: the window that ends at %s was left out", m.spec.name, time.UnixMicro(m.next).UTC())
	}
	m.silent++
	if came {
		m.silent = 0
	}
	m.count(t)
	m.demand.Step(end, m.known, m.counts)
	m.next = end + m.spec.window
	for _, part := range m.demand.Touched() {
		m.changed[part] = t.versions.now
	}
	m.remember(end)
	return nil
}

// count gathers the target's counts above 0 of the own cells, ascending.
func (m *territoryModel) count(t *territory) {
	w := t.final.windows[0]
	m.cells, m.known, m.counts = m.cells[:0], m.known[:0], m.counts[:0]
	for _, s := range w.Active() {
		if t.places[s].own && !w.Sum(s, m.spec.measure, m.spec.size).IsZero() {
			m.cells = append(m.cells, aggregate.Ordered{Cell: t.table.Cell(s), Slot: s})
		}
	}
	slices.SortFunc(m.cells, func(a, b aggregate.Ordered) int { return cmp.Compare(a.Cell, b.Cell) })
	for _, c := range m.cells {
		m.known = append(m.known, c.Cell)
		m.counts = append(m.counts, w.Sum(c.Slot, m.spec.measure, m.spec.size).Int64())
	}
}

// remember copies the model's columns: rows trail its steps.
func (m *territoryModel) remember(at int64) {
	f := forecast{}
	if n := len(m.spare); n > 0 {
		f, m.spare = m.spare[n-1], m.spare[:n-1]
	}
	f.at, f.born, f.quiet = at, m.changed[0], m.silent >= m.spec.week
	f.cells = append(f.cells[:0], m.demand.Cells()...)
	copyOutputs(&f.out, m.demand.Outputs())
	m.forecasts = append(m.forecasts, f)
}

// copyOutputs copies a model's columns into memory that had others.
func copyOutputs(to, from *models.Outputs) {
	for _, column := range outputFloats {
		*column(to) = append((*column(to))[:0], *column(from)...)
	}
	for _, column := range outputInts {
		*column(to) = append((*column(to))[:0], *column(from)...)
	}
	to.MissValid = append(to.MissValid[:0], from.MissValid...)
}

// Outputs' columns by their type.
var (
	outputFloats = []func(*models.Outputs) *[]float64{
		func(o *models.Outputs) *[]float64 { return &o.Mu },
		func(o *models.Outputs) *[]float64 { return &o.Up },
		func(o *models.Outputs) *[]float64 { return &o.Down },
		func(o *models.Outputs) *[]float64 { return &o.UpStart },
		func(o *models.Outputs) *[]float64 { return &o.DownStart },
	}
	outputInts = []func(*models.Outputs) *[]int64{
		func(o *models.Outputs) *[]int64 { return &o.Lo },
		func(o *models.Outputs) *[]int64 { return &o.Hi },
		func(o *models.Outputs) *[]int64 { return &o.At },
		func(o *models.Outputs) *[]int64 { return &o.Miss },
	}
)

// dueStep is the end of the next window to step.
func (m *territoryModel) dueStep() int64 { return m.next }

// dueRows is the next window end after a time at which a forecast is new and has
// rows of its own.
func (m *territoryModel) dueRows(after int64) int64 {
	if m.next == noDue || m.silent >= m.spec.week {
		return noDue
	}
	made := m.first
	if after != NoTime {
		made = max(made, floor(after-m.shape.trail, m.spec.window)+m.spec.window)
	}
	return -floor(-(made + m.shape.trail), m.shape.pane)
}

// current is the forecast in the rows of a window end; nil: none yet.
func (m *territoryModel) current(end int64) *forecast {
	for i := len(m.forecasts) - 1; i >= 0; i-- {
		if m.forecasts[i].at <= end-m.shape.trail {
			return &m.forecasts[i]
		}
	}
	return nil
}

// due is the forecast that is new at a window end and has rows of its own; nil: none.
func (m *territoryModel) due(end int64) *forecast {
	made := floor(end-m.shape.trail, m.spec.window)
	f := m.current(end)
	if f == nil || f.quiet || f.at != made || made == floor(end-m.shape.pane-m.shape.trail, m.spec.window) {
		return nil
	}
	return f
}

// until are the forecasts older than the one that holds at a time.
func (m *territoryModel) until(at int64) []forecast {
	n := 0
	for n+1 < len(m.forecasts) && m.forecasts[n+1].at <= at {
		n++
	}
	return m.forecasts[:n]
}

// forget drops them.
func (m *territoryModel) forget(at int64) {
	if n := len(m.until(at)); n > 0 {
		m.spare = append(m.spare, m.forecasts[:n]...)
		m.forecasts = append(m.forecasts[:0], m.forecasts[n:]...)
	}
}
