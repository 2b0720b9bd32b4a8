package aggregate

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/exact"
	"pgregory.net/rapid"
)

var lawFields = []Field{
	{Name: "seats", Kind: column.Int}, {Name: "tip", Kind: column.Float},
	{Name: "fare", Kind: column.Decimal, Scale: 2}, {Name: "paid", Kind: column.Bool}, {Name: "id", Kind: column.String},
}

// lawEvent is an event: the integer behind each field (a float's key), and
// whether it passes condition 0.
type lawEvent struct {
	values [4]int64
	passes bool
}

func drawEvent(t *rapid.T) lawEvent {
	var e lawEvent
	wide := rapid.OneOf(rapid.Int64Range(-5, 5), rapid.Int64Range(math.MinInt64+1, math.MaxInt64-1))
	e.values[0], e.values[2] = wide.Draw(t, "seats"), wide.Draw(t, "fare")
	e.values[1] = FloatKey(rapid.OneOf(rapid.Float64Range(-2, 2), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.MaxFloat64, -math.MaxFloat64})).Draw(t, "tip"))
	e.values[3] = int64(rapid.IntRange(0, 1).Draw(t, "paid"))
	e.passes = rapid.Bool().Draw(t, "passes")
	return e
}

// partialOf is the partial of some events of one cell.
func partialOf(measures []Measure, events []lawEvent) Entries {
	e := Entries{Slots: []int32{7}}
	for _, m := range measures {
		total, best := exact.Int128{}, None(m.Kind)
		for _, event := range events {
			value := int64(1)
			if m.Field >= 0 {
				value = event.values[m.Field]
			}
			switch {
			case m.Where == 0 && !event.passes:
			case m.Kind == Min:
				best = min(best, value)
			case m.Kind == Max:
				best = max(best, value)
			default:
				total = total.Add(exact.FromInt64(value))
			}
		}
		if m.Kind != Sum {
			total = exact.Int128{Lo: uint64(best)}
		}
		c := MeasureColumn{Lo: []uint64{total.Lo}}
		if m.Kind == Sum && !total.FitsInt64() {
			c.Hi = []int64{total.Hi}
		}
		e.Measures = append(e.Measures, c)
	}
	return e
}

var lawSpecs = func() (specs []Spec) {
	for where := -1; where <= 0; where++ {
		specs = append(specs, Spec{Name: "count", Op: "count", Of: -1, Where: where})
		for field, f := range lawFields[:4] {
			for _, op := range []string{"sum", "mean", "min", "max"} {
				if f.Kind != column.Float || op == "min" || op == "max" {
					specs = append(specs, Spec{Name: op + "_" + f.Name, Op: op, Of: field, Where: where})
				}
			}
		}
	}
	return specs
}()

// naive is an aggregate of events by its definition; nil is null.
func naive(s Spec, events []lawEvent) (bits *uint64, overflow bool) {
	var counted []lawEvent
	for _, e := range events {
		if s.Where < 0 || e.passes {
			counted = append(counted, e)
		}
	}
	integer := func(v int64) *uint64 { b := uint64(v); return &b }
	if s.Op == "count" {
		return integer(int64(len(counted))), false
	}
	f := lawFields[s.Of]
	float := func(v *big.Rat) *uint64 { x, _ := v.Float64(); b := math.Float64bits(x); return &b }
	total, unit := new(big.Int), big.NewInt(1)
	if f.Kind == column.Decimal {
		unit.Exp(big.NewInt(10), big.NewInt(int64(f.Scale)), nil)
	}
	var values []int64
	for _, e := range counted {
		values = append(values, e.values[s.Of])
		total.Add(total, big.NewInt(e.values[s.Of]))
	}
	switch {
	case s.Op == "sum" && f.Kind == column.Decimal:
		return float(new(big.Rat).SetFrac(total, unit)), false
	case s.Op == "sum" && !total.IsInt64():
		return nil, true
	case s.Op == "sum":
		return integer(total.Int64()), false
	case len(values) == 0:
		return nil, false
	case s.Op == "mean":
		return float(new(big.Rat).SetFrac(total, unit.Mul(unit, big.NewInt(int64(len(values)))))), false
	}
	v := slices.Min(values)
	if s.Op == "max" {
		v = slices.Max(values)
	}
	switch f.Kind {
	case column.Float:
		b := math.Float64bits(KeyFloat(v))
		return &b, false
	case column.Decimal:
		return float(new(big.Rat).SetFrac(big.NewInt(v), unit)), false
	}
	return integer(v), false
}

// However events are cut into partials, and in whatever order and grouping these
// are merged, with partials of no events among them, each aggregate is what its
// definition says of all events at once.
func TestAggregatesKeepTheLaws(t *testing.T) {
	layout, err := NewLayout(lawSpecs, lawFields)
	if err != nil {
		t.Fatal(err)
	}
	measures := layout.Measures
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(drawEvent), 0, 12).Draw(t, "events")
		parts := make([][]lawEvent, rapid.IntRange(1, 5).Draw(t, "parts"))
		for _, e := range rapid.Permutation(events).Draw(t, "order") {
			p := rapid.IntRange(0, len(parts)-1).Draw(t, "part")
			parts[p] = append(parts[p], e)
		}
		groups := make([]Pane, rapid.IntRange(1, 3).Draw(t, "groups"))
		for g := range groups {
			groups[g].Merge(measures, partialOf(measures, nil), []bool{false})
		}
		for _, part := range parts {
			g := rapid.IntRange(0, len(groups)-1).Draw(t, "group")
			groups[g].Merge(measures, partialOf(measures, part), []bool{false})
		}
		var all Pane
		for g := range groups {
			all.Merge(measures, groups[g].Entries, []bool{false})
		}
		finished(t, layout, all.Measures, events)
		if len(events) > 0 { // what is subtracted leaves the rest
			rest := slices.Clone(all.Measures)
			gone := partialOf(measures, events[:1])
			for m := range measures {
				if measures[m].Kind == Sum {
					v := all.Measures[m].Sum(0).Sub(gone.Measures[m].Sum(0))
					rest[m] = MeasureColumn{Lo: []uint64{v.Lo}, Hi: []int64{v.Hi}}
					if want := partialOf(measures, events[1:]).Measures[m].Sum(0); v != want {
						t.Fatalf("measure %+v less an event is %v, expected %v", measures[m], v, want)
					}
				}
			}
		}
	})
}

