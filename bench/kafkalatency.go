package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// promptPlan closes a window every second.
const promptPlan = `
version: 1
name: prompt
source:
  format: csv
  topic: t
  event_time: {field: ts, unit: us}
  location: {lat: lat, lng: lng}
  fields: {occupied: int}
grid: {resolution: 9, rings: [0], emit: cell}
windows: {pane: 1s, sizes: [1s, 10s]}
aggregates:
  - {name: n, op: count}
  - {name: occupied, op: sum, of: occupied}
`

// promptRate is how many events a second are sent while deliveries are measured.
const promptRate = 20_000

// latency measures how long after a window's end its rows are read, for each way
// of delivery.
func (s *shipping) latency(ctx context.Context) error {
	for _, way := range []struct {
		delivery, interval string
		wait               time.Duration
	}{{"at-least-once", "10s", 30 * time.Second}, {"exactly-once", "1s", 30 * time.Second}, {"exactly-once", "10s", 80 * time.Second}} {
		if err := s.delivered(ctx, way.delivery, way.interval, way.wait); err != nil {
			return err
		}
	}
	return nil
}

// ages are how old windows are when their rows are read.
type ages struct {
	mu   sync.Mutex
	from time.Time // of the windows that count
	all  []time.Duration
}

func (a *ages) note(row *pb.FeedRow, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if end := time.UnixMicro(row.WindowEndUs); end.After(a.from) && row.Revision == 0 {
		a.all = append(a.all, at.Sub(end))
	}
}

func (s *shipping) delivered(ctx context.Context, delivery, interval string, wait time.Duration) error {
	topic := fmt.Sprintf("prompt-%d", time.Now().UnixNano())
	if err := makeTopic(ctx, s.brokers, topic, 4); err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(s.brokers, ",")...), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(2*time.Millisecond), kgo.MaxBufferedRecords(1<<20))
	if err != nil {
		return err
	}
	defer client.Close()
	flowing, stop := context.WithCancel(ctx)
	defer stop()
	var flow errgroup.Group
	producer := &producer{client: client, rate: promptRate, clock: time.Now}
	for i, c := range s.history.cells {
		if lat, lng := c.Center(); i < 5000 {
			producer.places = append(producer.places, place{lat, lng})
		}
	}
	flow.Go(func() error { return producer.run(flowing) })
	state, feed := filepath.Join(s.folder, topic), topic+"-rows"
	defer os.RemoveAll(state)
	a := &ages{from: time.Now().Add(time.Hour)}
	rows, err := s.follow(ctx, feed, a.note)
	if err != nil {
		return err
	}
	p, err := s.launch(ctx, promptPlan, topic, state, feed, "--checkpoint-interval", interval, "--feed-delivery", delivery)
	if err != nil {
		return err
	}
	defer p.kill()
	if err := p.until(ctx, 100*time.Millisecond, func(n *now) bool { return n.Events > 5*promptRate && n.RecordsBehind < promptRate }); err != nil {
		return err
	}
	a.mu.Lock()
	a.from = time.Now().Add(3 * time.Second)
	a.mu.Unlock()
	until := a.from.Add(wait)
	if err := p.until(ctx, 500*time.Millisecond, func(*now) bool { return time.Now().After(until) }); err != nil {
		return err
	}
	stop()
	p.kill()
	if err := firstOf(flow.Wait(), rows.close(), s.forget(ctx, feed)); err != nil {
		return err
	}
	if len(a.all) == 0 {
		return errors.New("no row was read")
	}
	fmt.Printf("%s, a checkpoint every %s, %.0f events/s, %d rows: from a window's end to reading its rows p50 %s, p99 %s\n", delivery, interval,
		producer.achieved(), len(a.all), quantile(a.all, .5).Round(time.Millisecond), quantile(a.all, .99).Round(time.Millisecond))
	return nil
}
