package stream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// fencedStore belongs to another process.
type fencedStore struct{ *memoryStore }

func (fencedStore) Commit(context.Context, *Pointer) error { return ErrFenced }

// Another failed checkpoint is tried again; one whose state belongs to another
// process ends the run.
func TestFencedRunEnds(t *testing.T) {
	plan := testPlan(t, 0, 0, 0)
	dealt := live(1)
	for _, asked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := newMemoryStore()
			cfg := liveConfig(plan, dealt)
			cfg.Sinks, cfg.Generations, cfg.Control = []Sink{newMemorySink()}, fencedStore{store}, store
			if !asked {
				cfg.Timing.Interval = time.Second
			}
			r, err := NewRunner(cfg)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := r.Run(t.Context())
				ended <- err
			}()
			time.Sleep(500 * time.Millisecond)
			if asked {
				if err := r.Checkpoint(t.Context()); !errors.Is(err, ErrFenced) && !errors.Is(err, ErrEnded) {
					t.Error(err)
				}
			}
			if err := <-ended; !errors.Is(err, ErrFenced) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}
