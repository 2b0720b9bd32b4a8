package models

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// livedModel has gone through enough windows to have learnt everything.
func livedModel(t testing.TB, window time.Duration, steps int) *Demand {
	d, l := newModel(t, window, "America/Los_Angeles"), newLife(9, window)
	for step := range steps {
		end := l.next(step)
		d.Step(end, l.cells, l.counts)
	}
	return d
}

var otherOptions = []struct {
	change func(*DemandOptions)
	want   string
}{
	{func(o *DemandOptions) { o.Window = time.Hour }, "its window is 86400 s, the model's 3600 s"},
	{func(o *DemandOptions) { o.Parent = 5 }, "its parents have resolution 6, the model's 5"},
	{func(o *DemandOptions) { o.Resolution = 9 }, "its cells have resolution 8, the model's 9"},
	{func(o *DemandOptions) { o.TimeZone = "" }, `its time zone is "America/Los_Angeles", the model's "UTC"`},
}

// refuses restores a state, which the model must refuse for a reason and stay as it was.
func refuses(t *testing.T, o DemandOptions, state []Part, want string) {
	t.Helper()
	model, err := NewDemand(o)
	if err != nil {
		t.Fatal(err)
	}
	before := appendInOne(model, nil)
	if _, err = model.Restore(state); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if !bytes.Equal(before, appendInOne(model, nil)) {
		t.Errorf("a refused state left something behind (%s)", want)
	}
}

const minusOne = 0xbff0_0000_0000_0000 // -1

// put replaces a number in a state.
func put(state []byte, at int, v uint64) []byte {
	broken := bytes.Clone(state)
	binary.LittleEndian.PutUint64(broken[at:], v)
	return broken
}

func TestStateInOnePartIsRefusedWithItsReason(t *testing.T) {
	d := livedModel(t, 24*time.Hour, 20)
	state := appendInOne(d, nil)
	city := 4 + 4 + 8 + 4 + 4 + 4 + 4 + len("America/Los_Angeles") + 8 // after the end of the last window
	cell := len(state) - len(d.cells)*(8+cellBytes-8+tableBytes(d.clock))
	for _, o := range otherOptions {
		options := d.options
		o.change(&options)
		refuses(t, options, []Part{{head, state}}, o.want)
	}
	for _, c := range []struct {
		state []byte
		want  string
	}{
		{nil, "ends too early"},
		{state[:len(state)-1], "cells, more than its length holds"},
		{append(bytes.Clone(state), 0), "1 bytes too many"},
		{put(state, city+24, minusOne), "an exposure of the week is -1"},
		{put(state, cell, uint64(d.cells[1])), "twice or out of order"},
		{put(state, len(state)-4*d.clock.week-8, minusOne), "a day's table is -1"},
	} {
		refuses(t, d.options, []Part{{head, c.state}}, c.want)
	}
	refuses(t, d.options, []Part{{head, state}, whole(d)[1]}, "parts beside a state that is in one")
	if again := restore(t, d, inOne(d)); !bytes.Equal(appendInOne(again, nil), state) {
		t.Error("another state came out")
	}
}

