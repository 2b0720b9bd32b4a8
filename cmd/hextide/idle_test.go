package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kgo"
)

// tide produces events into two partitions, one of which falls silent now and
// then for longer than idle_after and then brings what it missed.
type tide struct {
	t       *testing.T
	client  *kgo.Client
	topic   string
	sent    [2][]tideEvent // by partition, in the order of offsets
	waiting []tideEvent    // of partition 1, while it is silent
	round   int
}

type tideEvent struct {
	second   int64
	lat, lng float64
}

// began is the event time of the first round: 2008-05-21T00:00Z.
const began = 1211328000

// tick produces one round: some events, and two minutes of event time.
func (s *tide) tick() {
	s.t.Helper()
	for i := range 6 {
		e := tideEvent{began + int64(s.round)*120 + int64(i*17), 37.70 + float64((s.round+i*3)%7)*0.01, -122.45 + float64(i)*0.01}
		if i%2 == 0 {
			s.produce(0, e)
		} else {
			s.waiting = append(s.waiting, e)
		}
	}
	if s.round/25%2 == 0 {
		s.catchUp()
	}
	s.round++
}

func (s *tide) catchUp() {
	s.t.Helper()
	for _, e := range s.waiting {
		s.produce(1, e)
	}
	s.waiting = nil
}

func (s *tide) produce(partition int32, e tideEvent) {
	s.t.Helper()
	r := &kgo.Record{Topic: s.topic, Partition: partition, Value: fmt.Appendf(nil, "%d,%g,%g", e.second, e.lat, e.lng)}
	s.client.Produce(s.t.Context(), r, func(_ *kgo.Record, err error) {
		if err != nil {
			s.t.Error(err)
		}
	})
	s.sent[partition] = append(s.sent[partition], e)
}

const tides = `version: 1
name: %[1]s
source:
  format: csv
  topic: %[1]s
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  out_of_order: 10s
  allowed_lateness: 2m
  idle_after: 300ms
grid: {resolution: 9, rings: [0, 1], emit: cell}
windows: {pane: 1m, sizes: [1m]}
aggregates:
  - {name: n, op: count}
sinks:
  feed: {topic: %[1]s.rows}
`

// A live run with a partition that goes idle and comes back, killed at every
// point of that, counts what is not late exactly once.
func TestRestartIdle(t *testing.T) {
	definition, name := define(t, tides)
	brokers := testserver.Kafka(t)
	topic(t, brokers, name, 2)
	s := &tide{t: t, topic: name, client: cluster(t, brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))}
	state := filepath.Join(t.TempDir(), "state")
	run := func(point string) *process {
		return start(t, []string{"HEXTIDE_TEST_CRASH=" + point}, "run", definition, "--brokers", brokers, "--state", state, "--shards", "4",
			"--checkpoint-interval", "400ms", "--checkpoint-min-pause", "100ms", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	}
	kills := 0
	for _, times := range []string{"", "/2"} {
		for _, point := range stream.CrashPoints {
			if strings.HasPrefix(point, "control:") {
				s.untilKilled(run(point + times))
				kills++
			}
		}
	}
	last := run("")
	s.settle(last)
	if kills < 10 {
		t.Errorf("%d kills", kills)
	}
	s.hold(brokers)
	s.again(brokers, state)
}

// again reads the topic from its beginning with the control log of the live run,
// and holds the rows against the feed.
func (s *tide) again(brokers, state string) {
	s.t.Helper()
	definition, _ := define(s.t, tides, "sinks:\n  feed: {topic: "+s.topic+".rows}\n", "")
	out := filepath.Join(s.t.TempDir(), "again")
	do(s.t, exitDone, "run", definition, "--brokers", brokers, "--bounded", "--control", state, "--state", filepath.Join(s.t.TempDir(), "state"),
		"--out", out, "--grpc", "", "--http", "")
	if late := int64(len(s.late())); manifest(s.t, out).Counts.Late != late {
		s.t.Errorf("with the control log %d events are late, live %d were", manifest(s.t, out).Counts.Late, late)
	}
	p := do(s.t, exitDone, "diff", out, "kafka://"+brokers+"/"+s.topic+".rows")
	if !strings.Contains(p.out.String(), "0 rows differ") {
		s.t.Errorf("%s", p.out)
	}
}

