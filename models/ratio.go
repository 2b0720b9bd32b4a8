package models

import "github.com/hextide/hextide/exact"

// Half-lives, in windows, of the ratio sums.
var (
	cityHalfLives = [...]float64{1, 4, 16, 64, 256}
	ringHalfLives = [...]float64{4, 24}
	cellHalfLives = [...]float64{8, 64, 512}
)

// Pickups that a ratio's prior of 1 is worth.
const (
	cityRatioPrior = 4
	ringRatioPrior = 2
	cellRatioPrior = 2.5
)

// ratio is what came and what the profile expected, both fading with a half-life.
type ratio struct {
	came, expected float64 // Invariant: >= 0
}

// fade forgets a window's worth.
func (r *ratio) fade(keep float64) {
	r.came = float64(keep * r.came)
	r.expected = float64(keep * r.expected)
}

// add fades and then counts one window.
func (r *ratio) add(keep, came, expected float64) {
	r.came = float64(keep*r.came) + came
	r.expected = float64(keep*r.expected) + expected
}

// log is ρ = ln((came + prior) / (expected + prior)).
func (r *ratio) log(prior float64) float64 {
	return exact.Log((r.came + prior) / (r.expected + prior))
}

// decays are the powers 2^(−1/H) of a model, computed once.
type decays struct {
	city     [len(cityHalfLives)]float64
	ring     [len(ringHalfLives)]float64
	cell     [len(cellHalfLives)]float64
	level    float64 // half-life 14 days
	learning float64 // f, 28 days: weights and dispersion
	hour     float64 // f to the number of windows of an hour
}

const (
	levelDays    = 14
	learningDays = 28
	slotKeep     = .95 // what is left of a slot of a table after a visit
)

func newDecays(c clock) decays {
	var d decays
	for i, h := range cityHalfLives {
		d.city[i] = exact.HalfLife(h)
	}
	for i, h := range ringHalfLives {
		d.ring[i] = exact.HalfLife(h)
	}
	for i, h := range cellHalfLives {
		d.cell[i] = exact.HalfLife(h)
	}
	d.level = exact.HalfLife(float64(levelDays * c.day))
	d.learning = exact.HalfLife(float64(learningDays * c.day))
	d.hour = exact.HalfLife(float64(learningDays*c.day) / float64(c.hourWindows()))
	return d
}

// fadeRatios is all that a silent window does to the sums.
func (d *Demand) fadeRatios() {
	for i := range d.city.ratios {
		d.city.ratios[i].fade(d.decay.city[i])
	}
	for c := range d.states {
		state := &d.states[c]
		for i := range state.ring {
			state.ring[i].fade(d.decay.ring[i])
		}
		for i := range state.own {
			state.own[i].fade(d.decay.cell[i])
		}
	}
}

// learnRatios counts a closed window into the sums of the city, of each cell and of each cell's ring.
func (d *Demand) learnRatios() {
	came, expected := 0.0, 0.0
	for c := range d.states {
		came += d.counts[c]
		expected += d.ahead[c].profile
	}
	for i := range d.city.ratios {
		d.city.ratios[i].add(d.decay.city[i], came, expected)
	}
	for c := range d.states {
		state := &d.states[c]
		came, expected = 0, 0
		for _, n := range state.neighbours[:state.degree] {
			came += d.counts[n]
			expected += d.ahead[n].profile
		}
		for i := range state.ring {
			state.ring[i].add(d.decay.ring[i], came, expected)
		}
		for i := range state.own {
			state.own[i].add(d.decay.cell[i], d.counts[c], d.ahead[c].profile)
		}
	}
}
