package stream

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
	"pgregory.net/rapid"
)

const second = int64(1e6)

// testEvent is a record as a test writes it down.
type testEvent struct {
	time     int64
	lat, lng float64
	key      string
	value    int64
	x        float64
	reason   Reason
}

// testKinds are the fields of testEvent: key, value, x.
var testKinds = []column.Kind{column.String, column.Int, column.Float}

// testIntake: panes of 10 s, 5 s out of order. Measures: events, the sum of value
// where value is even, the least x, the greatest value.
func testIntake(t testing.TB, allowed, span int64) *intake {
	territories, err := geo.NewTerritories(7, nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	return &intake{
		pane: 10 * second, outOfOrder: 5 * second, allowed: allowed, span: span, widest: 60 * second,
		keys: []int{0}, kinds: testKinds, resolution: 7, territories: territories,
		filter: func(fields []column.Vector, n int, dst column.Bitmap) column.Bitmap {
			return bitsWhere(n, dst, func(i int) bool { return fields[1].Ints[i] >= 0 })
		},
		wheres: []predicate{func(fields []column.Vector, n int, dst column.Bitmap) column.Bitmap {
			return bitsWhere(n, dst, func(i int) bool { return fields[1].Ints[i]%2 == 0 })
		}},
		measures: []aggregate.Measure{
			{Kind: aggregate.Sum, Field: -1, Where: -1},
			{Kind: aggregate.Sum, Field: 1, Where: 0},
			{Kind: aggregate.Min, Field: 2, Where: -1},
			{Kind: aggregate.Max, Field: 1, Where: 0},
		},
	}
}

func bitsWhere(n int, dst column.Bitmap, passes func(int) bool) column.Bitmap {
	for i := range n {
		if passes(i) {
			dst.Set(i)
		}
	}
	return dst
}

// textRaw gives each record's number for its bytes.
type textRaw struct{ first int }

func (r textRaw) At(i int) []byte { return fmt.Appendf(nil, "record %d", r.first+i) }

// makeBatch puts events into columns; first is the position of the first.
func makeBatch(events []testEvent, first int) *Batch {
	b := &Batch{Limit: math.MaxInt64 / 4, Raw: textRaw{first}, Fields: make([]column.Vector, len(testKinds))}
	for f, k := range testKinds {
		b.Fields[f].Kind = k
	}
	for i, e := range events {
		b.Positions = append(b.Positions, int64(first+i))
		b.Times, b.Lats, b.Lngs = append(b.Times, e.time), append(b.Lats, e.lat), append(b.Lngs, e.lng)
		b.Reasons = append(b.Reasons, e.reason)
		b.Fields[0].Strings.Append([]byte(e.key))
		b.Fields[1].Ints = append(b.Fields[1].Ints, e.value)
		b.Fields[2].Floats = append(b.Fields[2].Floats, e.x)
	}
	if !slices.ContainsFunc(b.Reasons, func(r Reason) bool { return r != Accepted }) {
		b.Reasons = nil
	}
	b.Next = int64(first + len(events))
	return b
}

// merged collects partials, by territory, halo, pane and cell.
type merged map[string][4]exact.Int128

func (m merged) add(t testing.TB, ps []*Partials, closed int64) {
	for _, p := range ps {
		if p.Pane+10*second <= closed {
			t.Fatalf("partials of the pane at %d after watermark %d", p.Pane, closed)
		}
		for i, c := range p.Cells {
			k := fmt.Sprintf("%x %v %d %x", uint64(p.Territory), p.Halo, p.Pane, uint64(c))
			v, ok := m[k]
			if !ok {
				v[2], v[3] = exact.FromInt64(math.MaxInt64), exact.FromInt64(math.MinInt64)
			}
			v[0], v[1] = v[0].Add(p.Measures[0].Sum(i)), v[1].Add(p.Measures[1].Sum(i))
			if x := p.Measures[2].Sum(i); x.Cmp(v[2]) < 0 {
				v[2] = x
			}
			if x := p.Measures[3].Sum(i); x.Cmp(v[3]) > 0 {
				v[3] = x
			}
			m[k] = v
		}
	}
}

func (m merged) String() string {
	var lines []string
	for k, v := range m {
		lines = append(lines, fmt.Sprintf("%s: %v", k, v))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// runTask feeds events in batches, flushing and restoring as told, to the end.
func runTask(t testing.TB, in *intake, events []testEvent, cut func(left int) int, flush func(n int) (flush, restore bool), bytes int64) (merged, *Task, []string) {
	begin := func() *Task {
		m := newMemory(Memory{Bytes: bytes, Table: func(string) Table { return mapTable{} }}, 1)
		return newTask(in, 3, TaskOptions{From: NoTime, memory: m.share("partition/3")})
	}
	task := begin()
	got, kept := merged{}, newKeeper()
	var records []string
	var out Ingested
	passed := int64(NoTime)
	take := func() {
		got.add(t, out.Partials, passed)
		w := out.Watermark
		if w.Provisional < passed || w.Final > w.Provisional {
			t.Fatalf("watermark %+v after %d", w, passed)
		}
		passed = w.Final // late events may still enter panes before the provisional one
		for _, d := range out.Dead {
			records = append(records, fmt.Sprintf("dead %d %s %q", d.Position, d.Reason, d.Raw))
		}
		for _, l := range out.Late {
			records = append(records, fmt.Sprintf("late %d %d %d %d %q", l.Position, l.Time, l.PaneEnd, l.Watermark, l.Raw))
		}
		out.Reset()
	}
	for at, n := 0, 0; at < len(events); n++ {
		to := at + cut(len(events)-at)
		task.Batch(makeBatch(events[at:to], at), &out)
		at = to
		take()
		flushed, restored := flush(n)
		if flushed || restored {
			task.Flush(&out)
			take()
		}
		if restored {
			kept.take(t, task, &task.versions, true)
			if n%3 == 0 { // it goes on
				kept.take(t, task, &task.versions, false)
				continue
			}
			task = begin()
			if err := task.Restore(kept.list()); err != nil {
				t.Fatal(err)
			}
			kept.restarted()
		}
	}
	end := int64(NoTime)
	if a := task.Accepted(); a != NoTime {
		end = floor(a, in.pane) + in.pane + in.widest
	}
	task.End(end, &out)
	take()
	if s := task.options.memory; s != nil && (s.used != 0 || s.err != nil || len(s.table.(mapTable)) > 0) {
		t.Fatalf("at the end %d bytes are used, %d values are outside, error %v", s.used, len(s.table.(mapTable)), s.err)
	}
	return got, task, records
}

// naive is the oracle: one event at a time, nothing in tables.
func naive(in *intake, events []testEvent) (merged, Counts, []string) {
	watermark := int64(NoTime)
	var c Counts
	var records []string
	winners := map[string]testEvent{}
	var accepted []testEvent
	for i, e := range events {
		c.Read++
		reason := e.reason
		switch {
		case reason != Accepted:
		case e.time < in.notBefore:
			reason = TooEarly
		case !(math.Abs(e.lat) <= 90 && math.Abs(e.lng) <= 180):
			reason = BadLocation
		}
		if reason != Accepted {
			c.Dead++
			records = append(records, fmt.Sprintf("dead %d %s %q", i, reason, fmt.Sprintf("record %d", i)))
			continue
		}
		paneEnd := (e.time/in.pane + 1) * in.pane
		switch {
		case in.filter != nil && e.value < 0:
			c.Filtered++
		case watermark != NoTime && paneEnd+in.allowed <= watermark:
			c.Late++
			records = append(records, fmt.Sprintf("late %d %d %d %d %q", i, e.time, paneEnd, watermark, fmt.Sprintf("record %d", i)))
		case in.span == 0:
			accepted = append(accepted, e)
		default:
			k := fmt.Sprintf("%s@%d", e.key, e.time/in.span)
			old, there := winners[k]
			if there {
				c.Duplicates++
			}
			if !there || first(e, old) {
				winners[k] = e
			}
		}
		watermark = max(watermark, e.time-in.outOfOrder)
	}
	for _, e := range winners {
		accepted = append(accepted, e)
	}
	c.Aggregated = int64(len(accepted))
	return naiveSums(in, accepted), c, records
}

// naiveSums is what accepted events add up to, in their own and their halo's territories.
func naiveSums(in *intake, accepted []testEvent) merged {
	want := merged{}
	for _, e := range accepted {
		cell, err := geo.Index(e.lat, e.lng, in.resolution)
		if err != nil {
			panic(err)
		}
		targets := append([]geo.Territory{in.territories.Of(cell)}, in.territories.Halo(nil, cell)...)
		for n, to := range targets {
			k := fmt.Sprintf("%x %v %d %x", uint64(to), n > 0, e.time/in.pane*in.pane, uint64(cell))
			v, ok := want[k]
			if !ok {
				v[2], v[3] = exact.FromInt64(math.MaxInt64), exact.FromInt64(math.MinInt64)
			}
			v[0] = v[0].Add(exact.FromInt64(1))
			if x := exact.FromInt64(aggregate.FloatKey(e.x)); x.Cmp(v[2]) < 0 {
				v[2] = x
			}
			if e.value%2 == 0 {
				v[1] = v[1].Add(exact.FromInt64(e.value))
				if x := exact.FromInt64(e.value); x.Cmp(v[3]) > 0 {
					v[3] = x
				}
			}
			want[k] = v
		}
	}
	return want
}

// first is the order of winners.
func first(a, b testEvent) bool {
	ca, _ := geo.Index(a.lat, a.lng, 7)
	cb, _ := geo.Index(b.lat, b.lng, 7)
	return cmp.Or(cmp.Compare(a.time, b.time), strings.Compare(a.key, b.key), cmp.Compare(a.value, b.value),
		cmp.Compare(a.x, b.x), cmp.Compare(ca, cb)) < 0
}

// anEvent draws events that collide: few keys, few places (some at a border of
// territories), times that jump, ties.
func anEvent(t *rapid.T, at *int64) testEvent {
	places := [][2]float64{{37.7749, -122.4194}, {37.7751, -122.4190}, {36, -121.32}, {36.02, -121.32}, {0.1, 0.1}, {91, 0}, {math.NaN(), 3}}
	*at += rapid.SampledFrom([]int64{0, 0, 1, 400_000, 2 * second, 9 * second, 70 * second}).Draw(t, "step")
	p := rapid.SampledFrom(places).Draw(t, "place")
	e := testEvent{
		time: max(0, *at-rapid.SampledFrom([]int64{0, 0, 1, second, 6 * second, 30 * second}).Draw(t, "back")),
		lat:  p[0], lng: p[1], key: rapid.SampledFrom([]string{"a", "b", "", "long enough"}).Draw(t, "key"),
		value: rapid.SampledFrom([]int64{-1, 0, 1, 2, math.MaxInt64 - 1, math.MaxInt64 - 3}).Draw(t, "value"),
		x:     rapid.SampledFrom([]float64{-1.5, 0, 2, math.Inf(-1)}).Draw(t, "x"),
	}
	if rapid.IntRange(0, 20).Draw(t, "bad") == 0 {
		e.reason = BadSyntax
	}
	return e
}

// A task gives what the oracle gives, whatever its batches, flushes, restarts and memory.
func TestTaskIsTheOracle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		in := testIntake(t, rapid.SampledFrom([]int64{0, 7 * second, 90 * second}).Draw(rt, "allowed"),
			rapid.SampledFrom([]int64{0, 10 * second, 30 * second}).Draw(rt, "span"))
		in.notBefore = rapid.SampledFrom([]int64{0, second, 110 * second}).Draw(rt, "not before")
		if rapid.Bool().Draw(rt, "unfiltered") {
			in.filter = nil
		}
		at := int64(100 * second)
		var events []testEvent
		for range rapid.IntRange(0, 120).Draw(rt, "n") {
			events = append(events, anEvent(rt, &at))
		}
		want, counts, wantRecords := naive(in, events)
		got, task, records := runTask(t, in, events,
			func(left int) int { return min(left, rapid.SampledFrom([]int{1, 2, 7, 50}).Draw(rt, "batch")) },
			func(int) (bool, bool) { return rapid.Bool().Draw(rt, "flush"), rapid.Bool().Draw(rt, "restore") },
			rapid.SampledFrom([]int64{0, 1, 1000}).Draw(rt, "memory"))
		if got.String() != want.String() {
			rt.Fatalf("got\n%s\nwant\n%s", got, want)
		}
		if task.Counts() != counts {
			rt.Fatalf("got %+v, want %+v", task.Counts(), counts)
		}
		slices.Sort(records)
		slices.Sort(wantRecords)
		if !slices.Equal(records, wantRecords) {
			rt.Fatalf("got %q, want %q", records, wantRecords)
		}
	})
}