func TestStateIsRefusedWithItsReason(t *testing.T) {
	d := livedModel(t, 24*time.Hour, 20)
	parts := whole(d)
	state := parts[head].State
	city := 4 + 4 + 8 + 4 + 4 + 4 + 4 + len("America/Los_Angeles") + 8 // after the end of the last window
	cell := len(state) - len(d.cells)*cellBytes
	for _, o := range otherOptions {
		options := d.options
		o.change(&options)
		refuses(t, options, parts, o.want)
	}
	with := func(number int, state []byte) []Part {
		broken := slices.Clone(parts)
		at := slices.IndexFunc(parts, func(p Part) bool { return p.Number == number })
		broken[at].State = state
		return broken
	}
	part := func(number int) []byte { return frozen(d, []int{number})[0].State }
	c := d.clock
	week, day, past := c.weekPart(0), c.dayPart(0), c.pastPart(0)
	for _, c := range []struct {
		state []Part
		want  string
	}{
		{nil, "no head"},
		{parts[1:], "no head"},
		{with(head, nil), "ends too early"},
		{with(head, state[:len(state)-1]), "cells, more than its length holds"},
		{with(head, append(bytes.Clone(state), 0)), "1 bytes too many"},
		{with(head, append([]byte("nope"), state[4:]...)), "does not begin as one"},
		{with(head, append(bytes.Clone(state[:4]), append([]byte{3, 0, 0, 0}, state[8:]...)...)), "version 3"},
		{with(head, put(state, city+16, minusOne)), "the exposure of the level is -1"},
		{with(head, put(state, city+16, math.Float64bits(math.NaN()))), "the exposure of the level is NaN"},
		{with(head, put(state, city, math.MaxUint64)), "the number of windows is -1"},
		{with(head, put(state, city, 0)), "of nothing"},
		{with(head, put(state, cell, 0)), "0 is no cell of resolution 8"},
		{with(head, put(state, cell, binary.LittleEndian.Uint64(state[cell+cellBytes:]))), "there twice"},
		{with(head, put(state, cell+8, minusOne)), "a level is -1"},
		{with(week, put(part(week), 0, minusOne)), "an exposure of the week is -1"},
		{with(week, put(part(week), 0, 0)), "of nothing"},
		{with(week, put(part(week), 8, minusOne)), "a week's table is -1"},
		{with(week, nil), "ends too early"},
		{with(day, put(part(day), 8, minusOne)), "a day's table is -1"},
		{with(day, append(part(day), make([]byte, 8*len(d.cells))...)), "bytes in part 8 of 8 cells"},
		{with(past, append(part(past), 0)), "bytes in part 10 of 8 cells"},
		{with(past, make([]byte, 8)), "zeros at its end"},
		{append(slices.Clone(parts), parts[2]), "part 2 twice"},
		{append(slices.Clone(parts), Part{Number: d.Parts()}), "too many"},
		{append(slices.Clone(parts), Part{Number: -1}), "no head"},
	} {
		refuses(t, d.options, c.state, c.want)
	}
	restore(t, d, parts)
}

// sameParts reports the first difference of two states.
func sameParts(t failer, got, want []Part) {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got) || i >= len(want):
			t.Fatal(len(got), "parts, want", len(want))
		case got[i].Number != want[i].Number || !bytes.Equal(got[i].State, want[i].State):
			t.Fatal("part", got[i], "want", want[i])
		}
	}
}

// Whatever happens, cells that join and silent feeds among it: the parts that steps touched, put over
// those of before, are the state.
func TestTouchedPartsAreWhatChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.SampledFrom(windows).Draw(t, "window")
		d, err := NewDemand(DemandOptions{Window: window, TimeZone: "America/Los_Angeles", Resolution: 8, Parent: 6})
		if err != nil {
			t.Fatal(err)
		}
		l := newLife(rapid.Uint64().Draw(t, "seed"), window)
		kept := whole(d)
		for step := range min(2*d.clock.week, 180) + 10 {
			end := l.next(step)
			d.Step(end, l.cells, l.counts)
			for _, part := range frozen(d, d.Touched()) {
				at, there := slices.BinarySearchFunc(kept, part.Number, func(p Part, n int) int { return p.Number - n })
				if there {
					kept[at] = part
				} else {
					kept = slices.Insert(kept, at, part)
				}
			}
			if len(d.Touched()) > 4 {
				t.Fatalf("a step touched parts %v", d.Touched())
			}
			sameParts(t, kept, whole(d))
		}
		sameParts(t, whole(restore(t, d, kept)), kept)
	})
}

// A step of a city of 2,000 cells changes a small part of its state, cells that join included.
func TestStepTouchesLittleOfAState(t *testing.T) {
	d := newModel(t, 5*time.Minute, "Europe/Berlin")
	city := newSynthetic(2000, 5*time.Minute)
	counts := slices.Repeat([]int64{3}, len(city.cells))
	d.Step(300e6, city.cells[5:], counts[5:])
	d.city.windows = int64(d.clock.week)
	for _, table := range [][]float64{d.city.week, d.city.day} {
		copy(table, slices.Repeat([]float64{4}, len(table)))
	}
	for c := range d.states {
		state := &d.states[c]
		copy(state.week, slices.Repeat([]float64{5}, len(state.week)))
		copy(state.day, slices.Repeat([]float64{6}, len(state.day)))
		copy(state.past, slices.Repeat([]uint32{7}, len(state.past)))
	}
	d.Step(600e6, city.cells, counts)
	began := time.Now()
	f := d.Freeze(d.Touched())
	spent := time.Since(began)
	delta := 0
	for i := range d.Touched() {
		delta += len(f.Append(nil, i))
	}
	all := bytesOf(whole(d))
	t.Logf("%d of %d bytes, copied in %v", delta, all, spent)
	if len(d.Touched()) != 4 || delta*50 > all {
		t.Errorf("parts %v: %d of %d bytes", d.Touched(), delta, all)
	}
	sameParts(t, whole(restore(t, d, whole(d))), whole(d))
}

