package stream

import (
	"math"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/pipeline"
)

// Task is the ingest task of one source partition: validity, source filter,
// lateness, dedup, cell, partials. What it passes on is a function of the
// partition's records and of where it left and joined, never of how the records
// were cut into batches or how often it was flushed.
//
// It is a state machine on one goroutine at a time; it reads no clock.
type Task struct {
	partition int32
	intake    *intake
	options   TaskOptions
	lateness  lateness
	passed    Watermark // what was passed on last; never goes back
	accepted  int64     // greatest event time accepted, before dedup; NoTime: none
	counts    Counts
	dead      [reasons]int64
	dedup     *dedup // nil: the plan has none
	versions  versions
	head      head
	panes     accumulation
	routes    *routes
	scratch   taskScratch
}

// TaskOptions of one task.
type TaskOptions struct {
	From int64         // µs; events before it are outside; NoTime: none are
	To   int64         // µs, exclusive; 0 stands for no bound
	Pool *PartialsPool // nil: one of its own

	memory *share // nil: there is no bound
}

// taskScratch is memory used again from batch to batch.
type taskScratch struct {
	filter column.Bitmap
	wheres []column.Bitmap
	picked []int32 // rows of the batch that are accepted
	events events
	lats   []float64
	lngs   []float64
}

// Ingested is what a task leaves. Partials come before the watermark, which
// covers them. The caller owns all of it and may use the value again.
type Ingested struct {
	Partials  []*Partials // from the task's pool, to be put back there
	Watermark Watermark
	Dead      []DeadLetter
	Late      []LateRecord
}

// Reset empties the value and keeps its memory; it gives nothing back to pools.
func (o *Ingested) Reset() {
	o.Partials, o.Dead, o.Late = o.Partials[:0], o.Dead[:0], o.Late[:0]
}

// NewTask makes the task of a partition.
func NewTask(plan *pipeline.Plan, partition int32, o TaskOptions) (*Task, error) {
	in, err := newIntake(plan)
	if err != nil {
		return nil, err
	}
	return newTask(in, partition, o), nil
}

func newTask(in *intake, partition int32, o TaskOptions) *Task {
	if o.Pool == nil {
		o.Pool = &PartialsPool{}
	}
	if o.To == 0 {
		o.To = math.MaxInt64
	}
	t := &Task{
		partition: partition, intake: in, options: o,
		lateness: newLateness(in.pane, in.outOfOrder, in.allowed),
		passed:   Watermark{Provisional: NoTime, Final: NoTime},
		accepted: NoTime,
		panes:    accumulation{measures: in.measures, length: in.pane},
		routes:   newRoutes(in.territories),
		versions: newVersions(),
	}
	if in.span > 0 {
		t.dedup = newDedup(in.winners(), in.span)
		if o.memory != nil {
			t.dedup.bound(o.memory)
		}
	}
	t.scratch.wheres = make([]column.Bitmap, len(in.wheres))
	t.scratch.events.contributions = make([][]int64, len(in.measures))
	return t
}

// Batch takes the next records and leaves what follows from them in out.
func (t *Task) Batch(b *Batch, out *Ingested) { t.Part(b, 0, b.Len(), out) }

// Part is Batch for the records from one up to another.
func (t *Task) Part(b *Batch, from, to int, out *Ingested) {
	t.evaluate(b)
	t.admit(b, from, to, out)
	if t.dedup != nil {
		t.counts.Duplicates += t.dedup.offer(b, t.scratch.wheres, t.scratch.picked, t.versions.now, t.lateness.complete)
		t.closeBrief(b, out)
	} else if len(t.scratch.picked) > 0 {
		t.pick(b, t.scratch.picked)
		t.aggregate()
	}
	t.pass(out)
}

// Flush passes on the partials of panes that are still open. What dedup holds
// back stays there.
func (t *Task) Flush(out *Ingested) {
	t.emit(len(t.panes.panes), out)
	out.Watermark = t.passed
}

// LeaveWatermark is the watermark that the partition will have left with.
func (t *Task) LeaveWatermark() int64 {
	if t.dedup != nil {
		if end, open := t.dedup.newestEnd(); open {
			return max(t.lateness.watermark, plus(end, t.intake.allowed))
		}
	}
	return t.lateness.watermark
}