// Events outside [from, to) touch nothing.
func TestTaskRange(t *testing.T) {
	in := testIntake(t, 0, 0)
	event := func(at int64) testEvent { return testEvent{time: at * second, lat: 1, lng: 1} }
	for _, filter := range []predicate{in.filter, nil} {
		in.filter = filter
		task := newTask(in, 0, TaskOptions{From: 100 * second, To: 200 * second})
		var out Ingested
		b := makeBatch([]testEvent{event(99), event(150), event(5000), event(200), event(199), event(100)}, 0)
		task.Batch(b, &out)
		if c := task.Counts(); c.Outside != 3 || c.Late != 1 || task.Watermark() != 194*second || task.Accepted() != 199*second {
			t.Errorf("%+v, watermark %d, accepted %d", c, task.Watermark(), task.Accepted())
		}
		ahead, limit := *b, int64(4999*second)
		ahead.Limit = limit
		each := *b
		each.NotAfter = slices.Repeat([]int64{limit}, b.Len())
		for _, b := range []*Batch{&ahead, &each} {
			task = newTask(in, 0, TaskOptions{From: NoTime})
			if task.Batch(b, &out); task.Dead()[TooFarAhead] != 1 || task.Accepted() != 200*second {
				t.Errorf("dead %v, accepted %d", task.Dead(), task.Accepted())
			}
		}
	}
}

