package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPaceLeavesPackedRowsOut(t *testing.T) {
	for _, c := range []struct {
		live, packed int64
		percent      int
	}{
		{0, 0, 100}, {100, 0, 100}, {100, 40, 60}, {100, 94, 6}, {100, 99, 5}, {100, 300, 5}, {1 << 40, 1 << 39, 50},
	} {
		if got := pace(c.live, c.packed); got != c.percent {
			t.Errorf("%d of %d packed: %d %%, not %d", c.packed, c.live, got, c.percent)
		}
	}
}

// The pace is set, by what lives and not by what came and went, where nothing else does.
func TestPaceIsSet(t *testing.T) {
	was := debug.SetGCPercent(usualGC)
	defer debug.SetGCPercent(was)
	t.Setenv("GOGC", "")
	const packed = 64 << 20
	for range 4 {
		runtime.KeepAlive(make([]byte, packed))
	}
	lives := make([]byte, packed)
	runtime.GC()
	free, bounded := newGCPace(false), newGCPace(true)
	for _, c := range []struct {
		name        string
		pace        *gcPace
		packed      int64
		least, most int
	}{
		{"with a bound of memory", bounded, 1 << 50, usualGC, usualGC},
		{"with more packed than lives", free, 1 << 50, leastGC, leastGC},
		{"with much packed", free, packed, leastGC, 60},
		{"with nothing packed", free, 0, usualGC, usualGC},
	} {
		c.pace.leaveOut(c.packed)
		got := debug.SetGCPercent(usualGC)
		if debug.SetGCPercent(got); got < c.least || got > c.most {
			t.Errorf("%s: %d %%, not %d to %d", c.name, got, c.least, c.most)
		}
	}
	runtime.KeepAlive(lives)
	t.Setenv("GOGC", "70")
	if newGCPace(false) != nil {
		t.Error("GOGC does not count")
	}
}
