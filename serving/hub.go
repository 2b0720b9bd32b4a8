package serving

import (
	"sync"
	"sync/atomic"
)

// What a watcher may be behind before it is dropped: blocks, which have room for
// two panes of 100,000 rows, and the bytes of them. Blocks are shared: all watchers together keep no more than the slowest does.
const (
	watchBlocks = 1024
	watchBytes  = 64 << 20
)

// hub hands every block to every watcher. A watcher that does not keep up is
// closed with slow set; the core never waits for one.
type hub struct {
	mu       sync.Mutex
	watchers map[*watcher]bool
	closed   bool
}

// watcher receives blocks of rows.
type watcher struct {
	blocks chan *block  // closed when the watch ends
	bytes  atomic.Int64 // of those that wait
	slow   bool         // set before blocks is closed: the watcher was too slow
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
	w := &watcher{blocks: make(chan *block, watchBlocks)}
	h.watchers[w] = true
	return w
}

// remove ends a watch.
func (h *hub) remove(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers[w] {
		h.drop(w)
	}
}

func (h *hub) drop(w *watcher) {
	delete(h.watchers, w)
	close(w.blocks)
}

func (h *hub) publish(blocks []*block) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range blocks {
		for w := range h.watchers {
			if !w.take(b) {
				w.slow = true
				h.drop(w)
			}
		}
	}
}

// take queues a block, if there is room; a block of any size fits an empty queue.
func (w *watcher) take(b *block) bool {
	if bytes := w.bytes.Add(b.bytes()); bytes > watchBytes && bytes > b.bytes() {
		return false
	}
	select {
	case w.blocks <- b:
		return true
	default:
		return false
	}
}

// taken notes that a block has left the queue.
func (w *watcher) taken(b *block) { w.bytes.Add(-b.bytes()) }

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watchers {
		h.drop(w)
	}
}
