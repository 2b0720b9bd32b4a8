package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// start claims the store, makes the machines, brings them to the pointer and
// opens the readers. Until it returns, ctx ends it at once.
func (r *Runner) start(ctx context.Context) error {
	p, err := r.claim(ctx)
	if err != nil {
		return err
	}
	held, err := r.startControl(ctx, p)
	if err != nil {
		return err
	}
	listed, err := r.startSource(ctx, p)
	if err != nil {
		return err
	}
	if err := r.checkPointer(p, listed); err != nil {
		return err
	}
	if err := r.build(listed); err != nil {
		return err
	}
	if p != nil {
		r.setPhase(PhaseRestoring)
		if err := r.restore(ctx, p); err != nil {
			return err
		}
	}
	if err := r.startSinks(ctx, p); err != nil {
		return err
	}
	r.cfg.Crash(CrashRestored)
	if err := r.resume(ctx, held); err != nil {
		return err
	}
	return r.open(ctx, listed)
}

// startControl reads the control log, which must be as long as the pointer says, and
// enters this incarnation.
func (r *Runner) startControl(ctx context.Context, p *Pointer) ([]numbered, error) {
	r.control = &control{turn: make(chan struct{}, 1), log: r.cfg.Control, incarnation: r.incarnation}
	before, entries := int64(0), r.cfg.Replay
	if r.cfg.Control != nil {
		var err error
		if before, entries, err = r.cfg.Control.Entries(ctx); err != nil {
			return nil, fmt.Errorf("reading the control log: %w", err)
		}
		if n := before + int64(len(entries)); p != nil && n < p.Control {
			return nil, fmt.Errorf("the control log has lost entries: it has %d, epoch %d contains %d; put it back from a backup, or begin anew with an empty --state", n, p.Epoch, p.Control)
		}
	}
	r.control.entries.Store(before + int64(len(entries)))
	held := holding(before, entries)
	_, err := r.control.append(ctx, ControlEntry{Partition: -1, Kind: ControlStart, Watermark: NoTime})
	return held, err
}

// startSource lists the partitions, ascending.
func (r *Runner) startSource(ctx context.Context, p *Pointer) ([]Partition, error) {
	if s, ok := r.cfg.Source.(Resumer); ok && p != nil {
		text, err := json.Marshal(p.Source)
		if err == nil {
			err = s.Resume(ctx, text)
		}
		if err != nil {
			return nil, fmt.Errorf("going on with the input of epoch %d: %w", p.Epoch, err)
		}
	}
	listed, err := r.cfg.Source.Partitions(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the source's partitions: %w", err)
	}
	if len(listed) == 0 {
		return nil, errors.New("the source has no partitions")
	}
	slices.SortFunc(listed, func(a, b Partition) int { return int(a.ID) - int(b.ID) })
	if p != nil {
		err = r.source.describe(ctx, r.cfg.Source)
	}
	return listed, err
}

// checkPointer refuses a state that was made by another run than this one. What
// a live source describes (its end) may have changed, and it may have got more
// partitions.
func (r *Runner) checkPointer(p *Pointer, listed []Partition) error {
	if p == nil {
		return nil
	}
	err := p.Belongs(r.cfg.Plan)
	if err != nil {
		return err
	}
	if r.before.evolution, err = p.evolve(r.cfg.Plan, r.cfg.Range.Bounded); err != nil {
		return err
	}
	if p.Shards != r.cfg.Shape.Shards {
		return fmt.Errorf("%w: it has %d shards, this run %d; the number is fixed when a pipeline is created: give this run as many, or a state of its own (--state)", ErrMismatch, p.Shards, r.cfg.Shape.Shards)
	}
	var was, is []int32
	for _, s := range p.Partitions {
		was = append(was, s.ID)
	}
	for _, s := range listed {
		is = append(is, s.ID)
	}
	slices.Sort(was)
	gone := slices.ContainsFunc(was, func(id int32) bool { return !slices.Contains(is, id) })
	if gone || r.cfg.Range.Bounded && len(is) > len(was) {
		return fmt.Errorf("%w: its partitions are %v, the source has %v", ErrMismatch, was, is)
	}
	if !r.cfg.Range.Bounded {
		return nil
	}
	before, err := canonical(p.Source)
	if err != nil {
		return err
	}
	now, err := canonical(r.source.text)
	if err != nil {
		return err
	}
	if !bytes.Equal(before, now) {
		return fmt.Errorf("%w: the input has changed: it was %s, it is %s; read what it was, or use a state of its own (--state)", ErrMismatch, before, now)
	}
	return nil
}

