package serving

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/hextide/hextide/geo"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
)

// A refill tells how far it is, and at last that it is done and whether the store
// had been told of everything.
func TestRefillRedis(t *testing.T) {
	r := serve(t)
	for _, restarted := range []bool{false, true} {
		if restarted {
			if err := r.store.Restore(t.Context(), []byte(`{"frontiers": [{"Shard": 1}]}`)); err != nil {
				t.Fatal(err)
			}
		}
		told, err := r.client.RefillRedis(t.Context(), &pb.RefillRedisRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var last *pb.RefillRedisResponse
		for {
			m, err := told.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || last.GetDone() || m.Written > m.Entities || m.Written < last.GetWritten() {
				t.Fatalf("%v after %v: %v", m, last, err)
			}
			last = m
		}
		if last.GetWritten() != 2 || !last.GetDone() || last.GetComplete() == restarted {
			t.Errorf("restarted: %v, the last says %v", restarted, last)
		}
	}
}

// What a refill reads are the newest rows of all cells, markers and parents too.
func TestNewestOfAllCells(t *testing.T) {
	r := serve(t)
	cells := r.store.Cells()
	if len(cells) != 11 || !slices.IsSorted(cells) {
		t.Fatalf("%d cells", len(cells))
	}
	var seen []geo.Cell
	r.store.Newest(append([]geo.Cell{r.cells[11]}, cells...), func(rows *stream.Rows, row int) {
		cell := rows.Cells[row]
		seen = append(seen, cell)
		late := cell != r.cells[9] && cell.Resolution() != 8
		if late != (rows.WindowEnd == noon+minute) || rows.Empty != (cell == r.cells[1]) {
			t.Errorf("%s: a row of %d, a marker: %v", cell, rows.WindowEnd, rows.Empty)
		}
		kept := r.store.newest([]geo.Cell{cell}).rows[0]
		if !sameHead(rows, kept.block.head) {
			t.Errorf("%s: a row of %+v", cell, rows)
		}
		for c := range rows.Columns {
			v := &rows.Columns[c]
			if bits, null := kept.block.at(c, kept.row); v.Len() != 1 || v.Bits(row) != bits || v.Null(row) != null {
				t.Errorf("%s, column %d: %x, null %v", cell, c, v.Bits(row), v.Null(row))
			}
		}
	})
	if !slices.Equal(seen, cells) {
		t.Errorf("%d cells of %d", len(seen), len(cells))
	}
}
