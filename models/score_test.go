package models

import (
	"math"
	"testing"
	"time"
)

// oracle scores forecasts the plain way, from what was published and what came.
type oracle struct{ n, deviance, absolute, bias float64 }

func (o *oracle) add(y, f float64) {
	o.n++
	o.deviance += 2 * (f - y)
	if y > 0 {
		o.deviance += 2 * y * math.Log(y/f)
	}
	o.absolute += math.Abs(y - f)
	o.bias += f - y
}

func (o oracle) check(t *testing.T, what string, got Tally) {
	t.Helper()
	for _, c := range [][2]float64{{float64(got.N), o.n}, {got.Deviance, o.deviance}, {got.Absolute, o.absolute}, {got.Bias, o.bias}} {
		if math.Abs(c[0]-c[1]) > 1e-8*(1+math.Abs(c[1])) {
			t.Errorf("%s: %+v, want %+v", what, got, o)
			return
		}
	}
}

func TestScoreIsThatOfThePublishedForecasts(t *testing.T) {
	d, l := newModel(t, 6*time.Hour, ""), newLife(3, 6*time.Hour)
	var model, last, day, week oracle
	var history []map[uint64]float64
	misses, judged := 0.0, 0.0
	for step := range 100 {
		end := l.next(step)
		silent := len(l.cells) == 0 && d.expected >= silentFeed
		counts := map[uint64]float64{}
		for i, cell := range l.cells {
			counts[uint64(cell)] = float64(l.counts[i])
		}
		baseline := func(o *oracle, back int, cell uint64, y float64) {
			if len(history) >= back {
				o.add(y, max(.01, history[len(history)-back][cell]))
			}
		}
		for c, cell := range d.Cells() {
			if silent {
				break
			}
			y := counts[uint64(cell)]
			model.add(y, max(.001, d.Outputs().Mu[c]))
			baseline(&last, 1, uint64(cell), y)
			baseline(&day, 4, uint64(cell), y)
			baseline(&week, 28, uint64(cell), y)
		}
		history = append(history, counts)
		d.Step(end, l.cells, l.counts)
		for c := range d.Cells() {
			if d.Outputs().MissValid[c] {
				judged++
				misses += float64(d.Outputs().Miss[c])
			}
		}
	}
	s := d.Score()
	model.check(t, "model", s.Model)
	last.check(t, "last value", s.Last.Baseline)
	day.check(t, "a day before", s.Day.Baseline)
	week.check(t, "a week before", s.Week.Baseline)
	if s.Week.Model.N != s.Week.Baseline.N || s.Day.Model.N != s.Day.Baseline.N || s.Week.Model.N == s.Model.N {
		t.Errorf("compared over other windows: %+v", s)
	}
	if float64(s.Misses) != misses || float64(s.Model.N) != judged || s.Coverage() != 1-misses/judged {
		t.Errorf("%d misses of %d, want %v of %v", s.Misses, s.Model.N, misses, judged)
	}
	if two := s.Plus(s); two.Model.N != 2*s.Model.N || two.Week.Baseline.Deviance != 2*s.Week.Baseline.Deviance || two.Events != 2*s.Events {
		t.Errorf("two cities: %+v", two)
	}
}

func TestDemandColumns(t *testing.T) {
	want := []string{"next", "next_lo", "next_hi", "next_at", "next_miss", "next_up", "next_down", "next_up_start", "next_down_start"}
	for i, c := range DemandColumns("next") {
		if c.Name != want[i] || c.Name != "next"+c.Suffix || c.Nullable != (c.Suffix == "_miss") || c.What == "" {
			t.Errorf("column %d: %+v", i, c)
		}
	}
}
