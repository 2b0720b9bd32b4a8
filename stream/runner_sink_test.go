package stream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
	first := newBarrier(order{epoch: 1, number: 1, kind: barrierBetween}, 0, 0, 1)
	last := newBarrier(order{epoch: 2, number: 2, kind: barrierStop}, 0, 0, 1)
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

// While one worker has not passed a barrier, what others may hand on of the next
// epoch is bounded; and all of it comes after the checkpoint.
func TestSinkHoldsEarlyOnesBack(t *testing.T) {
	const places, queue, outputs = 3, 2, 50
	synctest.Test(t, func(t *testing.T) {
		sink := &listSink{}
		d := &drain{sink: sink, workers: 2, in: make(chan delivery, queue), places: make(chan struct{}, places), crash: func(string) {}}
		between, last := newBarrier(order{epoch: 1, number: 1, kind: barrierBetween}, 0, 0, 1), newBarrier(order{epoch: 2, number: 2, kind: barrierStop}, 0, 0, 1)
		var sent atomic.Int64
		var blocked atomic.Int64
		send := func(m delivery) {
			if err := d.send(t.Context(), m, &blocked); err != nil {
				t.Error(err)
			}
		}
		var all sync.WaitGroup
		all.Go(func() {
			if err := d.run(t.Context()); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			send(delivery{barrier: between})
			for i := range int64(outputs) {
				send(delivery{output: &Output{Late: []LateRecord{{Position: 100 + i}}}, number: 1})
				sent.Add(1)
			}
			send(delivery{barrier: last, number: 1})
		})
		synctest.Wait()
		if n := sent.Load(); n != places {
			t.Errorf("%d outputs are aside", n)
		}
		send(delivery{output: &Output{Late: []LateRecord{{Position: 1}}}})
		send(delivery{barrier: between})
		send(delivery{barrier: last, number: 1})
		all.Wait()
		if len(sink.calls) != outputs+3 || sink.calls[0] != "write 1" || sink.calls[1] != "checkpoint 1" {
			t.Errorf("%q", sink.calls)
		}
		for i := range outputs {
			if sink.calls[2+i] != fmt.Sprint("write ", 100+i) {
				t.Fatalf("call %d: %s", 2+i, sink.calls[2+i])
			}
		}
	})
}
