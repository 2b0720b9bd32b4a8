package models

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// reader takes numbers from a state; after the first error it gives zeros.
type reader struct {
	in  []byte
	err error
}

var errShort = errors.New("damaged: it ends too early")

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.in) || r.err != nil {
		r.fail(errShort)
		return nil
	}
	head := r.in[:n]
	r.in = r.in[n:]
	return head
}

func (r *reader) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) i64() int64 { return int64(r.u64()) }

func (r *reader) text() string { return string(r.bytes(int(r.u32()))) }

// f64 reads a number that must be finite.
func (r *reader) f64(what string) float64 {
	v := math.Float64frombits(r.u64())
	if !finite(v) {
		r.fail(fmt.Errorf("damaged: %s is %v", what, v))
	}
	return v
}

// sum reads a number that adds up counts or expectations: not below 0, nor beyond every count.
func (r *reader) sum(what string) float64 {
	v := r.f64(what)
	if v < 0 || v > largestSum || math.Signbit(v) {
		r.fail(fmt.Errorf("damaged: %s is %v", what, v))
	}
	return v
}

// share reads a probability.
func (r *reader) share(what string) float64 {
	v := r.f64(what)
	if v < 0 || v > 1 || math.Signbit(v) {
		r.fail(fmt.Errorf("damaged: %s is %v", what, v))
	}
	return v
}

// count reads an integer from 0 to 2^53.
func (r *reader) count(what string) int64 {
	v := r.i64()
	if v < 0 || v > 1<<53 {
		r.fail(fmt.Errorf("damaged: %s is %d", what, v))
	}
	return v
}

func (r *reader) sums(what string, values []float64) {
	for i := range values {
		values[i] = r.sum(what)
	}
}

func (r *reader) ratios(what string, ratios []ratio) {
	for i := range ratios {
		ratios[i] = ratio{came: r.sum(what), expected: r.sum(what)}
	}
}

// city reads what the cells share; tables: the exposures of the tables are there too.
func (r *reader) city(c *cityState, clock clock, tables bool) {
	c.windows = r.count("the number of windows")
	c.rejected = r.count("the number of steps left out")
	c.exposure = r.sum("the exposure of the level")
	c.week, c.day = newTables(clock)
	if tables {
		r.sums("an exposure of the week", c.week)
		r.sums("an exposure of the days", c.day)
	}
	r.ratios("a ratio sum of the city", c.ratios[:])
	for i := range c.weights {
		c.weights[i] = r.f64("a weight")
	}
	for i := range c.curvature {
		c.curvature[i] = r.f64("the curvature")
	}
	for _, s := range []*spread{&c.windowSpread, &c.runningSpread, &c.startSpread} {
		s.squares = r.f64("a dispersion")
		s.excess = r.f64("a dispersion")
		if s.squares < 0 {
			r.fail(fmt.Errorf("damaged: a dispersion's sum of squares is %v", s.squares))
		}
	}
}

func (r *reader) score(s *Score) {
	for _, t := range s.tallies() {
		t.N = r.count("the number of scored forecasts")
		t.Deviance = r.f64("a deviance")
		t.Absolute = r.f64("an absolute error")
		t.Bias = r.f64("a bias")
	}
	s.Events = r.sum("the number of scored events")
	s.Misses = r.count("the number of misses")
}

func (r *reader) cell(s *cellState) {
	s.level = r.sum("a level")
	r.ratios("a ratio sum of a ring", s.ring[:])
	r.ratios("a ratio sum of a cell", s.own[:])
	s.quantile = r.f64("a quantile")
	if s.quantile < -1 || s.quantile > 1 {
		r.fail(fmt.Errorf("damaged: a quantile is %v", s.quantile))
	}
	counted, miss := r.u32(), r.u32()
	if counted > 1 || miss > uint32(missed) {
		r.fail(fmt.Errorf("damaged: flags of a cell are %d and %d", counted, miss))
	}
	s.hour.counted, s.verdict.miss = counted == 1, outcome(miss)
	s.hour.came = r.count("an hour's count")
	s.hour.running = r.sum("an hour's expectation")
	s.hour.start = r.sum("an hour's expectation")
	s.hour.level = r.sum("an hour's level")
	s.verdict.running = tails{r.share("a probability"), r.share("a probability")}
	s.verdict.start = tails{r.share("a probability"), r.share("a probability")}
}

func (r *reader) tables(s *cellState) {
	r.sums("a week's table", s.week)
	r.sums("a day's table", s.day)
	for i := range s.past {
		s.past[i] = r.u32()
	}
}
