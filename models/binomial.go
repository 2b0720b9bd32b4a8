package models

import (
	"math"

	"github.com/hextide/hextide/exact"
)

// negativeBinomial is the distribution of counts with a mean μ and a size r: variance μ + μ²/r.
//
// Its terms are summed upwards from p₀ = exp(−r ln(1 + μ/r)) by p₍k+1₎ = pₖ (k + r)/(k + 1) · μ/(r + μ).
// Where p₀ would underflow, terms and sums are kept divided by e^scale, a scale far below 0, and
// divided again whenever a term grows large.
type negativeBinomial struct {
	mean, size float64
	shift      int // counts are taken in units of 2^shift
}

const (
	lowestLogTerm  = -700    // ln p₀ below it is carried as a scale
	largeTerm      = 0x1p600 // a term above it is brought down
	termUnit       = 0x1p-600
	logTermUnit    = 600 * math.Ln2
	negligible     = 1e-17 // a term below this share of the sum ends a sum
	largestBitMean = 18    // means stay below 2^18
)

// newNegativeBinomial bounds the work that absurd counts can cause. A mean of 2^18 and more is taken in
// larger units: with r <= 1000 the variance there is μ²/r within .8 %, which scales as the unit does.
func newNegativeBinomial(mean, size float64) negativeBinomial {
	if !(mean >= 1<<largestBitMean) {
		return negativeBinomial{mean: mean, size: size}
	}
	_, exponent := math.Frexp(min(mean, math.MaxFloat64))
	shift := exponent - largestBitMean
	return negativeBinomial{mean: math.Ldexp(mean, -shift), size: size, shift: shift}
}

// count is a count in the distribution's unit.
func (b negativeBinomial) count(n int64) int64 { return n >> b.shift }

// walk is a place on the way upwards: the term of k, and the scale of it.
type walk struct {
	k      float64
	term   float64 // p_k / e^scale
	scale  float64
	factor float64 // e^scale
	size   float64
	odds   float64 // μ / (r + μ)
}

func (b negativeBinomial) walk() walk {
	w := walk{size: b.size, odds: b.mean / (b.size + b.mean), factor: 1}
	first := -float64(b.size * exact.Log(1+b.mean/b.size))
	if first < lowestLogTerm {
		w.term, w.scale, w.factor = 1, first, exact.Exp(first)
		return w
	}
	w.term = exact.Exp(first)
	return w
}

// next goes to the following term and returns sum, in the scale that holds after it.
func (w *walk) next(sum float64) float64 {
	w.term = float64(w.term * float64((w.k+w.size)/(w.k+1)*w.odds))
	w.k++
	if w.term > largeTerm {
		w.term = float64(w.term * termUnit)
		sum = float64(sum * termUnit)
		w.scale += logTermUnit
		w.factor = exact.Exp(w.scale)
	}
	return sum
}

// around is F(n−1) and F(n); both are 1 but for rounding where n is far above everything likely.
func (b negativeBinomial) around(n int64) (below, at float64) {
	n = b.count(n)
	w := b.walk()
	sum := 0.0
	for k := int64(0); k < n; k++ {
		if w.term < float64(negligible*sum) {
			break
		}
		sum = w.next(sum + w.term)
	}
	return float64(sum * w.factor), float64((sum + w.term) * w.factor)
}

// quantiles is the least k with F(k) >= low and the least with F(k) >= high, low <= high.
func (b negativeBinomial) quantiles(low, high float64) (from, to int64) {
	w := b.walk()
	sum := w.term
	for float64(sum*w.factor) < low && w.term >= float64(negligible*sum) {
		sum = w.next(sum)
		sum += w.term
	}
	from = b.whole(w.k)
	for float64(sum*w.factor) < high && w.term >= float64(negligible*sum) {
		sum = w.next(sum)
		sum += w.term
	}
	return from, b.whole(w.k)
}

// whole is k units as a count.
func (b negativeBinomial) whole(k float64) int64 {
	if b.shift == 0 {
		return int64(k)
	}
	return int64(min(math.Ldexp(k, b.shift), 1<<62))
}

// tails is P(N >= n) and P(N <= n). The upper one is summed upwards from its first term, never taken
// from 1: it is exact where it is small, which is where it matters.
func (b negativeBinomial) tails(n int64) (up, down float64) {
	n = b.count(n)
	w := b.walk()
	sum := 0.0
	for k := int64(0); k < n && w.term > 0; k++ {
		sum = w.next(sum + w.term)
	}
	down = min(1, float64((sum+w.term)*w.factor))
	if n == 0 {
		return 1, down
	}
	sum = w.term
	for {
		sum = w.next(sum)
		if !(w.term >= float64(negligible*sum)) || w.term == 0 {
			break
		}
		sum += w.term
	}
	return min(1, float64(sum*w.factor)), down
}