// canonical is JSON with keys in order.
func canonical(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("comparing the input: %w", err)
	}
	var plain any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&plain); err != nil {
		return nil, fmt.Errorf("comparing the input: %w", err)
	}
	return json.Marshal(plain)
}

// build makes the machines, empty.
func (r *Runner) build(listed []Partition) error {
	shape := r.cfg.Shape
	r.memory = newMemory(r.cfg.Memory, shape.Shards+len(listed))
	for i, at := range listed {
		t, err := NewTask(r.cfg.Plan, at.ID, TaskOptions{
			From: r.cfg.Range.From, To: r.cfg.Range.To, Pool: &r.partials,
			memory: r.memory.share(fmt.Sprintf("partition/%d", at.ID)),
		})
		if err != nil {
			return fmt.Errorf("making the task of partition %d: %w", at.ID, err)
		}
		p := &partition{
			run: r, index: i, id: at.ID, task: t, position: at.Start,
			barriers: make(chan *barrier, 1),
		}
		p.idle.after = r.cfg.Timing.Idle
		if p.idle.after == 0 {
			p.idle.after = time.Duration(t.intake.idleAfter) * time.Microsecond
		}
		r.partitions = append(r.partitions, p)
	}
	in := r.partitions[0].task.intake
	r.exchange = newExchange(newMinimum(in.pane, in.allowed, in.widest, r.cfg.Range.Bounded, len(listed)), shape.Shards, shape.Workers, shape.Depth)
	r.steppers.loans, r.steppers.ended = make(chan *step), make(chan struct{})
	r.steppers.left.Store(int32(shape.Workers))
	for i := range shape.Workers {
		r.workers = append(r.workers, r.newWorker(i))
	}
	for id := range int32(shape.Shards) {
		s, err := NewShard(r.cfg.Plan, id, ShardOptions{
			FinalOnly: r.cfg.Range.FinalOnly, Pool: &r.rows, Grids: &r.grids, Makers: min(runtime.GOMAXPROCS(0), mostMakers), Spread: r.spread, memory: r.memory.share(fmt.Sprintf("shard/%d", id)),
		})
		if err != nil {
			return fmt.Errorf("making shard %d: %w", id, err)
		}
		w := r.workers[r.exchange.worker(id)]
		w.shards = append(w.shards, &shardSeat{shard: s, id: id})
	}
	for _, s := range r.cfg.Sinks {
		r.sinks = append(r.sinks, &drain{
			sink: s, workers: shape.Workers, in: make(chan delivery, shape.Queue), crash: r.cfg.Crash,
			places: make(chan struct{}, 2*shape.Queue),
		})
	}
	return nil
}

// restore brings the machines to a pointer.
func (r *Runner) restore(ctx context.Context, p *Pointer) error {
	r.checkpoints.epoch = p.Epoch
	r.checkpoints.status.Store(&CheckpointStats{Epoch: p.Epoch, Committed: p.Epoch})
	accepted := int64(NoTime)
	for _, part := range r.partitions {
		entries, err := readEntries(ctx, r.cfg.Generations, p, fmt.Sprintf("partition/%d", part.id))
		if err != nil {
			return err
		}
		var rest []Entry
		if part.queue.applied, rest, err = takeApplied(entries); err != nil {
			return fmt.Errorf("partition %d: %w", part.id, err)
		}
		if rest, err = r.before.evolution.partition(rest); err != nil {
			return fmt.Errorf("partition %d: %w", part.id, err)
		}
		if err := part.task.Restore(rest); err != nil {
			return err
		}
		accepted = max(accepted, part.task.Accepted())
		part.fresh = true
		for _, s := range p.Partitions {
			if s.ID == part.id {
				part.position, part.fresh = s.Position, false
			}
		}
	}
	if err := r.restoreShards(ctx, p); err != nil {
		return err
	}
	r.workers[0].stats.rows.Store(p.Counts.Rows)
	r.workers[0].rows, r.before.overflows = p.Counts.Rows, p.Counts.Overflows
	m := r.exchange.minimum
	m.provisional, m.final = p.Provisional, p.Final
	r.exchange.provisional, r.exchange.final = p.Provisional, p.Final
	r.last.Store(p)
	r.cfg.Logger.Info("restored", "epoch", p.Epoch, "incarnation", r.incarnation)
	r.before.incomplete.Store(&p.Incomplete)
	if e := r.before.evolution; e != nil {
		r.checkpoints.since = Everything
		columns := e.incomplete(p, accepted)
		r.before.incomplete.Store(&columns)
		r.cfg.Logger.Info("the definition has changed, the state goes on with the new one", e.summary()...)
	}
	return nil
}

