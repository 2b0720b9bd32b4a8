package main

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// steps is a source without end: each pane has one event of each cell, in a
// shuffled order. Event i is of partition i modulo the number of partitions.
type steps struct {
	cells      []geo.Cell
	pane       int64   // µs
	values     []int64 // of the fields, used again and again
	partitions int64
	rate       float64 // events/s of all partitions; 0: as fast as they are read
	read       atomic.Int64
}

// stepCells are so many cells of a few territories.
func stepCells(n int) ([]geo.Cell, error) {
	random := rand.New(rand.NewPCG(1, 2))
	var cells []geo.Cell
	for _, at := range []place{{37.8, -122.4}, {40.7, -74}, {51.5, 0}, {35.7, 139.7}} {
		center, err := geo.Index(at.lat, at.lng, 9)
		if err != nil {
			return nil, err
		}
		near := geo.Disk(nil, center, 130)
		cells = append(cells, near[:min(len(near), n/4)]...)
	}
	random.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
	return cells, nil
}

func newSteps(cells []geo.Cell, pane time.Duration, rate float64) *steps {
	s := &steps{cells: cells, pane: pane.Microseconds(), rate: rate, partitions: 2}
	random := rand.New(rand.NewPCG(3, 4))
	for range 1 << 16 {
		s.values = append(s.values, random.Int64N(1<<40)-1<<39)
	}
	return s
}

func (s *steps) Partitions(context.Context) ([]stream.Partition, error) {
	var all []stream.Partition
	for id := range int32(s.partitions) {
		all = append(all, stream.Partition{ID: id, End: -1})
	}
	return all, nil
}

func (s *steps) Open(_ context.Context, partition int32, position int64) (stream.Reader, error) {
	position = max(position, 0)
	return &stepReader{steps: s, partition: int64(partition), next: position, from: position, began: time.Now()}, nil
}

func (s *steps) Describe(context.Context) (any, error) { return "steps", nil }
func (s *steps) Close() error                          { return nil }

type stepReader struct {
	*steps
	partition, next, from int64
	began                 time.Time
}

// stepsEpoch is when event time begins, µs.
const stepsEpoch = int64(1_700_000_000_000_000) / 3_600_000_000 * 3_600_000_000

// Read makes the next records, of what is due.
func (r *stepReader) Read(ctx context.Context, b *stream.Batch) error {
	n := int64(8192)
	for r.rate > 0 {
		due := r.from + int64(time.Since(r.began).Seconds()*r.rate/float64(r.partitions))
		if n = min(8192, due-r.next); n > 0 {
			break
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.Positions, b.Times, b.Cells, b.Limit = b.Positions[:0], b.Times[:0], b.Cells[:0], 1<<62
	b.Raw = noRaw{}
	if b.Fields == nil {
		b.Fields = make([]column.Vector, 3)
	}
	for f := range b.Fields {
		b.Fields[f].Kind, b.Fields[f].Ints = column.Int, b.Fields[f].Ints[:0]
	}
	cells := int64(len(r.cells))
	for ; n > 0; n-- {
		i := r.next*r.partitions + r.partition
		b.Positions = append(b.Positions, r.next)
		b.Times = append(b.Times, stepsEpoch+i/cells*r.pane+i%cells*r.pane/cells)
		b.Cells = append(b.Cells, r.cells[i%cells])
		for f := range b.Fields {
			b.Fields[f].Ints = append(b.Fields[f].Ints, r.values[(i*3+int64(f))%int64(len(r.values))])
		}
		r.next++
	}
	b.Next = r.next
	r.read.Add(int64(len(b.Positions)))
	return nil
}

func (r *stepReader) Progress() int64 { return r.next }
func (r *stepReader) Close() error    { return nil }

// noRaw stands for the bytes of records that nobody rejects.
type noRaw struct{}

func (noRaw) At(int) []byte { return nil }

// firstRow tells when the first row beyond a window end comes.
type firstRow struct {
	nowhere
	beyond int64 // µs
	came   chan struct{}
	done   bool
}

func (s *firstRow) Write(_ context.Context, o *stream.Output) error {
	for _, rows := range o.Rows {
		if !s.done && rows.WindowEnd > s.beyond {
			s.done = true
			close(s.came)
		}
	}
	return nil
}
