package stream

import "math"

// lateness is how far one partition's event time is complete, and the judge of
// what comes too late for it.
//
// Invariant: complete = watermark − allowed, or NoTime where watermark is.
type lateness struct {
	pane       int64 // µs
	outOfOrder int64 // µs
	allowed    int64 // allowed_lateness, µs
	watermark  int64 // µs, NoTime before the first event; never goes back
	complete   int64 // µs; an event is late iff its pane ends at or before it
}

func newLateness(pane, outOfOrder, allowed int64) lateness {
	return lateness{pane: pane, outOfOrder: outOfOrder, allowed: allowed, watermark: NoTime, complete: NoTime}
}

// late tells whether an event is late; it depends on the watermark before the
// event is observed.
func (l *lateness) late(t int64) bool {
	return t < l.complete && floor(t, l.pane)+l.pane <= l.complete
}

// observe moves the watermark by one valid event.
func (l *lateness) observe(t int64) { l.raise(t - l.outOfOrder) }

// raise moves the watermark up to a value.
func (l *lateness) raise(watermark int64) {
	if watermark > l.watermark {
		l.watermark = watermark
		l.complete = less(watermark, l.allowed)
	}
}

// floor is the greatest multiple of step, which is above 0, at or below t.
func floor(t, step int64) int64 {
	r := t % step
	if r < 0 {
		r += step
	}
	return t - r
}

// less is t − d, or NoTime where t is.
func less(t, d int64) int64 {
	if t < NoTime+d {
		return NoTime
	}
	return t - d
}

// plus is t + d, NoTime where t is, and at most the greatest time.
func plus(t, d int64) int64 {
	switch {
	case t == NoTime:
		return NoTime
	case t > math.MaxInt64-d:
		return math.MaxInt64
	}
	return t + d
}
