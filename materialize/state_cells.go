package materialize

import (
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/models"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// Columns of panes and windows that are no measures.
var cellColumns = []string{
	"shard", "territory", "cell", "h3", "own", "pane_start",
	"resolution", "window_start", "window_end", "provisional", "events",
}

// stateMeasures names the measures of a plan: the first, of all events, events;
// the others as the aggregate that is one alone, or else as the aggregate and what
// part of it they are.
func stateMeasures(plan *pipeline.Plan) []StateMeasure {
	named := make([]StateMeasure, len(plan.Layout.Measures))
	taken := slices.Clone(cellColumns)
	for i, m := range plan.Layout.Measures {
		s := &named[i]
		s.Kind = [...]string{"sum", "min", "max"}[m.Kind]
		if m.Field < 0 {
			s.Kind = "count"
		} else {
			s.Field = plan.Source.Fields[m.Field].Name
		}
		if m.Where >= 0 {
			s.Where = plan.Wheres[m.Where].Source
		}
		alone := ""
		for _, a := range plan.Layout.Aggregates {
			if slices.Contains(a.Measures, i) {
				s.Aggregates = append(s.Aggregates, a.Name)
				if len(a.Measures) == 1 && alone == "" {
					alone = a.Name
				}
			}
		}
		switch {
		case i == aggregate.Events:
			s.Column = "events"
			continue
		case alone != "":
			s.Column = alone
		case len(s.Aggregates) > 0:
			s.Column = s.Aggregates[0] + "_" + s.Kind
		default: // counted for a backoff
			s.Column = "counted"
		}
		for slices.Contains(taken, s.Column) {
			s.Column += "_"
		}
		taken = append(taken, s.Column)
	}
	return named
}

// cellSheet is panes.parquet or windows.parquet: a row a cell.
type cellSheet struct {
	*sheet
	shard       *field[int32]
	territory   *field[int64]
	cell        cells
	own         *field[bool]
	start       moment
	resolution  *field[int32] // this and those below: of windows only
	end         moment
	provisional *field[bool]
	measures    []func(c *aggregate.MeasureColumn, i int)
}

func newCellSheet(s *sheet, plan *pipeline.Plan, measures []StateMeasure, windows bool) *cellSheet {
	c := &cellSheet{sheet: s, shard: s.int32("shard"), territory: s.id("territory"), cell: s.cell(), own: s.bool("own")}
	if windows {
		c.resolution, c.start, c.end, c.provisional = s.int32("resolution"), s.time("window_start"), s.time("window_end"), s.bool("provisional")
	} else {
		c.start = s.time("pane_start")
	}
	for i, m := range plan.Layout.Measures {
		c.measures = append(c.measures, s.measure(measures[i].Column, m, plan))
	}
	return c
}

// measure makes the column of a measure, and what writes a value of it: a count as
// an integer, a sum as a decimal, an extremum as its field's kind, null of no event.
func (s *sheet) measure(name string, m aggregate.Measure, plan *pipeline.Plan) func(c *aggregate.MeasureColumn, i int) {
	if m.Field < 0 {
		f := s.int64(name)
		return func(c *aggregate.MeasureColumn, i int) { f.add(c.Sum(i).Int64()) }
	}
	of := plan.Source.Fields[m.Field]
	if m.Kind == aggregate.Sum {
		d := s.decimal(name, of.Scale)
		return func(c *aggregate.MeasureColumn, i int) { d.set(true, c.Sum(i)) }
	}
	none := aggregate.None(m.Kind)
	switch of.Kind {
	case column.Float:
		f := s.float(name)
		return func(c *aggregate.MeasureColumn, i int) {
			f.addIf(int64(c.Lo[i]) != none, aggregate.KeyFloat(int64(c.Lo[i])))
		}
	case column.Decimal:
		d := s.decimal(name, of.Scale)
		return func(c *aggregate.MeasureColumn, i int) {
			d.set(int64(c.Lo[i]) != none, exact.FromInt64(int64(c.Lo[i])))
		}
	}
	f := s.int64(name)
	return func(c *aggregate.MeasureColumn, i int) { f.addIf(int64(c.Lo[i]) != none, int64(c.Lo[i])) }
}

func (s *cellSheet) add(w *stream.HeldWindow) error {
	for i, cell := range w.Cells {
		s.shard.add(w.Shard)
		s.territory.add(int64(w.Territory))
		s.cell.add(cell)
		s.own.add(w.Own[i])
		s.start.at(w.Start)
		if s.resolution != nil {
			s.resolution.add(int32(w.Resolution))
			s.end.at(w.End)
			s.provisional.add(w.Provisional)
		}
		for m, add := range s.measures {
			add(&w.Measures[m], i)
		}
		if err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

// dedupSheet is dedup.parquet: a row a key of an open span.
type dedupSheet struct {
	*sheet
	partition      *field[int32]
	start, end, at moment
	cell           cells
	lat, lng       *field[float64]
	fields         []func(v *column.Vector, i int)
}

func newDedupSheet(s *sheet, plan *pipeline.Plan) *dedupSheet {
	d := &dedupSheet{
		sheet: s, partition: s.int32("partition"), start: s.time("span_start"), end: s.time("span_end"),
		at: s.time("event_time"), cell: s.cell(), lat: s.float("lat"), lng: s.float("lng"),
	}
	for i, f := range plan.Source.Fields {
		prefix := "field_"
		if by := plan.Source.Dedup; by != nil && slices.Contains(by.By, i) {
			prefix = "key_"
		}
		d.fields = append(d.fields, s.event(prefix+f.Name, f.Kind, f.Scale))
	}
	return d
}

// event makes the column of a field of the events, and what writes a value of it.
func (s *sheet) event(name string, kind column.Kind, scale int) func(v *column.Vector, i int) {
	switch kind {
	case column.Float:
		f := s.float(name)
		return func(v *column.Vector, i int) { f.addIf(!v.Null(i), v.Floats[i]) }
	case column.Bool:
		f := s.bool(name)
		return func(v *column.Vector, i int) { f.addIf(!v.Null(i), v.Ints[i] != 0) }
	case column.Decimal:
		d := s.decimal(name, scale)
		return func(v *column.Vector, i int) { d.set(!v.Null(i), exact.FromInt64(v.Ints[i])) }
	case column.String:
		f := s.text(name)
		return func(v *column.Vector, i int) { f.addIf(!v.Null(i), v.Strings.At(i)) }
	}
	f := s.int64(name)
	return func(v *column.Vector, i int) { f.addIf(!v.Null(i), v.Ints[i]) }
}

func (s *dedupSheet) add(w *stream.HeldWinners) error {
	for i, at := range w.Times {
		s.partition.add(w.Partition)
		s.start.at(w.Start)
		s.end.at(w.End)
		s.at.at(at)
		s.cell.add(w.Cells[i])
		lat, lng := math.NaN(), math.NaN()
		if w.Lats != nil {
			lat, lng = w.Lats[i], w.Lngs[i]
		}
		s.lat.addIf(w.Lats != nil, lat)
		s.lng.addIf(w.Lats != nil, lng)
		for f, add := range s.fields {
			add(&w.Fields[f], i)
		}
		if err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

// modelSheet is models.parquet: a row a parameter.
type modelSheet struct {
	*sheet
	model     *field[parquet.ByteArray]
	shard     *field[int32]
	territory *field[int64]
	stepped   moment
	cell      cells
	parameter *field[parquet.ByteArray]
	values    *field[float64]
}

func newModelSheet(s *sheet) *modelSheet {
	return &modelSheet{
		sheet: s, model: s.text("model"), shard: s.int32("shard"), territory: s.id("territory"),
		stepped: s.time("learnt_until"), cell: s.cell(), parameter: s.text("parameter"), values: s.floats("value"),
	}
}

func (s *modelSheet) add(m *stream.HeldModel, cell geo.Cell, p models.Parameter) error {
	s.model.add(parquet.ByteArray(m.Name))
	s.shard.add(m.Shard)
	s.territory.add(int64(m.Territory))
	s.stepped.addIf(m.Demand.End() != 0, m.Demand.End())
	s.cell.add(cell)
	s.parameter.add(parquet.ByteArray(p.Name))
	s.values.addAll(p.Values)
	return s.next()
}

// forecastSheet is forecasts.parquet: a row a forecast of a cell.
type forecastSheet struct {
	*sheet
	model     *field[parquet.ByteArray]
	shard     *field[int32]
	territory *field[int64]
	made      moment
	cell      cells
	mean      *field[float64]
	lo, hi    *field[int64]
	miss      *field[int64]
	tails     []*field[float64]
}

func newForecastSheet(s *sheet) *forecastSheet {
	f := &forecastSheet{
		sheet: s, model: s.text("model"), shard: s.int32("shard"), territory: s.id("territory"), made: s.time("made_at"),
		cell: s.cell(), mean: s.float("mean"), lo: s.int64("lo"), hi: s.int64("hi"), miss: s.int64("miss"),
	}
	for _, name := range []string{"up", "down", "up_start", "down_start"} {
		f.tails = append(f.tails, s.float(name))
	}
	return f
}

func (s *forecastSheet) add(m *stream.HeldModel, f *stream.HeldForecast) error {
	o := f.Outputs
	for i, cell := range f.Cells {
		s.model.add(parquet.ByteArray(m.Name))
		s.shard.add(m.Shard)
		s.territory.add(int64(m.Territory))
		s.made.at(f.Made)
		s.cell.add(cell)
		s.mean.add(o.Mu[i])
		s.lo.add(o.Lo[i])
		s.hi.add(o.Hi[i])
		s.miss.addIf(o.MissValid[i], o.Miss[i])
		for t, values := range [][]float64{o.Up, o.Down, o.UpStart, o.DownStart} {
			s.tails[t].add(values[i])
		}
		if err := s.next(); err != nil {
			return err
		}
	}
	return nil
}
