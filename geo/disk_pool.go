package geo

// GridPool lends memory for large grids to the Disks of many territories. Those that sum at one time
// are few, so there is little of it, and it stays near the processors. Any goroutine may use it.
type GridPool interface {
	// Get returns memory, whatever it was used for.
	Get() *Grids
	// Put takes it back.
	Put(*Grids)
}

// largeSpots is how many spots, by word, make grids large: 24 bytes each. Smaller ones stay with their
// Disks, and with them the answer to the last question (disk_again.go): few sources may not have changed.
const largeSpots = 1 << 15

// borrowed are grids in memory of their own or, while they are large, in a pool's.
type borrowed struct {
	*Grids
	own   *Grids
	pool  GridPool // nil: there is none
	large int      // so many spots, by word, are borrowed for
}

func newBorrowed(pool GridPool) borrowed {
	own := &Grids{}
	return borrowed{Grids: own, own: own, pool: pool, large: largeSpots}
}

// borrow finds memory for so many spots, by word.
func (b *borrowed) borrow(spots int) {
	if b.pool != nil && b.Grids == b.own && spots >= b.large {
		b.Grids = b.pool.Get()
	}
}

// rest gives back what was lent, and reports whether anything was.
func (b *borrowed) rest() bool {
	if b.Grids == b.own {
		return false
	}
	b.pool.Put(b.Grids)
	b.Grids = b.own
	return true
}

func (c *cones) rest() bool {
	lent := c.grids.rest()
	if lent {
		c.found.reset()
	}
	return lent
}
