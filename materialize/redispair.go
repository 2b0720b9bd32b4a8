package materialize

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"
)

// pairing is which pair `<pipeline>` names, as the writer goroutine last saw it.
type pairing struct {
	ours     bool      // it has named our pair since the start: if it names another by now, a newer run has taken over
	switched time.Time // since when it names ours, or since the start where it did before
	cleared  bool      // nothing of replaced pairs is left
	seen     bool      // it has named some pair since the start: if it names none by now, Redis has lost everything
}

// replacedKey is the set of pairs that were in use before: what is in it is
// removed, even where the run that replaced them has ended.
func (r *Redis) replacedKey() string { return r.plan.Name + ":replaced" }

// nextRun is one more than the runs of the same plan that are in use or not
// removed yet: a pipeline that begins anew writes beside what it wrote before.
func (r *Redis) nextRun(ctx context.Context) (int64, error) {
	asking, cancel := context.WithTimeout(ctx, r.options.StartWithin)
	defer cancel()
	var last error // what Redis said, or why it did not
	pairs, err := backoff.Retry(asking, func() ([]string, error) {
		pairs, err := r.pairs(asking)
		if refused(err) {
			err = backoff.Permanent(err)
		}
		if last == nil || asking.Err() == nil {
			last = err
		}
		return pairs, err
	}, backoff.WithMaxElapsedTime(r.options.StartWithin))
	if err != nil {
		return 0, last
	}
	run := int64(1)
	for _, pair := range pairs {
		if hash, text, is := strings.Cut(pair, "."); is && hash == r.planKey() {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				run = max(run, n+1)
			}
		}
	}
	return run, nil
}

// pairs lists the pair in use and those that it replaced.
func (r *Redis) pairs(ctx context.Context) ([]string, error) {
	pairs, err := r.options.Client.SMembers(ctx, r.replacedKey()).Result()
	if err != nil {
		return nil, err
	}
	pair, err := r.options.Client.Get(ctx, r.plan.Name).Result()
	if errors.Is(err, redis.Nil) {
		return pairs, nil
	}
	return append(pairs, pair), err
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

// name makes `<pipeline>` name this pair: at once where it names none, also after
// Redis has come back empty; in place of another only when everything read so
// far is there, so that nobody is sent from new rows to old ones.
func (r *Redis) name(ctx context.Context) error {
	client := r.options.Client
	before, err := client.Get(ctx, r.plan.Name).Result()
	switch {
	case errors.Is(err, redis.Nil):
		if err := client.SetNX(ctx, r.plan.Name, r.pair(), 0).Err(); err != nil {
			return err
		}
		if r.naming.seen {
			r.vanished()
		}
		r.naming.seen = true
	case err != nil:
		return err
	case before == r.pair():
		r.naming.seen = true
	case r.naming.ours || r.left() > 0 || !r.options.CaughtUp():
		r.naming.seen = true
		return nil
	default: // first written down, then switched: whatever happens in between, the old pair's keys are found again
		if err := client.SAdd(ctx, r.replacedKey(), before).Err(); err != nil {
			return err
		}
		if err := client.Set(ctx, r.plan.Name, r.pair(), 0).Err(); err != nil {
			return err
		}
	}
	if !r.naming.ours {
		r.naming = pairing{ours: true, switched: time.Now(), seen: true}
		return client.SRem(ctx, r.replacedKey(), r.pair()).Err() // a pair that is in use again
	}
	return nil
}

// tidy names the pair where that is due, sees whether Redis still has what it
// had, and removes the keys of replaced pairs
// a while after the switch: readers may still be using them.
func (r *Redis) tidy(ctx context.Context) error {
	if _, _, written := r.Waiting(); written > 0 {
		if err := r.name(ctx); err != nil {
			return err
		}
	}
	if !r.naming.ours || r.naming.cleared || time.Since(r.naming.switched) < r.options.Grace {
		return nil
	}
	pairs, err := r.options.Client.SMembers(ctx, r.replacedKey()).Result()
	if err != nil {
		return err
	}
	for _, pair := range pairs {
		if pair == r.pair() {
			continue
		}
		if err := r.remove(ctx, pair); err != nil {
			return err
		}
		if err := r.options.Client.SRem(ctx, r.replacedKey(), pair).Err(); err != nil {
			return err
		}
	}
	r.naming.cleared = true
	return nil
}

// remove removes a pair's keys.
func (r *Redis) remove(ctx context.Context, pair string) error {
	remove := func(ctx context.Context, node redis.Cmdable) error {
		keys := node.Scan(ctx, 0, r.plan.Name+":"+pair+":*", 1000).Iterator()
		for keys.Next(ctx) {
			if err := r.options.Client.Unlink(ctx, keys.Val()).Err(); err != nil {
				return err
			}
		}
		return keys.Err()
	}
	if cluster, is := r.options.Client.(*redis.ClusterClient); is {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return remove(ctx, node) })
	}
	return remove(ctx, r.options.Client)
}
