package models

import "github.com/hextide/hextide/geo"

// Parameter is one thing that a model has learnt: a number, or a table of them.
// Ratio sums come as came, expected, came, ...; docs/demand.md says what each is.
type Parameter struct {
	Name   string
	Values []float64
}

// EachParameter tells of all that the model knows: first of what the cells share,
// with cell 0, then of each cell, ascending. Values are of integers too, which stay
// below 2^53. The slices hold until the next call of each.
func (d *Demand) EachParameter(each func(cell geo.Cell, p Parameter) error) error {
	for _, p := range append(d.city.parameters(), d.score.parameters()...) {
		if err := each(0, p); err != nil {
			return err
		}
	}
	for c := range d.states {
		for _, p := range d.states[c].parameters() {
			if err := each(d.cells[c], p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cityState) parameters() []Parameter {
	return []Parameter{
		{"windows", []float64{float64(c.windows)}},
		{"steps_rejected", []float64{float64(c.rejected)}},
		{"exposure", []float64{c.exposure}},
		{"exposure_week", c.week},
		{"exposure_day", c.day},
		{"ratios", ratioValues(c.ratios[:])},
		{"weights", c.weights[:]},
		{"curvature", c.curvature[:]},
		{"dispersion_window", []float64{c.windowSpread.squares, c.windowSpread.excess}},
		{"dispersion_hour_running", []float64{c.runningSpread.squares, c.runningSpread.excess}},
		{"dispersion_hour_start", []float64{c.startSpread.squares, c.startSpread.excess}},
	}
}

func (s *Score) parameters() []Parameter {
	names := []string{"score", "score_last_baseline", "score_last_model", "score_day_baseline", "score_day_model", "score_week_baseline", "score_week_model"}
	var out []Parameter
	for i, t := range s.tallies() {
		out = append(out, Parameter{names[i], []float64{float64(t.N), t.Deviance, t.Absolute, t.Bias}})
	}
	return append(out, Parameter{"score_events", []float64{s.Events}}, Parameter{"score_misses", []float64{float64(s.Misses)}})
}

func (s *cellState) parameters() []Parameter {
	counted := 0.
	if s.hour.counted {
		counted = 1
	}
	past := make([]float64, len(s.past))
	for i, n := range s.past {
		past[i] = float64(n)
	}
	return []Parameter{
		{"level", []float64{s.level}},
		{"ratios_ring", ratioValues(s.ring[:])},
		{"ratios_cell", ratioValues(s.own[:])},
		{"quantile", []float64{s.quantile}},
		{"hour", []float64{counted, float64(s.hour.came), s.hour.running, s.hour.start, s.hour.level}},
		{"verdict", []float64{float64(s.verdict.miss), s.verdict.running.up, s.verdict.running.down, s.verdict.start.up, s.verdict.start.down}},
		{"week", s.week},
		{"day", s.day},
		{"past", past},
	}
}

func ratioValues(ratios []ratio) []float64 {
	var values []float64
	for _, r := range ratios {
		values = append(values, r.came, r.expected)
	}
	return values
}
