package stream

const (
	// stepBlocks is the number of blocks from which on a Step closes no further pane.
	stepBlocks = 32
	// manyBlocks is how many blocks of a pane are made before the sinks get them: few
	// enough to be still near the processors, and used again from there.
	manyBlocks = 8
)

// outlet is where the blocks of a Step go.
type outlet struct {
	out    *Output
	hand   func([]*Rows) error // nil: all gather in out
	blocks int                 // that came so far
}

func (o *outlet) add(r *Rows) {
	o.out.Rows = append(o.out.Rows, r)
	o.blocks++
}

// relieve hands on the blocks that have gathered, where there are many.
func (o *outlet) relieve() error {
	if o.hand == nil || len(o.out.Rows) < manyBlocks {
		return nil
	}
	rows := o.out.Rows
	o.out.Rows = nil
	return o.hand(rows)
}
