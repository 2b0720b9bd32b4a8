package materialize

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hextide/hextide/geo"
	"github.com/redis/go-redis/v9"
)

// upsert sets each key whose row is not newer than the given one. The rows'
// keys of order (window end, revision, incarnation) are whole numbers below
// 2^53, which Lua's doubles hold exactly. ARGV: the lifetime in ms of each value
// (0: for ever), then the values.
var upsert = redis.NewScript(`
local function number(s, first, bytes)
  local n = 0
  for i = first + bytes - 1, first, -1 do n = n * 256 + string.byte(s, i) end
  return n
end
local function newer(a, b)
  local x, y = number(a, 9, 8), number(b, 9, 8)
  if x ~= y then return x > y end
  x, y = number(a, 5, 4), number(b, 5, 4)
  if x ~= y then return x > y end
  return number(a, 17, 8) >= number(b, 17, 8)
end
local set = 0
for i, key in ipairs(KEYS) do
  local life, value = ARGV[i], ARGV[#KEYS + i]
  local old = redis.call('GETRANGE', key, 0, 31)
  if #old < 32 or newer(value, old) then
    if life == '0' then redis.call('SET', key, value) else redis.call('SET', key, value, 'PX', life) end
    set = set + 1
  end
end
return set`)

// scriptKeys is how many keys one call of the script has: enough to spread its
// cost, few enough not to hold Redis up. In a cluster, where keys of one call
// must share a slot, it is 1.
const scriptKeys = 64

// write is the goroutine that brings waiting rows to Redis until ctx ends.
func (r *Redis) write(ctx context.Context) {
	defer close(r.done)
	away := false
	retry := backoff.NewExponentialBackOff()
	retry.MaxInterval = 2 * time.Second
	for ctx.Err() == nil {
		batch := r.take()
		if len(batch) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
			}
			continue
		}
		err := r.send(ctx, batch)
		r.sent(batch, err)
		if err == nil {
			if away {
				r.options.Logger.Info("Redis is back")
			}
			away = false
			retry.Reset()
			continue
		}
		if !away && ctx.Err() == nil {
			r.options.Logger.Warn("Redis is away: the newest row of each entity waits", "error", err)
			away = true
		}
		if refused(err) {
			r.mu.Lock()
			r.failed = fmt.Errorf("Redis refuses the rows: %w", err)
			r.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		}
	}
}

// take moves some waiting rows into a batch.
func (r *Redis) take() map[geo.Cell]waiting {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := make(map[geo.Cell]waiting, min(len(r.waiting), 64*scriptKeys))
	for cell, w := range r.waiting {
		if len(batch) == 64*scriptKeys {
			break
		}
		batch[cell] = w
		delete(r.waiting, cell)
	}
	r.flying = batch
	return batch
}

// sent takes a batch's rows back where they were not written, unless newer ones
// wait by now.
func (r *Redis) sent(batch map[geo.Cell]waiting, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flying = nil
	if err == nil {
		r.written += int64(len(batch))
	} else {
		for cell, w := range batch {
			if newest, is := r.waiting[cell]; !is || !packedNewer(newest.Value, w.Value) {
				r.waiting[cell] = w
			}
		}
	}
	if len(r.waiting) == 0 {
		r.idle.Broadcast()
	}
}

// send writes a batch in one pipeline, and names the pair when it is new.
func (r *Redis) send(ctx context.Context, batch map[geo.Cell]waiting) error {
	perCall := scriptKeys
	if _, cluster := r.options.Client.(*redis.ClusterClient); cluster {
		perCall = 1
	}
	err := r.pipeline(ctx, batch, perCall)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		if err = upsert.Load(ctx, r.options.Client).Err(); err == nil {
			err = r.pipeline(ctx, batch, perCall)
		}
	}
	if err == nil && !r.named {
		err = r.name(ctx)
	}
	if err == nil && r.old != "" {
		err = r.removeOld(ctx)
	}
	return err
}

func (r *Redis) pipeline(ctx context.Context, batch map[geo.Cell]waiting, perCall int) error {
	pipe := r.options.Client.Pipeline()
	var keys []string
	var lives, values []any
	call := func() {
		if len(keys) > 0 {
			upsert.EvalSha(ctx, pipe, keys, append(lives, values...)...)
			keys, lives, values = nil, nil, nil
		}
	}
	for cell, w := range batch {
		life := int64(0)
		if w.Expires {
			life = r.options.Keep.Milliseconds()
		}
		keys, lives, values = append(keys, r.Key(cell)), append(lives, life), append(values, w.Value)
		if len(keys) == perCall {
			call()
		}
	}
	call()
	_, err := pipe.Exec(ctx)
	return err
}

// name makes `<pipeline>` name this pair once its first rows are there.
func (r *Redis) name(ctx context.Context) error {
	before, err := r.options.Client.SetArgs(ctx, r.plan.Name, r.pair(), redis.SetArgs{Get: true}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	r.named = true
	if before != r.pair() {
		r.old = before
	}
	return nil
}

// removeOld removes the keys of the pair before; what an error left is removed
// after the next batch.
func (r *Redis) removeOld(ctx context.Context) error {
	remove := func(ctx context.Context, node redis.Cmdable) error {
		keys := node.Scan(ctx, 0, r.plan.Name+":"+r.old+":*", 1000).Iterator()
		for keys.Next(ctx) {
			if err := r.options.Client.Unlink(ctx, keys.Val()).Err(); err != nil {
				return err
			}
		}
		return keys.Err()
	}
	var err error
	if cluster, is := r.options.Client.(*redis.ClusterClient); is {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return remove(ctx, node) })
	} else {
		err = remove(ctx, r.options.Client)
	}
	if err == nil {
		r.old = ""
	}
	return err
}
