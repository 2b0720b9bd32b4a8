package aggregate

import "pgregory.net/rapid"

// mapOutside is Outside in a map, with room for a number of bytes.
type mapOutside struct {
	t      *rapid.T
	panes  *Panes
	room   int64
	used   int64
	last   uint64
	values map[uint64][]byte
	moved  int
}

func (o *mapOutside) Count(bytes int64) {
	if o.used += bytes; o.used < 0 {
		o.t.Fatalf("%d bytes are in memory", o.used)
	}
}

func (o *mapOutside) Over() bool { return o.used > o.room }

func (o *mapOutside) Relieve() {
	for _, p := range o.panes.Movable() {
		before := o.used
		if o.panes.MoveOut(p) != before-o.used || before <= o.used {
			o.t.Fatalf("moving a pane out: %d bytes before, %d after", before, o.used)
		}
		o.moved++
	}
}

func (o *mapOutside) Put(number uint64, value []byte) uint64 {
	if number == 0 {
		o.last++
		number = o.last
	}
	o.values[number] = append([]byte(nil), value...)
	return number
}

func (o *mapOutside) Get(number uint64) []byte {
	value, known := o.values[number]
	if !known {
		o.t.Fatalf("nothing is kept under %d", number)
	}
	return value
}

func (o *mapOutside) Delete(number uint64) {
	o.Get(number)
	delete(o.values, number)
}

// empty checks that nothing is left in memory or outside.
func (o *mapOutside) empty() {
	if o.used != 0 || len(o.values) != 0 {
		o.t.Fatalf("%d bytes in memory and %d values outside are left", o.used, len(o.values))
	}
}
