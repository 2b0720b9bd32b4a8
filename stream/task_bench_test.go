package stream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// BenchmarkTask is the shape of a city's taxis: 500 keys, one event a key and
// minute, batches of 8192. Cells are given, so that indexing is left out.
func BenchmarkTask(b *testing.B) {
	for _, span := range []int64{0, 10 * second} {
		b.Run(fmt.Sprintf("span=%d", span/second), func(b *testing.B) { benchTask(b, span) })
	}
}

// BenchmarkTaskCity is the same from a file, with latitudes and longitudes: 500 keys
// of which each has an event every 100 s on average, at one of some 400 cells; spans and panes of
// a minute.
func BenchmarkTaskCity(b *testing.B) {
	territories, err := geo.NewTerritories(9, nil, 0)
	if err != nil {
		b.Fatal(err)
	}
	task := newTask(&intake{
		pane: 60 * second, span: 60 * second, widest: 60 * second,
		keys: []int{0}, kinds: testKinds[:2], resolution: 9, territories: territories,
		measures: []aggregate.Measure{{Kind: aggregate.Sum, Field: -1, Where: -1}, {Kind: aggregate.Sum, Field: 1, Where: -1}},
	}, 0, TaskOptions{From: NoTime})
	r := rand.New(rand.NewPCG(1, 2))
	keys := make([]string, 500)
	for i := range keys {
		keys[i] = strings.Repeat(string(rune('a'+r.IntN(26))), 2) + fmt.Sprint(r.IntN(1e4)) + "cab"[:r.IntN(3)]
	}
	const n = 6400
	batches := make([]*Batch, 64)
	for k := range batches {
		events := make([]testEvent, n)
		for i := range events {
			events[i] = testEvent{lat: 37.77 + 0.02*r.NormFloat64(), lng: -122.42 + 0.03*r.NormFloat64(), key: keys[r.IntN(len(keys))], value: int64(i & 1)}
		}
		batches[k] = makeBatch(events, 0)
		batches[k].Fields, batches[k].Reasons = batches[k].Fields[:2], nil
	}
	at := int64(0)
	var out Ingested
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		batch := batches[k%len(batches)]
		for i := range batch.Times {
			at += 200_000
			batch.Times[i] = at / second * second
		}
		task.Batch(batch, &out)
		for _, p := range out.Partials {
			task.options.Pool.Put(p)
		}
		out.Reset()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
}

func benchTask(b *testing.B, span int64) {
	in := testIntake(b, 0, span)
	in.filter, in.wheres, in.measures = nil, nil, in.measures[:2]
	in.measures[1].Where, in.byCell = -1, true
	task := newTask(in, 0, TaskOptions{From: NoTime})
	const n = 8192
	r := rand.New(rand.NewPCG(1, 2))
	events := make([]testEvent, n)
	for i := range events {
		events[i] = testEvent{lat: 37.5 + r.Float64()/3, lng: -122.4 + r.Float64()/3, key: fmt.Sprint(r.IntN(500)), value: int64(i & 1)}
	}
	batch := makeBatch(events, 0)
	for i := range events {
		c, err := geo.Index(batch.Lats[i], batch.Lngs[i], in.resolution)
		if err != nil {
			b.Fatal(err)
		}
		batch.Cells = append(batch.Cells, c)
	}
	at := int64(0)
	var out Ingested
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		for i := range batch.Times {
			at += 12_000
			batch.Times[i] = at
		}
		task.Batch(batch, &out)
		for _, p := range out.Partials {
			task.options.Pool.Put(p)
		}
		out.Reset()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
}
