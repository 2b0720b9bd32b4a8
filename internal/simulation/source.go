package simulation

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

// record is an event in a partition, and when it can be read, counted from the
// world's beginning.
type record struct {
	event
	position int64
	arrival  time.Duration
	broken   bool // it does not parse
}

// source is a topic, and the times at which its broker is away.
type source struct {
	*world
	partitions [][]record
	away       []span
}

type span struct{ from, to time.Duration }

// newSource draws records around a border of territories and far away, mostly in
// order, some told twice, some late, in partitions that fall silent now and then.
func newSource(w *world) *source {
	s := &source{world: w, partitions: make([][]record, 1+w.rand.IntN(3))}
	far := [][2]float64{{37.7, -122.4}, {0.1, 0.1}, {51.5, -0.1}}
	at := make([]time.Duration, len(s.partitions))
	base := 1_000_000_000 * second
	for i := range 60 + w.rand.IntN(60) {
		base += w.rand.Int64N(3 * second)
		r := record{event: event{
			time: base, lat: 36 + float64(w.rand.IntN(5))/50, lng: -121.4 + float64(w.rand.IntN(8))/50,
			key: fmt.Sprint("k", i), value: int64(i), x: w.rand.NormFloat64(),
		}}
		if w.rand.IntN(8) == 0 {
			place := far[w.rand.IntN(len(far))]
			r.lat, r.lng = place[0], place[1]
		}
		r.time -= w.rand.Int64N(5 * second)
		if w.rand.IntN(40) == 0 {
			r.time -= 30 * second // likely late
		}
		p := i % len(s.partitions)
		s.append(p, r, &at[p])
		if w.rand.IntN(10) == 0 {
			s.append(p, r, &at[p]) // told twice
		}
	}
	for range w.rand.IntN(3) {
		from := w.draw(0, 3*time.Minute)
		s.away = append(s.away, span{from, from + w.draw(time.Second, 40*time.Second)})
	}
	return s
}

func (s *source) append(p int, r record, at *time.Duration) {
	switch s.rand.IntN(30) {
	case 0:
		r.broken = true
	case 1:
		*at += s.draw(time.Second, 40*time.Second) // silence
	}
	// Time passes in the source as it does for its events, or faster.
	*at = max(*at+s.draw(0, 500*time.Millisecond), time.Duration(r.time-1_000_000_000*second)*time.Microsecond/2)
	r.arrival = *at
	if n := len(s.partitions[p]); n > 0 {
		r.position = s.partitions[p][n-1].position + 1
	}
	if s.rand.IntN(10) == 0 {
		r.position += s.rand.Int64N(4) // positions that hold no record
	}
	s.partitions[p] = append(s.partitions[p], r)
}

// end is when the last record has arrived.
func (s *source) end() (last time.Duration) {
	for _, p := range s.partitions {
		last = max(last, p[len(p)-1].arrival)
	}
	for _, a := range s.away {
		last = max(last, a.to)
	}
	return last
}

// back is how long the broker is away still.
func (s *source) back() time.Duration {
	now, wait := time.Since(s.started), time.Duration(0)
	for _, a := range s.away {
		if a.from <= now && now < a.to {
			wait = max(wait, a.to-now)
		}
	}
	return wait
}

// consumer is a process's stream.Source.
type consumer struct{ *process }

var _ stream.Source = (*consumer)(nil)

// Partitions lists the partitions.
func (c *consumer) Partitions(ctx context.Context) (all []stream.Partition, err error) {
	err = c.call(ctx, "partitions", c.faults, func() error {
		all = nil
		for i, p := range c.source.partitions {
			all = append(all, stream.Partition{ID: int32(i), Start: p[0].position, End: p[len(p)-1].position + 1})
		}
		return nil
	})
	return all, err
}

// Open starts reading.
func (c *consumer) Open(ctx context.Context, partition int32, position int64) (stream.Reader, error) {
	r := &reader{process: c.process, partition: int(partition), records: c.source.partitions[partition]}
	return r, c.call(ctx, fmt.Sprint("open ", partition), c.faults, func() error {
		r.at = 0
		for r.at < len(r.records) && r.records[r.at].position < position {
			r.at++
		}
		return nil
	})
}

// Describe says what is read.
func (c *consumer) Describe(ctx context.Context) (any, error) {
	return len(c.source.partitions), c.call(ctx, "describe", c.faults, func() error { return nil })
}

// Close has nothing to do.
func (c *consumer) Close() error { return nil }

// reader reads a partition.
type reader struct {
	*process
	partition int
	records   []record
	at        int
}

var _ stream.CaughtUp = (*reader)(nil)

// CaughtUp tells whether the broker is there.
func (r *reader) CaughtUp() bool { return r.source.back() == 0 }

// Read waits for records and returns some of those that have arrived.
func (r *reader) Read(ctx context.Context, b *stream.Batch) error {
	who := fmt.Sprint("read ", r.partition)
	for {
		wait := r.source.back()
		switch {
		case r.dead:
			return errDead
		case r.at == len(r.records) && r.bounded:
			return io.EOF
		case r.at == len(r.records):
			wait = max(wait, time.Hour)
		case !r.bounded:
			wait = max(wait, r.records[r.at].arrival-time.Since(r.started))
		}
		if wait == 0 {
			return r.fill(b, 1+r.rand.IntN(6))
		}
		timer := time.NewTimer(wait + time.Duration(r.rand.Int64N(int64(time.Millisecond))))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		r.turn(r.process, who)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// fill decodes up to n records that have arrived.
func (r *reader) fill(b *stream.Batch, n int) error {
	fields := r.plan.Source.Fields
	*b = stream.Batch{Limit: math.MaxInt64 / 4, Fields: make([]column.Vector, len(fields))}
	for f := range fields {
		b.Fields[f].Kind = []column.Kind{column.String, column.Int, column.Float}[f]
	}
	for ; r.at < len(r.records) && n > 0 && (r.bounded || r.records[r.at].arrival <= time.Since(r.started)); n-- {
		e := &r.records[r.at]
		r.at++
		b.Positions, b.Next = append(b.Positions, e.position), e.position+1
		b.Times, b.Lats, b.Lngs = append(b.Times, e.time), append(b.Lats, e.lat), append(b.Lngs, e.lng)
		reason := stream.Accepted
		if e.broken {
			reason = stream.BadSyntax
		}
		b.Reasons = append(b.Reasons, reason)
		b.Fields[0].Strings.Append([]byte(e.key))
		b.Fields[1].Ints = append(b.Fields[1].Ints, e.value)
		b.Fields[2].Floats = append(b.Fields[2].Floats, e.x)
	}
	if r.at < len(r.records) {
		b.Next = max(b.Next, r.records[r.at].position-r.rand.Int64N(2)*(r.records[r.at].position-b.Next))
	}
	return nil
}

// Progress is the number of records read.
func (r *reader) Progress() int64 { return int64(r.at) }

// Close has nothing to do.
func (r *reader) Close() error { return nil }
