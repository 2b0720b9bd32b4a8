package models

import "github.com/hextide/hextide/exact"

// Worth of the priors of the rates, in events.
const (
	levelPrior  = 1
	cityPrior   = 2
	parentPrior = 8
	dayPrior    = 8
	shapePrior  = 32
	weekPrior   = 16

	levelStart  = .05  // events that each cell brings to the mean level
	lowestRate  = 1e-4 // of the profile λ
	lowestLog   = -9   // of η
	highestLog  = 5    // of η, or
	logHeadroom = 3    // this much above ln λ
)

// forecast is what is known of a cell's window to come.
type forecast struct {
	x       vector
	profile float64 // λ
	log     float64 // η = ln μ
	mean    float64 // μ
	day     float64 // s, the rate of the day's shape; before it: the level's, then the parent's
	week    float64 // α' of the week table, then u
	sum     float64 // α of the day table
}

// kernel weighs the slots around one: h + 1 − |o| for offsets o from −h to h.
type kernel struct {
	weights []float64
	week    []int // the slots around the one at hand, in the order of the offsets
	day     []int
}

func newKernel(c clock) kernel {
	h := max(1, c.day/24)
	n := 2*h + 1
	k := kernel{weights: make([]float64, n), week: make([]int, n), day: make([]int, n)}
	for i := range n {
		k.weights[i] = float64(h + 1 - max(i-h, h-i))
	}
	return k
}

// aim sets the slots around a window's: the week's read around the week, the day's around their own kind.
func (k *kernel) aim(c clock, s slots) {
	h := len(k.weights) / 2
	for i := range k.weights {
		k.week[i] = modulo(s.week+i-h, c.week)
		k.day[i] = s.kind*c.day + modulo(s.day+i-h, c.day)
	}
}

func modulo(a, n int) int { return ((a % n) + n) % n }

// sum is Σ K_o table[slot + o] over offsets ascending.
func (k *kernel) sum(table []float64, around []int) float64 {
	sum := 0.0
	for i, weight := range k.weights {
		sum += float64(weight * table[around[i]])
	}
	return sum
}

// look forecasts the window with the given slots: rates by shrinkage, then the regression over them.
func (d *Demand) look(s slots) {
	d.expected = 0
	if len(d.cells) == 0 {
		return
	}
	d.kernel.aim(d.clock, s)
	levels := d.lookLevels()
	d.lookDay(levels)
	d.lookWeek()
	d.lookRatios()
}

// lookLevels sets day to the level m of each cell, and returns their sum.
func (d *Demand) lookLevels() float64 {
	total := 0.0
	for c := range d.states {
		total += d.states[c].level
	}
	n := float64(len(d.states))
	b := d.city.exposure
	mean := (total + float64(levelStart*n)) / float64(n*(b+1))
	divisor := levelPrior/mean + b
	sum := 0.0
	for c := range d.states {
		m := (levelPrior + d.states[c].level) / divisor
		d.ahead[c].day = m
		sum += m
	}
	return sum
}

// lookDay shrinks the day's shape: city, then parents, then cells.
func (d *Demand) lookDay(levels float64) {
	total := 0.0
	for c := range d.states {
		alpha := d.kernel.sum(d.states[c].day, d.kernel.day)
		d.ahead[c].sum = alpha
		total += alpha
	}
	beta := d.kernel.sum(d.city.day, d.kernel.day)
	g := (cityPrior + total) / (cityPrior/levels + beta)
	d.parents.clear()
	for c := range d.states {
		f := &d.ahead[c]
		f.day = float64(g*f.day) / levels
		parent := &d.parents.sums[d.states[c].parent]
		parent.rate += f.day
		parent.came += f.sum
	}
	for p := range d.parents.sums {
		parent := &d.parents.sums[p]
		rate := (parentPrior + parent.came) / (parentPrior/parent.rate + beta)
		parent.factor = rate / parent.rate
	}
	for c := range d.states {
		f := &d.ahead[c]
		p := float64(f.day * d.parents.sums[d.states[c].parent].factor)
		f.day = (dayPrior + f.sum) / (dayPrior/p + beta)
	}
}

// lookWeek shrinks the week's shape to the day's: city, then cells. It sets λ.
func (d *Demand) lookWeek() {
	total, days := 0.0, 0.0
	for c := range d.states {
		f := &d.ahead[c]
		f.week = d.kernel.sum(d.states[c].week, d.kernel.week)
		total += f.week
		days += f.day
	}
	beta := d.kernel.sum(d.city.week, d.kernel.week)
	g := (shapePrior + total) / (shapePrior/days + beta)
	for c := range d.states {
		f := &d.ahead[c]
		alpha := f.week
		f.week = float64(f.day*g) / days
		f.profile = max(lowestRate, (weekPrior+alpha)/(weekPrior/f.week+beta))
	}
}

// lookRatios sets the features and the forecast itself.
func (d *Demand) lookRatios() {
	var city [len(cityHalfLives)]float64
	for i := range city {
		city[i] = d.city.ratios[i].log(cityRatioPrior)
	}
	for c := range d.states {
		state, f := &d.states[c], &d.ahead[c]
		logProfile := exact.Log(f.profile)
		f.x[0] = 1
		f.x[1] = logProfile
		f.x[2] = exact.Log(max(lowestRate, f.day)) - logProfile
		at := 3 + copy(f.x[3:], city[:])
		for i := range state.ring {
			f.x[at] = state.ring[i].log(ringRatioPrior)
			at++
		}
		for i := range state.own {
			f.x[at] = state.own[i].log(cellRatioPrior)
			at++
		}
		f.log = holdLog(dot(&d.city.weights, &f.x), logProfile)
		f.mean = exact.Exp(f.log)
		d.expected += f.mean
	}
}

// dot is w·x, from the first feature to the last.
func dot(w, x *vector) float64 {
	sum := 0.0
	for i := range w {
		sum += float64(w[i] * x[i])
	}
	return sum
}

// holdLog holds η to [−9, max(5, ln λ + 3)].
func holdLog(eta, logProfile float64) float64 {
	if !(eta > lowestLog) {
		return lowestLog
	}
	return min(eta, max(highestLog, logProfile+logHeadroom))
}

// learnRates takes a closed window into tables, level and exposures. A slot fades when it is visited,
// the level with time.
func (d *Demand) learnRates(s slots) {
	table := s.table(d.clock)
	for c := range d.states {
		state := &d.states[c]
		y := d.counts[c]
		state.week[s.week] = float64(slotKeep*state.week[s.week]) + y
		state.day[table] = float64(slotKeep*state.day[table]) + y
		state.level = float64(d.decay.level*state.level) + y
	}
	d.city.week[s.week] = float64(slotKeep*d.city.week[s.week]) + 1
	d.city.day[table] = float64(slotKeep*d.city.day[table]) + 1
	d.city.exposure = float64(d.decay.level*d.city.exposure) + 1
	d.touched = append(d.touched, d.clock.weekPart(s.week), d.clock.dayPart(table))
}