// restoreShards brings the shards to a pointer, as many at once as there are
// processors, and in a simulation one after the other: a start that has little else
// to do reads as fast as its disk.
func (r *Runner) restoreShards(ctx context.Context, p *Pointer) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	if r.cfg.Schedule != nil {
		group.SetLimit(1)
	}
	for _, w := range r.workers {
		for _, s := range w.shards {
			group.Go(func() error { return s.restore(ctx, r.cfg.Generations, p, r.before.evolution) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if p.Provisional == NoTime && p.Final == NoTime {
		return nil
	}
	for _, w := range r.workers {
		w.advance(p.Provisional, p.Final)
	}
	return nil
}

// restore brings one shard to a pointer.
func (s *shardSeat) restore(ctx context.Context, from ObjectReader, p *Pointer, e *evolution) error {
	entries, err := readEntries(ctx, from, p, fmt.Sprintf("shard/%d", s.id))
	if err != nil || len(entries) == 0 {
		return err
	}
	if entries, err = e.shard(entries); err != nil {
		return fmt.Errorf("shard %d of epoch %d: %w", s.id, p.Epoch, err)
	}
	if err := s.shard.Restore(entries); err != nil {
		return fmt.Errorf("restoring shard %d of epoch %d: %w", s.id, p.Epoch, err)
	}
	s.used = true
	return nil
}

// startSinks tells the sinks where the run goes on.
func (r *Runner) startSinks(ctx context.Context, p *Pointer) error {
	for _, s := range r.cfg.Sinks {
		var state []byte
		if p != nil {
			state = p.Sinks[s.Name()]
		}
		if err := s.Restore(ctx, state); err != nil {
			return fmt.Errorf("restoring sink %s: %w", s.Name(), err)
		}
	}
	if c := r.checkpoints.committer; c != nil {
		for id, told := range c.Silent() {
			r.workers[r.exchange.worker(id)].seat(id).shard.Silent(told)
		}
	}
	return nil
}

// resume enters the partitions into the minimum as they were, with the entries
// of the control log applied that are due before anything is read: a partition
// that is known to have come back must be counted before others go on. What a
// partition passes on as it leaves goes to the shards at once, for its watermark
// covers it.
//
// A partition that the source has got since the pointer comes in as one that
// comes back does: at the global watermark, so that nothing it holds is behind
// the frontier.
func (r *Runner) resume(ctx context.Context, held []numbered) error {
	for i, p := range r.partitions {
		p.queue = newControlQueue(held, p.id, p.queue.applied)
		p.fresh = p.fresh && len(p.queue.pending) == 0 // else it came in before, and does so again
		p.reapply()
		for _, q := range p.out.Partials {
			if err := r.workers[r.exchange.worker(ShardOf(q.Territory, r.cfg.Shape.Shards))].merge(q); err != nil {
				return err
			}
		}
		p.out.Reset()
		m := r.exchange.minimum
		at := &m.partitions[i]
		at.passed, at.watermark, at.first, at.accepted = p.task.Passed(), p.task.Watermark(), p.task.Watermark(), p.task.Accepted()
		p.publish()
	}
	for _, p := range r.partitions {
		if !p.fresh {
			continue
		}
		if err := p.join(ctx, "partition is new"); err != nil {
			return fmt.Errorf("partition %d: %w", p.id, err)
		}
		p.publish()
	}
	return nil
}

// open opens the readers where the partitions are.
func (r *Runner) open(ctx context.Context, listed []Partition) error {
	for i, p := range r.partitions {
		reader, err := r.cfg.Source.Open(ctx, p.id, p.position)
		if err != nil {
			return fmt.Errorf("opening partition %d at %d: %w", p.id, p.position, err)
		}
		in := &p.input
		in.reader, in.size = reader, listed[i].Size
		in.free, in.full = make(chan *Batch, r.cfg.Shape.Batches), make(chan readResult, r.cfg.Shape.Batches)
		in.behind.Store(-1)
		for range r.cfg.Shape.Batches {
			in.free <- &Batch{}
		}
	}
	return nil
}
