package stream

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/hextide/hextide/geo"
	"github.com/zeebo/xxh3"
)

// ShardOf is the shard that owns a territory. It is part of the state's format:
// a state made with one number of shards is of no use to another.
func ShardOf(t geo.Territory, shards int) int32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(t))
	return int32(xxh3.Hash(b[:]) % uint64(shards))
}

// message is what a worker is handed. Exactly one of its parts is set.
type message struct {
	partials    *Partials
	barrier     *barrier
	frontier    bool
	provisional int64 // µs
	final       int64 // µs
}

// exchange carries partials, frontiers and barriers from the partitions to the
// workers, over one bounded channel a worker.
//
// Why nothing arrives behind the frontier that covers it. A partition enqueues
// its partials, then notes its watermark in the minimum, under the lock; whoever
// finds that the frontier has moved enqueues it afterwards. So a frontier is
// enqueued after all partials that any partition passed on before noting the
// watermarks it is made of, and each channel keeps its order. Two frontiers may
// be enqueued in either order; they only rise, and a worker takes the greater.
//
// Why a partition may come back. Joining reads the global watermark and enters
// the minimum in one step under the lock. Frontiers computed before are not
// above what it read, frontiers computed later count it: none passes its
// watermark, whatever the other partitions do meanwhile.
type exchange struct {
	shards  int
	workers []chan message
	large   []chan struct{} // by worker: a token for each of the large partials on their way to it
	hurry   atomic.Int64    // number of the last barrier asked for; workers put others' messages before closing panes

	mu          sync.Mutex
	minimum     *minimum
	provisional int64         // the frontier that was broadcast last
	final       int64         // likewise
	moved       chan struct{} // what held-back partitions wait for; nil: none does
	ended       chan struct{} // closed once every partition is at its end
	end         int64         // set before ended is closed
}

func newExchange(m *minimum, shards, workers, depth int) *exchange {
	e := &exchange{
		shards: shards, minimum: m, provisional: NoTime, final: NoTime, ended: make(chan struct{}),
	}
	for range workers {
		e.workers = append(e.workers, make(chan message, depth))
		e.large = append(e.large, make(chan struct{}, largeWaiting))
	}
	return e
}

// Partials that are large wait in small numbers: a channel full of them would be
// more than the state.
const (
	largePartials = 128 << 10 // bytes
	largeWaiting  = 4
)

// worker is the worker that runs a shard.
func (e *exchange) worker(shard int32) int { return int(shard) % len(e.workers) }

// send hands a message to a worker and adds the time that its full channel made
// us wait, in ns, to blocked.
func (e *exchange) send(ctx context.Context, worker int, m message, blocked *atomic.Int64) error {
	return put(ctx, e.workers[worker], m, blocked)
}

// broadcast sends a message to every worker.
func (e *exchange) broadcast(ctx context.Context, m message, blocked *atomic.Int64) error {
	for w := range e.workers {
		if err := e.send(ctx, w, m, blocked); err != nil {
			return err
		}
	}
	return nil
}

// pass sends partials to the shards of their territories, and then the frontier
// if the watermark that covers them moves it over the end of a pane.
func (e *exchange) pass(ctx context.Context, i int, t *Task, out *Ingested, blocked *atomic.Int64) error {
	for n, p := range out.Partials {
		out.Partials[n] = nil
		w := e.worker(ShardOf(p.Territory, e.shards))
		if p.bytes() >= largePartials {
			if err := put(ctx, e.large[w], struct{}{}, blocked); err != nil {
				return err
			}
		}
		if err := e.send(ctx, w, message{partials: p}, blocked); err != nil {
			return err
		}
	}
	out.Partials = out.Partials[:0]
	m, moved := e.note(i, t)
	if !moved {
		return nil
	}
	return e.broadcast(ctx, m, blocked)
}

// taken makes room for further partials, once a worker has merged these.
func (e *exchange) taken(worker int, bytes int64) {
	if bytes >= largePartials {
		<-e.large[worker]
	}
}

// note enters a partition's watermark into the minimum; the message is worth
// sending if the frontier has passed the end of a pane since the last one.
func (e *exchange) note(i int, t *Task) (message, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.minimum
	m.set(i, t.Passed(), t.Watermark(), t.Accepted())
	e.wake()
	if !passesPane(e.provisional, m.provisional, m.pane) && !passesPane(e.final, m.final, m.pane) {
		return message{}, false
	}
	e.provisional, e.final = m.provisional, m.final
	return message{frontier: true, provisional: e.provisional, final: e.final}, true
}

// passesPane tells whether the end of a pane lies between two frontiers.
func passesPane(from, to, pane int64) bool {
	return to != NoTime && (from == NoTime || floor(from, pane) != floor(to, pane))
}

// wake lets held-back partitions look again; the lock is held.
func (e *exchange) wake() {
	if e.moved != nil {
		close(e.moved)
		e.moved = nil
	}
}

// frontier is the frontier as it is now.
func (e *exchange) frontier() (provisional, final int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.minimum.provisional, e.minimum.final
}

// join lets a task rejoin the minimum at the global watermark, in one step, and
// returns the watermark that it rejoined at.
func (e *exchange) join(i int, t *Task, out *Ingested) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	watermark := t.Join(e.minimum.global(), out)
	e.minimum.set(i, t.Passed(), t.Watermark(), t.Accepted())
	e.wake()
	return watermark
}

// finish notes that a partition is at the end of its input.
func (e *exchange) finish(i int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	end, all := e.minimum.end(i)
	if all {
		e.end = end
		close(e.ended)
	}
	e.wake()
}

// ahead tells whether a watermark is more than drift before the slowest
// partition that still reads, and what to wait for if it is.
func (e *exchange) ahead(watermark, drift int64) (<-chan struct{}, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	slowest, any := e.minimum.slowest()
	if !any || watermark <= plus(slowest, drift) {
		return nil, false
	}
	if e.moved == nil {
		e.moved = make(chan struct{})
	}
	return e.moved, true
}
