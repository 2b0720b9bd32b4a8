package oracle

import (
	"maps"
	"slices"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/models"
	"github.com/hextide/hextide/pipeline"
)

// forecasts are what models said of cells: by model, time of the forecast, cell.
type forecasts struct {
	plan *pipeline.Plan
	by   []map[said]models.Outputs // of one cell each
}

type said struct {
	at   int64 // µs
	cell geo.Cell
}

// put adds one of a model's columns to a row.
func (f forecasts) put(v *column.Vector, c pipeline.Column, key Key) {
	m := &f.plan.Models[c.Index]
	made := floor(key.End-f.plan.FinalLag().Microseconds(), m.Window().Microseconds())
	o, known := f.by[c.Index][said{made, key.Cell}]
	if !known {
		null(v)
		return
	}
	switch floats, ints := []([]float64){0: o.Mu, 5: o.Up, 6: o.Down, 7: o.UpStart, 8: o.DownStart}, []([]int64){1: o.Lo, 2: o.Hi, 3: o.At, 4: o.Miss}; {
	case c.Output == 4 && !o.MissValid[0]:
		null(v)
	case floats[c.Output] != nil:
		v.Floats = append(v.Floats, floats[c.Output][0])
	default:
		v.Ints = append(v.Ints, ints[c.Output][0])
	}
}

// models steps every model of every territory over its windows, one by one, and
// adds the rows that its forecasts make.
func (j *job) models() forecasts {
	f := forecasts{plan: j.plan}
	for i := range j.plan.Models {
		f.by = append(f.by, map[said]models.Outputs{})
		for _, own := range j.byTerritory() {
			j.steps(&j.plan.Models[i], own, f.by[i])
		}
	}
	// Without events of their own these rows do not exist, unless a model is new.
	if !j.plan.Grid.Neighborhood {
		for key := range j.sums {
			if !j.live[key] && !j.forced(key, f) {
				delete(j.sums, key)
			}
		}
	}
	return f
}

func (j *job) byTerritory() map[geo.Territory][]Event {
	by := map[geo.Territory][]Event{}
	for _, e := range j.events {
		id := j.plan.Grid.Territories.Of(e.Cell)
		by[id] = append(by[id], e)
	}
	return by
}

// steps runs a model over the events of one territory.
func (j *job) steps(m *pipeline.ModelPlan, events []Event, out map[said]models.Outputs) {
	demand, err := models.NewDemand(m.Options)
	if err != nil {
		panic(err)
	}
	w, first := m.Window().Microseconds(), events[0].Time
	for _, e := range events {
		first = min(first, e.Time)
	}
	measure := j.plan.Layout.Aggregates[j.plan.Columns[m.Target].Index].Measures[0]
	quiet := int64(0)
	for end := floor(first, w) + w; end <= j.end; end += w {
		counts := map[geo.Cell]int64{}
		came := false
		for _, e := range events {
			if e.Time >= end-w && e.Time < end {
				came = true
				if e.Adds[measure] != 0 {
					counts[e.Cell] += e.Adds[measure]
				}
			}
		}
		cells := slices.Sorted(maps.Keys(counts))
		var values []int64
		for _, c := range cells {
			values = append(values, counts[c])
		}
		demand.Step(end, cells, values)
		if quiet++; came {
			quiet = 0
		}
		weeks := quiet*w >= 7*24*3600*1e6
		for i, c := range demand.Cells() {
			out[said{end, c}] = one(demand.Outputs(), i)
			if at := j.newAt(end, w); !weeks && at <= j.end {
				j.at(Key{at, j.plan.Grid.Resolution, c})
			}
		}
	}
}

// newAt is the first window end whose rows hold the forecast made at a time.
func (j *job) newAt(made, w int64) int64 {
	pane := j.plan.Pane.Microseconds()
	return -floor(-(made + j.plan.FinalLag().Microseconds()), pane)
}

// forced tells whether a model makes a row exist.
func (j *job) forced(key Key, f forecasts) bool {
	for i := range j.plan.Models {
		w := j.plan.Models[i].Window().Microseconds()
		made := floor(key.End-j.plan.FinalLag().Microseconds(), w)
		if _, known := f.by[i][said{made, key.Cell}]; known && j.newAt(made, w) == key.End {
			return true
		}
	}
	return false
}

// one is a single cell's outputs.
func one(o *models.Outputs, i int) models.Outputs {
	return models.Outputs{
		Mu: []float64{o.Mu[i]}, Lo: []int64{o.Lo[i]}, Hi: []int64{o.Hi[i]}, At: []int64{o.At[i]},
		Miss: []int64{o.Miss[i]}, MissValid: []bool{o.MissValid[i]}, Up: []float64{o.Up[i]}, Down: []float64{o.Down[i]},
		UpStart: []float64{o.UpStart[i]}, DownStart: []float64{o.DownStart[i]},
	}
}
