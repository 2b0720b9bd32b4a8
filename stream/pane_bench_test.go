package stream

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
)

// closing is a shard of a city, 500 of whose cells have events in a pane.
type closing struct {
	plan  *pipeline.Plan
	shard *Shard
	pane  int64 // the next
	seed  uint64
	near  []geo.Cell
}

// What a closing's rows are of.
const (
	overRings = "grid: {resolution: 9, rings: [0, 1, 2, 3, 4, 5, 10, 15, 20]}\nwindows: {pane: 1m, sizes: [1m, 2m, 4m, 8m, 16m, 32m]}" // 54 columns, some 20,000 rows a pane
	ofMinutes = "grid: {resolution: 9}\nwindows: {pane: 1m, sizes: [1m]}"
)

func newClosing(tb testing.TB, rows string, o ShardOptions) *closing {
	tb.Helper()
	plan, err := pipeline.Load([]byte(`
version: 1
name: closing
source:
  format: csv
  topic: t
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {a: int}
aggregates: [{name: n, op: count}]
`+rows), "closing.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	c := &closing{plan: plan, pane: 1_000_000, seed: 1}
	if c.shard, err = NewShard(plan, 0, o); err != nil {
		tb.Fatal(err)
	}
	centre, err := geo.Index(37.77, -122.42, plan.Grid.Resolution)
	if err != nil {
		tb.Fatal(err)
	}
	id := plan.Grid.Territories.Of(centre)
	const reach = 62 // the disk and its rings have some 20,000 cells
	geo.Gather(centre, []int{reach}, func(_ int, cell geo.Cell) {
		if plan.Grid.Territories.Of(cell) == id {
			c.near = append(c.near, cell)
		}
	})
	for range 32 {
		c.close(tb, c.partials(), func(*Rows) {})
	}
	return c
}

// partials are of some of the cells.
func (c *closing) partials() *Partials {
	p := &Partials{Territory: c.plan.Grid.Territories.Of(c.near[0]), Measures: make([]aggregate.MeasureColumn, 1)}
	seen := map[geo.Cell]bool{}
	for range 500 {
		c.seed = c.seed*6364136223846793005 + 1442695040888963407
		cell := c.near[int(c.seed>>33)%len(c.near)]
		if !seen[cell] {
			seen[cell] = true
			p.Cells, p.Measures[0].Lo = append(p.Cells, cell), append(p.Measures[0].Lo, 1+c.seed>>62)
		}
	}
	return p
}

// end merges partials of the next pane and ends it.
func (c *closing) end(tb testing.TB, p *Partials) {
	tb.Helper()
	p.Pane = c.pane * c.plan.Pane.Microseconds()
	if err := c.shard.Merge(p); err != nil {
		tb.Fatal(err)
	}
	c.pane++
	c.shard.End(c.pane * c.plan.Pane.Microseconds())
}

// close merges partials of the next pane, closes it and shows its rows.
func (c *closing) close(tb testing.TB, p *Partials, show func(*Rows)) (rows int) {
	c.end(tb, p)
	for more := true; more; {
		var out Output
		var err error
		if more, err = c.shard.Step(&out, nil); err != nil {
			tb.Fatal(err)
		}
		for _, r := range out.Rows {
			rows += len(r.Cells)
			show(r)
			r.Release()
		}
	}
	return rows
}

// BenchmarkClosePane closes a pane of some 20,000 rows and 54 columns.
func BenchmarkClosePane(b *testing.B) {
	for makers := 1; makers <= runtime.GOMAXPROCS(0); makers++ {
		b.Run(fmt.Sprint(makers), func(b *testing.B) {
			c := newClosing(b, overRings, ShardOptions{FinalOnly: true, Makers: makers, Spread: spread})
			rows := 0
			for b.Loop() {
				rows += c.close(b, c.partials(), func(*Rows) {})
			}
			b.ReportMetric(float64(rows)/float64(b.N), "rows/op")
		})
	}
}

// BenchmarkCloseMinute closes a pane of 500 rows whose windows are that pane.
func BenchmarkCloseMinute(b *testing.B) {
	c := newClosing(b, ofMinutes, ShardOptions{FinalOnly: true})
	var panes []*Partials
	for range 100 {
		panes = append(panes, c.partials())
	}
	rows := 0
	for n := 0; b.Loop(); n++ {
		rows += c.close(b, panes[n%len(panes)], func(*Rows) {})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
}

// However many make a pane's rows, they are the same, in the same order.
func TestMakersMakeTheSameRows(t *testing.T) {
	var first []byte
	for _, makers := range []int{1, 2, 3} {
		c := newClosing(t, overRings, ShardOptions{Makers: makers, Spread: spread})
		var all []byte
		for range 3 {
			c.close(t, c.partials(), func(r *Rows) {
				for i := range r.Cells {
					all = AppendRecord(all, r, i)
				}
			})
		}
		if len(c.shard.emitter.beside) != makers-1 {
			t.Errorf("%d makers worked beside the first of %d", len(c.shard.emitter.beside), makers)
		}
		if first == nil {
			first = all
		}
		if len(all) == 0 || !bytes.Equal(all, first) {
			t.Errorf("%d makers make other rows than one", makers)
		}
	}
}
