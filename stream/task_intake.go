package stream

import (
	"fmt"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/features"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
)

// predicate evaluates a boolean expression over n rows of fields: bit i of the
// result is set where row i passes. dst is memory to use again.
type predicate func(fields []column.Vector, n int, dst column.Bitmap) column.Bitmap

// intake is what an ingest task must know of a plan.
type intake struct {
	pane        int64 // µs
	outOfOrder  int64 // µs
	allowed     int64 // allowed_lateness, µs
	span        int64 // of dedup, µs; 0: none
	notBefore   int64 // µs
	widest      int64 // widest window, µs
	idleAfter   int64 // µs
	keys        []int // fields of the dedup key
	kinds       []column.Kind
	byCell      bool
	resolution  int
	filter      predicate // nil: every event passes
	wheres      []predicate
	measures    []aggregate.Measure
	territories *geo.Territories
}

// newIntake takes it out of a plan; it is one task's own.
func newIntake(plan *pipeline.Plan) (*intake, error) {
	source := &plan.Source
	in := &intake{
		pane: plan.Pane.Microseconds(), outOfOrder: source.OutOfOrder.Microseconds(),
		allowed: source.AllowedLateness.Microseconds(), notBefore: source.NotBefore,
		widest: plan.WidestWindow().Microseconds(), idleAfter: source.IdleAfter.Microseconds(),
		byCell: source.Location.Cell != "", resolution: plan.Grid.Resolution,
		measures: plan.Layout.Measures, territories: plan.Grid.Territories,
	}
	if in.pane <= 0 || in.territories == nil {
		return nil, fmt.Errorf("the plan of %s is not whole: pane %s", plan.Name, plan.Pane)
	}
	for _, f := range source.Fields {
		in.kinds = append(in.kinds, f.Kind)
	}
	if d := source.Dedup; d != nil {
		in.keys, in.span = d.By, d.Within.Microseconds()
	}
	if source.Filter != nil {
		in.filter = newPredicate(source.Filter)
	}
	for _, program := range plan.Wheres {
		in.wheres = append(in.wheres, newPredicate(program))
	}
	return in, nil
}

// winners is how the winners of dedup spans are kept.
func (in *intake) winners() winnerLayout {
	return newWinnerLayout(in.kinds, in.keys, len(in.wheres), in.byCell, in.resolution)
}

// newPredicate makes a program's predicate; null does not pass.
func newPredicate(p *features.Program) predicate {
	e := features.NewEvaluator(p)
	var in []*column.Vector
	return func(fields []column.Vector, n int, dst column.Bitmap) column.Bitmap {
		in = in[:0]
		for f := range fields {
			in = append(in, &fields[f])
		}
		v := e.Eval(in, n)
		for i, passes := range v.Ints[:n] {
			if passes != 0 && !v.Null(i) {
				dst.Set(i)
			}
		}
		return dst
	}
}
