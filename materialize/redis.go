package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"github.com/redis/go-redis/v9"
)

// RedisOptions say where rows go and how much may wait.
type RedisOptions struct {
	Client  redis.UniversalClient
	Keep    time.Duration // how long markers stay; default 2 h
	Waiting int           // entities whose newest value waits while Redis is away; default 1,000,000
	Logger  *slog.Logger  // default slog.Default()

	StartWithin time.Duration // how long Redis may be away when a run starts; default 15 s
	Course      func() int64  // which course of events the state is of: another one than a checkpoint's writes beside what that wrote; nil: there is one
	CaughtUp    func() bool   // whether what was read is up to date, so that readers may leave the pair before; default: always
	Grace       time.Duration // how long a replaced pair's keys stay for its readers; default 1 min

	Complete func() bool   // of a bounded run, which loses no row: whether it has read everything; nil: a live run
	Within   time.Duration // how long a bounded run waits while Redis takes nothing; default 1 min

	Kept Kept // what Redis is filled from when it has come back empty; nil: the next rows
}

// Redis is a sink that keeps the newest row of each entity under
// `<pipeline>:<plan hash>.<run>:<entity>`, the key `<pipeline>` naming the pair
// in use. A live run never waits for it: rows wait here, the newest of each
// entity, and are part of the checkpoint until Redis has them. A bounded run,
// whose rows nothing follows, waits for it where too many wait and at its end.
type Redis struct {
	options RedisOptions
	plan    *pipeline.Plan

	mu      sync.Mutex
	waiting map[geo.Cell]waiting
	flying  map[geo.Cell]waiting // on their way, and not in waiting: Redis may or may not have them
	markers int                  // in waiting
	dropped int64
	failed  error // Redis refuses what it is sent, and would later too
	written int64
	wake    chan struct{} // something waits
	idle    *sync.Cond    // rows were written, or a wait for that has ended

	run    int64
	naming pairing // of the writer goroutine
	refill refilling
	work   goroutines
}

// goroutines are what a sink runs.
type goroutines struct {
	stop context.CancelFunc // nil: none run
	sync.WaitGroup
}

// waiting is an entity's packed row on its way to Redis.
type waiting struct {
	Value   []byte
	Expires bool // a marker that nobody needs after Keep
}

// marker tells whether the entity's row has ceased.
func (w waiting) marker() bool { return w.Value[1]&flagEmpty != 0 }

var _ stream.Sink = (*Redis)(nil)

// startWithin is how long Redis may be away when a run starts.
const startWithin = 15 * time.Second

// NewRedis makes the sink; Restore connects it.
func NewRedis(plan *pipeline.Plan, o RedisOptions) *Redis {
	if o.Keep == 0 {
		o.Keep = 2 * time.Hour
	}
	if o.Waiting == 0 {
		o.Waiting = 1_000_000
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.StartWithin == 0 {
		o.StartWithin = startWithin
	}
	if o.CaughtUp == nil {
		o.CaughtUp = func() bool { return true }
	}
	if o.Course == nil {
		o.Course = func() int64 { return 0 }
	}
	if o.Grace == 0 {
		o.Grace = time.Minute
	}
	if o.Within == 0 {
		o.Within = time.Minute
	}
	r := &Redis{options: o, plan: plan, waiting: map[geo.Cell]waiting{}, wake: make(chan struct{}, 1), refill: newRefilling()}
	r.idle = sync.NewCond(&r.mu)
	return r
}

// Name is "redis".
func (r *Redis) Name() string { return "redis" }

// Restore finds out the number of the run and starts writing.
func (r *Redis) Restore(ctx context.Context, state []byte) error {
	if err := r.restore(state); err != nil {
		return err
	}
	run, err := r.nextRun(ctx)
	if err != nil {
		return fmt.Errorf("Redis cannot be used (it was tried for up to %s): %w", r.options.StartWithin, err)
	}
	if r.run == 0 {
		r.run = run
	}
	ctx, r.work.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.work.Go(func() { r.write(ctx) })
	r.work.Go(func() { r.watchEvictions(ctx) })
	if r.options.Kept != nil {
		r.work.Go(func() { r.keepFull(ctx) })
	}
	return nil
}

// Key is where an entity's row is.
func (r *Redis) Key(cell geo.Cell) string {
	return r.plan.Name + ":" + r.pair() + ":" + cell.String()
}

// Write lets the newest row of each entity wait for Redis.
func (r *Redis) Write(ctx context.Context, o *stream.Output) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return r.failed
	}
	for _, rows := range o.Rows {
		expires := r.expires(rows)
		for i, cell := range rows.Cells {
			if err := r.room(ctx, cell); err != nil {
				return err
			}
			r.wait(cell, waiting{Value: AppendPacked(nil, rows, i), Expires: expires})
		}
	}
	r.poke()
	return nil
}

