package stream

import (
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// openWorker is a worker with one shard, in which a pane is open about a place,
// and all cells of a territory around it.
func openWorker(t *testing.T) (*worker, []territoryCells) {
	t.Helper()
	plan := testPlan(t, 0, 0, 0)
	s, err := NewShard(plan, 0, ShardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cell, err := geo.Index(37.2, -122.4, plan.Grid.Resolution)
	if err != nil {
		t.Fatal(err)
	}
	id := plan.Grid.Territories.Of(cell)
	p := &Partials{Territory: id, Pane: 1_000_000 * plan.Pane.Microseconds(), Cells: []geo.Cell{cell}}
	for range plan.Layout.Measures {
		p.Measures = append(p.Measures, aggregate.MeasureColumn{Lo: []uint64{1}})
	}
	if err := s.Merge(p); err != nil {
		t.Fatal(err)
	}
	parent, err := cell.Parent(plan.Grid.Resolution - 6)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := parent.Children(nil, plan.Grid.Resolution)
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{run: &Runner{cfg: Config{Shape: Shape{Workers: 1, Shards: 1}}.withDefaults()}, shards: []*shardSeat{{shard: s}}}
	return w, s.shape.byTerritory(cells)
}

// A large question is answered in slices, so that the pipeline goes on meanwhile.
func TestLargeQuestionsAreAnsweredInSlices(t *testing.T) {
	w, parts := openWorker(t)
	replies := make(chan answer, 1)
	w.hear(ask{parts: parts, reply: replies})
	w.asks = make(chan ask, 1)
	w.asks <- ask{}
	slices := 0
	for ; w.asked.question != nil; slices++ {
		before := len(w.asked.question.parts[0].cells)
		w.inquire()
		if len(w.asks) == 0 {
			t.Fatal("a second question is taken before the first is answered")
		}
		if q := w.asked.question; q != nil && before-len(q.parts[0].cells) > openCells {
			t.Fatalf("a slice of %d cells", before-len(q.parts[0].cells))
		}
	}
	if least := len(parts[0].cells) / openCells; slices < least || least < 10 {
		t.Errorf("%d cells in %d slices", len(parts[0].cells), slices)
	}
	a := <-replies
	rows := 0
	for _, b := range a.rows {
		rows += len(b.Cells)
	}
	if a.err != nil || rows == 0 {
		t.Errorf("%d rows, %v", rows, a.err)
	}
}

// A question that nobody waits for any more is dropped.
func TestQuestionsAreDroppedWithWhoAsks(t *testing.T) {
	w, parts := openWorker(t)
	replies, given := make(chan answer, 1), make(chan struct{})
	w.hear(ask{parts: parts, reply: replies, given: given})
	w.answer()
	if w.asked.question == nil {
		t.Fatal("answered at once")
	}
	close(given)
	if w.answer(); w.asked.question != nil || len(replies) > 0 {
		t.Error("still being answered")
	}
}
