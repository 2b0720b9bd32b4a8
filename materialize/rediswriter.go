package materialize

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hextide/hextide/geo"
	"github.com/redis/go-redis/v9"
)

// upsertScript sets each key whose row is not newer than the given one. The rows'
// keys of order (window end, revision, incarnation) are whole numbers below
// 2^53, which Lua's doubles hold exactly. ARGV: the lifetime in ms of each value
// (0: for ever), then the values.
var upsertScript = redis.NewScript(`
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

// batchKeys is how many keys are written in one pipeline.
const batchKeys = 64 * scriptKeys

// tidyEvery is how often the writer sees to names and old keys while no rows come.
const tidyEvery = time.Second

// write is the goroutine that brings waiting rows to Redis until ctx ends.
func (r *Redis) write(ctx context.Context) {
	away := false
	retry := backoff.NewExponentialBackOff()
	retry.MaxInterval = 2 * time.Second
	for ctx.Err() == nil {
		batch := r.take()
		var err error
		if len(batch) == 0 {
			if err = r.tidy(ctx); err == nil {
				select {
				case <-ctx.Done():
				case <-r.wake:
				case <-time.After(min(tidyEvery, r.options.Grace)):
				}
			}
		} else {
			err = r.send(ctx, batch)
			r.sent(batch, err)
		}
		if away = r.noted(ctx, away, err); err == nil {
			retry.Reset()
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		}
	}
}

// noted tells the log and the run what has become of Redis, and returns whether it
// is away.
func (r *Redis) noted(ctx context.Context, away bool, err error) bool {
	switch {
	case err == nil:
		if away {
			r.options.Logger.Info("Redis is back")
		}
		return false
	case !away && ctx.Err() == nil:
		r.options.Logger.Warn("Redis is away: the newest row of each entity waits", "error", err)
	}
	if refused(err) {
		r.mu.Lock()
		r.failed = fmt.Errorf("Redis refuses the rows: %w", err)
		r.idle.Broadcast()
		r.mu.Unlock()
	}
	return true
}

// take moves some waiting rows into a batch.
func (r *Redis) take() map[geo.Cell]waiting {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := make(map[geo.Cell]waiting, min(len(r.waiting), batchKeys))
	for cell, w := range r.waiting {
		if len(batch) == batchKeys {
			break
		}
		batch[cell] = w
		delete(r.waiting, cell)
		if w.marker() {
			r.markers--
		}
	}
	r.flying = maps.Clone(batch)
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
				r.put(cell, w)
			}
		}
	}
	r.idle.Broadcast()
}

// send writes a batch, and sees to the name of the pair.
func (r *Redis) send(ctx context.Context, batch map[geo.Cell]waiting) error {
	if err := r.upsert(ctx, batch); err != nil {
		return err
	}
	return r.name(ctx)
}

// upsert writes a batch in one pipeline. It may be called from any goroutine.
func (r *Redis) upsert(ctx context.Context, batch map[geo.Cell]waiting) error {
	perCall := scriptKeys
	if _, cluster := r.options.Client.(*redis.ClusterClient); cluster {
		perCall = 1
	}
	err := r.pipeline(ctx, batch, perCall)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		if err = upsertScript.Load(ctx, r.options.Client).Err(); err == nil {
			err = r.pipeline(ctx, batch, perCall)
		}
	}
	return err
}

func (r *Redis) pipeline(ctx context.Context, batch map[geo.Cell]waiting, perCall int) error {
	pipe := r.options.Client.Pipeline()
	var keys []string
	var lives, values []any
	call := func() {
		if len(keys) > 0 {
			upsertScript.EvalSha(ctx, pipe, keys, append(lives, values...)...)
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
