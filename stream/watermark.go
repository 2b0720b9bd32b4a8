package stream

import "math"

// minimum holds how far every partition is and the frontier that follows: the
// least watermark over the partitions that count. A partition counts until it
// leaves; when none does, the greatest of theirs is taken.
//
// Invariant: neither frontier goes back, so a partition that comes back at the
// frontier is never behind it.
type minimum struct {
	pane        int64 // µs
	allowed     int64 // allowed_lateness, µs
	widest      int64 // widest window, µs
	bounded     bool
	partitions  []standing
	provisional int64 // µs
	final       int64 // µs
}

// standing is how far one partition is.
type standing struct {
	passed    Watermark
	watermark int64 // its own, µs
	first     int64 // the first that it ever had, µs; NoTime: not read yet
	accepted  int64 // greatest event time accepted, µs; NoTime: none
	ended     bool  // bounded input: read to its end
}

func newMinimum(pane, allowed, widest int64, bounded bool, partitions int) *minimum {
	m := &minimum{
		pane: pane, allowed: allowed, widest: widest, bounded: bounded,
		partitions: make([]standing, partitions), provisional: NoTime, final: NoTime,
	}
	for i := range m.partitions {
		m.partitions[i] = standing{
			passed: Watermark{Provisional: NoTime, Final: NoTime}, watermark: NoTime, first: NoTime, accepted: NoTime,
		}
	}
	return m
}

// set notes how far a partition is and reports whether a frontier moved.
func (m *minimum) set(i int, passed Watermark, watermark, accepted int64) bool {
	p := &m.partitions[i]
	p.passed, p.watermark, p.accepted = passed, watermark, accepted
	if p.first == NoTime {
		p.first = watermark
	}
	return m.advance()
}

// end notes that a partition is at the end of its input. When all are, it
// returns where the input ends: at the end of the pane of the greatest event
// time accepted in any of them, plus the widest window.
func (m *minimum) end(i int) (end int64, all bool) {
	m.partitions[i].ended = true
	for _, p := range m.partitions {
		if !p.ended {
			return 0, false
		}
	}
	return m.last(), true
}

// last is the last window end that an event accepted so far reaches.
func (m *minimum) last() int64 {
	accepted := int64(NoTime)
	for _, p := range m.partitions {
		accepted = max(accepted, p.accepted)
	}
	if accepted == NoTime {
		return NoTime
	}
	return floor(accepted, m.pane) + m.pane + m.widest
}

// advance computes the frontiers again.
func (m *minimum) advance() bool {
	least := Watermark{Provisional: math.MaxInt64, Final: math.MaxInt64}
	greatest := Watermark{Provisional: NoTime, Final: NoTime}
	counting := 0
	for _, p := range m.partitions {
		greatest.Provisional = max(greatest.Provisional, p.passed.Provisional)
		greatest.Final = max(greatest.Final, p.passed.Final)
		if !p.passed.Idle {
			counting++
			least.Provisional = min(least.Provisional, p.passed.Provisional)
			least.Final = min(least.Final, p.passed.Final)
		}
	}
	if counting == 0 {
		least = greatest
	}
	if m.bounded {
		// Filtered events move watermarks but make no rows; the end of the input
		// must not depend on which partition they are in.
		last := m.last()
		least.Provisional, least.Final = min(least.Provisional, last), min(least.Final, last)
	}
	if least.Provisional <= m.provisional && least.Final <= m.final {
		return false
	}
	m.provisional, m.final = max(m.provisional, least.Provisional), max(m.final, least.Final)
	return true
}

// global is the watermark at which a partition may join: what it then judges
// not late is never too late for the frontier.
func (m *minimum) global() int64 { return max(m.provisional, plus(m.final, m.allowed)) }

// slowest is the least watermark of the partitions that still read, by which
// others are held back; one that was not read yet is taken to be where the first
// of them began. False: there is none.
func (m *minimum) slowest() (int64, bool) {
	began := int64(math.MaxInt64)
	for _, p := range m.partitions {
		if p.first != NoTime {
			began = min(began, p.first)
		}
	}
	least, any := int64(math.MaxInt64), false
	for _, p := range m.partitions {
		if p.ended || p.passed.Idle {
			continue
		}
		any = true
		if p.watermark == NoTime {
			least = min(least, began)
		} else {
			least = min(least, p.watermark)
		}
	}
	return least, any && least != math.MaxInt64
}
