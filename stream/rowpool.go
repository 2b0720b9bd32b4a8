package stream

import "sync"

// RowPool recycles blocks of rows between shards and sinks. It may be used
// from any goroutine.
type RowPool struct {
	mu   sync.Mutex
	free []*Rows
}

// Get returns an empty block with one owner, the caller. Its slices keep the
// memory of their earlier use.
func (p *RowPool) Get() *Rows {
	p.mu.Lock()
	defer p.mu.Unlock()
	var r *Rows
	if n := len(p.free); n > 0 {
		r, p.free = p.free[n-1], p.free[:n-1]
	} else {
		r = &Rows{}
	}
	r.pool = p
	r.refs.Store(1)
	return r
}

func (p *RowPool) put(r *Rows) {
	cells, columns := r.Cells[:0], r.Columns
	for i := range columns {
		columns[i].Reset()
	}
	*r = Rows{Cells: cells, Columns: columns}
	p.mu.Lock()
	p.free = append(p.free, r)
	p.mu.Unlock()
}