// expires tells whether a block's rows are markers that nobody needs after Keep.
func (r *Redis) expires(rows *stream.Rows) bool {
	return rows.Empty && !r.plan.ModelsKnow(rows.Resolution)
}

// wait keeps a value until it is written. Where too many wait, a row is given up
// and counted: the entity's next row brings it up to date. Nothing follows a
// marker, so it takes another row's place, or is one too many where only markers
// wait: there are never more of them than entities that were written.
func (r *Redis) wait(cell geo.Cell, w waiting) {
	old, is := r.newest(cell)
	if is && !packedNewer(w.Value, old.Value) {
		return
	}
	if !is && len(r.waiting)+len(r.flying) >= r.options.Waiting {
		if !w.marker() {
			r.dropped++
			return
		}
		if r.markers < len(r.waiting) {
			r.giveUpOne()
		}
	}
	r.put(cell, w)
}

// newest is an entity's newest row that Redis may not have.
func (r *Redis) newest(cell geo.Cell) (w waiting, is bool) {
	if w, is = r.waiting[cell]; !is {
		w, is = r.flying[cell]
	}
	return w, is
}

// giveUpOne drops a row that waits and is no marker.
func (r *Redis) giveUpOne() {
	for cell, w := range r.waiting {
		if !w.marker() {
			delete(r.waiting, cell)
			r.dropped++
			return
		}
	}
}

// put lets a value wait in place of an older one.
func (r *Redis) put(cell geo.Cell, w waiting) {
	if old, is := r.waiting[cell]; is && old.marker() {
		r.markers--
	}
	if w.marker() {
		r.markers++
	}
	r.waiting[cell] = w
	delete(r.flying, cell)
}

func (r *Redis) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// settleWithin is how long a checkpoint waits for Redis before it keeps the
// waiting rows itself.
const settleWithin = 500 * time.Millisecond

// Checkpoint returns the rows that Redis does not have yet, as many as there is
// room for.
func (r *Redis) Checkpoint(ctx context.Context, epoch int64) ([]byte, error) {
	r.settle(settleWithin)
	saved, left, err := r.save()
	for err == nil && left > 0 && r.bounded() {
		if err = r.taken(ctx, left); err == nil {
			saved, left, err = r.save()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the state of the Redis sink: %w", err)
	}
	if left > 0 {
		r.options.Logger.Warn("more rows wait for Redis than a checkpoint holds: after a crash these are brought up to date by their next", "rows", left)
	}
	content, err := json.Marshal(redisState{Plan: r.planKey(), Run: r.run, Course: r.options.Course(), Rows: saved})
	if err != nil {
		return nil, fmt.Errorf("encoding the state of the Redis sink: %w", err)
	}
	return content, nil
}

// left is how many rows Redis does not have yet.
func (r *Redis) left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) + len(r.flying)
}

// Waiting is the number of entities whose newest row Redis does not have yet,
// and how many rows were given up because too many waited.
func (r *Redis) Waiting() (waiting int, dropped, written int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) + len(r.flying), r.dropped, r.written
}

// closeWithin is how long a run that ends waits for Redis to take anything.
const closeWithin = 2 * time.Second

// Close stops writing once Redis has everything, or takes nothing more; what
// waits then is in the last checkpoint, which is an error of a bounded run that
// has read everything. The pair is named where it was not.
func (r *Redis) Close() error {
	if r.work.stop == nil {
		return r.options.Client.Close()
	}
	complete, within := r.bounded() && r.options.Complete(), closeWithin
	if complete {
		within = r.options.Within
	}
	r.mu.Lock()
	waited := r.await(context.Background(), within, func() bool { return len(r.waiting)+len(r.flying) == 0 && !r.refill.due })
	r.mu.Unlock()
	r.work.stop()
	r.work.Wait()
	r.work.stop = nil
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	var err error
	if left := r.left(); left > 0 {
		err = fmt.Errorf("%w: Redis lacks %d rows, which are in the last checkpoint; the same command goes on from it", waited, left)
	} else if waited != nil {
		err = fmt.Errorf("%w: it came back empty, and was not filled again", waited)
	} else if err = r.tidy(ctx); err != nil {
		err = fmt.Errorf("Redis is away at the end of the run: %w", err)
	}
	if !complete && err != nil {
		r.options.Logger.Warn("the run ends before Redis has everything", "error", err)
		err = nil
	}
	return errors.Join(err, r.options.Client.Close())
}
