package materialize

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// evictedEvery is how often Redis is asked how many keys it has evicted.
const evictedEvery = 5 * time.Second

// evictions is what Redis has told of keys that it gave up for lack of memory. Rows
// among them are gone until their entity's next, or until Redis is filled again, and
// nobody but Redis knows of it.
type evictions struct {
	mu    sync.Mutex
	asked bool
	last  int64 // what it said last
	total int64 // keys since the first time
	going bool  // more than the time before
}

// Evicted is how many keys Redis has evicted since the run began, whosever they were. It
// may be called from any goroutine.
func (r *Redis) Evicted() int64 {
	e := &r.refill.evicted
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}

// watchEvictions is the goroutine that asks, until the run ends.
func (r *Redis) watchEvictions(ctx context.Context) {
	tick := time.NewTicker(evictedEvery)
	defer tick.Stop()
	for {
		r.askEvicted(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// askEvicted asks once, and logs what is to be known of it: once that any row may go,
// and whenever keys begin to.
func (r *Redis) askEvicted(ctx context.Context) {
	keys, policy, err := r.info(ctx)
	if err != nil {
		return // it is away, which the writer tells, or this user may not ask: the next time
	}
	e := &r.refill.evicted
	e.mu.Lock()
	defer e.mu.Unlock()
	more := keys - e.last
	switch {
	case !e.asked:
		more = 0
		if strings.HasPrefix(policy, "allkeys-") {
			r.options.Logger.Warn("Redis may evict any row where its memory is used up: set its maxmemory-policy to noeviction", "maxmemory_policy", policy)
		}
	case more < 0: // it has started again
		more = keys
	}
	e.asked, e.last, e.total = true, keys, e.total+more
	if more > 0 && !e.going {
		r.options.Logger.Warn("Redis evicts keys for lack of memory: rows may be missing there; give it more, and bring them back with 'hextide redis refill'", "evicted", e.total, "maxmemory_policy", policy)
	}
	e.going = more > 0
}

// info is how many keys all servers have evicted since they started, and what they do
// where their memory is used up.
func (r *Redis) info(ctx context.Context) (keys int64, policy string, err error) {
	var mu sync.Mutex
	ask := func(ctx context.Context, node redis.Cmdable) error {
		text, err := node.Info(ctx).Result()
		mu.Lock()
		defer mu.Unlock()
		for line := range strings.Lines(text) {
			switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
			case "evicted_keys":
				n, _ := strconv.ParseInt(value, 10, 64)
				keys += n
			case "maxmemory_policy":
				policy = value
			}
		}
		return err
	}
	if cluster, is := r.options.Client.(*redis.ClusterClient); is {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return ask(ctx, node) })
		return keys, policy, err
	}
	err = ask(ctx, r.options.Client)
	return keys, policy, err
}
