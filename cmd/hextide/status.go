package main

import (
	"sync"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// accepted is the number of events that were neither dead nor dropped.
func accepted(s stream.Stats) int64 {
	return s.Counts.Read - s.Counts.Dead - s.Counts.Outside - s.Counts.Filtered - s.Counts.Late
}

// eventRate is the rate of events over the last ten seconds.
type eventRate struct {
	mu    sync.Mutex
	times []time.Time
	seen  []int64
}

const rateSpan = 10 * time.Second

func (r *eventRate) note(now time.Time, events int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times, r.seen = append(r.times, now), append(r.seen, events)
	for len(r.times) > 2 && now.Sub(r.times[0]) > rateSpan {
		r.times, r.seen = r.times[1:], r.seen[1:]
	}
}

func (r *eventRate) perSecond() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.times) - 1
	if last < 1 {
		return 0
	}
	return float64(r.seen[last]-r.seen[0]) / r.times[last].Sub(r.times[0]).Seconds()
}

// Status is how the pipeline is doing, for the page and whoever asks.
func (a *assembly) Status() *pb.StatusResponse {
	s := a.runner.Stats()
	r := &pb.StatusResponse{
		EventsPerSecond: a.rate.perSecond(), Events: uint64(max(0, accepted(s))), Watermark: timestamp(s.Provisional), Final: timestamp(s.Final),
		Lag: durationpb.New(lag(s)), RecordsBehind: a.recordsBehind(), LastEpoch: s.Checkpoint.Committed,
		LastCheckpointError: s.Checkpoint.LastError, DeadLetters: uint64(s.Counts.Dead), Late: uint64(s.Counts.Late),
		Rows: uint64(s.Counts.Rows), Phase: s.Phase.String(), DeadByReason: map[string]uint64{},
	}
	if !s.Checkpoint.Succeeded.IsZero() {
		r.LastCheckpoint = timestamppb.New(s.Checkpoint.Succeeded)
	}
	for reason, n := range s.Dead {
		if n > 0 {
			r.DeadByReason[stream.Reason(reason).String()] = uint64(n)
		}
	}
	r.Scores = a.modelScores()
	checkpointsTold(r, &s)
	return r
}

func timestamp(us int64) *timestamppb.Timestamp {
	if us == stream.NoTime {
		return nil
	}
	return timestamppb.New(time.UnixMicro(us))
}

// lag is how far the watermark is behind the newest event read.
func lag(s stream.Stats) time.Duration {
	newest := int64(stream.NoTime)
	for _, p := range s.Partitions {
		newest = max(newest, p.Watermark)
	}
	if newest == stream.NoTime || s.Provisional == stream.NoTime {
		return 0
	}
	return time.Duration(max(0, newest-s.Provisional)) * time.Microsecond
}

// recordsBehind is how many records of the source are not read yet; -1: unknown.
func (a *assembly) recordsBehind() int64 {
	if a.behind == nil {
		return -1
	}
	total := int64(0)
	for _, n := range a.behind() {
		if n < 0 {
			return -1
		}
		total += n
	}
	return total
}
