package models

// hour is a cell's hour so far, of those that were there at its start.
//
// Two expectations stand against what came: running follows the latest level and judges the moment;
// start keeps the level at which the hour began, so that an event cannot raise its own expectation.
type hour struct {
	counted bool
	came    int64   // n
	running float64 // Σ μ
	start   float64 // Σ λ ρ
	level   float64 // ρ = μ/λ of the hour's first window
}

// tails are the probabilities that a detector publishes: of at least as much as came, and of at most.
type tails struct{ up, down float64 }

// verdict is what the last closed window says of a cell.
type verdict struct {
	miss           outcome
	running, start tails
}

// outcome is whether the tracked interval missed, where that can be said.
type outcome uint8

const (
	unjudged outcome = iota // no forecast, or the feed was silent
	held
	missed
)

// calm is the verdict on a cell of which nothing is expected yet.
var calm = verdict{running: tails{1, 1}, start: tails{1, 1}}

// openHour begins an hour with the cells known at its start.
func (d *Demand) openHour() {
	for c := range d.states {
		d.states[c].hour = hour{counted: true, level: d.ahead[c].mean / d.ahead[c].profile}
		d.states[c].verdict.running = calm.running
		d.states[c].verdict.start = calm.start
	}
}

// judgeHour counts a closed window into the hour and says how likely what came so far is.
func (d *Demand) judgeHour() {
	running, start := d.city.runningSpread.size(), d.city.startSpread.size()
	for c := range d.states {
		state := &d.states[c]
		h := &state.hour
		if !h.counted {
			continue
		}
		h.came += int64(d.counts[c])
		h.running += d.ahead[c].mean
		h.start += float64(d.ahead[c].profile * h.level)
		state.verdict.running.up, state.verdict.running.down = newNegativeBinomial(h.running, running).tails(h.came)
		state.verdict.start.up, state.verdict.start.down = newNegativeBinomial(h.start, start).tails(h.came)
	}
}

// closeHour takes a whole hour into the detectors' dispersions.
func (d *Demand) closeHour() {
	running := spreadSum{size: d.city.runningSpread.size()}
	start := spreadSum{size: d.city.startSpread.size()}
	for c := range d.states {
		h := &d.states[c].hour
		if h.counted {
			running.add(h.running, float64(h.came))
			start.add(h.start, float64(h.came))
		}
	}
	d.city.runningSpread.learn(d.decay.hour, running)
	d.city.startSpread.learn(d.decay.hour, start)
}
