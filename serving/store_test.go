package serving

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	minute = int64(60e6)
	noon   = int64(1211371200e6) // 2008-05-21T12:00:00Z
)

// planOf has counts over some rings and windows, and a share after them.
func planOf(t testing.TB, rings, sizes string, more ...string) *pipeline.Plan {
	t.Helper()
	p, err := pipeline.Load(fmt.Appendf(nil, `version: 1
name: test
source:
  format: csv
  topic: pings
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {taxi: string}
  allowed_lateness: 2m
grid: {resolution: 9, rings: [%s], parents: [8]}
windows: {pane: 1m, sizes: [%s]}
aggregates:
  - {name: n, op: count}
features:
  - {name: share, expr: "n_k0_w1m / n_k0_w1m"}
%s`, rings, sizes, strings.Join(more, "")), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// cellsOf are so many neighbours, ascending.
func cellsOf(t testing.TB, n int) []geo.Cell {
	t.Helper()
	coarse, err := geo.Index(37.77, -122.42, 4)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := coarse.Children(nil, 9)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(cells)
	return cells[:n]
}

// blockOf makes a block whose every value is n; the share is null where n is 0.
func blockOf(plan *pipeline.Plan, end int64, revision int32, n int64, cells ...geo.Cell) *stream.Rows {
	r := new(stream.RowPool).Get()
	r.Resolution, r.WindowEnd, r.Revision, r.Cells = cells[0].Resolution(), end, revision, slices.Clone(cells)
	for c := range plan.Columns {
		v := column.Vector{Kind: plan.Columns[c].Kind}
		for i := range cells {
			if v.Kind == column.Float {
				v.Floats = append(v.Floats, 1)
				if n == 0 {
					v.Floats[i] = 0
					v.Nulls.Set(i)
				}
			} else {
				v.Ints = append(v.Ints, n)
			}
		}
		r.Columns = append(r.Columns, v)
	}
	return r
}

// put hands a store blocks, and gives up the ownership as a sink's goroutine does.
func put(t testing.TB, s *Store, f *stream.Frontier, blocks ...*stream.Rows) {
	t.Helper()
	if err := s.Write(context.Background(), &stream.Output{Rows: blocks, Frontier: f}); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		b.Release()
	}
}

// n is the first column of a row.
func (r row) n() int64 { return r.value(0) }

func (r row) value(column int) int64 {
	bits, _ := r.block.at(column, r.row)
	return int64(bits)
}

// packed is a block as a store keeps it.
func packed(rows *stream.Rows) *block { return (&packer{}).block(rows) }

// told is a row as a naive map keeps it.
type told struct {
	end      int64
	revision int32
	n        int64
}

// In whatever order rows come, the newest (window end, revision) of each cell
// stands, a cell's history is the last revision of each window end that is kept,
// and bounds hold: by event time, or by memory down to the newest pane.
func TestStoreIsAMap(t *testing.T) {
	plan, cells := planOf(t, "0", "1m"), cellsOf(t, 6)
	rapid.Check(t, func(rt *rapid.T) {
		keep := rapid.Int64Range(1, 8).Draw(rt, "keep")
		s := NewStore(plan, Bounds{Keep: time.Duration(keep) * time.Minute})
		all, newest := map[geo.Cell][]told{}, int64(0)
		for i := range rapid.IntRange(1, 30).Draw(rt, "blocks") {
			row := told{noon + minute*rapid.Int64Range(0, 10).Draw(rt, "end"), rapid.Int32Range(0, 1).Draw(rt, "revision"), int64(i + 1)}
			from := rapid.IntRange(0, 5).Draw(rt, "from")
			some := cells[from : from+rapid.IntRange(1, 6-from).Draw(rt, "cells")]
			put(t, s, nil, blockOf(plan, row.end, row.revision, row.n, some...))
			newest = max(newest, row.end)
			for c := range all { // what goes, goes for good
				all[c] = slices.DeleteFunc(all[c], func(r told) bool { return r.end <= newest-keep*minute })
			}
			if row.end > newest-keep*minute {
				for _, c := range some {
					all[c] = append(all[c], row)
				}
			}
		}
		for _, c := range cells {
			compareCell(rt, s, c, all[c])
		}
	})
}

// compareCell compares what a store has of a cell with the rows told.
func compareCell(t *rapid.T, s *Store, c geo.Cell, rows []told) {
	history := map[int64]told{}
	best := told{}
	for _, r := range rows {
		if old, is := history[r.end]; !is || r.revision >= old.revision {
			history[r.end] = r
		}
		if r.end > best.end || r.end == best.end && r.revision >= best.revision {
			best = r
		}
	}
	newest, kept := s.newest([]geo.Cell{c}), s.history(c, stream.NoTime, noon+1000*minute)
	r := newest.rows[0]
	if found := r.block != nil; found != (best.n > 0) || found && r.n() != best.n {
		t.Fatalf("the newest row of %s is %v, %v; not %v", c, r, found, best)
	}
	got, scanned := map[int64]told{}, map[int64]told{}
	for _, r := range kept.rows {
		got[r.block.head.WindowEnd] = told{r.block.head.WindowEnd, r.block.head.Revision, r.n()}
	}
	for from := int64(stream.NoTime); ; {
		blocks, end, _ := s.blocksAfter(from, noon+1000*minute)
		if blocks == nil {
			break
		}
		for _, r := range collect(blocks, 9) {
			if r.cell == c {
				scanned[end] = told{end, r.block.head.Revision, r.n()}
			}
		}
		from = end
	}
	if !maps.Equal(scanned, history) {
		t.Fatalf("a scan has %v of %s, not %v", scanned, c, history)
	}
	if !maps.Equal(got, history) {
		t.Fatalf("the history of %s is %v, not %v", c, got, history)
	}
}

// When memory ends, the oldest panes go, and cells that had rows in them alone are
// forgotten; the newest pane stays. Blocks that come go back to their maker.
func TestStoreBoundsMemory(t *testing.T) {
	plan, cells := planOf(t, "0", "1m"), cellsOf(t, 3)
	pool, s := &stream.RowPool{}, NewStore(plan, Bounds{Memory: 1})
	first := pool.Get()
	like := blockOf(plan, noon, 0, 1, cells[0])
	first.Resolution, first.WindowEnd, first.Cells, first.Columns = 9, noon, like.Cells, like.Columns
	put(t, s, nil, first)
	if again := pool.Get(); again != first {
		t.Error("a block was not given back")
	}
	if n, _ := s.Size(); n != 1 {
		t.Errorf("the only pane went: %d cells", n)
	}
	put(t, s, nil, blockOf(plan, noon+minute, 0, 1, cells[1], cells[2]))
	n, bytes := s.Size()
	if n != 2 || bytes != packed(blockOf(plan, noon+minute, 0, 1, cells[1], cells[2])).bytes()+2*cellBytes {
		t.Errorf("%d cells, %d bytes", n, bytes)
	}
}

// Rows that a reader has picked stay as they are while the writer goes on and
// they go from the store.
func TestPickedRowsStay(t *testing.T) {
	plan, cells := planOf(t, "0", "1m"), cellsOf(t, 3)
	s := NewStore(plan, Bounds{Memory: 1})
	put(t, s, &stream.Frontier{Provisional: noon, Final: noon - minute}, blockOf(plan, noon, 0, 7, cells...))
	all := []*picked{s.newest(cells), s.current(9, 0), s.history(cells[0], 0, noon)}
	blocks, _, at := s.blocksAfter(0, noon)
	put(t, s, &stream.Frontier{Provisional: noon + minute, Final: noon}, blockOf(plan, noon+minute, 0, 8, cells[0]))
	if n, _ := s.Size(); n != 1 {
		t.Errorf("%d cells", n)
	}
	for _, p := range all {
		for _, r := range p.rows {
			if r.n() != 7 || p.at.cover(r.block.head) {
				t.Errorf("%+v", r)
			}
		}
	}
	if len(collect(blocks, 9)) != 3 || at.provisional != noon {
		t.Error("a scan's blocks have changed")
	}
	if p := s.newest(cells[1:2]); p.rows[0].block != nil {
		t.Error("a row that went is found")
	}
}

// After a restart a cell without a row is unknown until each shard has closed a
// pane that it began since; in a store that starts from nothing it is empty.
func TestStoreAfterRestart(t *testing.T) {
	frontier := func(shard int32, end int64) *stream.Frontier {
		return &stream.Frontier{Shard: shard, Provisional: end, Final: end - minute}
	}
	plan := planOf(t, "0", "1m")
	s := NewStore(plan, Bounds{})
	if err := s.Restore(t.Context(), nil); err != nil || !s.complete {
		t.Error("a new store is not complete", err)
	}
	put(t, s, frontier(0, noon))
	put(t, s, frontier(1, noon))
	state, err := s.Checkpoint(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	s = NewStore(plan, Bounds{})
	if err := s.Restore(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if at := s.told(); at.provisional != noon || at.final != noon-minute {
		t.Errorf("frontiers %d, %d after a restart at %d", at.provisional, at.final, noon)
	}
	for i, f := range []*stream.Frontier{frontier(0, noon), frontier(0, noon+minute), frontier(1, noon+minute),
		{Shard: 1, Provisional: noon + minute, Final: noon + minute}, frontier(2, noon+9*minute), frontier(1, noon+2*minute)} {
		if s.complete {
			t.Errorf("complete after %d frontiers", i)
		}
		put(t, s, f)
	}
	if !s.complete {
		t.Error("never complete")
	}
	if err := NewStore(plan, Bounds{}).Restore(t.Context(), []byte("{")); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
}

// Readers beside a writer see rows as a whole, and none goes back.
func TestStoreReadersBesideAWriter(t *testing.T) {
	plan, cells := planOf(t, "0, 1", "1m, 2m"), cellsOf(t, 50)
	s := NewStore(plan, Bounds{Keep: 5 * time.Minute})
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			last := make([]int64, len(cells))
			for {
				select {
				case <-done:
					return
				default:
				}
				rows := s.newest(cells)
				for i, r := range rows.rows {
					if r.block == nil {
						continue
					}
					n := r.n()
					if n < last[i] || n != r.value(3) || n != r.block.head.WindowEnd {
						t.Errorf("cell %d: %d after %d", i, n, last[i])
					}
					last[i] = n
				}
				rows = s.current(9, 0)
				for i, r := range rows.rows {
					if i > 0 && r.cell <= rows.rows[i-1].cell || r.cell != r.block.cell(r.row) {
						t.Errorf("%s is not in its place", r.cell)
					}
				}
				rows = s.history(cells[0], 0, noon+1000*minute)
				for i, r := range rows.rows {
					if i > 0 && r.block.head.WindowEnd <= rows.rows[i-1].block.head.WindowEnd || r.n() != r.block.head.WindowEnd {
						t.Errorf("row %d of the history is of %d", i, r.block.head.WindowEnd)
					}
				}
			}
		})
	}
	for i := range int64(400) {
		end := noon + i*minute
		put(t, s, &stream.Frontier{Provisional: end}, blockOf(plan, end, 0, end, cells[:25]...), blockOf(plan, end, 0, end, cells[25:]...))
	}
	close(done)
	readers.Wait()
}
