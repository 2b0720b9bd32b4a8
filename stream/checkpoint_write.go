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
	longest time.Duration
}

func newGenerationWriter(ctx context.Context, r *Runner, epoch int64) *generationWriter {
	return &generationWriter{
		ctx: ctx, run: r, epoch: epoch, slots: make(chan struct{}, writers), objects: map[string]Object{},
	}
}

// write begins to make an owner's entries durable.
func (w *generationWriter) write(owner string, entries []Entry) {
	if len(entries) == 0 {
		return
	}
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
		w.longest = max(w.longest, time.Since(start))
		if err != nil {
			w.errs = errors.Join(w.errs, err)
			return
		}
		w.objects[owner] = object
	})
}

// wait enters what was written into the pointer.
func (w *generationWriter) wait(p *Pointer, s *CheckpointStats) error {
	w.wg.Wait()
	woken(w.ctx)
	p.Generations = w.objects
	s.Upload = w.longest
	for _, o := range w.objects {
		s.Size += o.Size
	}
	return w.errs
}
