package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/internal/oracle"
	"github.com/hextide/hextide/pipeline"
	h3 "github.com/uber/h3-go/v4"
	"pgregory.net/rapid"
)

// evolving are the parts that definitions of one pipeline are drawn from.
var evolvingAggregates = []string{
	"{name: s, op: sum, of: a}", "{name: lo, op: min, of: f}", "{name: hi, op: max, of: a}", "{name: m, op: mean, of: d}",
	"{name: some, op: count, where: \"a > 0\"}", "{name: least, op: min, of: a, where: \"a > 0\"}", "{name: total, op: sum, of: d}",
}

// drawVersion draws one of the definitions that a pipeline may have, one after
// another.
func drawVersion(t *rapid.T, lateness string) *pipeline.Plan {
	rings := rapid.SampledFrom([]string{"[0]", "[0, 1]", "[0, 2, 3]", "[0, 1, 4]"}).Draw(t, "rings")
	sizes := rapid.SampledFrom([]string{"[15m]", "[15m, 30m]", "[15m, 75m]", "[15m, 45m, 2h]"}).Draw(t, "sizes")
	parents := rapid.SampledFrom([]string{"[]", "[6]", "[6, 4]", "[5]"}).Draw(t, "parents")
	emit := rapid.SampledFrom([]string{"neighborhood", "cell"}).Draw(t, "emit")
	text := fmt.Sprintf(`
version: 1
name: drawn
source:
  format: csv
  topic: t
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {a: int, f: float, d: decimal(2)}
  allowed_lateness: %s
grid: {resolution: 7, rings: %s, parents: %s, emit: %s}
windows: {pane: 15m, sizes: %s}
aggregates:
  - {name: n, op: count}
`, lateness, rings, parents, emit, sizes)
	for _, a := range rapid.Permutation(evolvingAggregates).Draw(t, "aggregates")[:rapid.IntRange(0, 5).Draw(t, "how many")] {
		text += "  - " + a + "\n"
	}
	if parents != "[]" && rapid.Bool().Draw(t, "with backoff") {
		text += "backoff:\n  - {name: near" + strings.NewReplacer("[", "", "]", "", ", ", "_").Replace(parents) + ", of: n, at_least: 2}\n"
	}
	text += "features:\n  - {name: share, expr: \"(n_k0_w15m + 1) / 2\"}\n"
	if strings.Contains(text, "name: s,") {
		text += "  - {name: double, expr: \"share * s_k0_w15m\"}\n"
	}
	if rapid.Bool().Draw(t, "with model") {
		text += "models:\n  - {name: next, kind: demand, target: n_k0_w15m}\n"
	}
	plan, err := pipeline.Load([]byte(text), "drawn.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return plan
}

// drawnEvent is an event with what it adds to every measure that there may be.
type drawnEvent struct {
	oracle.Event
	adds map[string]int64 // by text of the measure
}

// of is the event as a plan has it.
func (e *drawnEvent) of(plan *pipeline.Plan) oracle.Event {
	event := oracle.Event{Time: e.Time, Cell: e.Cell}
	for m := range plan.Layout.Measures {
		event.Adds = append(event.Adds, e.adds[plan.MeasureText(m)])
	}
	return event
}

func drawEvolvingEvents(t *rapid.T, plan *pipeline.Plan) []drawnEvent {
	var near []geo.Cell
	for range rapid.IntRange(1, 2).Draw(t, "places") {
		disk, err := h3.Cell(drawPlace(t, plan.Grid.Resolution)).GridDisk(3)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range disk {
			near = append(near, geo.Cell(c))
		}
	}
	pane := plan.Pane.Microseconds()
	events := make([]drawnEvent, rapid.IntRange(2, 25).Draw(t, "events"))
	for i := range events {
		e := drawnEvent{adds: map[string]int64{"count": 1}}
		e.Cell, e.Time = rapid.SampledFrom(near).Draw(t, "cell"), rapid.Int64Range(0, 12*pane-1).Draw(t, "time")
		if rapid.IntRange(0, 9).Draw(t, "later") == 0 {
			e.Time += 20 * pane
		}
		a, f, d := rapid.Int64Range(-3, 30).Draw(t, "a"), rapid.Int64Range(-100, 100).Draw(t, "f"), rapid.Int64().Draw(t, "d")
		e.adds["sum of a"], e.adds["max of a"], e.adds["min of f"], e.adds["sum of d"] = a, a, f, d
		e.adds["count where a > 0"], e.adds["min of a where a > 0"] = 0, aggregate.None(aggregate.Min)
		if a > 0 {
			e.adds["count where a > 0"], e.adds["min of a where a > 0"] = 1, a
		}
		events[i] = e
	}
	return events
}

// evolving runs a shard over events, with a change of its plan now and then.
type evolving struct {
	*driver
	all        []drawnEvent
	merged     int64 // time of the newest event merged
	incomplete []IncompleteColumn
	since      int64                   // final frontier at the last change
	closed     map[geo.Territory]int64 // final windows at the last change: some are ahead of the frontier
	wide       int64                   // from when on rows exist for all that they are to
	learnt     bool                    // a model was added: rows for its sake are missing
}

// change takes the shard's state to a new plan.
func (e *evolving) change(now *pipeline.Plan) {
	ev, err := newEvolution(e.plan, now)
	if err != nil {
		e.t.Fatal(err)
	}
	entries, err := ev.shard(e.shard.Save(Everything).Entries())
	if err != nil {
		e.t.Fatal(err)
	}
	// Territories may be ahead of what is done, never of what was asked for.
	p := &Pointer{Frontiers: Frontiers{Final: e.shard.asked.final, Provisional: e.shard.asked.provisional}, PlanState: PlanState{Incomplete: e.incomplete}}
	e.incomplete = ev.incomplete(p, e.merged)
	e.learnt = e.learnt || slices.Contains(ev.comparison.Added, "next")
	// Where n at the widest ring and window is complete, so is what makes rows exist.
	e.wide = max(e.wide, e.until(fmt.Sprintf("n_k%d_w%s", now.WidestRing(), pipeline.FormatDuration(now.WidestWindow()))))
	e.closed = map[geo.Territory]int64{}
	for _, t := range e.shard.territories {
		e.closed[t.id] = t.final.end()
	}
	e.plan, e.since = now, p.Final
	e.shard = e.fresh()
	if err := e.shard.Restore(entries); err != nil {
		e.t.Fatal(err)
	}
	e.kept.since = Everything
	frontier := e.reader.frontier
	e.reader = newReader(e.t, now)
	e.reader.frontier, e.reader.again, e.reader.newest = Frontier{Shard: 3, Provisional: NoTime, Final: frontier.Final}, true, frontier.Final
}

func (e *evolving) until(column string) int64 {
	for _, c := range e.incomplete {
		if c.Column == column {
			return c.Until
		}
	}
	return NoTime
}

// holds compares the rows since the last change with those of a run that had its
// definition from the first event on.
func (e *evolving) holds(end int64) {
	var events []oracle.Event
	for i := range e.all {
		events = append(events, e.all[i].of(e.plan))
	}
	want := oracle.Compute(e.plan, events, end)
	for _, key := range oracle.Sorted(want.Rows) {
		if closed, known := e.closed[e.plan.Grid.Territories.Of(key.Cell)]; key.End <= e.since || known && key.End <= closed {
			continue
		}
		row := want.Rows[key]
		record, told := e.reader.rows[key]
		if !told {
			if key.End >= e.wide && (row.Live || !e.learnt) {
				e.t.Fatalf("row %+v (%x) is missing", key, uint64(key.Cell))
			}
			continue
		}
		at := 1 + 8 + 8
		for i, c := range e.plan.Columns {
			next := at + 1
			if record[at] == 1 {
				next += 8
			}
			one := &Rows{Columns: row.Columns[i : i+1], Cells: []geo.Cell{key.Cell}}
			if value := AppendRecord(nil, one, 0)[1+8+8:]; key.End >= e.until(c.Name) && string(record[at:next]) != string(value) {
				e.t.Fatalf("row %+v (%x): %s is %x, want %x (incomplete until %d)", key, uint64(key.Cell), c.Name, record[at:next], value, e.until(c.Name))
			}
			at = next
		}
	}
	for _, key := range oracle.Sorted(e.reader.rows) {
		if want.Rows[key] == nil {
			e.t.Fatalf("row %+v (%x) should not exist", key, uint64(key.Cell))
		}
	}
	for key := range e.reader.markers {
		if row := want.Rows[key]; key.End >= e.wide && row != nil && (row.Live || !e.learnt) && e.reader.rows[key] == nil {
			e.t.Fatalf("row %+v (%x) was said to have ceased", key, uint64(key.Cell))
		}
	}
}

// Whatever changes in a definition, and wherever: columns that both have go on as
// if nothing had been, and those that are new are what a run of the new definition
// over all events gives from the moment on that is told.
func TestEvolvedShardIsAsIfAnew(t *testing.T) {
	changes, checked := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		lateness := rapid.SampledFrom([]string{"0s", "0s", "15m", "40m"}).Draw(t, "lateness")
		plan := drawVersion(t, lateness)
		e := &evolving{driver: newDriver(t, plan, ShardOptions{}), all: drawEvolvingEvents(t, plan), merged: NoTime, since: NoTime, wide: NoTime}
		trail, pane := plan.FinalLag().Microseconds(), plan.Pane.Microseconds()
		waiting := slices.Clone(e.all)
		slices.SortStableFunc(waiting, func(a, b drawnEvent) int { return int(a.Time - b.Time) })
		for len(waiting) > 0 {
			i := rapid.IntRange(0, min(3, len(waiting)-1)).Draw(t, "next event")
			next := waiting[i]
			waiting = slices.Delete(waiting, i, i+1)
			e.merged = max(e.merged, next.Time)
			event := next.of(e.plan)
			for _, p := range partialsOf(e.plan, &event) {
				e.merge(p)
			}
			if rapid.Bool().Draw(t, "advance") {
				final := e.merged - rapid.Int64Range(0, 3).Draw(t, "behind")*pane - trail
				for _, w := range waiting {
					final = min(final, floor(w.Time, pane)+pane-1)
				}
				e.shard.Advance(final+trail, final)
				for rapid.Bool().Draw(t, "step") && e.step() {
				}
			}
			if rapid.IntRange(0, 6).Draw(t, "change") == 0 {
				now := drawVersion(t, lateness)
				if refused := pipeline.Compare(e.plan, now).Refused; len(refused) > 0 {
					t.Fatal(&refused[0])
				}
				e.change(now)
				changes++
			}
		}
		end := floor(e.merged, pane) + pane + rapid.SampledFrom([]int64{1, 20}).Draw(t, "panes after")*pane + e.plan.WidestWindow().Microseconds()
		e.shard.End(end)
		for e.step() {
		}
		e.holds(end)
		checked += len(e.reader.rows)
	})
	if changes == 0 || checked == 0 {
		t.Errorf("%d changes, %d rows", changes, checked)
	}
}
