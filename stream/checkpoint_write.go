package stream

import (
	"context"
	"errors"
	"sync"
	"time"
)

// generationWriter writes the generations of one epoch, a few at a time, while
// the machines go on.
type generationWriter struct {
	ctx   context.Context
	run   *Runner
	epoch int64
	slots chan struct{}
	wg    sync.WaitGroup

	mu      sync.Mutex
	objects map[string]Object
	errs    error
	upload  time.Duration // the longest
	async   time.Duration // the longest
	slowest ShardTiming
}

func newGenerationWriter(ctx context.Context, r *Runner, epoch int64) *generationWriter {
	return &generationWriter{
		ctx: ctx, run: r, epoch: epoch, slots: make(chan struct{}, writers), objects: map[string]Object{},
	}
}

// write begins to make an owner's entries durable; shard is what the owner took
// before, if it is one.
func (w *generationWriter) write(owner string, entries []Entry, shard *ShardTiming) {
	if len(entries) == 0 {
		return
	}
	handed := time.Now()
	w.wg.Go(func() {
		ctx := w.run.begin(w.ctx, "writer of "+owner)
		w.slots <- struct{}{}
		defer func() { <-w.slots }()
		woken(ctx)
		start := time.Now()
		w.run.cfg.Crash(CrashBeforeGeneration)
		object, err := w.run.cfg.Generations.Write(ctx, w.epoch, owner, entries)
		w.run.cfg.Crash(CrashAfterGeneration)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.took(start, handed, shard)
		if err != nil {
			w.errs = errors.Join(w.errs, err)
			return
		}
		w.objects[owner] = object
	})
}

// took notes how long a generation took, whether it was written or not. The lock
// is held.
func (w *generationWriter) took(start, handed time.Time, shard *ShardTiming) {
	upload, async := time.Since(start), time.Since(handed)
	w.upload, w.async = max(w.upload, upload), max(w.async, async)
	if shard == nil {
		return
	}
	shard.Async = Seconds(async)
	if shard.Saving+shard.Async > w.slowest.Saving+w.slowest.Async {
		w.slowest = *shard
	}
}

// wait enters what was written into the pointer.
func (w *generationWriter) wait(p *Pointer, s *CheckpointStats) error {
	w.wg.Wait()
	woken(w.ctx)
	p.Generations = w.objects
	s.Upload, s.Async, s.Slowest = Seconds(w.upload), Seconds(w.async), w.slowest
	for _, o := range w.objects {
		s.Size += o.Size
	}
	return w.errs
}
