package models

import (
	"math"

	"github.com/hextide/hextide/exact"
)

// Tally adds up the errors of forecasts against the counts that came, one a cell and window.
type Tally struct {
	N        int64
	Deviance float64 // Σ 2 (y ln(y/μ) − (y − μ)), Poisson
	Absolute float64 // Σ |y − μ|
	Bias     float64 // Σ (μ − y)
}

// MeanDeviance is the mean Poisson deviance; NaN of nothing.
func (t Tally) MeanDeviance() float64 { return t.Deviance / float64(t.N) }

// MeanAbsolute is the mean absolute error (MAE); NaN of nothing.
func (t Tally) MeanAbsolute() float64 { return t.Absolute / float64(t.N) }

// MeanBias is the mean of forecast less count; NaN of nothing.
func (t Tally) MeanBias() float64 { return t.Bias / float64(t.N) }

func (t Tally) plus(o Tally) Tally {
	return Tally{t.N + o.N, t.Deviance + o.Deviance, t.Absolute + o.Absolute, t.Bias + o.Bias}
}

// Comparison holds the model and a baseline over the same cells and windows.
type Comparison struct {
	Baseline, Model Tally
}

func (c Comparison) plus(o Comparison) Comparison {
	return Comparison{c.Baseline.plus(o.Baseline), c.Model.plus(o.Model)}
}

// Score is how a model has done since it began, each forecast judged before its window is learnt. Cells
// count from their first forecast, silent windows of the whole feed do not. Forecasts below .001 count
// as .001; a baseline of 0 counts as .01.
type Score struct {
	Model  Tally
	Events float64    // Σ y: Absolute / Events is the WAPE
	Misses int64      // of the tracked intervals: 1 − Misses/N is the coverage
	Last   Comparison // against the count of the window before
	Day    Comparison // against the count of the same time a day before
	Week   Comparison // and a week before

	StepsRejected int64 // steps of the weights that were left out
}

// Coverage is the share of windows that the tracked intervals held; NaN of nothing.
func (s Score) Coverage() float64 { return 1 - float64(s.Misses)/float64(s.Model.N) }

// Plus is the score of two cities together.
func (s Score) Plus(o Score) Score {
	return Score{
		Model:         s.Model.plus(o.Model),
		Events:        s.Events + o.Events,
		Misses:        s.Misses + o.Misses,
		Last:          s.Last.plus(o.Last),
		Day:           s.Day.plus(o.Day),
		Week:          s.Week.plus(o.Week),
		StepsRejected: s.StepsRejected + o.StepsRejected,
	}
}

// Score is how the model has done so far.
func (d *Demand) Score() Score {
	score := d.score
	score.StepsRejected = d.city.rejected
	return score
}

const (
	lowestForecast = .001
	emptyBaseline  = .01
)

var (
	logLowestForecast = exact.Log(lowestForecast)
	logEmptyBaseline  = exact.Log(emptyBaseline)
)

// smallLogs are the logarithms of small counts, which most are.
var smallLogs = func() (table [256]float64) {
	for n := range table {
		table[n] = exact.Log(float64(n))
	}
	return table
}()

// logCount is ln n.
func logCount(n float64) float64 {
	if n < float64(len(smallLogs)) {
		return smallLogs[int(n)]
	}
	return exact.Log(n)
}

// add counts one forecast, given with its logarithm, against a count.
func (t *Tally) add(count, forecast, logForecast float64) {
	miss := forecast - count
	deviance := 2 * miss
	if count > 0 {
		deviance += float64(2 * float64(count*(logCount(count)-logForecast)))
	}
	t.N++
	t.Deviance += deviance
	t.Absolute += math.Abs(miss)
	t.Bias += miss
}

// add counts one cell and window: the model's own tally of it, and a past count as the baseline.
func (c *Comparison) add(count float64, model *Tally, past uint32) {
	c.Model = c.Model.plus(*model)
	if past == 0 {
		c.Baseline.add(count, emptyBaseline, logEmptyBaseline)
		return
	}
	c.Baseline.add(count, float64(past), logCount(float64(past)))
}

// keepScore counts a closed window into the score, of the cells that had a forecast.
func (d *Demand) keepScore() {
	t, day, week := d.city.windows, int64(d.clock.day), int64(d.clock.week)
	s := &d.score
	for c := range d.states {
		state, y := &d.states[c], d.counts[c]
		mean, log := d.ahead[c].mean, d.ahead[c].log
		if mean < lowestForecast {
			mean, log = lowestForecast, logLowestForecast
		}
		var one Tally
		one.add(y, mean, log)
		s.Model = s.Model.plus(one)
		s.Events += y
		if state.verdict.miss == missed {
			s.Misses++
		}
		if t >= 1 {
			s.Last.add(y, &one, state.past[(t-1)%week])
		}
		if t >= day {
			s.Day.add(y, &one, state.past[(t-day)%week])
		}
		if t >= week {
			s.Week.add(y, &one, state.past[t%week])
		}
	}
}

// remember keeps a closed window's counts for the baselines, held to what 32 bits hold.
func (d *Demand) remember() {
	slot := int(d.city.windows % int64(d.clock.week))
	for c := range d.states {
		d.states[c].past[slot] = uint32(min(d.counts[c], math.MaxUint32))
	}
	d.touched = append(d.touched, d.clock.pastPart(slot))
}
