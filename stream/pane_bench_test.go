package stream

import (
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
)

// closing is a shard of the shape of a city: 54 columns, some 20,000 rows a pane.
type closing struct {
	plan  *pipeline.Plan
	shard *Shard
	pane  int64 // the next
	seed  uint64
	near  []geo.Cell
}

func newClosing(tb testing.TB) *closing {
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
grid: {resolution: 9, rings: [0, 1, 2, 3, 4, 5, 10, 15, 20]}
windows: {pane: 1m, sizes: [1m, 2m, 4m, 8m, 16m, 32m]}
aggregates: [{name: n, op: count}]
`), "closing.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	c := &closing{plan: plan, pane: 1_000_000, seed: 1}
	if c.shard, err = NewShard(plan, 0, ShardOptions{FinalOnly: true}); err != nil {
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
		c.close(tb)
	}
	return c
}

// close merges a pane's partials and closes it.
func (c *closing) close(tb testing.TB) (rows int) {
	p := &Partials{Territory: c.plan.Grid.Territories.Of(c.near[0]), Pane: c.pane * c.plan.Pane.Microseconds(), Measures: make([]aggregate.MeasureColumn, 1)}
	seen := map[geo.Cell]bool{}
	for range 500 {
		c.seed = c.seed*6364136223846793005 + 1442695040888963407
		cell := c.near[int(c.seed>>33)%len(c.near)]
		if !seen[cell] {
			seen[cell] = true
			p.Cells, p.Measures[0].Lo = append(p.Cells, cell), append(p.Measures[0].Lo, 1+c.seed>>62)
		}
	}
	if err := c.shard.Merge(p); err != nil {
		tb.Fatal(err)
	}
	c.pane++
	c.shard.End(c.pane * c.plan.Pane.Microseconds())
	for more := true; more; {
		var out Output
		var err error
		if more, err = c.shard.Step(&out); err != nil {
			tb.Fatal(err)
		}
		for _, r := range out.Rows {
			rows += len(r.Cells)
			r.Release()
		}
	}
	return rows
}

// BenchmarkClosePane closes a pane of some 20,000 rows and 54 columns.
func BenchmarkClosePane(b *testing.B) {
	c := newClosing(b)
	rows := 0
	for b.Loop() {
		rows += c.close(b)
	}
	b.ReportMetric(float64(rows)/float64(b.N), "rows/op")
}
