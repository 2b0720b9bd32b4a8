package materialize

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

var quietly = slog.New(slog.DiscardHandler)

// own is a name that no other test of a shared server has.
func own(name string) string { return fmt.Sprintf("%s-%d", name, time.Now().UnixNano()) }

func clientOf(t testing.TB, address string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: address})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// toRedis is a sink as a run has it, with a client of its own.
func toRedis(t testing.TB, address string, plan *pipeline.Plan, state []byte, o RedisOptions) *Redis {
	t.Helper()
	o.Client, o.Logger = redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, DialerRetries: 1, DialTimeout: time.Second}), quietly
	r := NewRedis(plan, o)
	if err := r.Restore(context.Background(), state); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func settled(t testing.TB, r *Redis) {
	t.Helper()
	eventually(t, "Redis has every row", func() bool { waiting, _, _ := r.Waiting(); return waiting == 0 })
}

// get reads a cell as docs/redis.md says that a reader does.
func get(t testing.TB, c *redis.Client, plan *pipeline.Plan, cell geo.Cell) *Packed {
	t.Helper()
	pair, err := c.Get(t.Context(), plan.Name).Result()
	if err != nil {
		t.Fatal(err)
	}
	value, err := c.Get(t.Context(), plan.Name+":"+pair+":"+cell.String()).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePacked(value)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func outputOf(plan *pipeline.Plan, blocks ...block) *stream.Output {
	return (&step{blocks: blocks}).output(plan)
}

// redisConforms is what every Redis must show of the sink.
func redisConforms(t *testing.T, address string) {
	t.Run("newest wins", func(t *testing.T) { redisNewestWins(t, address) })
	t.Run("markers", func(t *testing.T) { redisMarkers(t, address) })
	t.Run("runs", func(t *testing.T) { redisRuns(t, address) })
	t.Run("courses", func(t *testing.T) { redisCourses(t, address) })
	t.Run("emptied", func(t *testing.T) { redisEmptied(t, address) })
	t.Run("many", func(t *testing.T) { redisMany(t, address) })
}

// Two writers of one state, each in an order of its own: what stands is the
// newest row that either wrote.
func redisNewestWins(t *testing.T, address string) {
	c, cells := clientOf(t, address), someCells(t)
	rapid.Check(t, func(rt *rapid.T) {
		plan := planOf(t, own("newest"), "none", "json")
		state := []byte(`{"run": 1}`)
		writers := []*Redis{toRedis(t, address, plan, state, RedisOptions{}), toRedis(t, address, plan, state, RedisOptions{})}
		var newest version
		for range rapid.IntRange(1, 12).Draw(rt, "rows") {
			w := rapid.IntRange(0, 1).Draw(rt, "writer")
			v := version{noon + minute*rapid.Int64Range(0, 3).Draw(rt, "end"), rapid.Int32Range(0, 1).Draw(rt, "revision"), rapid.Int64Range(1, 3).Draw(rt, "incarnation")}
			b := simple(plan, v.end, v.revision, v.end+int64(v.revision)+10*v.incarnation, cells[0])
			b.incarnation = v.incarnation
			deliver(t, writers[w], outputOf(plan, b))
			if rapid.Bool().Draw(rt, "settle") {
				settled(t, writers[w])
			}
			if newest.less(v) {
				newest = v
			}
		}
		for _, w := range writers {
			settled(t, w)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		p := get(t, c, plan, cells[0])
		if (version{p.WindowEnd, p.Revision, p.Incarnation}) != newest || p.Bits[0] != uint64(newest.end+int64(newest.revision)+10*newest.incarnation) {
			t.Fatalf("%+v stands, not %+v", p, newest)
		}
	})
}

// A marker goes after a while, a row does not, nor does a marker that a row
// followed.
func redisMarkers(t *testing.T, address string) {
	c, cells, plan := clientOf(t, address), someCells(t), planOf(t, own("markers"), "none", "json")
	r := toRedis(t, address, plan, nil, RedisOptions{Keep: time.Hour})
	marker := simple(plan, noon+minute, 0, 0, cells[0], cells[2])
	marker.empty = true
	deliver(t, r, outputOf(plan, simple(plan, noon, 0, 1, cells[0], cells[1], cells[2])))
	settled(t, r)
	deliver(t, r, outputOf(plan, marker))
	settled(t, r)
	deliver(t, r, outputOf(plan, simple(plan, noon+2*minute, 0, 2, cells[2])))
	settled(t, r)
	for i, want := range []struct {
		empty bool
		lives bool
		n     uint64
	}{{true, true, 0}, {false, false, 1}, {false, false, 2}} {
		p, life := get(t, c, plan, cells[i]), c.TTL(t.Context(), r.Key(cells[i])).Val()
		if p.Empty != want.empty || (life > 0) != want.lives || p.Bits[0] != want.n || life > time.Hour {
			t.Errorf("cell %d: %+v stays for %s", i, p, life)
		}
	}
}

// A pipeline that begins anew writes beside what is there, names its own pair once
// it is caught up, and a while later removes the old keys; so does another plan.
// One that goes on keeps its pair.
func redisRuns(t *testing.T, address string) {
	c, cells, name := clientOf(t, address), someCells(t), own("runs")
	plan := planOf(t, name, "none", "json")
	r := toRedis(t, address, plan, nil, RedisOptions{})
	deliver(t, r, outputOf(plan, simple(plan, noon+9*minute, 0, 1, cells...)))
	settled(t, r)
	state, err := r.Checkpoint(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	first := r.pair()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if same := toRedis(t, address, plan, state, RedisOptions{}); same.pair() != first {
		t.Errorf("a run that goes on from %s writes to %s", first, same.pair())
	}
	changed := planOf(t, name, "other", "json") // another text, another hash
	for _, next := range []*pipeline.Plan{plan, changed} {
		before := c.Get(t.Context(), name).Val()
		var caughtUp atomic.Bool
		r := toRedis(t, address, next, nil, RedisOptions{CaughtUp: caughtUp.Load, Grace: time.Hour})
		deliver(t, r, outputOf(next, simple(next, noon, 0, 5, cells[0]))) // older than what was there
		settled(t, r)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if named := c.Get(t.Context(), name).Val(); named != before {
			t.Errorf("%s is named while %s is still catching up", named, r.pair())
		}
		state, err := r.Checkpoint(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		r = toRedis(t, address, next, state, RedisOptions{CaughtUp: caughtUp.Load, Grace: time.Hour})
		deliver(t, r, outputOf(next, simple(next, noon+minute, 0, 6, cells[0])))
		caughtUp.Store(true)
		eventually(t, "the new pair is named", func() bool { return c.Get(t.Context(), name).Val() == r.pair() })
		if p := get(t, c, next, cells[0]); p.Bits[0] != 6 || r.pair() == before {
			t.Errorf("the new run's row is %+v in %s", p, r.pair())
		}
		if n := len(c.Keys(t.Context(), name+":"+before+":*").Val()); n == 0 {
			t.Error("the old keys are gone before their readers are")
		}
		if err := r.Close(); err != nil { // before it removes them: the next run does
			t.Fatal(err)
		}
		r = toRedis(t, address, next, state, RedisOptions{Grace: time.Millisecond})
		deliver(t, r, outputOf(next, simple(next, noon+2*minute, 0, 7, cells[0])))
		eventually(t, "the old keys are gone", func() bool {
			return len(c.Keys(t.Context(), name+":"+before+":*").Val()) == 0 && c.SCard(t.Context(), r.replacedKey()).Val() == 0
		})
		if p := get(t, c, next, cells[0]); p == nil {
			t.Error("the pair in use was removed")
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A run that went back to an older epoch writes beside what was written since then;
// one that goes on from it keeps its pair.
func redisCourses(t *testing.T, address string) {
	cells, plan := someCells(t), planOf(t, own("courses"), "none", "json")
	course := func(n int64) RedisOptions { return RedisOptions{Course: func() int64 { return n }} }
	r := toRedis(t, address, plan, nil, course(0))
	deliver(t, r, outputOf(plan, simple(plan, noon, 0, 1, cells...)))
	settled(t, r)
	state, err := r.Checkpoint(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	back := toRedis(t, address, plan, state, course(1))
	if back.pair() == r.pair() {
		t.Errorf("a run that went back writes to %s too", r.pair())
	}
	if state, err = back.Checkpoint(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if same := toRedis(t, address, plan, state, course(1)); same.pair() != back.pair() {
		t.Errorf("it goes on in %s, not %s", same.pair(), back.pair())
	}
}

// Redis comes back empty, unnoticed between two rows: `<pipeline>` is named again.
func redisEmptied(t *testing.T, address string) {
	c, cells, plan := clientOf(t, address), someCells(t), planOf(t, own("emptied"), "none", "json")
	r := toRedis(t, address, plan, nil, RedisOptions{})
	for i := range 2 {
		deliver(t, r, outputOf(plan, simple(plan, noon+int64(i)*minute, 0, 1, cells...)))
		settled(t, r)
		if p := get(t, c, plan, cells[0]); p == nil || p.WindowEnd != noon+int64(i)*minute {
			t.Errorf("%+v stands", p)
		}
		c.Del(t.Context(), c.Keys(t.Context(), plan.Name+"*").Val()...)
	}
}

// More rows than one batch holds, and a script that the server has lost.
func redisMany(t *testing.T, address string) {
	c, plan := clientOf(t, address), planOf(t, own("many"), "none", "json")
	if err := c.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	r := toRedis(t, address, plan, nil, RedisOptions{})
	cells := gridCells(t, 6000)
	for len(cells) > 0 {
		n := min(len(cells), stream.BlockRows)
		deliver(t, r, outputOf(plan, simple(plan, noon, 0, int64(len(cells)), cells[:n]...)))
		cells = cells[n:]
	}
	settled(t, r)
	if n := len(c.Keys(t.Context(), plan.Name+":*").Val()); n != 6000 {
		t.Errorf("%d keys", n)
	}
}

// gridCells are so many cells, ascending.
func gridCells(t testing.TB, n int) []geo.Cell {
	t.Helper()
	coarse, err := geo.Index(37.77, -122.42, 4)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := coarse.Children(nil, 9)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(cells)
	return cells[:n]
}

func TestRedisFakeConforms(t *testing.T) { redisConforms(t, miniredis.RunT(t).Addr()) }

func TestRedisRealConforms(t *testing.T) { redisConforms(t, testserver.Redis(t)) }

// Redis away at the start is an error within bounds; so is one that refuses.
func TestRedisAwayAtTheStart(t *testing.T) {
	server := miniredis.RunT(t)
	address := server.Addr()
	server.RequireAuth("secret")
	for _, message := range []string{"NOAUTH", "connect"} {
		r := NewRedis(planOf(t, "away", "none", "json"), RedisOptions{
			Client: redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, DialerRetries: 1}), Logger: quietly, StartWithin: 300 * time.Millisecond,
		})
		err := r.Restore(t.Context(), []byte(`{"run": 4}`))
		if err == nil || !strings.Contains(err.Error(), message) || !strings.Contains(err.Error(), "Redis") {
			t.Errorf("the error is %v, without %s", err, message)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}

// Redis is killed and comes back: the newest row of each entity arrives, and
// until it does the checkpoint has it, also for a process that begins from it.
func TestRedisRealGoneAndBack(t *testing.T) {
	server := testserver.NewRedis(t)
	c, cells, plan := clientOf(t, server.Addr()), gridCells(t, 500), planOf(t, "back", "none", "json")
	r := toRedis(t, server.Addr(), plan, nil, RedisOptions{Waiting: 400})
	deliver(t, r, outputOf(plan, simple(plan, noon, 0, 1, cells[:200]...)))
	settled(t, r)
	server.Kill()
	deliver(t, r, outputOf(plan, simple(plan, noon+minute, 0, 2, cells[:200]...)))
	deliver(t, r, outputOf(plan, simple(plan, noon+2*minute, 0, 3, cells[100:200]...), simple(plan, noon, 0, 9, cells[:50]...)))
	deliver(t, r, outputOf(plan, simple(plan, noon+2*minute, 0, 4, cells[200:456]...)))
	state, err := r.Checkpoint(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if waiting, dropped, _ := r.Waiting(); waiting != 400 || dropped != 56 {
		t.Errorf("%d wait and %d were given up, of 456", waiting, dropped)
	}
	server.Start()
	settled(t, r)
	check := func() {
		t.Helper()
		for i, want := range map[int]uint64{0: 2, 99: 2, 100: 3, 199: 3, 200: 4, 399: 4} {
			if p := get(t, c, plan, cells[i]); p == nil || p.Bits[0] != want {
				t.Errorf("cell %d is %+v, not %d", i, p, want)
			}
		}
	}
	check()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, k := range c.Keys(t.Context(), plan.Name+":*").Val() {
		c.Del(t.Context(), k)
	}
	again := toRedis(t, server.Addr(), plan, state, RedisOptions{})
	deliver(t, again, outputOf(plan)) // nothing new: what waited goes by itself
	settled(t, again)
	check()
}

// Where too many wait, rows are given up, markers never: nothing would follow
// them, and an entity that has ceased would keep its old counts for ever.
func TestRedisKeepsMarkers(t *testing.T) {
	plan, cells := planOf(t, "keeps", "none", "json"), gridCells(t, 30)
	r := NewRedis(plan, RedisOptions{Client: redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}), Waiting: 10})
	markers := simple(plan, noon+minute, 0, 0, cells[5:25]...)
	markers.empty = true
	deliver(t, r, outputOf(plan, simple(plan, noon, 0, 1, cells[:10]...)))
	deliver(t, r, outputOf(plan, markers))
	deliver(t, r, outputOf(plan, simple(plan, noon+2*minute, 0, 2, cells[24:]...)))
	for i, cell := range cells {
		w, is := r.waiting[cell]
		if want := i >= 5 && i < 25; is != want || is && w.marker() != (i < 24) {
			t.Errorf("cell %d waits: %v, not %v", i, is, want)
		}
	}
	if waiting, dropped, _ := r.Waiting(); waiting != 20 || dropped != 10 || r.markers != 19 {
		t.Errorf("%d wait, of them %d markers, and %d were given up", waiting, r.markers, dropped)
	}
	state, err := r.Checkpoint(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	again := NewRedis(plan, RedisOptions{})
	if err := again.restore(state); err != nil || !maps.EqualFunc(again.waiting, r.waiting, sameWaiting) || again.markers != r.markers {
		t.Errorf("of %d waiting %d come back, %v", len(r.waiting), len(again.waiting), err)
	}
	_ = r.Close()
}

// A bounded run gives up no row: where too many wait and Redis takes none, the
// run fails; it is the same at its end.
func TestRedisBoundedGivesNothingUp(t *testing.T) {
	server := miniredis.RunT(t)
	plan, cells := planOf(t, "bounded", "none", "json"), gridCells(t, 11)
	complete := atomic.Bool{}
	r := toRedis(t, server.Addr(), plan, nil, RedisOptions{Waiting: 10, Within: 100 * time.Millisecond, Complete: complete.Load})
	server.Server().Close() // once what it is asked is answered
	deliver(t, r, outputOf(plan, simple(plan, noon, 0, 1, cells[:10]...)))
	deliver(t, r, outputOf(plan, simple(plan, noon+minute, 0, 2, cells[:10]...))) // in place of those that wait
	if err := r.Write(t.Context(), outputOf(plan, simple(plan, noon, 0, 1, cells[10]))); err == nil || !strings.Contains(err.Error(), "no row for 100ms, and 10 wait") {
		t.Errorf("one row too many: %v", err)
	}
	if waiting, dropped, _ := r.Waiting(); waiting != 10 || dropped != 0 {
		t.Errorf("%d wait, %d were given up", waiting, dropped)
	}
	complete.Store(true)
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), "lacks 10 rows") {
		t.Errorf("the run ends with %v", err)
	}
}

func sameWaiting(a, b waiting) bool { return a.Expires == b.Expires && bytes.Equal(a.Value, b.Value) }

// What a checkpoint keeps is bounded: markers first, and the rest is counted.
func TestRedisStateIsBounded(t *testing.T) {
	plan, rows := planOf(t, "bounded", "none", "json"), map[geo.Cell]waiting{}
	cells := gridCells(t, 4000)
	random := rand.New(rand.NewPCG(1, 2))
	for i, cell := range cells {
		b := simple(plan, noon, 0, random.Int64(), cell)
		b.empty = i%4 == 3
		rows[cell] = waiting{Value: AppendPacked(nil, b.rows(plan), 0), Expires: i%8 == 3}
	}
	whole, left, err := saveWaiting(rows, maxSaved)
	if err != nil || left != 0 || len(whole) > 4000*(savedHeader+packedHeader+8*5) {
		t.Fatalf("%d bytes, %d left, %v", len(whole), left, err)
	}
	if back, err := restoreWaiting(whole); err != nil || !maps.EqualFunc(back, rows, sameWaiting) {
		t.Errorf("%d of %d rows come back, %v", len(back), len(rows), err)
	}
	limit := 2 * len(whole) / 3
	part, left, err := saveWaiting(rows, limit)
	if err != nil || left == 0 || len(part) > limit+64 || len(part) < limit*9/10 {
		t.Fatalf("%d bytes of %d, %d left, %v", len(part), limit, left, err)
	}
	back, err := restoreWaiting(part)
	if err != nil || len(back) != len(rows)-left {
		t.Fatalf("%d of %d rows come back, %v", len(back), len(rows)-left, err)
	}
	for cell, w := range rows {
		if got, is := back[cell]; is && !sameWaiting(got, w) || !is && w.marker() {
			t.Fatalf("%s comes back as %v", cell, got)
		}
	}
	for cut := 0; cut < len(part); cut += len(part) / 16 {
		_, _ = restoreWaiting(part[:cut]) // an error or less, never a panic
	}
}

// A run that ends waits for Redis while Redis takes rows, however long that is.
func TestRedisCloseWaits(t *testing.T) {
	server := testserver.NewRedis(t)
	plan, cells := planOf(t, "waits", "none", "json"), gridCells(t, 16_000)
	r := toRedis(t, server.Addr(), plan, nil, RedisOptions{})
	c := clientOf(t, server.Addr())
	server.Kill()
	for len(cells) > 0 {
		deliver(t, r, outputOf(plan, simple(plan, noon, 0, 1, cells[:200]...)))
		cells = cells[200:]
	}
	server.Start()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if n := c.DBSize(t.Context()).Val(); n != 16_001 {
		t.Errorf("Redis has %d keys at the end, not 16,000 and the name", n)
	}
}

// What is on its way when a checkpoint is taken is part of it: whether Redis
// takes it, nobody knows yet.
func TestRedisCheckpointHoldsWhatFlies(t *testing.T) {
	server := miniredis.RunT(t)
	plan, cells := planOf(t, "flies", "none", "json"), someCells(t)
	r := toRedis(t, server.Addr(), plan, nil, RedisOptions{})
	deliver(t, r, outputOf(plan, simple(plan, noon, 0, 1, cells[0], cells[1])))
	settled(t, r)
	if err := r.Close(); err != nil { // its writer has ended: the test takes its place
		t.Fatal(err)
	}
	deliver(t, r, outputOf(plan, simple(plan, noon+minute, 0, 2, cells[0], cells[1])))
	batch := r.take()
	deliver(t, r, outputOf(plan, simple(plan, noon+2*minute, 0, 3, cells[1])))
	state, err := r.Checkpoint(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	r.sent(batch, errors.New("away"))
	if n := len(r.waiting); n != 2 {
		t.Errorf("%d entities wait after a failure, not 2", n)
	}
	again := toRedis(t, server.Addr(), plan, state, RedisOptions{})
	deliver(t, again, outputOf(plan))
	settled(t, again)
	c := clientOf(t, server.Addr())
	for i, want := range []uint64{2, 3} {
		if p := get(t, c, plan, cells[i]); p.Bits[0] != want {
			t.Errorf("cell %d is %+v, not %d", i, p, want)
		}
	}
}

// A key of another type at an entity's place will not heal: the run ends, with
// the reason.
func TestRedisRefuses(t *testing.T) {
	server := miniredis.RunT(t)
	plan, cells := planOf(t, "refuses", "none", "json"), someCells(t)
	r := toRedis(t, server.Addr(), plan, nil, RedisOptions{})
	if _, err := server.Lpush(r.Key(cells[0]), "x"); err != nil {
		t.Fatal(err)
	}
	var err error
	eventually(t, "the run ends", func() bool {
		err = r.Write(t.Context(), outputOf(plan, simple(plan, noon, 0, 1, cells[0])))
		return err != nil
	})
	if !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Error(err)
	}
}

// A damaged state is an error, not a panic.
func TestRedisDamagedState(t *testing.T) {
	for _, state := range []string{"{", `{"rows": "AAAA"}`, `{"rows": {}}`} {
		r := NewRedis(planOf(t, "damaged", "none", "json"), RedisOptions{Client: redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})})
		if err := r.Restore(t.Context(), []byte(state)); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", state, err)
		}
		_ = r.Close()
	}
}