// Once warm, a batch costs next to no allocations.
func TestTaskAllocations(t *testing.T) {
	for _, span := range []int64{0, 10 * second} {
		in := testIntake(t, 0, span)
		in.filter, in.wheres, in.measures = nil, nil, in.measures[:1]
		const n = 1000
		events := make([]testEvent, n)
		for i := range events {
			events[i] = testEvent{lat: 37 + float64(i%50)/100, lng: -122, key: fmt.Sprint(i % 300)}
		}
		b := makeBatch(events, 0)
		in.byCell = true
		for i := range events {
			c, err := geo.Index(b.Lats[i], b.Lngs[i], in.resolution)
			if err != nil {
				t.Fatal(err)
			}
			b.Cells = append(b.Cells, c)
		}
		task := newTask(in, 0, TaskOptions{From: NoTime})
		at := int64(0)
		var out Ingested
		round := func() {
			for i := range b.Times {
				at += 20_000
				b.Times[i] = at
			}
			task.Batch(b, &out)
			for _, p := range out.Partials {
				task.options.Pool.Put(p)
			}
			out.Reset()
		}
		for range 50 {
			round()
		}
		if a := testing.AllocsPerRun(50, round) / n; a > 0.01 {
			t.Errorf("span %d: %.3f allocations an event", span, a)
		}
	}
}
