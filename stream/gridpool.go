package stream

import (
	"sync"

	"github.com/hextide/hextide/geo"
)

// gridPool lends the shards of a run memory for grids: what was put back last first,
// which is nearest. It may be used from any goroutine.
type gridPool struct {
	mu   sync.Mutex
	free []*geo.Grids
}

var _ geo.GridPool = (*gridPool)(nil)

func (p *gridPool) Get() *geo.Grids {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		g := p.free[n-1]
		p.free = p.free[:n-1]
		return g
	}
	return &geo.Grids{}
}

func (p *gridPool) Put(g *geo.Grids) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, g)
}
