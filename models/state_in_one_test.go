package models

// appendInOne writes a state in one part, as programs did before states had several.
func appendInOne(d *Demand, dst []byte) []byte {
	w := writer{dst}
	w.u32(stateMagic)
	w.u32(stateInOne)
	w.i64(d.clock.window)
	w.u32(uint32(d.clock.week))
	w.u32(uint32(d.options.Resolution))
	w.u32(uint32(d.options.Parent))
	w.text(zoneName(d.options.TimeZone))
	w.i64(d.end)
	c := &d.city
	w.i64(c.windows)
	w.i64(c.rejected)
	w.f64(c.exposure)
	w.floats(c.week)
	w.floats(c.day)
	w.ratios(c.ratios[:])
	w.floats(c.weights[:])
	w.floats(c.curvature[:])
	for _, s := range []spread{c.windowSpread, c.runningSpread, c.startSpread} {
		w.f64(s.squares)
		w.f64(s.excess)
	}
	w.score(&d.score)
	w.u32(uint32(len(d.cells)))
	for c := range d.cells {
		w.u64(uint64(d.cells[c]))
		w.cell(&d.states[c])
		w.floats(d.states[c].week)
		w.floats(d.states[c].day)
		for _, n := range d.states[c].past {
			w.u32(n)
		}
	}
	return w.out
}

// inOne is a model's state in one part.
func inOne(d *Demand) []Part { return []Part{{head, appendInOne(d, nil)}} }

// whole is all parts of a model's state.
func whole(d *Demand) []Part {
	var held []int
	for part := range d.Parts() {
		if d.Holds(part) {
			held = append(held, part)
		}
	}
	return frozen(d, held)
}

// frozen are some parts.
func frozen(d *Demand, numbers []int) []Part {
	f := d.Freeze(numbers)
	var parts []Part
	for i, number := range numbers {
		parts = append(parts, Part{number, f.Append(nil, i)})
	}
	return parts
}

// bytesOf is the length of parts.
func bytesOf(parts []Part) (n int) {
	for _, p := range parts {
		n += len(p.State)
	}
	return n
}

// failer is *testing.T or *rapid.T.
type failer interface{ Fatal(...any) }

// restore makes another model of a state.
func restore(t failer, d *Demand, parts []Part) *Demand {
	next, err := NewDemand(d.options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := next.Restore(parts); err != nil {
		t.Fatal(err)
	}
	return next
}
