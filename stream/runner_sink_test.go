package stream

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

// listSink writes down what is asked of it.
type listSink struct{ calls []string }

func (s *listSink) Name() string { return "list" }

func (s *listSink) Write(_ context.Context, o *Output) error {
	s.calls = append(s.calls, fmt.Sprint("write ", o.Late[0].Position))
	return nil
}

func (s *listSink) Checkpoint(_ context.Context, epoch int64) ([]byte, error) {
	s.calls = append(s.calls, fmt.Sprint("checkpoint ", epoch))
	return nil, nil
}

func (s *listSink) Restore(context.Context, []byte) error { return nil }
func (s *listSink) Close() error                          { return nil }

// A sink's checkpoint holds its epoch, no more and no less, whichever worker
// passes the barrier first and whatever is sent meanwhile.
func TestSinkAligns(t *testing.T) {
	sink := &listSink{}
	d := &drain{sink: sink, workers: 2, crash: func(string) {}}
	first := newBarrier(1, 1, barrierBetween, 0, 0, 1)
	last := newBarrier(2, 2, barrierStop, 0, 0, 1)
	write := func(n, number int64) delivery {
		return delivery{output: &Output{Late: []LateRecord{{Position: n}}}, number: number}
	}
	ended := 0
	for _, m := range []delivery{
		write(1, 0), {barrier: first, number: 0}, write(2, 1), write(3, 0), {barrier: last, number: 1}, write(4, 0),
		{barrier: first, number: 0}, write(5, 1), {barrier: last, number: 1},
	} {
		done, err := d.take(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			ended++
		}
	}
	want := []string{"write 1", "write 3", "write 4", "checkpoint 1", "write 2", "write 5", "checkpoint 2"}
	if !slices.Equal(sink.calls, want) || ended != 1 {
		t.Errorf("got %q, ended %d times; want %q", sink.calls, ended, want)
	}
}
