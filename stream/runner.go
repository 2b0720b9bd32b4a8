package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Runner feeds the machines of one run:
//
//	reader ─► partition (Task) ─► worker (Shards) ─► sink
//	                         ▲             ▲            ▲
//	                         └─ barriers ──┴────────────┘
//
// one goroutine a reader, a partition, a worker and a sink, all joined by
// bounded channels, and one for the checkpoints. Run owns and awaits them all.
type Runner struct {
	cfg         Config
	incarnation int64
	source      described
	before      before
	exchange    *exchange
	partitions  []*partition
	workers     []*worker
	steppers    steppers
	sinks       []*drain
	checkpoints *checkpoints
	control     *control
	pools
	last     atomic.Pointer[Pointer] // of the last epoch that was committed, or taken where none is kept
	complete atomic.Bool             // bounded input was read to its end
	life     life
}

// pools are what the machines of a run take memory from.
type pools struct {
	memory   *memory // nil: no bound
	partials PartialsPool
	rows     RowPool
	grids    gridPool
}

// before is what a run has of those before it.
type before struct {
	overflows  int64
	evolution  *evolution                         // nil: the definition is the same
	incomplete atomic.Pointer[[]IncompleteColumn] // as of the start; nil: not known yet
}

// still are the columns that are incomplete with a final frontier.
func (b *before) still(final int64) (still []IncompleteColumn) {
	if all := b.incomplete.Load(); all != nil {
		for _, c := range *all {
			if c.Until > final {
				still = append(still, c)
			}
		}
	}
	return still
}

// Incomplete are the columns that were added to the state not long ago, ascending.
// Sinks may ask for it from Restore on. It may be called from any goroutine.
func (r *Runner) Incomplete() []IncompleteColumn { return r.before.still(r.Stats().Final) }

// life is how far a run has come.
type life struct {
	phase   atomic.Int32
	claimed atomic.Int64 // Runner.incarnation, once it is known
	started time.Time
	ready   chan struct{} // closed when the machines are there
	over    chan struct{} // closed when Run returns
	stop    chan struct{} // closed to end with a checkpoint
	stopped atomic.Bool
	abort   context.CancelCauseFunc
	ctx     context.Context // done when the run was aborted
}

// Summary is what a run has come to.
type Summary struct {
	Complete    bool             // bounded input was read to its end
	Incarnation int64            // of this run; 0 where no generations are kept
	Epoch       int64            // of the last checkpoint
	Counts      Counts           // of all runs together
	Dead        map[string]int64 // by reason
	Provisional int64            // µs
	Final       int64            // µs
	Partitions  []PartitionState
	Source      any            // its description
	Control     []ControlEntry // the control log that bounded input was read with
	Memory      MemoryStats
	Took        time.Duration // of this run
}

// ErrEnded is returned to those who ask a run that is over.
var ErrEnded = errors.New("the run has ended")

// ErrAborted is the cause of the end of a run by Abort.
var ErrAborted = errors.New("the run was aborted")

// NewRunner makes a runner. Nothing is opened before Run.
func NewRunner(cfg Config) (*Runner, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	r := &Runner{cfg: cfg.withDefaults()}
	r.life.ready, r.life.over, r.life.stop = make(chan struct{}), make(chan struct{}), make(chan struct{})
	r.life.ctx, r.life.abort = context.WithCancelCause(context.Background())
	r.checkpoints = &checkpoints{run: r, requests: make(chan chan error), sooner: make(chan struct{}, 1), committer: r.cfg.committer()}
	r.checkpoints.status.Store(&CheckpointStats{})
	return r, nil
}

// Run reads the source until it ends, something fails, or ctx is done: then the
// run stops with a checkpoint and returns no error. It is called once. The
// source, generations and control log stay the caller's to close; the sinks are
// closed.
func (r *Runner) Run(ctx context.Context) (*Summary, error) {
	defer close(r.life.over)
	defer r.life.abort(nil)
	ctx = r.begin(ctx, "run")
	r.life.started = time.Now()
	err := r.start(ctx)
	if err == nil {
		err = r.work(ctx)
	}
	r.setPhase(PhaseEnded)
	err = errors.Join(err, r.closeAll())
	if err != nil {
		return nil, err
	}
	return r.summary(), nil
}

// work runs the machines to their end.
func (r *Runner) work(ctx context.Context) error {
	work := r.life.ctx
	readers, stopReaders := context.WithCancel(work)
	defer stopReaders()
	crew := &crew{run: r, fail: r.life.abort}
	for _, d := range r.sinks {
		crew.start(work, "sink/"+d.sink.Name(), d.run)
	}
	for _, w := range r.workers {
		crew.start(work, fmt.Sprintf("worker/%d", w.index), w.loop)
	}
	var reads sync.WaitGroup
	for _, p := range r.partitions {
		reads.Go(func() { p.input.run(r.begin(readers, fmt.Sprintf("reader/%d", p.id))) })
		crew.start(work, fmt.Sprintf("partition/%d", p.id), p.loop)
	}
	crew.start(work, "checkpoints", func(ctx context.Context) error { return r.checkpoints.loop(ctx, r.life.stop) })
	over := make(chan struct{})
	reads.Go(func() { r.watch(r.begin(ctx, "watch"), over) })
	close(r.life.ready)
	r.setPhase(PhaseRunning)
	crew.wait.Wait()
	close(over)
	stopReaders()
	reads.Wait()
	woken(ctx)
	if work.Err() != nil {
		return context.Cause(work)
	}
	return nil
}