// untilKilled produces until the run is killed at its point.
func (s *tide) untilKilled(p *process) {
	s.t.Helper()
	p.until("the kill at "+p.cmd.Env[len(p.cmd.Env)-1], func() bool {
		s.tick()
		time.Sleep(20 * time.Millisecond)
		select {
		case <-p.ended:
			return true
		default:
			return false
		}
	})
	if p.wait(); !p.killed() {
		s.t.Fatalf("it ended by itself\n%s", p.err)
	}
}

// settle closes all windows, waits until the run has read everything, and ends it.
func (s *tide) settle(p *process) {
	s.t.Helper()
	_, http := p.address()
	s.catchUp()
	s.round += 60
	end := began + int64(s.round)*120
	s.produce(0, tideEvent{end, 37.75, -122.40})
	s.produce(1, tideEvent{end, 37.75, -122.40})
	total := float64(len(s.sent[0]) + len(s.sent[1]))
	f := p.measures(http, "all events", func(f figures) bool {
		return f["records_read_total"] == total && f["final_seconds"] >= float64(end-200)
	})
	if f["events_late_total"] == 0 || f["events_late_total"]+f["events_aggregated_total"] != total {
		s.t.Errorf("of %g events %g are late and %g aggregated", total, f["events_late_total"], f["events_aggregated_total"])
	}
	p.interrupt()
	if code := p.wait(); code != exitDone {
		s.t.Errorf("exit code %d\n%s", code, p.err)
	}
	if late := s.late(); float64(len(late)) != f["events_late_total"] {
		s.t.Errorf("the topic of late records has %d, counted are %g", len(late), f["events_late_total"])
	}
}

// late are the events that were late, by partition and offset.
func (s *tide) late() map[[2]int64]bool {
	s.t.Helper()
	found := map[[2]int64]bool{}
	brokers := s.client.OptValue(kgo.SeedBrokers).([]string)[0]
	committedRecords(s.t, brokers, s.topic+".rows.late", func(r *kgo.Record) {
		var late struct {
			Partition int64 `json:"partition"`
			Position  int64 `json:"position"`
		}
		if err := json.Unmarshal(r.Value, &late); err != nil {
			s.t.Fatal(err)
		}
		found[[2]int64{late.Partition, late.Position}] = true
	})
	return found
}

// hold holds the feed against a count by hand of the events that are not late.
func (s *tide) hold(brokers string) {
	s.t.Helper()
	late, want := s.late(), map[place]int64{}
	for partition, events := range s.sent {
		for offset, e := range events {
			if late[[2]int64{int64(partition), int64(offset)}] {
				continue
			}
			cell, err := geo.Index(e.lat, e.lng, 9)
			if err != nil {
				s.t.Fatal(err)
			}
			want[place{uint64(cell), (e.second/60 + 1) * 60e6}]++
		}
	}
	f := readFeed(s.t, brokers, s.topic+".rows")
	s.t.Logf("%d events, %d late; %d final rows came again", len(s.sent[0])+len(s.sent[1]), len(late), f.repeats())
	rows := f.latest()
	last := began + int64(s.round)*120
	for at, n := range want {
		switch row := rows[at]; {
		case at.end > last*1e6: // not closed
		case row == nil:
			s.t.Errorf("%x has no final row at %d", at.cell, at.end)
		case row.Integers[0] != n:
			s.t.Errorf("%x at %d counts %d, not %d", at.cell, at.end, row.Integers[0], n)
		}
	}
	for at, row := range rows {
		if want[at] == 0 && !row.Empty {
			s.t.Errorf("%x has a row at %d without an event", at.cell, at.end)
		}
	}
}
