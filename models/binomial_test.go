package models

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// logMass is ln P(N = k) by the gamma function.
func logMass(k, mean, size float64) float64 {
	a, _ := math.Lgamma(k + size)
	b, _ := math.Lgamma(size)
	c, _ := math.Lgamma(k + 1)
	return a - b - c + size*math.Log(size/(size+mean)) + k*math.Log(mean/(size+mean))
}

// naive is P(N <= n) and P(N >= n), each by adding up what is in it.
func naive(n int, mean, size float64) (down, up float64) {
	for k := 0; k <= n; k++ {
		down += math.Exp(logMass(float64(k), mean, size))
	}
	top := n + 200 + int(mean) + int(50*math.Sqrt(mean+mean*mean/size)+50*(1+mean/size))
	for k := n; k < top; k++ {
		up += math.Exp(logMass(float64(k), mean, size))
	}
	return down, up
}

func near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*math.Abs(want)+1e-300
}

func TestNegativeBinomialAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Means up to 5,000: with sizes near 1,000 the first term is below e^−700 and sums are scaled.
		mean := math.Exp(rapid.Float64Range(-9, 8.5).Draw(t, "ln mean"))
		size := math.Exp(rapid.Float64Range(math.Log(.5), math.Log(1000)).Draw(t, "ln size"))
		spread := math.Sqrt(mean + mean*mean/size)
		n := max(0, int(mean+spread*rapid.Float64Range(-4, 8).Draw(t, "deviations")))
		b := newNegativeBinomial(mean, size)
		down, up := naive(n, mean, size)
		below, at := b.around(int64(n))
		gotUp, gotDown := b.tails(int64(n))
		const tolerance = 1e-8 // the gamma function's, of large arguments
		if !near(at, down, tolerance) || !near(gotDown, down, tolerance) || !near(gotUp, up, tolerance) {
			t.Fatalf("n %d, mean %v, size %v: F %v, down %v (want %v), up %v (want %v)", n, mean, size, at, gotDown, down, gotUp, up)
		}
		if mass := math.Exp(logMass(float64(n), mean, size)); !near(at-below, mass, 1e-6) && mass > 1e-9 {
			t.Fatalf("n %d, mean %v, size %v: mass %v, want %v", n, mean, size, at-below, mass)
		}
		checkQuantiles(t, b, rapid.Float64Range(1e-9, .5).Draw(t, "low"), rapid.Float64Range(.5, 1-1e-9).Draw(t, "high"))
	})
}

// checkQuantiles asks that F reach a level at its quantile and not before.
func checkQuantiles(t *rapid.T, b negativeBinomial, low, high float64) {
	lo, hi := b.quantiles(low, high)
	for _, c := range []struct {
		level float64
		k     int64
	}{{low, lo}, {high, hi}} {
		below, at := b.around(c.k)
		if at < c.level || c.k > 0 && below >= c.level {
			t.Fatalf("quantile %v of %+v is %d: F %v and before it %v", c.level, b, c.k, at, below)
		}
	}
	if first, _ := b.quantiles(0, high); first != 0 {
		t.Fatalf("the quantile of 0 is %d", first)
	}
}

// Means beyond 2^18 are taken in larger units; there the distribution is a gamma's within .8 %.
func TestLargeMeansKeepTheirShape(t *testing.T) {
	for _, mean := range []float64{1<<18 - 1, 1 << 18, 1 << 24, 1 << 40, 1e18, math.MaxFloat64, math.Inf(1)} {
		b := newNegativeBinomial(mean, 100)
		lo, hi := b.quantiles(.05, .95)
		if mean > 1e18 {
			if lo > hi {
				t.Errorf("mean %v: [%d, %d]", mean, lo, hi)
			}
			continue
		}
		// Quantiles of a gamma of shape 100 and mean 1, from Wilson and Hilferty's cube root.
		for z, got := range map[float64]int64{-1.6449: lo, 1.6449: hi} {
			want := mean * math.Pow(1-1.0/900+z/30, 3)
			if !near(float64(got), want, .003) {
				t.Errorf("mean %v: quantile %d, want about %v", mean, got, want)
			}
		}
		up, down := b.tails(int64(mean))
		if !near(up, .487, .02) || !near(down, .513, .02) {
			t.Errorf("mean %v: tails %v and %v", mean, up, down)
		}
	}
}

// Far tails keep their relative precision, where 1 − F would be 0.
func TestFarTail(t *testing.T) {
	up, down := newNegativeBinomial(5, 10).tails(120)
	_, want := naive(120, 5, 10)
	if !near(up, want, 1e-9) || want > 1e-20 {
		t.Errorf("upper tail %v, want %v", up, want)
	}
	if down != 1 && !near(down, 1, 1e-14) {
		t.Errorf("lower tail %v", down)
	}
	if up, down := newNegativeBinomial(0, 10).tails(0); up != 1 || down != 1 {
		t.Errorf("nothing expected, nothing came: %v and %v", up, down)
	}
}
