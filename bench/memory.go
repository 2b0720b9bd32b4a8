package main

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// memory is a source of one partition whose events are there already, so that
// what is measured is what comes behind reading. fill puts the next events into
// an empty batch and answers false at the end.
type memory struct {
	fields []column.Kind
	begin  func() (fill func(b *stream.Batch) bool)
}

func (m *memory) Partitions(context.Context) ([]stream.Partition, error) {
	return []stream.Partition{{End: -1}}, nil
}

func (m *memory) Open(_ context.Context, _ int32, position int64) (stream.Reader, error) {
	if position != 0 {
		return nil, errors.New("events in memory are read from the beginning")
	}
	return &memoryReader{source: m, fill: m.begin()}, nil
}

func (m *memory) Describe(context.Context) (any, error) { return "events in memory", nil }
func (m *memory) Close() error                          { return nil }

// memoryReader reads them once.
type memoryReader struct {
	source   *memory
	fill     func(b *stream.Batch) bool
	position int64
}

func (r *memoryReader) Read(_ context.Context, b *stream.Batch) error {
	r.source.reset(b)
	if !r.fill(b) {
		return io.EOF
	}
	for range b.Times {
		b.Positions = append(b.Positions, r.position)
		r.position++
	}
	b.Next, b.Limit = r.position, math.MaxInt64
	return nil
}

func (r *memoryReader) Progress() int64 { return 0 }
func (r *memoryReader) Close() error    { return nil }

func (m *memory) reset(b *stream.Batch) {
	b.Positions, b.Times, b.Lats, b.Lngs = b.Positions[:0], b.Times[:0], b.Lats[:0], b.Lngs[:0]
	if b.Fields == nil {
		for _, k := range m.fields {
			b.Fields = append(b.Fields, column.Vector{Kind: k})
		}
	}
	for i := range b.Fields {
		b.Fields[i].Reset()
	}
}

// recorded are batches as a file gave them.
type recorded []*stream.Batch

// record reads the events of [from, to), µs of event time, from a file.
func record(ctx context.Context, plan *pipeline.Plan, path string, from, to int64) (recorded, error) {
	files, err := ingest.NewFiles([]string{path}, ingest.SchemaOf(&plan.Source), ingest.FileOptions{Batch: 8192, NotAfter: time.Now().UnixMicro()})
	if err != nil {
		return nil, err
	}
	defer files.Close()
	reader, err := files.Open(ctx, 0, 0)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var all recorded
	for {
		b := &stream.Batch{}
		switch err := reader.Read(ctx, b); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		kept := &stream.Batch{Fields: make([]column.Vector, len(b.Fields))}
		for i, t := range b.Times {
			if t >= from && t < to {
				copyEvent(kept, b, i, placed{move: unmoved})
			}
		}
		if len(kept.Times) > 0 {
			all = append(all, kept)
		}
	}
}

// placed is where events of one city happen in another: strings, which name who
// they are of, end differently there.
type placed struct {
	move func(lat, lng float64) (float64, float64)
	name string
}

func unmoved(lat, lng float64) (float64, float64) { return lat, lng }

// copyEvent appends event i of a batch to another, at a place.
func copyEvent(to, b *stream.Batch, i int, at placed) {
	lat, lng := at.move(b.Lats[i], b.Lngs[i])
	to.Times, to.Lats, to.Lngs = append(to.Times, b.Times[i]), append(to.Lats, lat), append(to.Lngs, lng)
	for f := range b.Fields {
		from, v := &b.Fields[f], &to.Fields[f]
		v.Kind = from.Kind
		if from.Kind == column.String {
			v.Strings.Append(append(slices.Clip(from.Strings.At(i)), at.name...))
			continue
		}
		v.AppendBits(from.Bits(i))
	}
}

// source gives the events as they are, or each at every one of some places.
func (r recorded) source(places []placed) *memory {
	m := &memory{}
	for _, v := range r[0].Fields {
		m.fields = append(m.fields, v.Kind)
	}
	m.begin = func() func(*stream.Batch) bool {
		next := 0
		return func(b *stream.Batch) bool {
			if next == len(r) {
				return false
			}
			from := r[next]
			next++
			for i := range from.Times {
				for _, p := range places {
					copyEvent(b, from, i, p)
				}
			}
			return true
		}
	}
	return m
}
