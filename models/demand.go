package models

import (
	"errors"
	"fmt"
	"time"

	"github.com/hextide/hextide/geo"
)

// DemandOptions are the settings of a demand model.
type DemandOptions struct {
	Window     time.Duration // W, of the target count: divides a day, and divides an hour or is a multiple of one
	TimeZone   string        // IANA name of the zone whose days and weeks the city lives by; "" is UTC
	Resolution int           // of the cells
	Parent     int           // resolution of the parents, coarser than the cells
}

// deepestParent is how much coarser than the cells parents may be: a territory's depth, beyond which a
// city need not hold its parents whole.
const deepestParent = 6

// DemandParent is the resolution of the parents where a definition names none.
func DemandParent(resolution int) int { return max(resolution-2, 0) }

// Check reports everything wrong with the options, each as a sentence; ErrTimeZone marks the zone's.
func (o DemandOptions) Check() error {
	_, err := o.check()
	return err
}

func (o DemandOptions) check() (*time.Location, error) {
	var wrong []error
	day, hour := 24*time.Hour, time.Hour
	switch {
	case o.Window < time.Second || o.Window%time.Second != 0:
		wrong = append(wrong, fmt.Errorf("window %v is no whole number of seconds above 0", o.Window))
	case day%o.Window != 0:
		wrong = append(wrong, fmt.Errorf("window %v does not divide a day", o.Window))
	case hour%o.Window != 0 && o.Window%hour != 0:
		wrong = append(wrong, fmt.Errorf("window %v neither divides an hour nor is a multiple of one", o.Window))
	}
	coarsest := max(0, o.Resolution-deepestParent)
	switch {
	case o.Resolution < 1 || o.Resolution > 15:
		wrong = append(wrong, fmt.Errorf("resolution %d is not within 1 to 15", o.Resolution))
	case o.Parent >= o.Resolution || o.Parent < coarsest:
		wrong = append(wrong, fmt.Errorf("parent %d is not within %d to %d, coarser than the cells but not than their territory",
			o.Parent, coarsest, o.Resolution-1))
	}
	zone, err := loadZone(o.TimeZone)
	if err != nil {
		wrong = append(wrong, err)
	}
	return zone, errors.Join(wrong...)
}

// Demand forecasts the count of the next window of every cell of a city, with an interval and the
// probability that the current hour is normal. It learns online from nothing, window by window.
//
// Invariant: cells ascend; states, counts and ahead are aligned with them.
type Demand struct {
	options DemandOptions
	clock   clock
	decay   decays

	cells   []geo.Cell
	states  []cellState
	city    cityState
	parents parents
	end     int64 // µs, end of the last window closed; 0: none

	ahead    []forecast // of the window to come
	expected float64    // Σ μ of it
	counts   []float64  // of the window that closes. Invariant: integers below 2^53
	kernel   kernel
	touched  []int // parts of the state that the last step changed
	outputs  Outputs
	score    Score
}

// cellState is what the model knows of one cell.
type cellState struct {
	level      float64 // a
	ring       [len(ringHalfLives)]ratio
	own        [len(cellHalfLives)]ratio
	quantile   float64 // q of the tracked interval
	hour       hour
	verdict    verdict
	week, day  []float64 // A^w[P] and A^d[2D], one allocation
	past       []uint32  // counts of the last P windows, for the baselines; slot t mod P
	number     int32     // of those that joined before it
	parent     int32
	degree     int32    // number of neighbours in the city
	neighbours [6]int32 // positions in cells, ascending
}

// cityState is what the cells share. Exposures count how often a table's slot was visited, fading as
// the slots do.
type cityState struct {
	exposure      float64   // b
	week, day     []float64 // B^w[P] and B^d[2D]
	ratios        [len(cityHalfLives)]ratio
	weights       vector
	curvature     [packed]float64
	windowSpread  spread
	runningSpread spread // of the hour against the latest level
	startSpread   spread // of the hour against the level at its start
	windows       int64  // closed so far
	rejected      int64  // steps of the weights that were left out
}

