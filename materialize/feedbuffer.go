package materialize

import (
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// perRecord is what a record takes beside its key and value.
const perRecord = 160

// buffer keeps records until their epoch is committed.
type buffer struct {
	mu     sync.Mutex
	open   segment
	sealed []segment     // ascending by epoch
	landed chan struct{} // closed when the transaction under way has ended; nil: none is
	failed error         // of the last transaction
	bytes  int64         // of all segments
}

// segment is what belongs to one epoch.
type segment struct {
	epoch   int64
	records []*kgo.Record
	bytes   int64
}

func (b *buffer) put(r *kgo.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := int64(len(r.Key) + len(r.Value) + perRecord)
	b.open.records, b.open.bytes, b.bytes = append(b.open.records, r), b.open.bytes+size, b.bytes+size
}

func (b *buffer) seal(epoch int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open.epoch = epoch
	b.sealed, b.open = append(b.sealed, b.open), segment{}
}

// bufferState is how full a buffer is.
type bufferState struct {
	bytes  int64
	sealed int64           // the newest epoch that is not committed; 0: none
	landed <-chan struct{} // as of the buffer
	failed error
}

func (b *buffer) state() bufferState {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := bufferState{bytes: b.bytes, landed: b.landed, failed: b.failed}
	if n := len(b.sealed); n > 0 {
		s.sealed = b.sealed[n-1].epoch
	}
	return s
}

// begin says that a transaction is under way, and gives what belongs to its epoch
// and those before it.
func (b *buffer) begin(epoch int64) []segment {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.landed = make(chan struct{})
	n := 0
	for n < len(b.sealed) && b.sealed[n].epoch <= epoch {
		n++
	}
	return slices.Clone(b.sealed[:n])
}

// end says how the transaction went.
func (b *buffer) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.landed)
	b.landed, b.failed = nil, err
}

// drop forgets what belongs to an epoch and those before it: it is committed.
func (b *buffer) drop(epoch int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.sealed) > 0 && b.sealed[0].epoch <= epoch {
		b.bytes -= b.sealed[0].bytes
		b.sealed = slices.Delete(b.sealed, 0, 1)
	}
}
