package models

import "time"

const (
	daySeconds  = 86400
	hourSeconds = 3600
	weekDays    = 7
)

// clock turns the start of a window into slots of its city's local day and week.
type clock struct {
	zone   *time.Location
	window int64 // seconds
	day    int   // windows in a day, D
	week   int   // windows in a week, P = 7 D
}

func newClock(zone *time.Location, window time.Duration) clock {
	seconds := int64(window / time.Second)
	day := int(daySeconds / seconds)
	return clock{zone: zone, window: seconds, day: day, week: weekDays * day}
}

// slots are the places of one window in the tables.
type slots struct {
	week int // weekday · D + slot of day, Monday 0
	kind int // 1 on Saturday and Sunday, else 0
	day  int // slot of day, 0 to D−1
}

// table is the slot in a day table, which holds one day of each kind.
func (s slots) table(c clock) int { return s.kind*c.day + s.day }

// at is the slots of the window that starts at a unix time in seconds. Where clocks go forward an hour
// of slots is passed over, where they go back one is visited twice.
func (c clock) at(start int64) slots {
	_, offset := time.Unix(start, 0).In(c.zone).Zone()
	local := start + int64(offset)
	date, seconds := floorDivide(local, daySeconds)
	_, weekday := floorDivide(date+3, weekDays) // 1970-01-01 was a Thursday
	slot := int(seconds / c.window)
	kind := 0
	if weekday >= 5 {
		kind = 1
	}
	return slots{week: int(weekday)*c.day + slot, kind: kind, day: slot}
}

// startsHour and endsHour tell whether a time in seconds is a border of the hours of UTC that the
// anomaly columns look at: each window's borders where windows are longer.
func (c clock) startsHour(start int64) bool {
	return c.window > hourSeconds || start%hourSeconds == 0
}

func (c clock) endsHour(end int64) bool { return c.startsHour(end) }

// hourWindows is how many windows those hours have.
func (c clock) hourWindows() int { return max(1, int(hourSeconds/c.window)) }

// floorDivide is a / b rounded down, and what is left, for b above 0.
func floorDivide(a, b int64) (int64, int64) {
	quotient, rest := a/b, a%b
	if rest < 0 {
		return quotient - 1, rest + b
	}
	return quotient, rest
}
