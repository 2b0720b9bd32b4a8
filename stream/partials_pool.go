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
}

// partialsKept bounds the partials that wait to be used again.
const partialsKept = 1024

// Get returns empty partials with so many measures.
func (p *PartialsPool) Get(measures int) *Partials {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		q := p.free[n-1]
		p.free = p.free[:n-1]
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
	if len(p.free) < partialsKept {
		p.free = append(p.free, q)
	}
}

func newPartials(measures int) *Partials {
	return &Partials{Measures: make([]aggregate.MeasureColumn, measures)}
}
