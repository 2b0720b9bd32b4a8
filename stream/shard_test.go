package stream

import (
	"cmp"
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

// drawPlan draws a definition with a little of everything.
func drawPlan(t *rapid.T, lateness string) *pipeline.Plan {
	resolution := rapid.IntRange(1, 9).Draw(t, "resolution")
	rings := rapid.SampledFrom([]string{"[0]", "[0, 1]", "[0, 2, 3]", "[0, 1, 4]"}).Draw(t, "rings")
	sizes := rapid.SampledFrom([]string{"[15m]", "[15m, 30m]", "[30m, 75m]", "[15m, 45m, 2h]"}).Draw(t, "sizes")
	parents := "[]"
	if rapid.Bool().Draw(t, "with parents") && resolution > 1 {
		parents = rapid.SampledFrom([]string{fmt.Sprintf("[%d]", resolution-1), fmt.Sprintf("[%d, %d]", resolution-1, max(resolution-3, 0))}).Draw(t, "parents")
		if resolution-1 == max(resolution-3, 0) {
			parents = fmt.Sprintf("[%d]", resolution-1)
		}
	}
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
grid: {resolution: %d, rings: %s, parents: %s, emit: %s}
windows: {pane: 15m, sizes: %s}
aggregates:
  - {name: n, op: count}
`, lateness, resolution, rings, parents, rapid.SampledFrom([]string{"neighborhood", "cell"}).Draw(t, "emit"), sizes)
	for _, a := range []string{
		"{name: s, op: sum, of: a}", "{name: lo, op: min, of: f}", "{name: hi, op: max, of: a}",
		"{name: m, op: mean, of: d}", "{name: some, op: count, where: \"a > 0\"}", "{name: least, op: min, of: a, where: \"a > 0\"}",
	} {
		if rapid.IntRange(0, 2).Draw(t, a) == 0 {
			text += "  - " + a + "\n"
		}
	}
	if parents != "[]" && rapid.Bool().Draw(t, "with backoff") {
		text += "backoff:\n  - {name: near, of: n, at_least: 2}\n"
		if strings.Contains(text, "name: least") {
			text += "  - {name: least_near, of: least, at_least: 3}\n"
		}
		if strings.Contains(text, "name: m,") {
			text += "  - {name: m_near, of: m, at_least: 2}\n"
		}
	}
	size := sizes[1:strings.IndexAny(sizes, ",]")]
	text += fmt.Sprintf("features:\n  - {name: share, expr: \"(n_k0_w%s + 1) / (n_k0_w%s + 2)\"}\n", size, size)
	if rapid.Bool().Draw(t, "with model") && resolution > 1 {
		target := "n"
		if strings.Contains(text, "name: some") && rapid.Bool().Draw(t, "some of the events") {
			target = "some" // windows with events of which none counts
		}
		text += fmt.Sprintf("models:\n  - {name: next, kind: demand, target: %s_k0_w%s}\n", target, size)
	}
	plan, err := pipeline.Load([]byte(text), "drawn.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return plan
}

// drawPlace draws a cell: anywhere, at a pentagon, or at the antimeridian.
func drawPlace(t *rapid.T, resolution int) geo.Cell {
	lat, lng := rapid.Float64Range(-85, 85).Draw(t, "lat"), rapid.Float64Range(-180, 180).Draw(t, "lng")
	switch rapid.IntRange(0, 3).Draw(t, "where") {
	case 0:
		pentagons, err := h3.Pentagons(resolution)
		if err != nil {
			t.Fatal(err)
		}
		return geo.Cell(rapid.SampledFrom(pentagons).Draw(t, "pentagon"))
	case 1:
		lng = rapid.SampledFrom([]float64{-180, 179.99999, 0}).Draw(t, "meridian")
	}
	c, err := h3.LatLngToCell(h3.LatLng{Lat: lat, Lng: lng}, resolution)
	if err != nil {
		t.Fatal(err)
	}
	return geo.Cell(c)
}

// drawEvents draws events near a few places, some far apart in time.
func drawEvents(t *rapid.T, plan *pipeline.Plan) []oracle.Event {
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
	start := rapid.Int64Range(-40, 40).Draw(t, "start") * pane
	big := rapid.Bool().Draw(t, "big numbers")
	events := make([]oracle.Event, rapid.IntRange(1, 25).Draw(t, "events"))
	for i := range events {
		e := oracle.Event{Cell: rapid.SampledFrom(near).Draw(t, "cell")}
		e.Time = start + rapid.Int64Range(0, 8*pane-1).Draw(t, "time")
		if rapid.IntRange(0, 9).Draw(t, "later") == 0 {
			e.Time += 20 * pane
		}
		for _, m := range plan.Layout.Measures {
			v := rapid.Int64Range(-3, 30).Draw(t, "value")
			if big {
				v = rapid.Int64().Draw(t, "big value")
			}
			switch {
			case m.Field < 0 && m.Where < 0:
				v = 1
			case m.Field < 0:
				v &= 1
			case m.Where >= 0 && v < 0:
				v = identity(m.Kind)
			}
			e.Adds = append(e.Adds, v)
		}
		events[i] = e
	}
	return events
}

// partialsOf are the partials of one event: its territory's, and its neighbours'.
func partialsOf(plan *pipeline.Plan, e *oracle.Event) []*Partials {
	own := plan.Grid.Territories.Of(e.Cell)
	var all []*Partials
	for _, id := range plan.Grid.Territories.Halo([]geo.Territory{own}, e.Cell) {
		p := &Partials{Territory: id, Halo: id != own, Pane: floor(e.Time, plan.Pane.Microseconds()), Cells: []geo.Cell{e.Cell}}
		for _, v := range e.Adds {
			p.Measures = append(p.Measures, aggregate.MeasureColumn{Lo: []uint64{uint64(v)}})
		}
		all = append(all, p)
	}
	return all
}

// reader is what someone who follows a shard's output knows.
type reader struct {
	t        *rapid.T
	plan     *pipeline.Plan
	rows     map[oracle.Key][]byte // records of the last value told
	markers  map[oracle.Key]int
	frontier Frontier
	again    bool  // the shard has restarted: the frontier must come, moved or not
	newest   int64 // window end of the newest final row
}

func newReader(t *rapid.T, plan *pipeline.Plan) *reader {
	return &reader{
		t: t, plan: plan, rows: map[oracle.Key][]byte{}, markers: map[oracle.Key]int{},
		frontier: Frontier{Provisional: NoTime, Final: NoTime}, newest: NoTime,
	}
}

// read takes a step's output, and checks what every output promises.
func (r *reader) read(out *Output) {
	for _, rows := range out.Rows {
		if len(rows.Cells) == 0 || len(rows.Cells) > BlockRows || !slices.IsSorted(rows.Cells) {
			r.t.Fatalf("a block of %d rows, ascending: %v", len(rows.Cells), slices.IsSorted(rows.Cells))
		}
		for c := range rows.Columns {
			if rows.Columns[c].Len() != len(rows.Cells) {
				r.t.Fatalf("column %s has %d values for %d rows", r.plan.Columns[c].Name, rows.Columns[c].Len(), len(rows.Cells))
			}
		}
		if rows.WindowEnd <= r.frontier.Final || !rows.Final && rows.WindowEnd <= r.frontier.Provisional {
			r.t.Fatalf("a row of %d behind the frontier %+v", rows.WindowEnd, r.frontier)
		}
		if rows.Final && rows.WindowEnd < r.newest {
			r.t.Fatalf("a final row of %d after one of %d", rows.WindowEnd, r.newest)
		}
		if rows.Final {
			r.newest = rows.WindowEnd
		}
		for i, c := range rows.Cells {
			r.row(rows, i, oracle.Key{End: rows.WindowEnd, Resolution: rows.Resolution, Cell: c})
		}
		rows.Release()
	}
	if out.Frontier != nil {
		if out.Frontier.Final < r.frontier.Final || out.Frontier.Provisional < r.frontier.Provisional || *out.Frontier == r.frontier && !r.again {
			r.t.Fatalf("frontier %+v after %+v", *out.Frontier, r.frontier)
		}
		r.frontier, r.again = *out.Frontier, false
	}
	if r.again && r.frontier.Final != NoTime {
		r.t.Fatalf("after a restart the frontier %+v is not told again", r.frontier)
	}
}

func (r *reader) row(rows *Rows, i int, key oracle.Key) {
	if rows.Empty {
		r.markers[key]++
		return
	}
	record := AppendRecord(nil, rows, i)
	before, told := r.rows[key]
	switch {
	case rows.Revision == 0 && told:
		r.t.Fatalf("row %+v told twice", key)
	case rows.Revision == 1 && (!rows.Final || string(before) == string(record)):
		r.t.Fatalf("row %+v told again as it was", key)
	}
	r.rows[key] = record
}

// holds compares with what should have been told.
func (r *reader) holds(want oracle.Result, markers bool) {
	for _, key := range oracle.Sorted(want.Rows) {
		rows := &Rows{Resolution: key.Resolution, WindowEnd: key.End, Cells: []geo.Cell{key.Cell}, Columns: want.Rows[key].Columns}
		record := AppendRecord(nil, rows, 0)
		if got, told := r.rows[key]; !told || string(got) != string(record) {
			r.t.Fatalf("row %+v (%x): told %v\n got %x\nwant %x", key, uint64(key.Cell), told, got, record)
		}
	}
	for _, key := range oracle.Sorted(r.rows) {
		if want.Rows[key] == nil {
			r.t.Fatalf("row %+v (%x) should not exist: %x", key, uint64(key.Cell), r.rows[key])
		}
	}
	if !markers {
		if len(r.markers) > 0 {
			r.t.Fatalf("%d markers", len(r.markers))
		}
		return
	}
	for key := range want.Markers {
		if r.markers[key] != 1 {
			r.t.Fatalf("marker %+v told %d times", key, r.markers[key])
		}
	}
	for key := range r.markers {
		if !want.Markers[key] && want.Rows[key] == nil {
			r.t.Fatalf("marker %+v should not exist", key)
		}
	}
}

// driver runs a shard over events, in a drawn way.
type driver struct {
	t      *rapid.T
	plan   *pipeline.Plan
	shard  *Shard
	reader *reader
	o      ShardOptions
	bytes  int64 // of memory that the shard may use; 0: no bound
	moved  int64 // values moved out before the last restart
	kept   *keeper
}

func newDriver(t *rapid.T, plan *pipeline.Plan, o ShardOptions) *driver {
	o.MaxPanes = rapid.IntRange(1, 5).Draw(t, "panes a step")
	d := &driver{t: t, plan: plan, reader: newReader(t, plan), o: o, kept: newKeeper()}
	d.bytes = rapid.SampledFrom([]int64{0, 1, 400, 2000}).Draw(t, "memory")
	d.shard = d.fresh()
	return d
}

func (d *driver) fresh() *Shard {
	if d.bytes > 0 {
		if d.o.memory != nil {
			d.moved += d.o.memory.memory.out.Load()
		}
		d.o.memory = newMemory(Memory{Bytes: d.bytes, Table: func(string) Table { return mapTable{} }}, 1).share("shard/3")
	}
	s, err := NewShard(d.plan, 3, d.o)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d *driver) merge(p *Partials) {
	if err := d.shard.Merge(p); err != nil {
		d.t.Fatal(err)
	}
}

// step steps once, perhaps meets a barrier and perhaps restarts from a checkpoint.
func (d *driver) step() bool {
	var out Output
	more, err := d.shard.Step(&out, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	d.reader.read(&out)
	switch rapid.IntRange(0, 6).Draw(d.t, "checkpoint") {
	case 0:
		d.restart()
	case 1:
		d.kept.take(d.t, d.shard, &d.shard.versions, rapid.Bool().Draw(d.t, "committed"))
	}
	return more
}

func (d *driver) restart() {
	d.kept.take(d.t, d.shard, &d.shard.versions, true)
	saved := d.kept.list()
	d.shard = d.fresh()
	if err := d.shard.Restore(saved); err != nil {
		d.t.Fatal(err)
	}
	d.kept.restarted()
	d.reader.again = true
	again := d.shard.Save(Everything).Entries()
	slices.SortFunc(again, func(a, b Entry) int { return cmp.Compare(string(a.Key), string(b.Key)) })
	for i := range saved {
		if string(saved[i].Key) != string(again[i].Key) || string(saved[i].Value) != string(again[i].Value) {
			d.t.Fatalf("entry %x is %x after a restart, was %x", saved[i].Key, again[i].Value, saved[i].Value)
		}
	}
}

// run lets events arrive in any order that the frontiers allow, and ends.
func (d *driver) run(events []oracle.Event) int64 {
	trail := d.plan.FinalLag().Microseconds()
	pane := d.plan.Pane.Microseconds()
	waiting := slices.Clone(events)
	var queue []*Partials
	newest := int64(NoTime)
	for len(waiting) > 0 {
		i := rapid.IntRange(0, len(waiting)-1).Draw(d.t, "next event")
		e := waiting[i]
		waiting = slices.Delete(waiting, i, i+1)
		newest = max(newest, e.Time)
		queue = append(queue, partialsOf(d.plan, &e)...)
		if rapid.Bool().Draw(d.t, "hold back") {
			continue
		}
		for _, p := range queue {
			d.merge(p)
		}
		queue = nil
		if rapid.Bool().Draw(d.t, "advance") {
			limit := int64(1 << 60)
			for _, w := range waiting {
				limit = min(limit, floor(w.Time, pane)+pane-1)
			}
			final := min(limit, newest-rapid.Int64Range(0, 4).Draw(d.t, "behind")*pane-trail)
			d.shard.Advance(final+trail, final)
			for rapid.Bool().Draw(d.t, "step") && d.step() {
			}
		}
	}
	for _, p := range queue {
		d.merge(p)
	}
	end := floor(newest, pane) + pane + d.plan.WidestWindow().Microseconds()
	d.shard.End(end)
	for d.step() {
	}
	if st := d.shard.Stats(); st.Beyond != 0 {
		d.t.Fatalf("%d cells came too late", st.Beyond)
	}
	return end
}

// bounded checks that a bound on memory is kept between steps, and that no value
// outside belongs to a pane that was dropped.
func (d *driver) bounded() {
	m := d.o.memory
	if m == nil {
		return
	}
	if m.used > d.bytes || m.used != m.memory.used.Load() {
		d.t.Fatalf("%d bytes are used, %d may be", m.used, d.bytes)
	}
	if d.bytes == 1 && d.moved+m.memory.out.Load() == 0 {
		d.t.Fatal("nothing was moved out")
	}
	if len(m.table.(mapTable)) > 0 {
		panes := 0
		for _, t := range d.shard.territories {
			panes += len(t.panes.All())
		}
		if panes == 0 {
			d.t.Fatalf("%d values are left outside", len(m.table.(mapTable)))
		}
	}
}

// However events come and however much memory there is, the rows are those of the
// oracle.
func TestShardRowsAreTheOracles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := drawPlan(t, rapid.SampledFrom([]string{"0s", "0s", "15m", "40m"}).Draw(t, "lateness"))
		events := drawEvents(t, plan)
		d := newDriver(t, plan, ShardOptions{FinalOnly: rapid.IntRange(0, 2).Draw(t, "history") == 0})
		end := d.run(events)
		want := oracle.Compute(plan, events, end)
		d.reader.holds(want, !d.o.FinalOnly)
		d.bounded()
		if d.reader.frontier.Final != end || d.reader.frontier.Provisional != end {
			t.Fatalf("the last frontier is %+v, the end %d", d.reader.frontier, end)
		}
	})
}

// Cells that fell silent give their places to others, and nothing of them stays
// behind: of a crowd that moves on, memory holds a few windows' worth.
func TestShardReusesPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan, err := pipeline.Load([]byte(`
version: 1
name: crowd
source:
  format: csv
  topic: t
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {a: int}
grid: {resolution: 9, rings: [0, 1], parents: [8, 7]}
windows: {pane: 1m, sizes: [1m, 3m]}
aggregates: [{name: n, op: count}, {name: s, op: sum, of: a}, {name: lo, op: min, of: a}]
`), "crowd.yaml")
		if err != nil {
			t.Fatal(err)
		}
		center, err := h3.LatLngToCell(h3.LatLng{Lat: 37.77, Lng: -122.41}, 9)
		if err != nil {
			t.Fatal(err)
		}
		disk, err := center.GridDisk(24)
		if err != nil {
			t.Fatal(err)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		var events []oracle.Event
		d := newDriver(t, plan, ShardOptions{})
		const panes, pane = 30, 60e6
		for p := range int64(panes) {
			for i := range 20 {
				seed = seed*6364136223846793005 + 1442695040888963407
				cell := disk[(int(p)*30+int(seed>>40)%60)%len(disk)]
				e := oracle.Event{Time: p*pane + int64(i), Cell: geo.Cell(cell), Adds: []int64{1, int64(seed >> 60), int64(seed >> 60)}}
				events = append(events, e)
				for _, p := range partialsOf(plan, &e) {
					d.merge(p)
				}
			}
			d.shard.Advance((p+1)*pane, (p+1)*pane)
			for d.step() {
			}
		}
		const kept = 256 // in two territories, of some 600 cells each; 80 are active
		if st := d.shard.Stats(); st.Cells > kept {
			t.Fatalf("%d cells are kept", st.Cells)
		}
		end := int64(panes+3) * pane
		d.shard.End(end)
		for d.step() {
		}
		d.reader.holds(oracle.Compute(plan, events, end), true)
	})
}
