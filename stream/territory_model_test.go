package stream

import (
	"testing"
	"time"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
)

// modelled is a shard with a model of one territory and so many cells, each of
// which has an event in every pane.
type modelled struct {
	shard *Shard
	plan  *pipeline.Plan
	cells []geo.Cell
	kept  *keeper
	panes int64
}

func newModelled(t testing.TB, cells int) *modelled {
	plan, err := pipeline.Load([]byte(`
version: 1
name: modelled
source:
  format: csv
  topic: t
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
grid: {resolution: 8, rings: [0]}
windows: {pane: 5m, sizes: [5m]}
aggregates: [{name: n, op: count}]
models: [{name: next, kind: demand, target: n_k0_w5m}]
`), "modelled.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewShard(plan, 0, ShardOptions{FinalOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	m := &modelled{shard: s, plan: plan, cells: []geo.Cell{0x8828308287fffff}, kept: newKeeper()}
	id := plan.Grid.Territories.Of(m.cells[0])
	known := map[geo.Cell]bool{m.cells[0]: true}
	for i := 0; len(m.cells) < cells; i++ {
		for _, near := range m.cells[i].Neighbors(nil) {
			if !known[near] && plan.Grid.Territories.Of(near) == id {
				known[near] = true
				m.cells = append(m.cells, near)
			}
		}
	}
	m.cells = m.cells[:cells]
	return m
}

// pane closes another pane, and with it the model's window.
func (m *modelled) pane(t testing.TB) {
	pane := m.plan.Pane.Microseconds()
	p := &Partials{Territory: m.plan.Grid.Territories.Of(m.cells[0]), Pane: m.panes * pane, Cells: m.cells, Measures: make([]aggregate.MeasureColumn, 1)}
	for i := range m.cells {
		p.Measures[0].Lo = append(p.Measures[0].Lo, uint64(i%7+1))
	}
	if err := m.shard.Merge(p); err != nil {
		t.Fatal(err)
	}
	m.panes++
	m.shard.End(m.panes * pane)
	for more := true; more; {
		var out Output
		var err error
		if more, err = m.shard.Step(&out, nil); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Rows {
			r.Release()
		}
	}
}

// modelEntries are those of the model: how many and their bytes.
func modelEntries(entries []Entry) (n, bytes int) {
	for _, e := range entries {
		if e.Key[0] == tableModel {
			n, bytes = n+1, bytes+len(e.Value)
		}
	}
	return n, bytes
}

// Each step of a model adds its head and a slot of each of its three tables to a
// delta, and nothing that was there before.
func TestStepOfAModelIsASmallDelta(t *testing.T) {
	m := newModelled(t, 100)
	m.pane(t)
	m.kept.take(t, m.shard, &m.shard.versions, true)
	for range 400 {
		m.pane(t)
	}
	if n, _ := modelEntries(m.shard.Save(m.kept.since).Entries()); n < 1+400+280+400 {
		t.Errorf("%d entries of 400 steps", n)
	}
	m.kept.take(t, m.shard, &m.shard.versions, true)
	m.pane(t)
	n, bytes := modelEntries(m.shard.Save(m.kept.since).Entries())
	_, all := modelEntries(m.shard.Save(Everything).Entries())
	if n != 4 || bytes > all/20 {
		t.Errorf("%d entries of %d bytes, in whole %d", n, bytes, all)
	}
}

// What a barrier takes of a worker's time after a step of a city's model.
func BenchmarkSaveAfterStep(b *testing.B) {
	m := newModelled(b, 2000)
	m.pane(b)
	var bytes int
	var spent time.Duration
	for b.Loop() {
		m.pane(b)
		since := m.shard.versions.now - 1
		began := time.Now()
		d := m.shard.Save(since)
		spent += time.Since(began)
		_, bytes = modelEntries(d.Entries())
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "µs/save")
	b.ReportMetric(float64(bytes), "bytes/save")
}