func finished(t *rapid.T, layout *Layout, columns []MeasureColumn, events []lawEvent) {
	for i := range layout.Aggregates {
		a, s := &layout.Aggregates[i], lawSpecs[i]
		var in []MeasureColumn
		for _, m := range a.Measures {
			in = append(in, columns[m])
		}
		dst := column.Vector{Kind: a.Kind}
		overflows := a.Finish(&dst, in, 1)
		want, overflow := naive(s, events)
		if dst.Len() != 1 || dst.Null(0) != (want == nil) || (overflows == 1) != overflow {
			t.Fatalf("%s: %d values, null %v, %d too large; expected null %v", s.Name, dst.Len(), dst.Null(0), overflows, want == nil)
		}
		if bits := dst.Bits(0); want != nil && bits != *want || want == nil && bits != 0 {
			t.Fatalf("%s: %x, expected %v", s.Name, bits, want)
		}
		if a.Zero != (s.Op == "count" || s.Op == "sum") {
			t.Fatalf("%s: zero is %v", s.Name, a.Zero)
		}
	}
}

func TestFloatKeysAreOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64().Draw(t, "a"), rapid.Float64().Draw(t, "b")
		if (a < b) != (FloatKey(a) < FloatKey(b)) || (a == b) != (FloatKey(a) == FloatKey(b)) {
			t.Fatalf("%v and %v have keys %d and %d", a, b, FloatKey(a), FloatKey(b))
		}
		if KeyFloat(FloatKey(a)) != a {
			t.Fatalf("%v comes back as %v", a, KeyFloat(FloatKey(a)))
		}
	})
	if FloatKey(math.Copysign(0, -1)) != 0 || FloatKey(math.Inf(1)) == None(Min) || FloatKey(math.Inf(-1)) == None(Max) {
		t.Error("keys of -0 and of infinities")
	}
}

// Equal measures are stored once, and measure 0 counts all events.
func TestMeasuresAreShared(t *testing.T) {
	layout, err := NewLayout([]Spec{
		{Name: "mean", Op: "mean", Of: 2, Where: 1}, {Name: "sum", Op: "sum", Of: 2, Where: 1},
		{Name: "count", Op: "count", Of: -1, Where: 1}, {Name: "all", Op: "count", Of: -1, Where: -1}, {Name: "low", Op: "min", Of: 2, Where: 1},
	}, lawFields)
	if err != nil {
		t.Fatal(err)
	}
	want := []Measure{{Sum, -1, -1}, {Sum, 2, 1}, {Sum, -1, 1}, {Min, 2, 1}}
	if !slices.Equal(layout.Measures, want) {
		t.Errorf("%v, expected %v", layout.Measures, want)
	}
	for i, of := range [][]int{{1, 2}, {1}, {2}, {Events}, {3}} {
		if a := layout.Aggregates[i]; !slices.Equal(a.Measures, of) {
			t.Errorf("%s is made of %v, expected %v", a.Name, a.Measures, of)
		}
	}
}

func TestSpecsAreChecked(t *testing.T) {
	for what, s := range map[string]Spec{
		`there is no aggregate "median"`:                            {Op: "median", Of: 0},
		"sum needs a field: of":                                     {Op: "sum", Of: -1},
		"mean needs a field: of":                                    {Op: "mean", Of: -1},
		"count counts events and takes no field":                    {Op: "count", Of: 0},
		"min of id: a string field has no least and greatest value": {Op: "min", Of: 4},
		"sum of id: a string field has no sum":                      {Op: "sum", Of: 4},
		"mean of tip: sums are exact, and a float has no exact sum: declare the field decimal(SCALE)": {Op: "mean", Of: 1},
	} {
		if err := s.Check(lawFields); err == nil || err.Error() != what {
			t.Errorf("%v\nexpected %s", err, what)
		}
		if _, err := NewLayout([]Spec{s}, lawFields); err == nil {
			t.Errorf("there is a layout where %s", what)
		}
	}
	for _, s := range lawSpecs {
		if err := s.Check(lawFields); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if !slices.Contains(Ops(), s.Op) {
			t.Errorf("%s is not listed", s.Op)
		}
	}
}

func TestFinishDoesNotAllocate(t *testing.T) {
	layout, err := NewLayout(lawSpecs, lawFields)
	if err != nil {
		t.Fatal(err)
	}
	in := []MeasureColumn{{Lo: make([]uint64, 256)}, {Lo: make([]uint64, 256)}}
	for i := range layout.Aggregates {
		a := &layout.Aggregates[i]
		dst := column.Vector{Kind: a.Kind}
		if n := testing.AllocsPerRun(10, func() { dst.Reset(); a.Finish(&dst, in, 256) }); n != 0 {
			t.Errorf("%s: %v allocations for each block", a.Name, n)
		}
	}
}
