package stream

import (
	"cmp"
	"slices"
)

// heats are the picked events of a batch, by the spans of event time in which they
// contend.
//
// Invariant: all ascends by start.
type heats struct {
	all  []heat
	runs []heatRun
}

// heat is what a span gets of a batch: a chain of runs.
type heat struct {
	start       int64 // of the span, µs
	first, last int32 // of the runs
}

// heatRun is a run of picked events.
type heatRun struct {
	from, to int32
	next     int32 // of the heat; −1: none
}

// group takes the picked events of a batch, for spans of a length.
func (h *heats) group(times []int64, picked []int32, length int64) {
	h.all, h.runs = h.all[:0], h.runs[:0]
	for from, to := 0, 0; from < len(picked); from = to {
		start := floor(times[picked[from]], length)
		for to = from + 1; to < len(picked) && uint64(times[picked[to]]-start) < uint64(length); to++ {
		}
		h.add(start, heatRun{from: int32(from), to: int32(to), next: -1})
	}
}

// add adds a run to a span's heat.
func (h *heats) add(start int64, r heatRun) {
	run := int32(len(h.runs))
	h.runs = append(h.runs, r)
	i, found := len(h.all), false
	if i > 0 && start <= h.all[i-1].start {
		i, found = slices.BinarySearchFunc(h.all, start, func(x heat, start int64) int { return cmp.Compare(x.start, start) })
	}
	if !found {
		h.all = slices.Insert(h.all, i, heat{start: start, first: run, last: run})
		return
	}
	h.runs[h.all[i].last].next = run
	h.all[i].last = run
}
