package stream

import (
	"fmt"
	"time"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/features"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
)

// shape is what a shard must know of a plan.
type shape struct {
	gridShape
	measureShape
	columnShape
	pane   int64       // µs
	sizes  []int64     // of the windows, µs, ascending
	widest int64       // µs, the last of sizes
	trail  int64       // by how much final rows trail, µs
	models []modelSpec // in the definition's order
}

// gridShape is where rows are.
type gridShape struct {
	resolution  int
	rings       []int // ascending
	ringed      bool  // there is a ring wider than the cell
	parents     []int // resolutions, descending
	emitCell    bool
	territories *geo.Territories
}

// measureShape is what is kept of a cell and pane.
type measureShape struct {
	measures  []aggregate.Measure
	sumOf     []int // by measure: its number among the sums; −1: an extremum
	extremes  []int // the measures that are extrema
	extremeOf []int // by measure: its number among the extrema; −1: a sum
}

// columnShape is what a row's columns are made of.
type columnShape struct {
	kinds      []column.Kind // Int or Float
	aggregates []aggregate.Aggregate
	finals     []finalSpec // the aggregates' columns
	backoffs   []backoffSpec
	features   []featureSpec
}

// finalSpec is an aggregate's column.
type finalSpec struct {
	column    int
	ring      int // index among the rings
	size      int // index among the windows
	aggregate int
}

// featureSpec is a feature's column.
type featureSpec struct {
	column  int
	program *features.Program
}

// newShape reads a plan.
func newShape(plan *pipeline.Plan) (*shape, error) {
	g := &plan.Grid
	sh := &shape{
		gridShape: gridShape{
			resolution: g.Resolution, rings: g.Rings, ringed: plan.WidestRing() > 0,
			parents: g.Parents, emitCell: !g.Neighborhood, territories: g.Territories,
		},
		pane: plan.Pane.Microseconds(), widest: plan.WidestWindow().Microseconds(), trail: plan.FinalLag().Microseconds(),
	}
	sh.measures = plan.Layout.Measures
	sh.measureShape.number()
	sh.aggregates = plan.Layout.Aggregates
	for _, w := range plan.Windows {
		sh.sizes = append(sh.sizes, w.Microseconds())
	}
	for i, c := range plan.Columns {
		sh.kinds = append(sh.kinds, c.Kind)
		switch c.Origin {
		case pipeline.FromAggregate:
			sh.finals = append(sh.finals, finalSpec{column: i, ring: c.Ring, size: c.Window, aggregate: c.Index})
		case pipeline.FromBackoff:
			if b := &plan.Backoffs[c.Index]; c.Output == 0 {
				sh.backoffs = append(sh.backoffs, backoffSpec{column: i, size: c.Window, aggregate: b.Aggregate, count: b.Count, atLeast: b.AtLeast})
			}
		case pipeline.FromFeature:
			sh.features = append(sh.features, featureSpec{column: i, program: plan.Features[c.Index].Program})
		}
	}
	for i := range plan.Models {
		m, err := sh.model(plan, &plan.Models[i])
		if err != nil {
			return nil, err
		}
		sh.models = append(sh.models, m)
	}
	return sh, nil
}

// model is what a model reads and writes.
func (s *shape) model(plan *pipeline.Plan, m *pipeline.ModelPlan) (modelSpec, error) {
	target := plan.Columns[m.Target]
	if target.Origin != pipeline.FromAggregate || m.Count != modelColumns {
		return modelSpec{}, fmt.Errorf("model %s: column %s is no count, or the model has %d columns", m.Name, target.Name, m.Count)
	}
	return modelSpec{
		name: m.Name, options: m.Options, column: m.First,
		window: m.Window().Microseconds(), week: int64(7 * 24 * time.Hour / m.Window()),
		measure: s.aggregates[target.Index].Measures[0], size: target.Window,
	}, nil
}

// lane is where a sum's window is among the lanes of a cell.
func (s *shape) lane(measure, size int) int { return s.sumOf[measure]*len(s.sizes) + size }

// number sorts the measures.
func (m *measureShape) number() {
	sums := 0
	for i, measure := range m.measures {
		if measure.Kind != aggregate.Sum {
			m.sumOf, m.extremeOf = append(m.sumOf, -1), append(m.extremeOf, len(m.extremes))
			m.extremes = append(m.extremes, i)
			continue
		}
		m.sumOf, m.extremeOf = append(m.sumOf, sums), append(m.extremeOf, -1)
		sums++
	}
}