// Leave takes the partition out of the minimum: what it holds back is passed on,
// and its watermark raised so that nothing for it can still come.
func (t *Task) Leave(out *Ingested) {
	t.lateness.raise(t.LeaveWatermark())
	t.passed.Idle = true
	t.pass(out)
	t.Flush(out)
}

// Join brings the partition back into the minimum, at the larger of its own
// watermark and the global one, which it returns.
func (t *Task) Join(global int64, out *Ingested) int64 {
	t.lateness.raise(global)
	t.passed.Idle = false
	t.pass(out)
	return t.lateness.watermark
}

// End passes everything on and moves both frontiers to the end of bounded
// input, which is the same for all partitions; NoTime: no event was accepted.
func (t *Task) End(end int64, out *Ingested) {
	t.closeSpans(math.MaxInt64, out)
	t.lateness.raise(plus(end, t.intake.allowed))
	t.passed.Provisional = max(t.passed.Provisional, end)
	t.passed.Final = max(t.passed.Final, end)
	t.Flush(out)
}

// Watermark is the partition's own watermark, µs.
func (t *Task) Watermark() int64 { return t.lateness.watermark }

// Passed is the watermark that was passed on last.
func (t *Task) Passed() Watermark { return t.passed }

// Accepted is the greatest event time accepted, before dedup; NoTime: none.
func (t *Task) Accepted() int64 { return t.accepted }

// Counts is what happened to the records so far; rows are not a task's to count.
func (t *Task) Counts() Counts { return t.counts }

// Dead counts the dead letters by reason.
func (t *Task) Dead() [reasons]int64 { return t.dead }

// pass closes what the watermark has passed, passes it on, and then the watermark.
func (t *Task) pass(out *Ingested) {
	t.closeSpans(t.lateness.complete, out)
	w := t.watermark()
	t.passed.Provisional = max(t.passed.Provisional, w.Provisional)
	t.passed.Final = max(t.passed.Final, w.Final)
	t.emit(t.panes.closed(t.passed.Provisional), out)
	out.Watermark = t.passed
}

// watermark is how far the partition is complete for those downstream. With
// dedup an open span holds both frontiers back, for its winner may still change.
func (t *Task) watermark() Watermark {
	if t.dedup == nil {
		return Watermark{Provisional: t.lateness.watermark, Final: t.lateness.complete}
	}
	w := t.lateness.complete
	if start, open := t.dedup.oldest(); open {
		w = min(w, start)
	}
	return Watermark{Provisional: w, Final: w}
}

// closeBrief aggregates the winners of spans that begin and are complete within a
// batch. Spans that were open before them are closed before them.
func (t *Task) closeBrief(b *Batch, out *Ingested) {
	for _, s := range t.dedup.brief {
		t.closeSpans(s.start, out)
		t.pick(b, t.dedup.contest.winners[s.from:s.to])
		t.aggregate()
		t.emit(len(t.panes.panes), out)
	}
}

// closeSpans aggregates the winners of the dedup spans that end at or before
// complete, and passes on their panes: no other span reaches them.
func (t *Task) closeSpans(complete int64, out *Ingested) {
	if t.dedup == nil {
		return
	}
	for n := t.dedup.closing(complete); n > 0; n-- {
		s := t.dedup.spans[0]
		t.dedup.use(s)
		t.pickWinners(s)
		t.aggregate()
		t.emit(len(t.panes.panes), out)
		for c := range s.versions.changed {
			t.versions.remove(s.versions.born, func() []byte { return chunkKey(s.start, c) })
		}
		t.dedup.drop()
	}
}

// aggregate merges the picked events into the panes.
func (t *Task) aggregate() {
	t.panes.add(&t.scratch.events)
	t.counts.Aggregated += int64(len(t.scratch.events.times))
}

// emit passes on the oldest n panes.
func (t *Task) emit(n int, out *Ingested) {
	if n == 0 {
		return
	}
	for _, p := range t.panes.panes[:n] {
		out.Partials = t.routes.split(p, t.options.Pool, out.Partials)
	}
	t.panes.drop(n)
}
