package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

const jobThree = "examples/checks/j3.yaml"

// rings is how J3 lists its rings.
const rings = "rings: [0, 1, 2, 3, 4, 5, 10, 15, 20]"

// here is where the taxis are.
var here = []placed{{move: unmoved}}

// wideRing holds a ring of 20 against one of 1, for the same rows.
func (w *comparison) wideRing(ctx context.Context) error {
	wide, err := load(jobThree, rings, "rings: [20], emit: cell")
	if err != nil {
		return err
	}
	narrow, err := load(jobThree, rings, "rings: [1], emit: cell")
	if err != nil {
		return err
	}
	_, _, err = w.against("ring 20 / ring 1, 6 windows, the same rows", of(ctx, wide, w.events.source(here)), of(ctx, narrow, w.events.source(here)))
	return err
}

// cities holds the taxis at ten places against those at one.
func (w *comparison) cities(ctx context.Context) error {
	plan, err := load(jobThree, "", "")
	if err != nil {
		return err
	}
	places := tenPlaces()
	ten, one, err := w.against("J3 of ten cities / of one", of(ctx, plan, w.events.source(places)), of(ctx, plan, w.events.source(here)))
	if err != nil {
		return err
	}
	fmt.Printf("  rows: %d and %d\n", ten.rows, one.rows)
	for i, name := range []string{"on a pentagon", "across the antimeridian", "on a face edge"} {
		if _, _, err := w.against("  the one "+name+" / at home", of(ctx, plan, w.events.source(places[i:i+1])), of(ctx, plan, w.events.source(here))); err != nil {
			return err
		}
	}
	return nil
}

// tenPlaces are where the ten cities lie: the first around a pentagon of
// resolution 0, the second across the antimeridian, the third on the edge of two
// faces of the icosahedron.
func tenPlaces() []placed {
	faces := [2]vector{onSphere(46.04189431883772, 71.52790329909925), onSphere(74.92843872203164, 145.35624227673747)} // of faces 0 and 1
	lat, lng := faces[0].plus(faces[1]).place()
	places := [][2]float64{
		{64.70000012793487, 10.53619907546767}, {-17, 180}, {lat, lng},
		{40.75, -73.98}, {51.51, -0.12}, {35.68, 139.69}, {-33.87, 151.2}, {19.43, -99.13}, {1.35, 103.82}, {-23.55, -46.63},
	}
	var all []placed
	for i, p := range places {
		all = append(all, placed{move: turned(onSphere(37.77, -122.42), onSphere(p[0], p[1])), name: string(rune('a' + i))})
	}
	return all
}

// sparse holds minutes with 50 active cells each, in a square as large as the box
// around a city's taxis, against as many spread over ten times its area and over
// a tenth of it, and against as many of which half are empty.
func (w *comparison) sparse(ctx context.Context) error {
	plan, err := pipeline.Load([]byte(sparseText), "sparse.yaml")
	if err != nil {
		return err
	}
	const side = 0.3 // degrees
	for _, c := range []struct {
		name  string
		side  float64
		every int64
		base  float64
	}{
		{fmt.Sprintf("%d days, 50 cells a minute: 10 times the area / %g° square", w.days, side), side * math.Sqrt(10), 1, side},
		{"  half of the minutes empty, twice as many cells in the others / none", side, -2, side},
		{"  half of the minutes empty, in twice as many days / none", side, 2, side},
		{"  that square / a tenth of its area", side, 1, side / math.Sqrt(10)},
	} {
		if _, _, err = w.against(c.name, of(ctx, plan, w.minutes(c.side, c.every)), of(ctx, plan, w.minutes(c.base, 1))); err != nil {
			return err
		}
	}
	return nil
}

const sparseText = `
version: 1
name: sparse
source:
  format: csv
  topic: t
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
grid:
  resolution: 9
  rings: [0, 5, 20]
  emit: cell
  regions: [{name: bay, cells: [832830fffffffff, 832832fffffffff, 832836fffffffff]}]
windows: {pane: 1m, sizes: [1m, 5m]}
aggregates:
  - {name: n, op: count}
`

