package models

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
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

func TestStateIsRefusedWithItsReason(t *testing.T) {
	d := livedModel(t, 24*time.Hour, 20)
	state := d.AppendState(nil)
	head := 4 + 4 + 8 + 4 + 4 + 4 + 4 + len("America/Los_Angeles")
	city := head + 8 // after the end of the last window
	cell := len(state) - len(d.cells)*(8+cellBytes(d.clock)-8)
	put := func(at int, v uint64) []byte {
		broken := bytes.Clone(state)
		binary.LittleEndian.PutUint64(broken[at:], v)
		return broken
	}
	same := d.options
	other := func(change func(*DemandOptions)) DemandOptions {
		o := same
		change(&o)
		return o
	}
	minus, nan := math.Float64bits(-1), math.Float64bits(math.NaN())
	for _, c := range []struct {
		options DemandOptions
		state   []byte
		want    string
	}{
		{other(func(o *DemandOptions) { o.Window = time.Hour }), state, "its window is 86400 s, the model's 3600 s"},
		{other(func(o *DemandOptions) { o.Parent = 5 }), state, "its parents have resolution 6, the model's 5"},
		{other(func(o *DemandOptions) { o.Resolution = 9 }), state, "its cells have resolution 8, the model's 9"},
		{other(func(o *DemandOptions) { o.TimeZone = "" }), state, `its time zone is "America/Los_Angeles", the model's "UTC"`},
		{same, nil, "ends too early"},
		{same, state[:len(state)-1], "cells, more than its length holds"},
		{same, append(bytes.Clone(state), 0), "1 bytes too many"},
		{same, append([]byte("nope"), state[4:]...), "does not begin as one"},
		{same, append(bytes.Clone(state[:4]), append([]byte{2, 0, 0, 0}, state[8:]...)...), "version 2"},
		{same, put(city+16, minus), "the exposure of the level is -1"},
		{same, put(city+16, nan), "the exposure of the level is NaN"},
		{same, put(city+24, minus), "an exposure of the week is -1"},
		{same, put(city, math.MaxUint64), "the number of windows is -1"},
		{same, put(cell, 0), "0 is no cell of resolution 8"},
		{same, put(cell, uint64(d.cells[1])), "does not follow"},
		{same, put(cell+8, minus), "a level is -1"},
		{same, put(len(state)-4*d.clock.week-8, minus), "a day's table is -1"},
	} {
		model, err := NewDemand(c.options)
		if err != nil {
			t.Fatal(err)
		}
		before := model.AppendState(nil)
		err = model.Restore(c.state)
		if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		if !bytes.Equal(before, model.AppendState(nil)) {
			t.Errorf("a refused state left something behind (%s)", c.want)
		}
	}
	if err := newModel(t, 24*time.Hour, "America/Los_Angeles").Restore(state); err != nil {
		t.Error(err)
	}
}

// FuzzRestore: any bytes are refused or are the very state that comes out again, and a model that took
// them goes on with finite columns.
func FuzzRestore(f *testing.F) {
	for _, steps := range []int{0, 1, 2, 12} {
		f.Add(livedModel(f, 24*time.Hour, steps).AppendState(nil))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		d := newModel(t, 24*time.Hour, "America/Los_Angeles")
		if err := d.Restore(state); err != nil {
			if !errors.Is(err, ErrState) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if !bytes.Equal(d.AppendState(nil), state) {
			t.Fatal("another state came out")
		}
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
	})
}
