package models

import (
	"slices"
	"testing"
	"time"

	"github.com/hextide/hextide/geo"
)

// Everything in a model's state is told, cells ascending, with the numbers that are
// in it.
func TestEachParameter(t *testing.T) {
	d, err := NewDemand(DemandOptions{Window: time.Hour, Resolution: 8, Parent: 6})
	if err != nil {
		t.Fatal(err)
	}
	var cells []geo.Cell
	for i := range 3 {
		c, err := geo.Index(37.7, -122.4+float64(i)/20, 8)
		if err != nil {
			t.Fatal(err)
		}
		cells = append(cells, c)
	}
	slices.Sort(cells)
	for hour := range int64(30) {
		d.Step((hour+1)*int64(time.Hour/time.Microsecond), cells, []int64{hour + 1, 2, 3})
	}
	told := map[geo.Cell]map[string][]float64{}
	var order []geo.Cell
	numbers := 0
	err = d.EachParameter(func(cell geo.Cell, p Parameter) error {
		if told[cell] == nil {
			told[cell] = map[string][]float64{}
			order = append(order, cell)
		}
		told[cell][p.Name] = slices.Clone(p.Values)
		numbers += len(p.Values)
		return nil
	})
	if err != nil || !slices.Equal(order, append([]geo.Cell{0}, cells...)) {
		t.Fatalf("%v, %v", order, err)
	}
	for c, cell := range cells {
		state := &d.states[c]
		got := told[cell]
		if !slices.Equal(got["level"], []float64{state.level}) || !slices.Equal(got["week"], state.week) || !slices.Equal(got["day"], state.day) {
			t.Errorf("%x: level %v, not %v", uint64(cell), got["level"], state.level)
		}
		if n := got["past"]; len(n) != d.clock.week || n[29%len(n)] != []float64{30, 2, 3}[c] {
			t.Errorf("%x: %v", uint64(cell), n)
		}
	}
	if city := told[0]; city["windows"][0] != 30 || !slices.Equal(city["weights"], d.city.weights[:]) || len(city["curvature"]) != 91 || city["score"][0] == 0 {
		t.Errorf("%v", city)
	}
	// The state's bytes: 8 a number, but for its head, a cell's id, and 4 each of the flags and past counts.
	state := len(appendInOne(d, nil))
	head := 4 + 4 + 8 + 4 + 4 + 4 + 4 + len("UTC") + 8 + 4
	want := head + 8*numbers + len(cells)*(8-4*d.clock.week-2*4)
	if state != want {
		t.Errorf("%d numbers for a state of %d bytes, which %d would take", numbers, state, want)
	}
}
