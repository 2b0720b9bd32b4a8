package stream

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hextide/hextide/models"
)

// save freezes what of a model and its forecasts changed.
func (m *territoryModel) save(d *Delta, key func(table byte, time int64) []byte) {
	if d.lacks(m.changed[modelHead]) { // every step changes it
		m.saveParts(d, key)
	}
	for i := range m.forecasts {
		if f := &m.forecasts[i]; d.lacks(f.born) {
			d.add(key(tableForecast, f.at), f.clone().save)
		}
	}
}

func (m *territoryModel) saveParts(d *Delta, key func(table byte, time int64) []byte) {
	var parts []int
	for part, version := range m.changed {
		if d.lacks(version) && m.demand.Holds(part) {
			parts = append(parts, part)
		}
	}
	frozen, clock := m.demand.Freeze(parts), []int64{m.next, m.first, m.silent}
	for i, part := range parts {
		d.add(key(tableModel, int64(part)), func() []byte {
			w := entryWriter{out: []byte{shardStateVersion}}
			if part == modelHead {
				for _, x := range clock {
					w.time(x)
				}
			}
			return frozen.Append(w.out, i)
		})
	}
}

// modelHead is the part of a model's state that the clock stands before.
const modelHead = 0

// load takes a part; the model has it once it is restored.
func (m *territoryModel) load(r *entryReader, part int64) error {
	if part < 0 || part >= int64(len(m.changed)) {
		return fmt.Errorf("%w: model %s has no part %d", ErrState, m.spec.name, part)
	}
	if part == modelHead {
		m.next, m.first, m.silent = r.time(), r.time(), r.time()
	}
	m.saved = append(m.saved, models.Part{Number: int(part), State: r.in})
	return r.err
}

// restored makes the model of its parts, once all are there. A state of before,
// which was one entry, is all new: the next delta has its parts, and the head
// in the place of that entry.
func (m *territoryModel) restored(now int64) error {
	clear(m.changed)
	slices.SortFunc(m.forecasts, func(a, b forecast) int { return cmp.Compare(a.at, b.at) })
	if len(m.saved) == 0 {
		return nil
	}
	inOne, err := m.demand.Restore(m.saved)
	if err != nil {
		return fmt.Errorf("%w: model %s: %w", ErrState, m.spec.name, err)
	}
	m.saved = nil
	if inOne {
		for part := range m.changed {
			m.changed[part] = now
		}
	}
	return nil
}

// clone copies a forecast, whose memory is used again once it is forgotten.
func (f *forecast) clone() *forecast {
	c := &forecast{at: f.at, quiet: f.quiet, cells: slices.Clone(f.cells)}
	copyOutputs(&c.out, &f.out)
	return c
}

func (f *forecast) save() []byte {
	w := entryWriter{out: []byte{shardStateVersion}}
	w.bit(f.quiet)
	w.cells(f.cells)
	for _, column := range outputFloats {
		w.floats(*column(&f.out))
	}
	for _, column := range outputInts {
		for _, v := range *column(&f.out) {
			w.time(v)
		}
	}
	for _, v := range f.out.MissValid {
		w.bit(v)
	}
	return w.out
}

func (m *territoryModel) loadForecast(r *entryReader, at int64) {
	f := forecast{at: at, quiet: r.bit(), cells: r.cells()}
	n := len(f.cells)
	for _, column := range outputFloats {
		*column(&f.out) = r.floats(n)
	}
	for _, column := range outputInts {
		for range n {
			*column(&f.out) = append(*column(&f.out), r.time())
		}
	}
	for range n {
		f.out.MissValid = append(f.out.MissValid, r.bit())
	}
	m.forecasts = append(m.forecasts, f)
}