// watch ends the run with a checkpoint when ctx is done, and reports progress.
func (r *Runner) watch(ctx context.Context, over <-chan struct{}) {
	const period = 250 * time.Millisecond
	var tick <-chan time.Time
	if r.cfg.Progress != nil {
		t := time.NewTicker(period)
		defer t.Stop()
		defer func() { r.cfg.Progress(r.Stats()) }()
		tick = t.C
	}
	done := ctx.Done()
	for {
		select {
		case <-done:
			woken(ctx)
			done = nil
			r.Stop()
		case <-tick:
			r.cfg.Progress(r.Stats())
		case <-over:
			return
		}
	}
}

// Incarnation is the number of this run among those of its state: 0 before the
// state was claimed, and where no generations are kept. Sinks may ask for it from
// Restore on. It may be called from any goroutine.
func (r *Runner) Incarnation() int64 { return r.life.claimed.Load() }

// Complete tells whether bounded input was read to its end and the last
// checkpoint taken. It may be called from any goroutine.
func (r *Runner) Complete() bool { return r.complete.Load() }

// Stop lets the run end with a checkpoint. It may be called from any goroutine.
func (r *Runner) Stop() {
	if r.life.stopped.CompareAndSwap(false, true) {
		close(r.life.stop)
	}
}

// Abort ends the run at once, without a checkpoint: a restart goes on from the
// last one. It may be called from any goroutine.
func (r *Runner) Abort() { r.life.abort(ErrAborted) }

// Hasten asks for the next checkpoint as soon as the pause after the last one
// allows. It returns at once and may be called from any goroutine.
func (r *Runner) Hasten() {
	select {
	case r.checkpoints.sooner <- struct{}{}:
	default: // it is asked for
	}
}

// Ended is closed when the checkpoint of an epoch has ended, well or not; it is closed
// already where that is not being taken. It may be called from any goroutine.
func (r *Runner) Ended(epoch int64) <-chan struct{} {
	if now := r.checkpoints.running.Load(); now != nil && now.epoch == epoch {
		return now.over
	}
	return closed
}

// closed is a channel that is.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// closeAll closes readers and sinks.
func (r *Runner) closeAll() error {
	var errs error
	for _, p := range r.partitions {
		if p.input.reader == nil {
			continue
		}
		if err := p.input.reader.Close(); err != nil {
			errs = errors.Join(errs, fmt.Errorf("closing the reader of partition %d: %w", p.id, err))
		}
	}
	for _, s := range r.cfg.Sinks {
		if err := s.Close(); err != nil {
			errs = errors.Join(errs, fmt.Errorf("closing sink %s: %w", s.Name(), err))
		}
	}
	return errs
}

// Checkpoint takes a checkpoint now and returns when it is committed. It may be
// called from any goroutine.
func (r *Runner) Checkpoint(ctx context.Context) error {
	if r.cfg.Generations == nil {
		return ErrNoGenerations
	}
	reply := make(chan error, 1)
	select {
	case r.checkpoints.requests <- reply:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.life.over:
		return ErrEnded
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.life.over:
		return ErrEnded
	}
}

// pointer is what a barrier and this run contribute to the epoch's pointer.
func (r *Runner) pointer(b *barrier) *Pointer {
	var originals []Original
	if last := r.last.Load(); last != nil {
		originals = last.Originals
	}
	return &Pointer{
		Pipeline:  r.cfg.Plan.Name,
		PlanState: PlanState{r.cfg.Plan.Hash, r.cfg.Plan.Text, r.before.still(b.final), originals},
		Epoch:     b.epoch, Incarnation: r.incarnation, Shards: r.cfg.Shape.Shards,
		Frontiers: Frontiers{b.provisional, b.final}, Control: b.control,
		Sinks: map[string][]byte{}, Source: r.source.text, Taking: Taking{Taken: time.Now().UTC().Format(time.RFC3339Nano)},
		Visibility: Visibility{Transactional: r.checkpoints.committer != nil},
	}
}

// keeps tells whether an epoch that ends with a barrier is to be gone on from. At
// an end that nothing goes on after, a run that dies before its outputs are whole
// goes on from the epoch before.
func (r *Runner) keeps(b *barrier) bool {
	return r.cfg.Generations != nil && !(r.cfg.Range.Once && b.kind == barrierEnd)
}

// release sends a barrier, at which every partition has arrived, to the workers.
func (r *Runner) release(ctx context.Context, b *barrier) error {
	b.provisional, b.final = r.exchange.frontier()
	b.control = r.control.count()
	var blocked atomic.Int64
	err := r.exchange.broadcast(ctx, message{barrier: b}, &blocked)
	r.cfg.Crash(CrashBarrierPassed)
	return err
}

// summary is what the run has come to, after its last checkpoint.
func (r *Runner) summary() *Summary {
	p := r.last.Load()
	s := &Summary{
		Complete: r.complete.Load(), Incarnation: r.incarnation, Epoch: p.Epoch, Counts: p.Counts, Dead: map[string]int64{},
		Provisional: p.Provisional, Final: p.Final, Partitions: p.Partitions, Source: r.source.text,
		Control: r.cfg.Replay, Memory: r.memory.stats(), Took: time.Since(r.life.started),
	}
	for _, part := range r.partitions {
		for reason, n := range part.task.Dead() {
			if n > 0 {
				s.Dead[Reason(reason).String()] += n
			}
		}
	}
	return s
}
