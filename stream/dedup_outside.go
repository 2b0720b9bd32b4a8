package stream

// spanOuter is what a span knows of its winners outside memory, in the encoding of
// the task's state.
type spanOuter struct {
	number uint64 // 0: there are none
	out    bool   // they are there alone
	same   bool   // they are the same there
	bytes  int64  // counted as used
}

// bound lets winners be moved outside: all of a span at once, and never those of
// the newest span.
func (d *dedup) bound(s *share) {
	d.memory = s
	s.move = d.moveOut
}

// use brings a span into memory, where it stays while no other is used.
func (d *dedup) use(s *span) {
	if d.memory == nil {
		return
	}
	d.used = s
	if s.outer.out {
		s.outer.out, s.outer.same = false, true
		value := d.memory.Get(s.outer.number)
		if d.memory.err == nil {
			d.memory.note(s.append(&d.layout, value))
			s.index(&d.layout)
		}
		if d.memory.err != nil {
			*s = span{start: s.start, slots: make([]uint64, spanSlots), versions: s.versions, outer: s.outer}
		}
		d.count(s)
		d.relieve()
	}
}

// count counts what a span in memory uses.
func (d *dedup) count(s *span) {
	now := 8*int64(cap(s.slots)+cap(s.rows)) + int64(cap(s.text))
	d.memory.Count(now - s.outer.bytes)
	s.outer.bytes = now
}

// changed counts what the spans use after events were offered to them.
func (d *dedup) changed() {
	if d.memory == nil {
		return
	}
	for _, s := range d.spans {
		if !s.outer.out {
			d.count(s)
		}
	}
	d.relieve()
}

func (d *dedup) relieve() {
	if d.memory.Over() {
		d.memory.Relieve()
	}
}

// moveOut moves spans of so many bytes out, the oldest first: events seldom reach
// those, and when they close they are read once.
func (d *dedup) moveOut(excess int64) {
	for _, s := range d.spans[:max(0, len(d.spans)-1)] {
		if excess <= 0 {
			return
		}
		if s.outer.out || s == d.used {
			continue
		}
		if !s.outer.same {
			s.outer.number = d.memory.Put(s.outer.number, s.encode(&d.layout))
		}
		excess -= s.outer.bytes
		d.memory.Count(-s.outer.bytes)
		*s = span{start: s.start, versions: s.versions, outer: spanOuter{number: s.outer.number, out: true}}
	}
}

// release gives back what a span holds anywhere.
func (d *dedup) release(s *span) {
	if s.outer.number != 0 {
		d.memory.Delete(s.outer.number)
	}
	d.memory.Count(-s.outer.bytes)
}
