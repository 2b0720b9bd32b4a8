package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
)

// gcPace gives the heap room to grow, before it is collected, by as much as there is
// to follow in it. Go's own pace lets it double; of the rows that a store keeps most
// is packed, without pointers, and a collection takes no longer for that.
type gcPace struct {
	live []metrics.Sample
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
	return &gcPace{live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
}

// leaveOut sets the pace where so many bytes are packed.
func (p *gcPace) leaveOut(packed int64) {
	if p != nil {
		metrics.Read(p.live)
		debug.SetGCPercent(pace(int64(p.live[0].Value.Uint64()), packed))
	}
}

// pace is the share of what lives that is to be followed, in percent.
func pace(live, packed int64) int {
	if live <= 0 {
		return usualGC
	}
	return int(max(leastGC, min(usualGC, usualGC*(live-packed)/live)))
}
