package stream

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hextide/hextide/geo"
)

// BenchmarkTask is the shape of a city's taxis: 500 keys, one event a key and
// minute, batches of 8192. Cells are given, so that indexing is left out.
func BenchmarkTask(b *testing.B) {
	for _, span := range []int64{0, 10 * second} {
		b.Run(fmt.Sprintf("span=%d", span/second), func(b *testing.B) { benchTask(b, span) })
	}
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
