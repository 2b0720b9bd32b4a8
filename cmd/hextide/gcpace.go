package main

import (
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
)

// gcPace gives the heap room to grow, before it is collected, by as much as there
// is to follow in it. Go's own pace lets it double; the rows that a store keeps are
// packed, without pointers, and however many they are a collection takes no longer
// for them.
type gcPace struct {
	percent int
	live    []metrics.Sample
}

// What the heap may grow by, in percent of what lives.
const (
	usualGC = 100 // Go's own
	leastGC = 5
)

// newGCPace leaves the pace alone where GOGC says what it is to be, or a bound of
// memory does; then it is nil.
func newGCPace(bounded bool) *gcPace {
	if os.Getenv("GOGC") != "" || bounded {
		return nil
	}
	return &gcPace{percent: usualGC, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
}

// follow sets the pace where so many bytes are not to be followed.
func (c *gcPace) follow(packed int64) {
	if c == nil {
		return
	}
	metrics.Read(c.live)
	percent := pace(int64(c.live[0].Value.Uint64()), packed)
	if math.Abs(float64(percent-c.percent)) >= 5 { // to set it stops everything for a moment
		c.percent = percent
		debug.SetGCPercent(percent)
	}
}

// pace is the share of what lives that is to be followed, in percent.
func pace(live, packed int64) int {
	if live <= 0 {
		return usualGC
	}
	return int(max(leastGC, min(usualGC, usualGC*(live-packed)/live)))
}
