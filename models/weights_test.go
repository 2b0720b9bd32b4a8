package models

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func anyVector(scale float64) *rapid.Generator[vector] {
	return rapid.Custom(func(t *rapid.T) (v vector) {
		for i := range v {
			v[i] = rapid.Float64Range(-scale, scale).Draw(t, "x")
		}
		return v
	})
}

// A⁻¹ b times A is b again.
func TestSolve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := startCurvature
		for range rapid.IntRange(0, 30).Draw(t, "cells") {
			x := anyVector(5).Draw(t, "features")
			addOuter(&a, &x, rapid.Float64Range(0, 20).Draw(t, "mean"))
		}
		b := anyVector(100).Draw(t, "gradient")
		x, ok := solve(a, b)
		if !ok {
			t.Fatal("not solved")
		}
		for i := range features {
			sum := 0.0
			for j := range features {
				row, column := max(i, j), min(i, j)
				sum += a[row*(row+1)/2+column] * x[j]
			}
			if math.Abs(sum-b[i]) > 1e-7*(1+math.Abs(b[i])) {
				t.Fatalf("row %d: %v, want %v", i, sum, b[i])
			}
		}
	})
}

func TestStepThatCannotBeTakenIsLeftOut(t *testing.T) {
	for name, spoil := range map[string]func(*Demand){
		"not positive definite": func(d *Demand) { d.city.curvature[0] = -1e9 },
		"not finite":            func(d *Demand) { d.ahead[0].x[3] = math.Inf(1) },
	} {
		d := newModel(t, 3600e9, "")
		d.Step(3600e6, somewhere[:3], []int64{1, 2, 3})
		spoil(d)
		before := d.city
		d.learnWeights()
		if d.city.weights != before.weights || d.city.curvature != before.curvature || d.Score().StepsRejected != 1 {
			t.Errorf("%s: weights %v, %d steps left out", name, d.city.weights, d.Score().StepsRejected)
		}
	}
}

func TestForecastIsHeld(t *testing.T) {
	for _, c := range []struct{ eta, profile, want float64 }{
		{-50, 0, -9}, {4, 0, 4}, {50, 0, 5}, {50, 4, 7}, {math.NaN(), 0, -9}, {math.Inf(1), 3, 6},
	} {
		if got := holdLog(c.eta, c.profile); got != c.want {
			t.Errorf("%v over ln λ %v: %v, want %v", c.eta, c.profile, got, c.want)
		}
	}
}
