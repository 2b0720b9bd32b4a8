package stream

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowStore takes long for one shard, and for pointers.
type slowStore struct {
	*memoryStore
	slow string // the owner
}

func (s *slowStore) Write(ctx context.Context, epoch int64, g *Generation) (Chain, error) {
	s.mu.Lock()
	if s.slow == "" && strings.HasPrefix(g.Owner, "shard/") {
		s.slow = g.Owner
	}
	slow := s.slow == g.Owner
	s.mu.Unlock()
	if slow {
		time.Sleep(10 * time.Second)
	}
	return s.memoryStore.Write(ctx, epoch, g)
}

func (s *slowStore) Commit(ctx context.Context, p *Pointer) error {
	time.Sleep(2 * time.Second)
	return s.memoryStore.Commit(ctx, p)
}

// Where a checkpoint spends its time is told as a whole and by partition, worker
// and shard, and kept in its pointer; the last twenty are remembered, and why the
// last that failed did.
func TestCheckpointTiming(t *testing.T) {
	plan, dealt := testPlan(t, 0, 0, 0), shuffled(city(6, 100, second), rand.New(rand.NewPCG(6, 6)), 3)
	synctest.Test(t, func(t *testing.T) {
		store, sink, called := &slowStore{memoryStore: newMemoryStore()}, newMemorySink(), 0
		r, err := NewRunner(Config{
			Plan: plan, Source: &memorySource{partitions: dealt, batch: 10, started: time.Now()}, Sinks: []Sink{sink}, Generations: store, Control: store,
			Shape: Shape{Shards: 4, Workers: 2}, Timing: Timing{Interval: 100 * time.Hour}, Checkpointed: func(CheckpointStats) { called++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := r.Run(t.Context())
			ended <- err
		}()
		time.Sleep(time.Hour)
		if err := r.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		c := r.Stats().Checkpoint
		slowest := "shard/" + string(rune('0'+c.Slowest.ID))
		if slowest != store.slow || c.Slowest.Async != Seconds(10*time.Second) || c.Async != c.Slowest.Async || c.Upload != c.Async || c.Commit != Seconds(2*time.Second) || c.Duration != 12*time.Second {
			t.Errorf("%s was slow: %+v", store.slow, c)
		}
		if len(c.Partitions) != 3 || len(c.Workers) != 2 || c.Partitions[2].ID != 2 {
			t.Errorf("%d partitions, %d workers", len(c.Partitions), len(c.Workers))
		}
		if p := r.last.Load(); c.CheckpointSize != p.Sizes() || c.Objects != len(p.Generations) || c.Longest != 1 || c.Written != c.Size || c.Size == 0 {
			t.Errorf("the size is %+v", c.CheckpointSize)
		}
		text, err := json.Marshal(r.last.Load())
		if err != nil || !strings.Contains(string(text), `"async":10,"upload":10,`) || strings.Contains(string(text), `"commit"`) || strings.Contains(string(text), `"before"`) {
			t.Errorf("the pointer says %s, %v", text, err)
		}
		sink.cannot = 1
		if err := r.Checkpoint(t.Context()); err == nil {
			t.Error("a sink failed unnoticed")
		}
		for range recent {
			if err := r.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if b := r.last.Load().Timing.Before; b == nil || b.Epoch != recent+1 || b.Commit != Seconds(2*time.Second) || b.All < b.Commit {
			t.Errorf("the epoch before is told as %+v", b)
		}
		s := r.Stats()
		if f := s.Checkpoint.Failure; f == nil || f.Epoch != 2 || !strings.Contains(f.Error, "no space left") || s.Checkpoint.LastError != "" {
			t.Errorf("the last failure is %+v, the last error %q", f, s.Checkpoint.LastError)
		}
		if len(s.Checkpoints) != recent || s.Checkpoints[0].Epoch != recent+2 || s.Checkpoints[recent-1].Epoch != 3 || called != recent+2 {
			t.Errorf("%d are remembered, from %d on, %d were told", len(s.Checkpoints), s.Checkpoints[0].Epoch, called)
		}
		r.Stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// What a partition and a worker took is told of each, and the slowest of all; a
// worker stands still for all of its shards together.
func TestTimingOfParts(t *testing.T) {
	const ms = time.Millisecond
	var c CheckpointStats
	for i, saving := range []time.Duration{3, 5, 4, 1} {
		c.shard(&shardMark{shard: int32(i), saving: saving * ms}, 2)
	}
	c.align([]partitionMark{
		{state: PartitionState{ID: 0}, delay: 2 * ms, alignment: 9 * ms, saving: ms},
		{state: PartitionState{ID: 1}, delay: 8 * ms, saving: 2 * ms},
	})
	if c.Workers[0] != Seconds(7*ms) || c.Workers[1] != Seconds(6*ms) || c.Saving != Seconds(7*ms) || c.StartDelay != Seconds(8*ms) || c.Alignment != Seconds(9*ms) || c.Partitions[1] != (PartitionTiming{1, Seconds(8 * ms), 0, Seconds(2 * ms)}) {
		t.Errorf("%+v", c.CheckpointTiming)
	}
	text, err := json.Marshal(c.CheckpointTiming)
	var back CheckpointTiming
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || back.Saving != c.Saving || back.Partitions[0] != c.Partitions[0] || !strings.Contains(string(text), `"saving":0.007,`) {
		t.Errorf("%s, %v", text, err)
	}
}
