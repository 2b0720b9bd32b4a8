package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
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
}

// Redis is a sink that keeps the newest row of each entity under
// `<pipeline>:<plan hash>.<run>:<entity>`, the key `<pipeline>` naming the pair
// in use. The core never waits for it: rows wait here, the newest of each
// entity, and are part of the checkpoint until Redis has them.
type Redis struct {
	options RedisOptions
	plan    *pipeline.Plan

	mu      sync.Mutex
	waiting map[geo.Cell]waiting
	flying  map[geo.Cell]waiting // on their way: Redis may or may not have them
	dropped int64
	failed  error // Redis refuses what it is sent, and would later too
	written int64
	wake    chan struct{} // something waits
	idle    *sync.Cond    // nothing waits or is on its way

	run   int64
	named bool   // `<pipeline>` names our pair
	old   string // the pair before, whose keys are still to be removed
	stop  context.CancelFunc
	done  chan struct{}
}

// waiting is an entity's packed row on its way to Redis.
type waiting struct {
	Value   []byte `json:"value"`
	Expires bool   `json:"expires"` // a marker that nobody needs after Keep
}

// redisState is what a checkpoint keeps.
type redisState struct {
	Run     int64              `json:"run"`
	Waiting map[string]waiting `json:"waiting"`
}

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
	r := &Redis{options: o, plan: plan, waiting: map[geo.Cell]waiting{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	r.idle = sync.NewCond(&r.mu)
	return r
}

// Name is "redis".
func (r *Redis) Name() string { return "redis" }

// Restore finds out the number of the run and starts writing.
func (r *Redis) Restore(ctx context.Context, state []byte) error {
	saved := redisState{}
	if state != nil {
		if err := json.Unmarshal(state, &saved); err != nil {
			return fmt.Errorf("the Redis sink's state is damaged: %w", err)
		}
	}
	for text, w := range saved.Waiting {
		cell, err := geo.ParseCell(text)
		if err != nil {
			return fmt.Errorf("the Redis sink's state is damaged: %w", err)
		}
		r.waiting[cell] = w
	}
	run, err := r.nextRun(ctx)
	if err != nil {
		return fmt.Errorf("Redis cannot be used (it was tried for up to %s): %w", r.options.StartWithin, err)
	}
	if r.run = saved.Run; r.run == 0 {
		r.run = run
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	go r.write(ctx)
	return nil
}

// nextRun is one more than the run in use, where that is of the same plan: a
// pipeline that begins anew writes beside what it wrote before.
func (r *Redis) nextRun(ctx context.Context) (int64, error) {
	asking, cancel := context.WithTimeout(ctx, r.options.StartWithin)
	defer cancel()
	var last error // what Redis said, or why it did not
	pair, err := backoff.Retry(asking, func() (string, error) {
		pair, err := r.options.Client.Get(asking, r.plan.Name).Result()
		switch {
		case errors.Is(err, redis.Nil):
			return "", nil
		case refused(err):
			err = backoff.Permanent(err)
		}
		if last == nil || asking.Err() == nil {
			last = err
		}
		return pair, err
	}, backoff.WithMaxElapsedTime(r.options.StartWithin))
	if err != nil {
		return 0, last
	}
	if hash, run, is := strings.Cut(pair, "."); is && hash == r.planKey() {
		if n, err := strconv.ParseInt(run, 10, 64); err == nil {
			return n + 1, nil
		}
	}
	return 1, nil
}

// refused tells whether Redis answered that it will not do what it was asked,
// and would not later: a wrong password, a missing right, a key of another type.
func refused(err error) bool {
	for _, prefix := range []string{"NOAUTH", "WRONGPASS", "NOPERM", "WRONGTYPE"} {
		if err != nil && strings.Contains(err.Error(), prefix) { // within a script it is not the first word
			return true
		}
	}
	return false
}

// planKey is the plan's hash as keys hold it: its first 16 digits.
func (r *Redis) planKey() string { return r.plan.Hash[:min(16, len(r.plan.Hash))] }

func (r *Redis) pair() string { return fmt.Sprintf("%s.%d", r.planKey(), r.run) }

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
		expires := rows.Empty && !r.plan.ModelsKnow(rows.Resolution)
		for i, cell := range rows.Cells {
			r.wait(cell, waiting{Value: AppendPacked(nil, rows, i), Expires: expires})
		}
	}
	r.poke()
	return nil
}

// wait keeps a value until it is written. Where too many wait, the value is
// given up and counted: the entity's next row brings it up to date.
func (r *Redis) wait(cell geo.Cell, w waiting) {
	old, is := r.waiting[cell]
	if is && !packedNewer(w.Value, old.Value) {
		return
	}
	if !is && len(r.waiting)+len(r.flying) >= r.options.Waiting {
		r.dropped++
		return
	}
	r.waiting[cell] = w
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

// Checkpoint returns the rows that Redis does not have yet.
func (r *Redis) Checkpoint(ctx context.Context, epoch int64) ([]byte, error) {
	r.settle(settleWithin)
	r.mu.Lock()
	defer r.mu.Unlock()
	state := redisState{Run: r.run, Waiting: make(map[string]waiting, len(r.waiting)+len(r.flying))}
	for _, rows := range []map[geo.Cell]waiting{r.flying, r.waiting} { // what waits is newer
		for cell, w := range rows {
			state.Waiting[cell.String()] = w
		}
	}
	content, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("encoding the state of the Redis sink: %w", err)
	}
	return content, nil
}

// settle waits until Redis has everything, for a bounded time.
func (r *Redis) settle(within time.Duration) {
	timer := time.AfterFunc(within, func() { r.idle.Broadcast() })
	defer timer.Stop()
	limit := time.Now().Add(within)
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.waiting)+len(r.flying) > 0 && time.Now().Before(limit) {
		r.idle.Wait()
	}
}

// Waiting is the number of entities whose newest row Redis does not have yet,
// and how many rows were given up because too many waited.
func (r *Redis) Waiting() (waiting int, dropped, written int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) + len(r.flying), r.dropped, r.written
}

// Close stops writing; what waits is in the last checkpoint.
func (r *Redis) Close() error {
	if r.stop != nil {
		r.settle(settleWithin)
		r.stop()
		<-r.done
	}
	return r.options.Client.Close()
}
