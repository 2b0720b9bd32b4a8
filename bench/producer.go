package main

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// place is where an event happens.
type place struct{ lat, lng float64 }

// readPlaces reads the places of a file of taxi events.
func readPlaces(name string) ([]place, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	lines := csv.NewReader(unzipped)
	lines.ReuseRecord = true
	if _, err := lines.Read(); err != nil { // ts,taxi_id,lat,lng,occupied
		return nil, err
	}
	var places []place
	for len(places) < 200_000 {
		line, err := lines.Read()
		if err != nil {
			break // the end, or enough of a damaged file
		}
		lat, err1 := strconv.ParseFloat(line[2], 64)
		lng, err2 := strconv.ParseFloat(line[3], 64)
		if err := firstOf(err1, err2); err != nil {
			return nil, err
		}
		places = append(places, place{lat, lng})
	}
	return places, nil
}

// producer sends events at a steady rate, which happen when its clock says.
type producer struct {
	client *kgo.Client
	places []place
	rate   int
	clock  func() time.Time // event time; now, for one
	sent   atomic.Int64
	began  time.Time

	mu     sync.Mutex
	failed error
}

// run sends a slice of events every 10 ms until ctx ends.
func (p *producer) run(ctx context.Context) error {
	p.began = time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; {
		select {
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.failed
		case <-tick.C:
		}
		for due := int(time.Since(p.began).Seconds() * float64(p.rate)); i < due; i++ {
			p.send(ctx, p.places[i%len(p.places)], int32(i%4))
		}
	}
}

// probe sends one event at once.
func (p *producer) probe(ctx context.Context, at place) { p.send(ctx, at, 0) }

// send produces a csv value: ts in microseconds, lat, lng, occupied.
func (p *producer) send(ctx context.Context, at place, partition int32) {
	value := strconv.AppendInt(make([]byte, 0, 48), p.clock().UnixMicro(), 10)
	value = strconv.AppendFloat(append(value, ','), at.lat, 'f', 5, 64)
	value = strconv.AppendFloat(append(value, ','), at.lng, 'f', 5, 64)
	value = append(value, ",1"...)
	p.client.Produce(context.WithoutCancel(ctx), &kgo.Record{Partition: partition, Value: value}, func(_ *kgo.Record, err error) {
		if err == nil {
			p.sent.Add(1)
			return
		}
		p.mu.Lock()
		p.failed = firstOf(p.failed, err)
		p.mu.Unlock()
	})
}

func (p *producer) achieved() float64 { return float64(p.sent.Load()) / time.Since(p.began).Seconds() }
