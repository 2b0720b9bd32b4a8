package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// history is a long series of events: in each minute one of every cell, as many
// minutes as a state keeps, and then dense ones, which are the backlog.
type history struct {
	cells         []geo.Cell
	panes         int64
	events, dense int64
	from          int64 // µs
	places        []string
	values        []string
}

const (
	historyPartitions = 4
	historyPane       = int64(60_000_000)
)

// before is how many events come before the backlog.
func (h *history) before() int64 { return h.panes * int64(len(h.cells)) }

// begin makes the events end a little before a time.
func (h *history) begin(now time.Time) {
	lasts := h.panes + h.events/(h.dense*int64(len(h.cells))) + 2
	h.from = (now.UnixMicro()/historyPane - lasts) * historyPane
	for _, c := range h.cells {
		lat, lng := c.Center()
		h.places = append(h.places, fmt.Sprintf(",%.5f,%.5f", lat, lng))
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 1 << 16 {
		h.values = append(h.values, ","+strconv.FormatInt(random.Int64N(1<<36), 10))
	}
}

// append appends event i: its time, its place and six measures.
func (h *history) append(to []byte, i int64) []byte {
	cells := int64(len(h.cells))
	start, size := int64(0), cells
	if i >= h.before() {
		start, size, i = h.panes, cells*h.dense, i-h.before()
	}
	at := h.from + (start+i/size)*historyPane + i%size*historyPane/size
	to = strconv.AppendInt(to, at, 10)
	to = append(to, h.places[i%cells]...)
	for m := range int64(6) {
		to = append(to, h.values[(i*6+m)%int64(len(h.values))]...)
	}
	return to
}

// produce sends a range of the events, event i to partition i modulo their number.
func (h *history) produce(ctx context.Context, brokers, topic string, from, to int64) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(20*time.Millisecond),
		kgo.MaxBufferedRecords(200_000), kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	if err != nil {
		return err
	}
	defer client.Close()
	var failed error
	var once sync.Once
	done := func(_ *kgo.Record, err error) {
		if err != nil {
			once.Do(func() { failed = err })
		}
	}
	began := time.Now()
	var senders errgroup.Group
	for partition := range int64(historyPartitions) {
		senders.Go(func() error {
			first := from + (partition-from%historyPartitions+historyPartitions)%historyPartitions
			for i := first; i < to && ctx.Err() == nil; i += historyPartitions {
				client.Produce(ctx, &kgo.Record{Partition: int32(partition), Value: h.append(make([]byte, 0, 112), i)}, done)
			}
			return ctx.Err()
		})
	}
	if err := firstOf(senders.Wait(), client.Flush(ctx), failed); err != nil {
		return fmt.Errorf("producing to %s: %w", topic, err)
	}
	fmt.Printf("produced %d events in %s\n", to-from, time.Since(began).Round(time.Second))
	return nil
}
