package stream

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/hextide/hextide/aggregate"
)

// Table keeps values by key outside memory, for as long as the process lives. Calls
// return when they are done; they come one at a time.
type Table interface {
	// Get appends a key's value to dst. A key that has none is an error.
	Get(dst, key []byte) ([]byte, error)
	// Set gives a key a value. Both are the caller's again when it returns.
	Set(key, value []byte) error
	// Delete takes a key's value away, if it has one.
	Delete(key []byte) error
}

// Memory bounds what the machines of a run keep in memory of panes, of what minima
// and maxima need of them, and of dedup's winners. What is needed last goes to a
// table and is read back when it is needed. It changes no result.
type Memory struct {
	Bytes int64                    // 0: no bound
	Table func(owner string) Table // gives each owner ("shard/3", "partition/0") a table of its own
}

// memory is what is left of the bound, among the machines of a run.
//
// Invariant: used is the sum of the shares'.
type memory struct {
	bound Memory
	fair  int64 // of each share, where all of them hold as much
	used  atomic.Int64
	out   atomic.Int64 // values moved out
	back  atomic.Int64 // values read back
}

// newMemory is the memory of a run with so many machines; nil: there is no bound.
func newMemory(m Memory, machines int) *memory {
	if m.Bytes <= 0 || m.Table == nil {
		return nil
	}
	return &memory{bound: m, fair: m.Bytes / int64(machines)}
}

// share is one machine's.
func (m *memory) share(owner string) *share {
	if m == nil {
		return nil
	}
	return &share{memory: m, owner: owner, table: m.bound.Table(owner)}
}

// stats is how much of the memory is used.
func (m *memory) stats() MemoryStats {
	if m == nil {
		return MemoryStats{}
	}
	return MemoryStats{Used: m.used.Load(), Budget: m.bound.Bytes, MovedOut: m.out.Load(), ReadBack: m.back.Load()}
}

// share is what one machine uses of the memory, and its table. Each machine may use
// its fair part; of what others leave, as much as there is.
type share struct {
	memory *memory
	owner  string
	table  Table
	used   int64
	last   uint64 // number of a value
	key    []byte
	value  []byte
	err    error              // the first of the table; nothing is moved after it
	move   func(excess int64) // moves so many bytes out, if there are as many
}

var _ aggregate.Outside = (*share)(nil)

// failed is the error that makes what was computed since worthless.
func (s *share) failed() error {
	if s == nil || s.err == nil {
		return nil
	}
	return fmt.Errorf("state outside memory of %s: %w", s.owner, s.err)
}

func (s *share) note(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Count tells that so many more bytes are used.
func (s *share) Count(bytes int64) {
	s.used += bytes
	s.memory.used.Add(bytes)
}

// Over tells that the machine should use less.
func (s *share) Over() bool {
	return s.err == nil && s.used > s.memory.fair && s.memory.used.Load() > s.memory.bound.Bytes
}

// Relieve moves out what is over the bound, and an eighth more, so that it is not
// asked for at every step.
func (s *share) Relieve() {
	m := s.memory
	s.move(min(m.used.Load()-m.bound.Bytes+m.bound.Bytes/8, s.used-m.fair+m.fair/8))
}

func (s *share) at(number uint64) []byte {
	s.key = binary.BigEndian.AppendUint64(s.key[:0], number)
	return s.key
}

// Put keeps a value outside.
func (s *share) Put(number uint64, value []byte) uint64 {
	if number == 0 {
		s.last++
		number = s.last
	}
	s.memory.out.Add(1)
	s.note(s.table.Set(s.at(number), value))
	return number
}

// Get reads a value back; nil after an error.
func (s *share) Get(number uint64) []byte {
	if s.err != nil {
		return nil
	}
	s.memory.back.Add(1)
	var err error
	if s.value, err = s.table.Get(s.value[:0], s.at(number)); err != nil {
		s.note(err)
		return nil
	}
	return s.value
}

// Delete forgets a value.
func (s *share) Delete(number uint64) { s.note(s.table.Delete(s.at(number))) }

// movable is a pane that may be moved out, and when it is needed again.
type movable struct {
	territory *territory
	pane      *aggregate.Pane
	next      int64 // µs of event time
}

// moveOut moves out panes of so many bytes, those first that are needed last.
func (s *Shard) moveOut(excess int64) {
	all := s.movable[:0]
	for _, t := range s.territories {
		for _, p := range t.panes.Movable() {
			all = append(all, movable{t, p, t.needed(p)})
		}
	}
	slices.SortFunc(all, func(a, b movable) int {
		return cmp.Or(cmp.Compare(b.next, a.next), cmp.Compare(a.territory.id, b.territory.id))
	})
	for i := 0; i < len(all) && excess > 0; i++ {
		excess -= all[i].territory.panes.MoveOut(all[i].pane)
	}
	clear(all)
	s.movable = all[:0]
}

// needed is when windows need a pane again: as it enters them or leaves one of
// them. One that has left all of them is about to be dropped.
func (t *territory) needed(p *aggregate.Pane) int64 {
	next := int64(noDue)
	for _, v := range []*view{t.final, t.provisional} {
		if v == nil {
			continue
		}
		trail := int64(0)
		if v == t.final && t.provisional != nil {
			trail = t.shape.trail
		}
		if p.Start >= v.end() {
			next = min(next, p.Start+t.shape.pane+trail)
			continue
		}
		for _, size := range t.shape.sizes {
			if leaves := p.Start + size + t.shape.pane; leaves > v.end() {
				next = min(next, leaves+trail)
				break
			}
		}
	}
	if next == noDue {
		return NoTime
	}
	return next
}
