package models

// spread tracks by how much counts vary beyond Poisson: U fades over the squares of the means, V over
// the excess of the squared errors over the means.
type spread struct {
	squares float64 // U. Invariant: >= 0
	excess  float64 // V
}

const (
	spreadPrior  = 10   // worth of the prior, in squares of means
	smallestSize = .5   // r is held between
	largestSize  = 1000 // these
	errorCap     = 25   // variances that one squared error counts at most
)

// size is r = (10 + U) / max(1 + V, (10 + U)/1000), held to [.5, 1000].
func (s spread) size() float64 {
	squares := spreadPrior + s.squares
	size := squares / max(1+s.excess, squares/largestSize)
	if !(size > smallestSize) {
		return smallestSize
	}
	return min(size, largestSize)
}

// spreadSum adds up one window's part of a spread.
type spreadSum struct {
	size            float64 // r before
	squares, excess float64
}

// add counts one cell: its mean and its count.
func (s *spreadSum) add(mean, count float64) {
	square := float64(mean * mean)
	miss := count - mean
	limit := float64(errorCap * (mean + square/s.size))
	s.squares += square
	s.excess += min(float64(miss*miss), limit) - mean
}

// learn fades the spread and takes the sums in; sums that are not finite are left out.
func (s *spread) learn(keep float64, sum spreadSum) {
	squares := float64(keep*s.squares) + sum.squares
	excess := float64(keep*s.excess) + sum.excess
	if finite(squares) && finite(excess) {
		s.squares, s.excess = squares, excess
	}
}

// finite reports that x is neither infinite nor NaN.
func finite(x float64) bool { return x-x == 0 }

// learnSpread takes a closed window into the dispersion of windows.
func (d *Demand) learnSpread() {
	sum := spreadSum{size: d.city.windowSpread.size()}
	for c := range d.states {
		sum.add(d.ahead[c].mean, d.counts[c])
	}
	d.city.windowSpread.learn(d.decay.learning, sum)
}