// NewDemand makes a model that knows nothing. The error is that of Check.
func NewDemand(o DemandOptions) (*Demand, error) {
	zone, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("demand model: %w", err)
	}
	d := &Demand{options: o, clock: newClock(zone, o.Window), parents: newParents()}
	d.decay = newDecays(d.clock)
	d.kernel = newKernel(d.clock)
	d.city.weights = startWeights
	d.city.curvature = startCurvature
	d.city.week, d.city.day = newTables(d.clock)
	return d, nil
}

// newTables are a week table and the day tables of both kinds of day, all 0.
func newTables(c clock) (week, day []float64) {
	tables := make([]float64, c.week+2*c.day)
	return tables[:c.week:c.week], tables[c.week:]
}

// newCellState is a cell of which nothing is known: one that was always there and silent. So many joined
// before it.
func newCellState(c clock, number int32) cellState {
	state := cellState{number: number, quantile: startQuantile, verdict: calm, past: make([]uint32, c.week)}
	state.week, state.day = newTables(c)
	return state
}

// Step closes the window [end − W, end), end in µs of unix time and a multiple of W: cells, ascending,
// each once, of the model's resolution, with their counts above 0. Cells never seen before join. Windows
// must come in order and without gaps: the caller steps the silent ones with nothing. Afterwards the
// columns are those of end. Nothing is allocated unless cells join.
func (d *Demand) Step(end int64, cells []geo.Cell, counts []int64) {
	closing := end / microseconds
	opening := closing - d.clock.window
	unknown := d.take(cells, counts)
	d.touched = append(d.touched[:0], head)
	if d.clock.startsHour(opening) {
		d.openHour()
	}
	if len(cells) == 0 && d.expected >= silentFeed {
		d.fadeRatios()
		d.forgetVerdicts()
	} else {
		d.learn(opening, closing)
		if unknown > 0 {
			d.join(cells, unknown)
			d.take(cells, counts)
		}
		d.learnRates(d.clock.at(opening))
	}
	d.remember()
	d.city.windows++
	d.end = end
	d.look(d.clock.at(closing))
	d.publish()
}

// microseconds are those of a second: windows' ends come in them, the clock counts seconds.
const microseconds = 1_000_000

// silentFeed is the number of expected events that, with none at all, says that the feed was silent.
const silentFeed = 20

// take sets counts to those of the known cells and returns how many cells are unknown.
func (d *Demand) take(cells []geo.Cell, counts []int64) (unknown int) {
	at := 0
	for c, cell := range d.cells {
		d.counts[c] = 0
		for at < len(cells) && cells[at] < cell {
			unknown++
			at++
		}
		if at < len(cells) && cells[at] == cell {
			d.counts[c] = float64(counts[at])
			at++
		}
	}
	return unknown + len(cells) - at
}

// learn scores the forecasts of a closed window and learns from their errors; counts and ahead are
// those of the cells that had one.
func (d *Demand) learn(opening, closing int64) {
	mature := d.city.windows >= int64(d.clock.week) // a whole week of windows has closed
	d.judgeIntervals(closing)
	d.keepScore()
	d.judgeHour()
	if mature && d.clock.endsHour(closing) {
		d.closeHour()
	}
	d.learnRatios()
	if mature {
		d.learnWeights()
		d.learnSpread()
	}
}

// forgetVerdicts is what a silent window leaves: nothing was judged, and the hours stand still.
func (d *Demand) forgetVerdicts() {
	for c := range d.states {
		d.states[c].verdict.miss = unjudged
	}
}

// Cells are the known cells, ascending. The slice is the model's own and holds until the next Step.
func (d *Demand) Cells() []geo.Cell { return d.cells }

// End is the end of the last window closed, µs of unix time; 0 before the first.
func (d *Demand) End() int64 { return d.end }
