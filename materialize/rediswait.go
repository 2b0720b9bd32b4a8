package materialize

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/hextide/hextide/geo"
)

// bounded tells whether the run ends, so that no later row makes up for one that
// was given up.
func (r *Redis) bounded() bool { return r.options.Complete != nil }

// room waits, in a bounded run, until there is room for an entity's row. The
// lock is held.
func (r *Redis) room(ctx context.Context, cell geo.Cell) error {
	if _, is := r.newest(cell); is || !r.bounded() || len(r.waiting)+len(r.flying) < r.options.Waiting {
		return nil
	}
	return r.await(ctx, r.options.Within, func() bool { return len(r.waiting)+len(r.flying) < r.options.Waiting })
}

// taken waits until Redis has taken some of the rows that wait.
func (r *Redis) taken(ctx context.Context, some int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	most := max(0, len(r.waiting)+len(r.flying)-some)
	return r.await(ctx, r.options.Within, func() bool { return len(r.waiting)+len(r.flying) <= most })
}

// await waits until Redis has taken enough; an error where it takes no row for so
// long, or will never. The lock is held, but not while it waits.
func (r *Redis) await(ctx context.Context, within time.Duration, enough func() bool) error {
	r.poke()
	limit, written := time.Now().Add(within), r.written
	timer := time.AfterFunc(within, r.broadcast) // not before limit
	defer timer.Stop()
	defer context.AfterFunc(ctx, r.broadcast)()
	for !enough() {
		switch {
		case r.failed != nil:
			return r.failed
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case r.written != written:
			limit, written = time.Now().Add(within), r.written
			timer.Reset(within)
		case !time.Now().Before(limit):
			return fmt.Errorf("Redis has taken no row for %s, and %d wait", within, len(r.waiting)+len(r.flying))
		}
		r.idle.Wait()
	}
	return nil
}

// settle waits until Redis has everything, for a bounded time.
func (r *Redis) settle(within time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	over := false
	timer := time.AfterFunc(within, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		over = true
		r.idle.Broadcast()
	})
	defer timer.Stop()
	for len(r.waiting)+len(r.flying) > 0 && !over {
		r.idle.Wait()
	}
}

// broadcast lets those that wait look again.
func (r *Redis) broadcast() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle.Broadcast()
}

// save encodes the rows that Redis does not have; left is how many found no room.
func (r *Redis) save() (saved []byte, left int, err error) {
	r.mu.Lock()
	rows := make(map[geo.Cell]waiting, len(r.waiting)+len(r.flying))
	maps.Copy(rows, r.flying)
	maps.Copy(rows, r.waiting)
	r.mu.Unlock()
	return saveWaiting(rows, maxSaved)
}
