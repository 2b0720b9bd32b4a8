package aggregate

import (
	"math"
	"slices"
	"testing"

	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
	"pgregory.net/rapid"
)

// arrival is one cell's measures in a pane.
type arrival struct {
	start int64
	cell  geo.Cell
	sum   int64
	low   int64
	high  int64
}

var windowMeasures = []Measure{{Kind: Sum, Field: -1, Where: -1}, {Kind: Sum, Field: 0, Where: -1}, {Kind: Min, Field: 0, Where: -1}, {Kind: Max, Field: 0, Where: -1}}

// Windows that slide, in any steps, with late entries and cells merged into
// parents, hold what adding up the panes in them gives, whether those are in memory
// or outside.
func TestWindowsHoldTheirPanes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SampledFrom([][]int64{{10}, {20}, {10, 30}, {20, 50, 120}}).Draw(t, "sizes")
		measures := windowMeasures[:rapid.SampledFrom([]int{2, 4}).Draw(t, "measures")]
		room := rapid.SampledFrom([]int64{0, 200, 1000, math.MaxInt64}).Draw(t, "room")
		holdPanes(t, sizes, measures, room)
	})
}

// Windows of one pane do, too.
func TestWindowsOfOnePane(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		holdPanes(t, []int64{10}, windowMeasures[:2], math.MaxInt64)
	})
}

// The least number leaves a sum that was only small enough for it.
func TestLeastNumberLeaves(t *testing.T) {
	table := NewTable()
	slot, _ := table.Add(7)
	var panes Panes
	measures := windowMeasures[1:2]
	w := NewWindows(measures, 10, []int64{30}, table, false)
	for pane, v := range []int64{math.MinInt64, math.MaxInt64, math.MaxInt64} {
		panes.Merge(int64(10*pane), 0, measures, Entries{Slots: []int32{slot}, Measures: []MeasureColumn{{Lo: []uint64{uint64(v)}}}}, true, []bool{false})
	}
	w.Slide(30, &panes, nil)
	if got := w.Sum(slot, 0, 0); got != exact.FromInt64(math.MaxInt64-1) || !w.Narrow() {
		t.Errorf("with it: %v", got)
	}
	w.Slide(40, &panes, nil)
	if got, most := w.Sum(slot, 0, 0), exact.FromInt64(math.MaxInt64); got != most.Add(most) {
		t.Errorf("without it: %v", got)
	}
}

// holdPanes lets windows slide over panes of 10, of which so many bytes may be in
// memory; MaxInt64: there is no bound.
func holdPanes(t *rapid.T, sizes []int64, measures []Measure, room int64) {
	const pane = 10
	table, parents := NewTable(), NewTable()
	var via []int32
	var panes Panes
	outside := &mapOutside{t: t, panes: &panes, room: room, values: map[uint64][]byte{}}
	if room < math.MaxInt64 {
		panes.Bound(outside)
	}
	cells := rapid.SampledFrom([]int{2, 6}).Draw(t, "cells")
	bits := rapid.SampledFrom([]int{3, 63}).Draw(t, "bits of a sum")
	own := NewWindows(measures, pane, sizes, table, true)
	above := NewWindows(measures, pane, sizes, parents, true)
	var all []arrival
	end := int64(-50)
	for range rapid.IntRange(1, 40).Draw(t, "turns") {
		if rapid.IntRange(0, 2).Draw(t, "slide") == 0 {
			end += pane * rapid.Int64Range(1, 4).Draw(t, "panes")
			own.Slide(end, &panes, nil)
			above.Slide(end, &panes, via)
			panes.Drop(end - sizes[len(sizes)-1])
		} else {
			a := arrival{
				start: end + pane*rapid.Int64Range(-3, 3).Draw(t, "pane"), cell: geo.Cell(rapid.IntRange(1, cells).Draw(t, "cell")),
				sum: rapid.Int64Range(-1<<bits, 1<<bits-1).Draw(t, "sum"), low: rapid.Int64Range(-9, 9).Draw(t, "low"), high: rapid.Int64Range(-9, 9).Draw(t, "high"),
			}
			a.start = max(a.start, end-sizes[len(sizes)-1])
			all = append(all, a)
			slot, added := table.Add(a.cell)
			if added {
				parent, _ := parents.Add(a.cell / 3)
				via = append(via, parent)
			}
			e := Entries{Slots: []int32{slot}, Measures: []MeasureColumn{{Lo: []uint64{1}}, {Lo: []uint64{uint64(a.sum)}}, {Lo: []uint64{uint64(a.low)}}, {Lo: []uint64{uint64(a.high)}}}}
			e.Measures = e.Measures[:len(measures)]
			fresh := []bool{false}
			panes.Merge(a.start, 0, measures, e, true, fresh)
			if a.start < own.End() {
				own.Include(a.start, &e, fresh, nil)
				above.Include(a.start, &e, fresh, via)
			}
		}
		if rapid.Bool().Draw(t, "look") {
			agree(t, own, &panes, nil, all, func(c geo.Cell) geo.Cell { return c })
			agree(t, above, &panes, via, all, func(c geo.Cell) geo.Cell { return c / 3 })
		}
	}
	own.Discard(&panes)
	above.Discard(&panes)
	panes.Drop(math.MaxInt64)
	outside.empty()
}

