package models

import "math"

// features is the number of a cell's features x: 1, ln λ, what the day says beyond it, and the
// logarithms of the ratios of city, ring and cell.
const features = 3 + len(cityHalfLives) + len(ringHalfLives) + len(cellHalfLives)

// packed is the number of entries of the lower half of a features × features matrix; entry (i, j), j <= i,
// is at i(i+1)/2 + j.
const packed = features * (features + 1) / 2

// ridge is the curvature that the prior of every weight is worth.
const ridge = 5

type vector [features]float64

// startWeights make the forecast the profile itself.
var startWeights = vector{0, 1}

// startCurvature is ridge · I.
var startCurvature = func() (a [packed]float64) {
	for i := range features {
		a[i*(i+1)/2+i] = ridge
	}
	return a
}()

// learnWeights makes one Newton step of a ridge Poisson regression with forgetting, over the cells that
// had a forecast: A ← f A + Σ μ x xᵀ + (1 − f) ridge I, w ← w + A⁻¹ Σ x (y − μ). A step that cannot be
// taken, or would leave anything that is not finite, is left out and counted.
func (d *Demand) learnWeights() {
	keep := d.decay.learning
	curvature := d.city.curvature
	for i := range curvature {
		curvature[i] = float64(keep * curvature[i])
	}
	var gradient vector
	for c := range d.ahead {
		forecast := &d.ahead[c]
		addOuter(&curvature, &forecast.x, forecast.mean)
		miss := d.counts[c] - forecast.mean
		for i, x := range forecast.x {
			gradient[i] += float64(x * miss)
		}
	}
	for i := range features {
		curvature[i*(i+1)/2+i] += float64((1 - keep) * ridge)
	}
	step, ok := solve(curvature, gradient)
	weights := d.city.weights
	for i := range weights {
		weights[i] += step[i]
		ok = ok && finite(weights[i])
	}
	if !ok {
		d.city.rejected++
		return
	}
	d.city.curvature, d.city.weights = curvature, weights
}

// addOuter adds weight · x xᵀ to a packed matrix.
func addOuter(a *[packed]float64, x *vector, weight float64) {
	at := 0
	for i := range features {
		scaled := float64(weight * x[i])
		row := a[at : at+i+1]
		for j := range row {
			row[j] += float64(scaled * x[j])
		}
		at += i + 1
	}
}

// solve is A⁻¹ b by Cholesky's decomposition A = L Lᵀ, row by row; false where A is not positive
// definite or not finite.
func solve(a [packed]float64, b vector) (vector, bool) {
	for i := range features {
		row := a[i*(i+1)/2:][:i+1]
		for j := range i + 1 {
			column := a[j*(j+1)/2:][:j+1]
			sum := row[j]
			for k := range j {
				sum -= float64(row[k] * column[k])
			}
			if j < i {
				row[j] = sum / column[j]
				continue
			}
			if !(sum > 0) || !finite(sum) {
				return vector{}, false
			}
			row[i] = math.Sqrt(sum)
		}
	}
	for i := range features {
		row := a[i*(i+1)/2:][:i+1]
		for k := range i {
			b[i] -= float64(row[k] * b[k])
		}
		b[i] /= row[i]
	}
	for i := features - 1; i >= 0; i-- {
		for k := i + 1; k < features; k++ {
			b[i] -= float64(a[k*(k+1)/2+i] * b[k])
		}
		b[i] /= a[i*(i+1)/2+i]
	}
	return b, true
}
