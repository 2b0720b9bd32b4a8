package serving

import (
	"sync"

	"github.com/hextide/hextide/stream"
)

// watchBuffer is how many outputs a watcher may be behind before it is dropped.
const watchBuffer = 1024

// hub hands every output to every watcher. A watcher that does not keep up is
// closed with slow set; the core never waits for one.
type hub struct {
	mu       sync.Mutex
	watchers map[*watcher]bool
	closed   bool
}

// watcher receives blocks of rows, each retained once for it.
type watcher struct {
	rows chan *stream.Rows // closed when the watch ends
	slow bool              // set before rows is closed: the watcher was too slow
}

// add joins a watcher; nil where the store has been closed.
func (h *hub) add() *watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	if h.watchers == nil {
		h.watchers = map[*watcher]bool{}
	}
	w := &watcher{rows: make(chan *stream.Rows, watchBuffer)}
	h.watchers[w] = true
	return w
}

// remove ends a watch and releases what it has not read.
func (h *hub) remove(w *watcher) {
	h.mu.Lock()
	if h.watchers[w] {
		h.drop(w)
	}
	h.mu.Unlock()
	for rows := range w.rows {
		rows.Release()
	}
}

func (h *hub) drop(w *watcher) {
	delete(h.watchers, w)
	close(w.rows)
}

func (h *hub) publish(o *stream.Output) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, rows := range o.Rows {
		for w := range h.watchers {
			rows.Retain()
			select {
			case w.rows <- rows:
			default:
				rows.Release()
				w.slow = true
				h.drop(w)
			}
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watchers {
		h.drop(w)
	}
}
