package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// fanned is what a cell holds in the fan-out: how many events lie within each
// ring of it, in each window.
type fanned [6][9]int32

// fanOut holds J3 by fan-out against the core: the way of those who have no
// rings, where each count of a cell and minute is sent to the 1,261 cells around.
func (w *comparison) fanOut(ctx context.Context) error {
	plan, err := load(jobThree, "", "")
	if err != nil {
		return err
	}
	events := w.events.until(w.from.Add(30 * time.Minute))
	slow := func() (once, error) {
		start, cpu := time.Now(), processorTime()
		rows, err := byFanOut(ctx, plan, events)
		return once{wall: time.Since(start), cpu: processorTime() - cpu, rows: rows}, err
	}
	runs := w.runs
	w.runs = 1
	fan, rings, err := w.against("J3 by fan-out / by cones, half an hour", slow, of(ctx, plan, events.source(here)))
	w.runs = runs
	if err == nil && fan.rows != rings.rows {
		return fmt.Errorf("the fan-out has %d rows, the core %d", fan.rows, rings.rows)
	}
	return err
}

// until keeps the events before a time.
func (r recorded) until(end time.Time) recorded {
	var all recorded
	for _, b := range r {
		kept := &stream.Batch{Fields: append(b.Fields[:0:0], b.Fields...)}
		for i := range kept.Fields {
			kept.Fields[i].Ints, kept.Fields[i].Strings.Ends, kept.Fields[i].Strings.Bytes = nil, nil, nil
		}
		for i, t := range b.Times {
			if t < end.UnixMicro() {
				copyEvent(kept, b, i, placed{move: unmoved})
			}
		}
		if len(kept.Times) > 0 {
			all = append(all, kept)
		}
	}
	return all
}

// byFanOut counts J3's rows of events.
func byFanOut(ctx context.Context, plan *pipeline.Plan, events recorded) (rows int64, err error) {
	f := &fan{plan: plan, live: map[geo.Cell]*fanned{}, sent: map[int64][]sending{}}
	pane := plan.Pane.Microseconds()
	err = partials(ctx, plan, events, func(p *stream.Partials) error {
		if p.Halo {
			return nil // sent to another territory as well
		}
		for i, c := range p.Cells {
			f.sent[p.Pane] = append(f.sent[p.Pane], sending{c, int32(p.Measures[0].Lo[i])})
			if f.first == 0 || p.Pane < f.first {
				f.first = p.Pane
			}
			f.last = max(f.last, p.Pane)
		}
		return nil
	}, nil)
	if err != nil {
		return 0, err
	}
	widest := plan.WidestWindow().Microseconds()
	for end := f.first + pane; end <= f.last+widest; end += pane {
		rows += f.close(end, pane)
	}
	return rows, nil
}

// fan is the state of the fan-out.
type fan struct {
	plan        *pipeline.Plan
	live        map[geo.Cell]*fanned
	sent        map[int64][]sending // by pane
	first, last int64
}

// sending is one count of a cell and pane.
type sending struct {
	cell  geo.Cell
	count int32
}

// close slides every window to an end and counts the rows that end there.
func (f *fan) close(end, pane int64) (rows int64) {
	for w, size := range f.plan.Windows {
		f.send(w, f.sent[end-pane], 1)
		f.send(w, f.sent[end-pane-size.Microseconds()], -1)
	}
	for c, v := range f.live {
		if v[len(f.plan.Windows)-1][len(f.plan.Grid.Rings)-1] == 0 {
			delete(f.live, c)
			continue
		}
		rows++
	}
	return rows
}

// send adds counts to one window of all cells around.
func (f *fan) send(window int, counts []sending, sign int32) {
	for _, s := range counts {
		geo.Gather(s.cell, f.plan.Grid.Rings, func(ring int, near geo.Cell) {
			v := f.live[near]
			if v == nil {
				v = &fanned{}
				f.live[near] = v
			}
			for r := ring; r < len(f.plan.Grid.Rings); r++ {
				v[window][r] += sign * s.count
			}
		})
	}
}

// partials runs events through an ingest task and hands on what it leaves, and
// behind it how far event time is complete.
func partials(_ context.Context, plan *pipeline.Plan, events recorded, each func(*stream.Partials) error, passed func(final int64) error) error {
	pool := &stream.PartialsPool{}
	task, err := stream.NewTask(plan, 0, stream.TaskOptions{From: stream.NoTime, Pool: pool})
	if err != nil {
		return err
	}
	read, out, b := events.source(here).begin(), stream.Ingested{}, &stream.Batch{Limit: 1 << 62}
	source := events.source(here)
	for more := true; more; {
		source.reset(b)
		if more = read(b); more {
			b.Positions = make([]int64, len(b.Times))
			task.Batch(b, &out)
		} else {
			task.End(task.Accepted()+plan.WidestWindow().Microseconds(), &out)
		}
		for _, p := range out.Partials {
			if err := each(p); err != nil {
				return err
			}
			pool.Put(p)
		}
		if passed != nil {
			if err := passed(out.Watermark.Final); err != nil {
				return err
			}
		}
		out.Reset()
	}
	return nil
}

// closing runs events through one shard and times every pane that it closes.
func closing(ctx context.Context, plan *pipeline.Plan, events recorded, told func(time.Duration, int)) error {
	shard, err := stream.NewShard(plan, 0, stream.ShardOptions{FinalOnly: true})
	if err != nil {
		return err
	}
	pane, next := plan.Pane.Microseconds(), int64(0)
	return partials(ctx, plan, events, func(p *stream.Partials) error {
		if next == 0 {
			next = p.Pane
		}
		return shard.Merge(p)
	}, func(final int64) error {
		for ; next > 0 && next+pane <= final; next += pane {
			start, rows := time.Now(), 0
			shard.Advance(next+pane, next+pane)
			for more := true; more; {
				var out stream.Output
				if more, err = shard.Step(&out, nil); err != nil {
					return err
				}
				for _, r := range out.Rows {
					rows += len(r.Cells)
					r.Release()
				}
			}
			told(time.Since(start), rows)
		}
		return nil
	})
}