// minutes are days of minutes of 50 events each, at places drawn from a square
// of some degrees. Of every so many minutes one has events: its own, in as many
// days more, or, below 0, those of all, in the same days.
func (w *comparison) minutes(degrees float64, every int64) *memory {
	start := func(minute, i int64) int64 { return minute*every*60_000_000 + i*1_000_000 }
	if of := -every; of > 0 {
		start = func(minute, i int64) int64 {
			return (minute-minute%of)*60_000_000 + (minute%of*60_000_000+i*1_000_000)/of
		}
	}
	const cells = 50
	total := int64(w.days) * 24 * 60
	begin := func() func(*stream.Batch) bool {
		random, minute := rand.New(rand.NewPCG(1, 2)), int64(0)
		return func(b *stream.Batch) bool {
			for range min(100, total-minute) {
				for i := range int64(cells) {
					b.Times = append(b.Times, w.from.UnixMicro()+start(minute, i))
					b.Lats, b.Lngs = append(b.Lats, 37.7+degrees*random.Float64()), append(b.Lngs, -122.5+degrees*random.Float64())
				}
				minute++
			}
			return len(b.Times) > 0
		}
	}
	return &memory{begin: begin}
}

// hotSpot holds J1 with 90% of its events in one cell against an even spread.
func (w *comparison) hotSpot(ctx context.Context) error {
	plan, err := load("examples/checks/j1.yaml", "", "")
	if err != nil {
		return err
	}
	_, _, err = w.against("J1: an even spread / 90% of the events in one cell", of(ctx, plan, w.drawn(0)), of(ctx, plan, w.drawn(.9)))
	return err
}

// drawn are two million events of 3,000 keys, a share of them at one place, the
// others anywhere in a square.
func (w *comparison) drawn(share float64) *memory {
	const events, keys = 2_000_000, 3000
	var names [keys]string
	for i := range names {
		names[i] = fmt.Sprintf("taxi-%d", i)
	}
	begin := func() func(*stream.Batch) bool {
		random, made := rand.New(rand.NewPCG(1, 2)), 0
		return func(b *stream.Batch) bool {
			for range min(8192, events-made) {
				lat, lng := 37.7+0.2*random.Float64(), -122.5+0.2*random.Float64()
				if random.Float64() < share {
					lat, lng = 37.77, -122.42
				}
				b.Times, b.Lats, b.Lngs = append(b.Times, w.from.UnixMicro()+int64(made)*20_000), append(b.Lats, lat), append(b.Lngs, lng)
				b.Fields[0].Strings.Append([]byte(names[random.IntN(keys)]))
				b.Fields[1].Ints = append(b.Fields[1].Ints, int64(made&1))
				made++
			}
			return len(b.Times) > 0
		}
	}
	return &memory{fields: []column.Kind{column.String, column.Int}, begin: begin}
}

// allocations counts those of the core alone over two days of J1, and over the
// second of them, when all memory has come that is used again.
func (w *comparison) allocations(ctx context.Context) error {
	plan, err := load("examples/checks/j1.yaml", "", "")
	if err != nil {
		return err
	}
	var took [2]once
	for i := range took {
		days, err := record(ctx, plan, w.data, w.from.UnixMicro(), w.from.Add(time.Duration(i+1)*24*time.Hour).UnixMicro())
		if err != nil {
			return err
		}
		if took[i], err = core(ctx, plan, days.source(here)); err != nil {
			return err
		}
	}
	first, both := &took[0], &took[1]
	fmt.Printf("two days of J1: %.4f allocations an event, %.4f in the second; %.1f million events/s\n",
		float64(both.mallocs)/float64(both.events), float64(both.mallocs-first.mallocs)/float64(both.events-first.events),
		float64(both.events)/both.wall.Seconds()/1e6)
	return nil
}

// values says how fast all values of J3 come to be, in blocks of rows.
func (w *comparison) values(ctx context.Context) error {
	plan, err := load(jobThree, "", "")
	if err != nil {
		return err
	}
	var runs []once
	for range w.runs {
		took, err := core(ctx, plan, w.events.source(here))
		if err != nil {
			return err
		}
		runs = append(runs, took)
	}
	took := middle(runs)
	fmt.Printf("J3, all values into blocks of rows: %.1f million rows/s, %.0f ns of processor time a row\n",
		float64(took.rows)/took.wall.Seconds()/1e6, float64(took.cpu.Nanoseconds())/float64(took.rows))
	return nil
}

// panes prints how long one shard takes to close a pane of the taxis.
func (w *comparison) panes(ctx context.Context) error {
	plan, err := load(jobThree, "", "")
	if err != nil {
		return err
	}
	var took []time.Duration
	var rows []int
	if err := closing(ctx, plan, w.events, func(d time.Duration, n int) { took, rows = append(took, d), append(rows, n) }); err != nil {
		return err
	}
	const ramp = 32 // panes of the widest window
	took, rows = took[min(ramp, len(took)):], rows[min(ramp, len(rows)):]
	slices.Sort(rows)
	fmt.Printf("closing a pane of 54 columns: p50 %s, p99 %s; %d panes, median %d rows\n",
		round(quantile(took, .5)), round(quantile(took, .99)), len(took), rows[len(rows)/2])
	return nil
}
