package main

import (
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

// The pace is set where nothing else does.
func TestPaceIsSet(t *testing.T) {
	was := debug.SetGCPercent(usualGC)
	defer debug.SetGCPercent(was)
	t.Setenv("GOGC", "")
	for _, c := range []struct {
		name    string
		pace    *gcPace
		percent int
	}{
		{"with a bound of memory", newGCPace(true), usualGC},
		{"with none", newGCPace(false), leastGC},
	} {
		c.pace.follow(1 << 50)
		if got := debug.SetGCPercent(usualGC); got != c.percent {
			t.Errorf("%s: %d %%, not %d", c.name, got, c.percent)
		}
	}
	t.Setenv("GOGC", "70")
	if newGCPace(false) != nil {
		t.Error("GOGC does not count")
	}
}
