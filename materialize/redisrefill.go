package materialize

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
	"github.com/redis/go-redis/v9"
)

// Kept are the newest rows that a run keeps beside Redis. Its methods may be
// called from any goroutine.
type Kept interface {
	// Cells are those with a row, ascending.
	Cells() []geo.Cell
	// Newest visits the newest row of each of some cells that has one; the block is
	// the visitor's until it returns.
	Newest(cells []geo.Cell, visit func(rows *stream.Rows, row int))
}

// refilling is how Redis is being filled again.
type refilling struct {
	turn    chan struct{} // held by the one that refills
	emptied chan struct{} // Redis has been found empty
	due     bool          // it has been, and is not filled again
	own     int64         // times that it was filled again because it was found empty
	asked   int64         // and because somebody asked for it
	evicted evictions
}

func newRefilling() refilling {
	return refilling{turn: make(chan struct{}, 1), emptied: make(chan struct{}, 1)}
}

// Refills is how often Redis was filled again: because it was found empty, and
// because somebody asked for it.
func (r *Redis) Refills() (own, asked int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refill.own, r.refill.asked
}

// Refill writes the newest row of each kept entity to Redis again, as any row is
// written: a newer one that is there stays. Progress is told how many of how many
// have been. The number of those is returned.
func (r *Redis) Refill(ctx context.Context, progress func(written, of int)) (int, error) {
	n, err := r.fill(ctx, progress)
	if err == nil {
		r.mu.Lock()
		r.refill.asked++
		r.mu.Unlock()
	}
	return n, err
}

// fill names the pair where none is named, and writes all rows that are kept.
// Where the name has gone by the end, rows written before may have gone too.
func (r *Redis) fill(ctx context.Context, progress func(written, of int)) (n int, err error) {
	if r.options.Kept == nil {
		return 0, errors.New("the run keeps no rows beside Redis")
	}
	select {
	case r.refill.turn <- struct{}{}:
		defer func() { <-r.refill.turn }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	named, err := r.options.Client.SetNX(ctx, r.plan.Name, r.pair(), 0).Result()
	defer func() {
		if named && err != nil {
			r.vanished() // the writer, which looks for the name, would not find out
		}
	}()
	if err != nil {
		return 0, unfilled(0, 0, err)
	}
	cells := r.options.Kept.Cells()
	for some := range slices.Chunk(cells, batchKeys) {
		batch := make(map[geo.Cell]waiting, len(some))
		r.options.Kept.Newest(some, func(rows *stream.Rows, row int) {
			batch[rows.Cells[row]] = waiting{Value: AppendPacked(nil, rows, row), Expires: r.expires(rows)}
		})
		if err := r.upsert(ctx, batch); err != nil {
			return n, unfilled(n, len(cells), err)
		}
		n += len(batch)
		r.mu.Lock()
		r.written += int64(len(batch))
		r.idle.Broadcast()
		r.mu.Unlock()
		progress(n, len(cells))
	}
	if err = r.options.Client.Get(ctx, r.plan.Name).Err(); err != nil {
		return n, unfilled(n, len(cells), err)
	}
	return n, nil
}

// unfilled says why Redis was not filled to the end.
func unfilled(n, of int, err error) error {
	switch {
	case errors.Is(err, redis.Nil):
		return errors.New("Redis was emptied again meanwhile")
	case refused(err):
		return fmt.Errorf("Redis refuses the rows: %w", err)
	case of == 0:
		return fmt.Errorf("Redis is away: %w", err)
	}
	return fmt.Errorf("Redis is away after %d of %d entities: %w", n, of, err)
}

// vanished notes that Redis has lost what it had: it is to be filled again.
func (r *Redis) vanished() {
	r.options.Logger.Warn("Redis has come back empty: it is filled again", "pair", r.pair())
	r.mu.Lock()
	r.refill.due = true
	r.mu.Unlock()
	select {
	case r.refill.emptied <- struct{}{}:
	default:
	}
}

// keepFull is the goroutine that fills Redis again whenever it was found empty.
func (r *Redis) keepFull(ctx context.Context) {
	retry := backoff.NewExponentialBackOff()
	retry.MaxInterval = 2 * time.Second
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.refill.emptied:
		}
		retry.Reset()
		for {
			n, err := r.fill(ctx, func(int, int) {})
			if err == nil {
				r.filled(n)
				break
			}
			r.options.Logger.Warn("Redis is not filled again yet", "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(retry.NextBackOff()):
			}
		}
	}
}

// filled notes that Redis has what it had, unless it was emptied once more.
func (r *Redis) filled(n int) {
	r.options.Logger.Info("Redis is filled again", "entities", n)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refill.own++
	r.refill.due = len(r.refill.emptied) > 0
	r.idle.Broadcast()
}
