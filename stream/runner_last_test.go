package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// outage is a committer that fails for a while.
type outage struct {
	*memoryCommitter
	from  func() bool
	lasts time.Duration
	err   error
	began time.Time
}

func (c *outage) failing() error {
	if c.from() && c.began.IsZero() {
		c.began = time.Now()
	}
	if c.began.IsZero() || time.Since(c.began) >= c.lasts {
		return nil
	}
	return c.err
}

func (c *outage) Fence(ctx context.Context) (*Committed, error) {
	if err := c.failing(); err != nil {
		return nil, err
	}
	return c.memoryCommitter.Fence(ctx)
}

func (c *outage) Commit(ctx context.Context, p *Pointer) error {
	if err := c.failing(); err != nil {
		return err
	}
	return c.memoryCommitter.Commit(ctx, p)
}

// The last epoch of bounded input is committed however long the committer's servers are
// away, which is counted and told, unless the run is told to stop; another reason ends
// it after some tries, as does an outage where the run was to stop anyway.
func TestLastEpochWaitsForCommitter(t *testing.T) {
	plan := testPlan(t, 0, 0, 0)
	gone := fmt.Errorf("%w: nobody answers", ErrAway)
	for name, c := range map[string]struct {
		live  bool // it is stopped after a while
		err   error
		lasts time.Duration
		stop  time.Duration // after the outage began; 0: never
		fails string        // empty: it succeeds
		most  time.Duration // that it takes
	}{
		"away for an hour":            {err: gone, lasts: time.Hour, most: time.Hour + longestPause},
		"away, and told to stop":      {err: gone, lasts: time.Hour, stop: 100 * time.Second, fails: "told to stop", most: 100 * time.Second},
		"another reason for a while":  {err: errCommit, lasts: 10 * time.Second, most: 15 * time.Second},
		"another reason for an hour":  {err: errCommit, lasts: time.Hour, fails: errCommit.Error(), most: 15 * time.Second},
		"away when it is to stop":     {live: true, err: gone, lasts: 10 * time.Second, most: 15 * time.Second},
		"away for an hour, and stops": {live: true, err: gone, lasts: time.Hour, fails: "nobody answers", most: 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, topic := newMemoryStore(), &memoryTopic{rows: map[rowKey]int{}}
				var r *Runner
				sink := &outage{memoryCommitter: &memoryCommitter{memorySink: newMemorySink(), topic: topic, power: store.power}, lasts: c.lasts, err: c.err}
				sink.from = func() bool { return r.Stats().Phase == PhaseEnding }
				cfg := liveConfig(plan, live(1))
				cfg.Source.(*memorySource).bounded, cfg.Range.Bounded = !c.live, !c.live
				cfg.Generations, cfg.Control, cfg.Sinks = store, store, []Sink{sink}
				degraded := false
				cfg.Checkpointed = func(s CheckpointStats) {
					degraded = degraded || s.Degraded
					if c.stop > 0 && !sink.began.IsZero() && time.Since(sink.began) >= c.stop-longestPause {
						time.AfterFunc(c.stop-time.Since(sink.began), r.Stop)
					}
				}
				var err error
				if r, err = NewRunner(cfg); err != nil {
					t.Fatal(err)
				}
				if c.live {
					timer := time.AfterFunc(liveFor, r.Stop)
					defer timer.Stop()
				}
				s, err := r.Run(t.Context())
				switch took := time.Since(sink.began); {
				case c.fails == "" && (err != nil || s.Epoch != topic.committed.Epoch):
					t.Errorf("%+v, %v; committed is epoch %d", s, err, topic.committed.Epoch)
				case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails) || !errors.Is(err, c.err)):
					t.Errorf("it ended with %v", err)
				case took > c.most:
					t.Errorf("it took %s", took)
				}
				if status := r.Stats().Checkpoint; !degraded || status.Failed < 3 || (status.LastError == "") != (c.fails == "") {
					t.Errorf("degraded: %t, %+v", degraded, status)
				}
			})
		})
	}
}
