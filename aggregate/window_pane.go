package aggregate

// single is the pane that windows of one pane hold, where they hold no more: what
// they are asked for is read from its columns. Only when something has to be
// looked up by its slot, or comes late, are the sums made.
//
// Invariant: pane is in memory and its sums fit 64 bits; entry[slot] is where the
// pane has one of the windows' active slots.
type single struct {
	pane  *Pane // nil: the sums hold everything
	entry []int32
}

// onlyPane is all that the windows will hold when they end at a time, if one pane
// can stand for them; nil: there is none.
func (w *Windows) onlyPane(panes *Panes, end int64, via []int32) *Pane {
	if len(w.sizes) > 1 || w.sizes[0] != w.pane || len(w.extremes) > 0 || via != nil || panes.outside != nil {
		return nil
	}
	entering := panes.Between(end-w.pane, end)
	if len(entering) != 1 {
		return nil
	}
	for m := range entering[0].Measures {
		if entering[0].Measures[m].Hi != nil {
			return nil
		}
	}
	return entering[0]
}

// hold lets a pane stand for empty windows.
func (w *Windows) hold(p *Pane) {
	x := &w.single
	x.pane = p
	if n := len(w.held) - len(x.entry); n > 0 {
		x.entry = append(x.entry, make([]int32, n)...)
	}
	entry := x.entry
	for i, s := range p.Slots {
		entry[s] = int32(i)
	}
	w.active = append(w.active, p.Slots...)
	if w.order != nil {
		w.order.enter(w.active)
	}
}

// settle makes the sums of what a pane stood for.
func (w *Windows) settle() {
	p := w.single.pane
	if p == nil {
		return
	}
	w.empty()
	w.count(&p.Entries, nil, nil)
	w.add(&p.Entries, nil, 0, 1, false)
}

// Gather sets values to the sums of rows over a window, 0 where a slot is below 0.
// The windows must be narrow.
func Gather[T int64 | uint64](values []T, w *Windows, rows []Ordered, measure, window int) {
	values = values[:len(rows)]
	if p := w.single.pane; p != nil {
		from, entry := p.Measures[measure].Lo, w.single.entry
		for i, r := range rows {
			if values[i] = 0; r.Slot >= 0 {
				values[i] = T(from[entry[r.Slot]])
			}
		}
		return
	}
	lane := w.Lane(measure, window)
	for i, r := range rows {
		if values[i] = 0; r.Slot >= 0 {
			values[i] = T(w.sums[int(r.Slot)*w.lanes+lane])
		}
	}
}