// What is frozen stays as it was, whatever the model does since.
func TestFrozenPartsStayAsTheyWere(t *testing.T) {
	d, l := newModel(t, time.Hour, ""), newLife(3, time.Hour)
	for step := range 40 {
		end := l.next(step)
		d.Step(end, l.cells, l.counts)
	}
	want := whole(d)
	var numbers []int
	for _, p := range want {
		numbers = append(numbers, p.Number)
	}
	f := d.Freeze(numbers)
	for step := 40; step < 300; step++ {
		end := l.next(step)
		d.Step(end, l.cells, l.counts)
	}
	var got []Part
	for i, number := range numbers {
		got = append(got, Part{number, f.Append(nil, i)})
	}
	sameParts(t, got, want)
}

// goesOn checks that a model that took any state at all goes on with finite columns.
func goesOn(t *testing.T, d *Demand) {
	for c := range d.cells {
		if max(d.ahead[c].mean, d.states[c].hour.running, d.states[c].hour.start) > 1e4 {
			return // right, but slow: sums run over all counts that are likely
		}
	}
	d.Step(d.end+86400e6, somewhere[:2], []int64{1, 5})
	for c := range d.cells {
		for _, v := range []float64{d.outputs.Mu[c], d.outputs.Up[c], d.outputs.Down[c], d.outputs.UpStart[c], d.outputs.DownStart[c]} {
			if !finite(v) {
				t.Fatalf("a column is %v", v)
			}
		}
	}
}

// FuzzRestoreInOne: any bytes in one part are refused or are the very state that comes out again.
func FuzzRestoreInOne(f *testing.F) {
	for _, steps := range []int{0, 1, 2, 12} {
		f.Add(appendInOne(livedModel(f, 24*time.Hour, steps), nil))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		d := newModel(t, 24*time.Hour, "America/Los_Angeles")
		in, err := d.Restore([]Part{{head, state}})
		switch {
		case err != nil && !errors.Is(err, ErrState):
			t.Fatalf("untyped error %v", err)
		case err != nil:
			return
		case in && !bytes.Equal(appendInOne(d, nil), state):
			t.Fatal("another state came out")
		}
		goesOn(t, d)
	})
}

// FuzzRestore: any head, beside any other part and those of a good state, is refused or is the very state
// that comes out again.
func FuzzRestore(f *testing.F) {
	rest := whole(livedModel(f, 24*time.Hour, 12))[1:]
	for _, steps := range []int{0, 1, 2, 12} {
		parts := whole(livedModel(f, 24*time.Hour, steps))
		for _, p := range parts {
			f.Add(parts[head].State, p.Number, p.State, steps == 12)
		}
	}
	f.Fuzz(func(t *testing.T, first []byte, number int, state []byte, more bool) {
		parts := []Part{{head, first}}
		if number != head {
			parts = append(parts, Part{number, state})
		}
		for _, p := range rest {
			if more && p.Number != number {
				parts = append(parts, p)
			}
		}
		d := newModel(t, 24*time.Hour, "America/Los_Angeles")
		inOne, err := d.Restore(parts)
		if err != nil && !errors.Is(err, ErrState) {
			t.Fatalf("untyped error %v", err)
		}
		if err != nil || inOne {
			return
		}
		slices.SortFunc(parts, func(a, b Part) int { return a.Number - b.Number })
		for _, p := range whole(d) { // past counts that are missing are zeros
			i := slices.IndexFunc(parts, func(q Part) bool { return q.Number == p.Number })
			if i < 0 && p.Number >= d.clock.pastPart(0) && len(p.State) == 0 {
				continue
			}
			if i < 0 || !bytes.Equal(parts[i].State, p.State) {
				t.Fatalf("another part %d came out", p.Number)
			}
		}
		goesOn(t, d)
	})
}
