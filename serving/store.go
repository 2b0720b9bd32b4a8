package serving

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// Bounds say how much a store keeps; the first that is reached counts.
type Bounds struct {
	Keep   time.Duration // event time behind the newest window end; default 2 h
	Memory int64         // bytes of rows and of the index of the newest; default 1 GiB
}

// Store keeps the newest rows of a pipeline. It is a stream.Sink, written by
// one goroutine and read by any number.
type Store struct {
	plan   *pipeline.Plan
	bounds Bounds
	hub    hub
	packer packer   // the writer's, as is
	fresh  []*block // what it writes

	mu        sync.RWMutex
	panes     []*pane            // ascending by window end
	latest    map[geo.Cell]place // the newest row of each cell, of any resolution
	frontiers *frontiers
	behind    map[int32]int64 // after a restart, by shard that has not told all rows since: the frontier with which it has, NoTime before its first
	complete  bool            // behind is empty: a cell without a row has none
	kept      map[*block]int  // rows with forecasts beyond the panes: how many of them are in latest
	size      size            // of the blocks
}

// cellBytes is what a cell takes in latest: key and place, twice, since a map is
// about half full on average when it has just grown.
const cellBytes = 48

// pane holds the blocks of one window end in the order in which they came.
type pane struct {
	end    int64 // µs
	blocks []*block
	size   size
}

// place is where a row is.
type place struct {
	block *block
	row   int
}

var _ stream.Sink = (*Store)(nil)

// NewStore makes an empty store of a plan's rows.
func NewStore(plan *pipeline.Plan, b Bounds) *Store {
	if b.Keep == 0 {
		b.Keep = 2 * time.Hour
	}
	if b.Memory == 0 {
		b.Memory = 1 << 30
	}
	return &Store{
		plan: plan, bounds: b, latest: map[geo.Cell]place{}, frontiers: (&frontiers{}).with(),
		behind: map[int32]int64{}, complete: true, kept: map[*block]int{},
	}
}

// Name is "store".
func (s *Store) Name() string { return "store" }

// Write keeps an output's rows and tells the watchers.
func (s *Store) Write(ctx context.Context, o *stream.Output) error {
	s.fresh = s.fresh[:0]
	for _, rows := range o.Rows {
		b := s.packer.block(rows)
		s.add(b, rows.Cells) // one lock a block: readers come between
		s.fresh = append(s.fresh, b)
	}
	if o.Frontier != nil {
		s.mu.Lock()
		s.frontiers = s.frontiers.with(*o.Frontier)
		s.catchUp(o.Frontier)
		s.mu.Unlock()
	}
	s.hub.publish(s.fresh)
	clear(s.fresh)
	return nil
}

// catchUp notes that a shard has closed panes since a restart. Its first frontier
// may cover a pane that was closed in part before; what comes from there on is
// told whole.
func (s *Store) catchUp(f *stream.Frontier) {
	by, behind := s.behind[f.Shard]
	switch {
	case !behind:
	case by == stream.NoTime:
		s.behind[f.Shard] = toldBy(s.plan, f.Provisional)
	case f.Provisional >= by:
		delete(s.behind, f.Shard)
		s.complete = len(s.behind) == 0
	}
}

// add keeps a block, whose cells it would else have to unpack.
func (s *Store) add(b *block, cells []geo.Cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := slices.BinarySearchFunc(s.panes, b.head.WindowEnd, func(p *pane, end int64) int {
		switch {
		case p.end < end:
			return -1
		case p.end > end:
			return 1
		}
		return 0
	})
	if !found {
		s.panes = slices.Insert(s.panes, i, &pane{end: b.head.WindowEnd})
	}
	p := s.panes[i]
	p.blocks = append(p.blocks, b)
	p.size.add(b.size())
	s.size.add(b.size())
	for row, cell := range cells {
		if old, known := s.latest[cell]; !known || !newer(old.block, b) {
			if known && len(s.kept) > 0 {
				s.replace(old.block)
			}
			s.latest[cell] = place{block: b, row: row}
		}
	}
	s.evict()
}

// newer tells whether a is of a later (window end, revision) than b.
func newer(a, b *block) bool {
	if a.head.WindowEnd != b.head.WindowEnd {
		return a.head.WindowEnd > b.head.WindowEnd
	}
	return a.head.Revision > b.head.Revision
}

// evict drops the oldest panes until the store is within its bounds. The newest
// pane always stays, and so do forecasts that hold.
func (s *Store) evict() {
	horizon := s.panes[len(s.panes)-1].end - s.bounds.Keep.Microseconds()
	for len(s.panes) > 1 && (s.panes[0].end <= horizon || s.used() > s.bounds.Memory) {
		old := s.panes[0]
		for _, b := range old.blocks {
			s.keep(b)
		}
		s.size.sub(old.size)
		s.panes = slices.Delete(s.panes, 0, 1)
	}
}

// used is the memory that the bound holds.
func (s *Store) used() int64 { return s.size.all + cellBytes*int64(len(s.latest)) }

// storeState is what a restarted store must know. Rows are no part of it: the
// next ones fill the store again.
type storeState struct {
	Frontiers []stream.Frontier `json:"frontiers"`
}

// Checkpoint keeps the frontiers.
func (s *Store) Checkpoint(ctx context.Context, epoch int64) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var state storeState
	for _, shard := range slices.Sorted(maps.Keys(s.frontiers.shards)) {
		state.Frontiers = append(state.Frontiers, s.frontiers.shards[shard])
	}
	return json.Marshal(state)
}

// Restore brings the frontiers back. Until each of their shards has closed a whole
// pane and made its next forecasts, a cell without a row may have one that the
// store has not been told.
func (s *Store) Restore(ctx context.Context, state []byte) error {
	if state == nil {
		return nil
	}
	var saved storeState
	if err := json.Unmarshal(state, &saved); err != nil {
		return fmt.Errorf("the store's frontiers are damaged: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range saved.Frontiers {
		s.behind[f.Shard] = stream.NoTime
	}
	s.frontiers = s.frontiers.with(saved.Frontiers...)
	s.complete = len(s.behind) == 0
	return nil
}

// Close ends all watches.
func (s *Store) Close() error {
	s.hub.close()
	return nil
}

// told are the frontiers now.
func (s *Store) told() *frontiers {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.frontiers
}

// Size is the number of cells with a row, and the memory that the bound holds.
func (s *Store) Size() (cells int, bytes int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.latest), s.used()
}

// Packed is how much of the memory has no pointers in it.
func (s *Store) Packed() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.size.packed
}

// String describes the store for logs.
func (s *Store) String() string {
	cells, bytes := s.Size()
	return fmt.Sprintf("%d cells, %d bytes", cells, bytes)
}
