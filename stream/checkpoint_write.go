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
	chains  map[string]Chain
	errs    error
	upload  time.Duration // the longest
	async   time.Duration // the longest
	slowest ShardTiming
}

func newGenerationWriter(ctx context.Context, r *Runner, epoch int64) *generationWriter {
	return &generationWriter{
		ctx: ctx, run: r, epoch: epoch, slots: make(chan struct{}, writers), chains: map[string]Chain{},
	}
}

// write begins to make an owner's delta durable (nil: none is kept); shard is what
// the owner took before, if it is one.
func (w *generationWriter) write(owner string, delta *Delta, shard *ShardTiming) {
	if delta == nil {
		return
	}
	g := &Generation{Owner: owner, Removed: delta.Removed}
	if last := w.run.last.Load(); last != nil && !delta.Whole() {
		g.Chain = last.Generations[owner]
	}
	if delta.Empty() {
		w.keep(owner, g.Chain)
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
		g.Entries = delta.Entries()
		chain, err := w.run.cfg.Generations.Write(ctx, w.epoch, g)
		w.run.cfg.Crash(CrashAfterGeneration)
		w.mu.Lock()
		w.took(start, handed, shard)
		w.errs = errors.Join(w.errs, err)
		w.mu.Unlock()
		if err == nil {
			w.keep(owner, chain)
		}
	})
}

// keep enters an owner's chain.
func (w *generationWriter) keep(owner string, chain Chain) {
	if len(chain) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.chains[owner] = chain
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
	p.Generations = w.chains
	s.Upload, s.Async, s.Slowest = Seconds(w.upload), Seconds(w.async), w.slowest
	s.CheckpointSize = p.Sizes()
	return w.errs
}
