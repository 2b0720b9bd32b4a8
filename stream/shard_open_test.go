package stream

import (
	"cmp"
	"slices"
	"testing"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/internal/oracle"
	"pgregory.net/rapid"
)

// An open row is what the closed one would be if nothing more came, however
// often it was asked for before, and however many panes were closed in between.
func TestShardOpenRowsAreTheClosedOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := drawPlan(t, rapid.SampledFrom([]string{"0s", "30m"}).Draw(t, "lateness"))
		events := drawEvents(t, plan)
		d := newDriver(t, plan, ShardOptions{})
		pane := plan.Pane.Microseconds()
		if rapid.Bool().Draw(t, "in order") {
			slices.SortFunc(events, func(a, b oracle.Event) int { return cmp.Compare(a.Time, b.Time) })
		}
		newest := int64(NoTime)
		for _, e := range events {
			newest = max(newest, floor(e.Time, pane))
		}
		want := oracle.Compute(plan, events, newest+pane)
		var cells []geo.Cell
		for key := range want.Rows {
			if key.Resolution == plan.Grid.Resolution {
				cells = append(cells, key.Cell)
			}
		}
		d.openMeanwhile(events, cells)
		if rapid.Bool().Draw(t, "over disks") {
			d.shard.emitter.visits = 0
		}
		blocks, err := d.shard.Open(cells)
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Models) > 0 {
			return // their forecasts are not made yet
		}
		told := 0
		for _, rows := range blocks {
			for i, c := range rows.Cells {
				key := oracle.Key{End: rows.WindowEnd, Resolution: plan.Grid.Resolution, Cell: c}
				row := want.Rows[key]
				if row == nil || rows.WindowEnd != newest+pane || !rows.Open {
					t.Fatalf("open row %+v should not exist", key)
				}
				one := &Rows{Resolution: rows.Resolution, WindowEnd: rows.WindowEnd, Cells: []geo.Cell{c}, Columns: row.Columns}
				if got, want := AppendRecord(nil, rows, i), AppendRecord(nil, one, 0); string(got) != string(want) {
					t.Fatalf("open row %+v is %x, want %x", key, got, want)
				}
				told++
			}
		}
		for key := range want.Rows {
			if key.Resolution == plan.Grid.Resolution && key.End == newest+pane && d.open(key.Cell) {
				told--
			}
		}
		if told != 0 {
			t.Fatalf("%d open rows are missing", -told)
		}
	})
}

// openMeanwhile merges events, and now and then asks for open rows and closes
// panes, all but the newest.
func (d *driver) openMeanwhile(events []oracle.Event, cells []geo.Cell) {
	newest, pane := int64(NoTime), d.plan.Pane.Microseconds()
	for _, e := range events {
		newest = max(newest, floor(e.Time, pane))
	}
	trail := d.plan.FinalLag().Microseconds()
	for i, e := range events {
		for _, p := range partialsOf(d.plan, &e) {
			d.merge(p)
		}
		if rapid.IntRange(0, 3).Draw(d.t, "ask") == 0 {
			if _, err := d.shard.Open(cells); err != nil {
				d.t.Fatal(err)
			}
		}
		if rapid.Bool().Draw(d.t, "close") {
			first := newest // the newest pane stays open
			for _, w := range events[i+1:] {
				first = min(first, floor(w.Time, pane))
			}
			d.shard.Advance(first, first-trail)
			for d.step() {
			}
		}
	}
}

// open tells whether a cell's territory has a window that is open; others in the
// shard do not count.
func (d *driver) open(c geo.Cell) bool {
	_, open := d.shard.byID[d.plan.Grid.Territories.Of(c)].newestOpen(d.shard.done)
	return open
}
