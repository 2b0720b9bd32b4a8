package models

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var zones = []string{"UTC", "America/Los_Angeles", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/London",
	"America/St_Johns", "Pacific/Apia", "Africa/Monrovia"}

// The slots are those of the wall clock, which the standard library computes its own way.
func TestSlotsAreTheWallClocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone, err := loadZone(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		window := rapid.SampledFrom([]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour}).Draw(t, "window")
		clock := newClock(zone, window)
		seconds := int64(window / time.Second)
		start := rapid.Int64Range(-2e9, 4e9).Draw(t, "start") / seconds * seconds
		wall := time.Unix(start, 0).In(zone)
		day := (wall.Hour()*3600 + wall.Minute()*60 + wall.Second()) / int(seconds)
		weekday := (int(wall.Weekday()) + 6) % 7
		s := clock.at(start)
		if s.day != day || s.week != weekday*clock.day+day || (s.kind == 1) != (weekday >= 5) || s.table(clock) != s.kind*clock.day+day {
			t.Fatalf("%v: %+v", wall, s)
		}
	})
}

// visits counts how often each slot of a local day is visited.
func visits(t *testing.T, zone, day string) map[int]int {
	t.Helper()
	location, err := loadZone(zone)
	if err != nil {
		t.Fatal(err)
	}
	clock := newClock(location, 15*time.Minute)
	midnight, err := time.ParseInLocation(time.DateOnly, day, location)
	if err != nil {
		t.Fatal(err)
	}
	count := map[int]int{}
	for at := midnight; at.Day() == midnight.Day(); at = at.Add(15 * time.Minute) {
		count[clock.at(at.Unix()).day]++
	}
	return count
}

func TestSlotsAcrossDaylightSaving(t *testing.T) {
	forward := visits(t, "America/Los_Angeles", "2008-03-09")
	back := visits(t, "America/Los_Angeles", "2008-11-02")
	half := visits(t, "Australia/Lord_Howe", "2008-04-06") // half an hour back at 2:00
	for slot := range 96 {
		wantForward, wantBack, wantHalf := 1, 1, 1
		if slot >= 8 && slot < 12 { // 2:00 to 3:00 does not happen
			wantForward = 0
		}
		if slot >= 4 && slot < 8 { // 1:00 to 2:00 happens twice
			wantBack = 2
		}
		if slot >= 6 && slot < 8 { // 1:30 to 2:00 happens twice
			wantHalf = 2
		}
		if forward[slot] != wantForward || back[slot] != wantBack || half[slot] != wantHalf {
			t.Errorf("slot %d: %d visits forward, %d back, %d half an hour back", slot, forward[slot], back[slot], half[slot])
		}
	}
}

func TestZonesComeFromTheBinary(t *testing.T) {
	t.Setenv("ZONEINFO", t.TempDir())
	for _, name := range zones {
		if _, err := loadZone(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"Local", "Mars/Olympus", "America", "America/", "../etc/passwd", "america/los_angeles"} {
		if _, err := loadZone(name); !errors.Is(err, ErrTimeZone) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOptionsCheck(t *testing.T) {
	good := DemandOptions{Window: 15 * time.Minute, TimeZone: "America/New_York", Resolution: 8, Parent: 6}
	for _, c := range []struct {
		change func(*DemandOptions)
		want   string // part of the error; "": none
	}{
		{func(*DemandOptions) {}, ""},
		{func(o *DemandOptions) { o.Window = 24 * time.Hour }, ""},
		{func(o *DemandOptions) { o.Window = 2 * time.Hour; o.TimeZone = "" }, ""},
		{func(o *DemandOptions) { o.Window = 20 * time.Second }, ""},
		{func(o *DemandOptions) { o.Parent = 2 }, ""},
		{func(o *DemandOptions) { o.Window = 7 * time.Minute }, "does not divide a day"},
		{func(o *DemandOptions) { o.Window = 90 * time.Minute }, "neither divides an hour nor is a multiple"},
		{func(o *DemandOptions) { o.Window = 500 * time.Millisecond }, "no whole number of seconds"},
		{func(o *DemandOptions) { o.Window = 0 }, "no whole number of seconds"},
		{func(o *DemandOptions) { o.Window = -time.Hour }, "no whole number of seconds"},
		{func(o *DemandOptions) { o.Window = 48 * time.Hour }, "does not divide a day"},
		{func(o *DemandOptions) { o.Parent = 8 }, "parent 8 is not within 2 to 7"},
		{func(o *DemandOptions) { o.Parent = 1 }, "parent 1 is not within 2 to 7"},
		{func(o *DemandOptions) { o.Resolution = 16 }, "resolution 16"},
		{func(o *DemandOptions) { o.Resolution, o.Parent = 0, 0 }, "resolution 0"},
		{func(o *DemandOptions) { o.TimeZone = "Nowhere" }, "unknown time zone \"Nowhere\""},
	} {
		o := good
		c.change(&o)
		err := o.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", o, err, c.want)
		}
		if _, made := NewDemand(o); (made == nil) != (err == nil) {
			t.Errorf("%+v: NewDemand says %v", o, made)
		}
	}
	all := DemandOptions{Window: 7 * time.Minute, TimeZone: "Nowhere", Resolution: 99}.Check()
	for _, want := range []string{"window", "resolution", "zone"} {
		if all == nil || !strings.Contains(all.Error(), want) {
			t.Errorf("not everything wrong is reported: %v", all)
		}
	}
}