// agree compares windows with the sums of what arrived in them.
func agree(t *rapid.T, w *Windows, panes *Panes, via []int32, all []arrival, of func(geo.Cell) geo.Cell) {
	var active, order []geo.Cell
	for _, o := range w.Order() {
		order = append(order, o.Cell)
	}
	gathers(t, w)
	for s := range int32(w.table.Slots()) {
		cell := w.table.Cell(s)
		for i, size := range w.sizes {
			var count, sum exact.Int128
			low, high := None(Min), None(Max)
			for _, a := range all {
				if of(a.cell) == cell && a.start < w.End() && a.start >= w.End()-size {
					count, sum = count.Add(exact.FromInt64(1)), sum.Add(exact.FromInt64(a.sum))
					low, high = min(low, a.low), max(high, a.high)
				}
			}
			if got := w.Sum(s, 0, i); got != count {
				t.Fatalf("cell %d, window %d at %d: %v events, want %v", cell, size, w.End(), got, count)
			}
			if got := w.Sum(s, 1, i); got != sum {
				t.Fatalf("cell %d, window %d at %d: sum %v, want %v", cell, size, w.End(), got, sum)
			}
			if len(w.measures) > 2 {
				if l, h := w.Extreme(panes, via, s, 2, i), w.Extreme(panes, via, s, 3, i); l != low || h != high {
					t.Fatalf("cell %d, window %d at %d: %d to %d, want %d to %d", cell, size, w.End(), l, h, low, high)
				}
			}
			if i == len(w.sizes)-1 && !count.IsZero() {
				active = append(active, cell)
			}
		}
	}
	slices.Sort(active)
	if !slices.Equal(order, active) || len(w.Active()) != len(active) {
		t.Fatalf("active cells %v (%d), want %v", order, len(w.Active()), active)
	}
}

// gathers compares what is gathered of the active cells with their sums.
func gathers(t *rapid.T, w *Windows) {
	if !w.Narrow() {
		return
	}
	rows := append(slices.Clone(w.Order()), Ordered{Slot: -1})
	values := make([]int64, len(rows))
	Gather(values, w, rows, 1, len(w.sizes)-1)
	for i, r := range rows {
		want := exact.Int128{}
		if r.Slot >= 0 {
			want = w.Sum(r.Slot, 1, len(w.sizes)-1)
		}
		if exact.FromInt64(values[i]) != want {
			t.Fatalf("cell %d at %d: %d is gathered, want %v", r.Cell, w.End(), values[i], want)
		}
	}
}

// A table that drops cells gives their slots to others, and finds the rest.
func TestTableKeepsTheUsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, want := NewTable(), map[geo.Cell]int32{}
		for range rapid.IntRange(1, 300).Draw(t, "turns") {
			c := geo.Cell(rapid.Uint64Range(1, 200).Draw(t, "cell"))
			if rapid.IntRange(0, 60).Draw(t, "keep") == 0 {
				table.Keep(func(s int32) bool { return table.Cell(s)%2 == 0 })
				for c := range want {
					if c%2 == 1 {
						delete(want, c)
					}
				}
				continue
			}
			slot, added := table.Add(c)
			if old, known := want[c]; known == added || known && old != slot {
				t.Fatalf("cell %d: slot %d, added %v, was %d", c, slot, added, old)
			}
			want[c] = slot
		}
		taken := map[int32]bool{}
		for c, slot := range want {
			if got, ok := table.Find(c); !ok || got != slot || table.Cell(slot) != c || taken[slot] {
				t.Fatalf("cell %d: found %v at %d, want %d", c, ok, got, slot)
			}
			taken[slot] = true
		}
		var cells []geo.Cell
		var slots []int32
		for c := geo.Cell(1); c <= 200; c++ {
			slot, known := want[c]
			if !known {
				slot = -1
			}
			cells, slots = append(cells, c), append(slots, slot)
		}
		if got := table.FindAll(nil, cells); !slices.Equal(got, slots) {
			t.Fatalf("all cells found at %v, want %v", got, slots)
		}
		if table.Len() != len(want) {
			t.Fatalf("%d cells, want %d", table.Len(), len(want))
		}
	})
}
