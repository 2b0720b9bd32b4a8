package serving

import (
	"slices"
	"testing"
	"time"

	"github.com/hextide/hextide/geo"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
)

// forecastsOf forecasts every five minutes; rows trail by two.
const forecastsOf = `models:
  - {name: next, kind: demand, target: n_k0_w5m}
`

// A cell that only a model knows keeps its newest row, however old, until the
// next comes; other cells that have no row any more are forgotten.
func TestForecastsStay(t *testing.T) {
	plan, cells := planOf(t, "0", "1m, 5m", forecastsOf), cellsOf(t, 104)
	s := NewStore(plan, Bounds{Keep: 2 * time.Minute})
	marker := blockOf(plan, noon, 0, 7, append(slices.Clone(cells[:3]), cells[4:]...)...)
	marker.Empty, marker.Shard = true, 3
	marker.Columns[0].Ints[2] = 9
	for i := range plan.Models[0].Count {
		for row := range marker.Cells {
			if row != 0 && row != 2 {
				marker.Columns[plan.Models[0].First+i].Nulls.Set(row)
			}
		}
	}
	put(t, s, nil, marker)
	picked := s.newest(cells).rows[0].block
	for i := range int64(9) {
		put(t, s, nil, blockOf(plan, noon+i*minute, 0, 1, cells[3]))
	}
	if len(picked.head.Cells) != 0 || picked.len() != 103 {
		t.Errorf("a block that was picked has changed: %+v", picked.head)
	}
	rows := s.newest(cells)
	for i, want := range []int64{7, 0, 9, 1} {
		r := rows.rows[i]
		if (r.block != nil) != (want > 0) {
			t.Fatalf("cell %d: %+v", i, r)
		}
		if want > 0 && r.n() != want {
			t.Errorf("cell %d has %d", i, r.n())
		}
	}
	r := rows.rows[2]
	_, null := r.block.at(plan.Models[0].First, r.row)
	if of := r.block.head; !of.Empty || of.Shard != 3 || of.WindowEnd != noon || r.block.len() != 2 || null {
		t.Errorf("kept: %+v", of)
	}
	if n, bytes := s.Size(); n != 3 || bytes != 2*packed(blockOf(plan, noon, 0, 1, cells[3])).bytes()+r.block.bytes()+3*cellBytes {
		t.Errorf("%d cells, %d bytes", n, bytes)
	}
	for i, more := range []int{1, 0} { // as the next rows come
		put(t, s, nil, blockOf(plan, noon+9*minute, 0, 2, cells[2*i]))
		if len(s.kept) != more {
			t.Errorf("%d blocks of kept rows", len(s.kept))
		}
	}
	var want size
	for range 3 { // blocks of the last two window ends
		want.add(packed(blockOf(plan, noon, 0, 2, cells[0])).size())
	}
	if s.size != want {
		t.Errorf("%+v, not %+v", s.size, want)
	}
	if r := s.newest(cells[:1]).rows[0]; r.block.head.WindowEnd != noon+9*minute {
		t.Errorf("%+v", r)
	}
}

// After a restart a cell that only a model knows has no row until it forecasts
// again, which is what a cell without a row waits for.
func TestForecastsAfterRestart(t *testing.T) {
	plan, cells := planOf(t, "0", "1m, 5m", forecastsOf), cellsOf(t, 2)
	s := NewStore(plan, Bounds{})
	put(t, s, &stream.Frontier{Provisional: noon - minute})
	state, err := s.Checkpoint(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	s = NewStore(plan, Bounds{})
	if err := s.Restore(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	service := NewService(plan, s, nil, Limits{}, "")
	lookup := func() (pb.RowState, bool) {
		a, err := service.Lookup(t.Context(), &pb.LookupRequest{Cells: []uint64{uint64(cells[0])}, Columns: []string{"next"}})
		if err != nil {
			t.Fatal(err)
		}
		return a.Entities[0].State, a.Columns[0].Nulls != nil
	}
	for end := noon; end < noon+2*minute; end += minute { // the forecast of 12:00 is in the rows of 12:02
		put(t, s, &stream.Frontier{Provisional: end})
		if state, null := lookup(); state != pb.RowState_ROW_STATE_UNSPECIFIED || !null {
			t.Errorf("%v %v at %d", state, null, end)
		}
	}
	marker := blockOf(plan, noon+2*minute, 0, 7, cells[0])
	marker.Empty = true
	put(t, s, &stream.Frontier{Provisional: noon + 2*minute}, marker)
	if state, null := lookup(); state != pb.RowState_ROW_STATE_EMPTY || null {
		t.Errorf("%v %v", state, null)
	}
	if p := s.newest([]geo.Cell{cells[1]}); !p.complete {
		t.Error("never complete")
	}
}
