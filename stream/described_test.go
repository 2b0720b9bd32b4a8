package stream

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// slowToTell is a source that cannot be described before it is read.
type slowToTell struct {
	memorySource
	read chan struct{} // closed with the first reader
	fail error
}

func (s *slowToTell) Open(ctx context.Context, partition int32, position int64) (Reader, error) {
	if partition == 0 {
		close(s.read)
	}
	return s.memorySource.Open(ctx, partition, position)
}

func (s *slowToTell) Describe(ctx context.Context) (any, error) {
	select {
	case <-s.read:
		return "told late", s.fail
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(30 * time.Second):
		return nil, errors.New("nobody reads")
	}
}

// A run begins to read before it knows what its input is, says in the end what it
// was, and fails where that cannot be said.
func TestDescribedBeside(t *testing.T) {
	dealt := shuffled(city(5, 100, second), rand.New(rand.NewPCG(5, 1)), 3)
	for _, fail := range []error{nil, errors.New("the disk is gone")} {
		source := &slowToTell{memorySource: memorySource{partitions: dealt, batch: 10, bounded: true}, read: make(chan struct{}), fail: fail}
		r, err := NewRunner(Config{Plan: testPlan(t, 0, 0, 0), Source: source, Sinks: []Sink{newMemorySink()}, Range: Range{Bounded: true}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Run(t.Context())
		switch {
		case fail != nil && (err == nil || !strings.Contains(err.Error(), fail.Error())):
			t.Errorf("without a description the run ends with %v", err)
		case fail == nil && err != nil:
			t.Error(err)
		case fail == nil:
			if text, _ := canonical(s.Source); string(text) != `"told late"` {
				t.Errorf("the input is described as %s", text)
			}
		}
	}
}
