package stream

import (
	"sync"

	"github.com/hextide/hextide/aggregate"
)

// PartialsPool recycles partials between ingest tasks and shards. It may be
// used from any goroutine.
type PartialsPool struct {
	mu   sync.Mutex
	free []*Partials
	held int64 // bytes of those
}

// Bounds of the partials that wait to be used again.
const (
	partialsKept      = 1024
	partialsKeptBytes = 16 << 20
)

// Get returns empty partials with so many measures.
func (p *PartialsPool) Get(measures int) *Partials {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		q := p.free[n-1]
		p.free = p.free[:n-1]
		p.held -= q.room()
		if len(q.Measures) == measures {
			return q
		}
	}
	return newPartials(measures)
}

// Put takes partials that nobody reads any more.
func (p *PartialsPool) Put(q *Partials) {
	q.Cells = q.Cells[:0]
	for i := range q.Measures {
		q.Measures[i].Lo, q.Measures[i].Hi = q.Measures[i].Lo[:0], nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if room := q.room(); len(p.free) < partialsKept && p.held+room <= partialsKeptBytes {
		p.free = append(p.free, q)
		p.held += room
	}
}

// bytes is the size of the partials.
func (q *Partials) bytes() int64 { return 8 * int64(len(q.Cells)) * int64(1+len(q.Measures)) }

// room is the memory that empty partials hold.
func (q *Partials) room() int64 {
	n := cap(q.Cells)
	for i := range q.Measures {
		n += cap(q.Measures[i].Lo)
	}
	return 8 * int64(n)
}

func newPartials(measures int) *Partials {
	return &Partials{Measures: make([]aggregate.MeasureColumn, measures)}
}
