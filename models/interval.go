package models

import (
	"math"

	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
)

// The interval holds all but missRate of the windows, whatever the data: for each cell a quantile q of
// the distance |F(y) − ½| is moved up by trackingStep·(1 − missRate) at a miss and down by
// trackingStep·missRate otherwise. It cannot leave [−.0005, .5045], hence the bound of
// (.5 + trackingStep) / (trackingStep T) on the share of misses over T windows.
const (
	missRate      = .1
	trackingStep  = .005
	startQuantile = .45
	quantileFloor = 1e-9
	goldenGamma   = 0x9E3779B97F4A7C15
)

// jitter is the v of a cell and a window's end (unix seconds): a number in [0, 1) that spreads the
// probability of a whole number evenly, the same wherever it is computed.
func jitter(cell geo.Cell, end int64) float64 {
	return float64(exact.Splitmix64(uint64(cell)^(uint64(end)*goldenGamma))>>11) * 0x1p-53
}

// surprise is |F(y−1) + v (F(y) − F(y−1)) − ½|.
func (b negativeBinomial) surprise(y int64, v float64) float64 {
	below, at := b.around(y)
	return math.Abs(below + float64(v*(at-below)) - .5)
}

// judgeIntervals scores the tracked intervals of a closed window and moves their quantiles.
func (d *Demand) judgeIntervals(end int64) {
	size := d.city.windowSpread.size()
	for c := range d.states {
		state := &d.states[c]
		b := newNegativeBinomial(d.ahead[c].mean, size)
		miss := b.surprise(int64(d.counts[c]), jitter(d.cells[c], end)) > state.quantile
		if miss {
			state.verdict.miss = missed
			state.quantile += float64(trackingStep * (1 - missRate))
		} else {
			state.verdict.miss = held
			state.quantile += float64(trackingStep * (0 - missRate))
		}
	}
}

// interval is the published [lo, hi] of whole numbers for a mean, a size and a tracked quantile.
func interval(mean, size, quantile float64) (lo, hi int64) {
	low, high := 0.0, min(.5+quantile, 1-quantileFloor)
	if quantile < .5 {
		low = max(.5-quantile, quantileFloor)
	}
	return newNegativeBinomial(mean, size).quantiles(low, high)
}

// clampQuantile holds a tracked quantile to [0, ½].
func clampQuantile(q float64) float64 { return max(0, min(.5, q)) }
