package serving

import (
	"sync"
	"sync/atomic"

	"github.com/hextide/hextide/stream"
)

// What a watcher may be behind before it is dropped: blocks, and the bytes of
// them, which have room for what a pane of 100,000 rows of 54 columns leaves.
// Blocks are shared: all watchers together keep no more than the slowest does.
const (
	watchBlocks = 1024
	watchBytes  = 64 << 20
)

// hub hands every output to every watcher. A watcher that does not keep up is
// closed with slow set; the core never waits for one.
type hub struct {
	mu       sync.Mutex
	watchers map[*watcher]bool
	closed   bool
}

// watcher receives blocks of rows, each retained once for it.
type watcher struct {
	rows  chan *stream.Rows // closed when the watch ends
	bytes atomic.Int64      // of the blocks in rows
	slow  bool              // set before rows is closed: the watcher was too slow
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
	w := &watcher{rows: make(chan *stream.Rows, watchBlocks)}
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
		size := blockBytes(rows)
		for w := range h.watchers {
			if !w.take(rows, size) {
				w.slow = true
				h.drop(w)
			}
		}
	}
}

// take queues a block, if there is room; a block of any size fits an empty queue.
func (w *watcher) take(rows *stream.Rows, size int64) bool {
	if bytes := w.bytes.Add(size); bytes > watchBytes && bytes > size {
		return false
	}
	rows.Retain()
	select {
	case w.rows <- rows:
		return true
	default:
		rows.Release()
		return false
	}
}

// taken notes that a block has left the queue.
func (w *watcher) taken(rows *stream.Rows) { w.bytes.Add(-blockBytes(rows)) }

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watchers {
		h.drop(w)
	}
}
