package materialize

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/pipeline"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// version is what rows are ordered by.
type version struct {
	end         int64
	revision    int32
	incarnation int64
}

func (v version) less(w version) bool {
	switch {
	case v.end != w.end:
		return v.end < w.end
	case v.revision != w.revision:
		return v.revision < w.revision
	}
	return v.incarnation < w.incarnation
}

func versionOf(t *rapid.T, value []byte) version {
	p, err := ParsePacked(value)
	if err != nil {
		t.Fatal(err)
	}
	v := version{p.WindowEnd, p.Revision, p.Incarnation}
	if p.Bits[0] != v.content() || p.Empty != v.marker() {
		t.Fatalf("a row of %+v has the content of another: %+v", v, p)
	}
	return v
}

// content and marker are functions of the version, so that a mixture is seen.
func (v version) content() uint64 {
	return uint64(v.end/minute*100 + int64(v.revision)*10 + v.incarnation)
}

func (v version) marker() bool { return v.end/minute%3 == 0 }

// said is a row that a writer was handed.
type said struct {
	cell geo.Cell
	version
}

// guardedWriter is a sink without goroutines: the test lets it take and send, so
// that it can be stopped between any two of its steps.
type guardedWriter struct {
	sink        *Redis
	incarnation int64
	hand        map[geo.Cell]waiting // taken, not sent
	state       []byte               // of the last checkpoint
	since       []said               // the rows since
}

// guard is two writers of one pair, and what must be in Redis.
type guard struct {
	t       *rapid.T
	plan    *pipeline.Plan
	client  *redis.Client
	cells   []geo.Cell
	writers [2]*guardedWriter
	zombies []func()             // what processes that were replaced have still to send
	stands  map[geo.Cell]version // the newest of all that were sent
	handed  map[geo.Cell]version // the newest of all that any writer was handed
	next    int64                // incarnation
}

func (g *guard) begin(w int, state []byte) {
	g.next++
	sink := NewRedis(g.plan, RedisOptions{Client: g.client, Logger: quietly})
	if err := sink.restore(state); err != nil {
		g.t.Fatal(err)
	}
	sink.run = 1
	g.writers[w] = &guardedWriter{sink: sink, incarnation: g.next, state: state}
}

func (g *guard) write(w int, s said) {
	writer := g.writers[w]
	s.incarnation = writer.incarnation
	b := simple(g.plan, s.end, s.revision, int64(s.content()), s.cell)
	b.incarnation, b.empty = s.incarnation, s.marker()
	deliver(g.t, writer.sink, outputOf(g.plan, b))
	writer.since = append(writer.since, s)
	if g.handed[s.cell].less(s.version) {
		g.handed[s.cell] = s.version
	}
}

// send writes a batch, and holds every entity against what it must be by now.
func (g *guard) send(sink *Redis, batch map[geo.Cell]waiting) {
	if err := sink.send(context.Background(), batch); err != nil {
		g.t.Fatal(err)
	}
	for cell, w := range batch {
		if v := versionOf(g.t, w.Value); g.stands[cell].less(v) {
			g.stands[cell] = v
		}
	}
	for _, cell := range g.cells {
		value, err := g.client.Get(context.Background(), sink.Key(cell)).Bytes()
		want, is := g.stands[cell]
		if !is && errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			g.t.Fatal(err)
		}
		if got := versionOf(g.t, value); got != want {
			g.t.Fatalf("%s is %+v, not the newest that was written, %+v", cell, got, want)
		}
	}
}

// flush lets a writer send what it holds; taken: Redis takes it; heard: the
// writer hears so.
func (g *guard) flush(w *guardedWriter, taken, heard bool) {
	batch := w.hand
	w.hand = nil
	if taken {
		g.send(w.sink, batch)
	}
	if taken && heard {
		w.sink.sent(batch, nil)
	} else {
		w.sink.sent(batch, errors.New("away"))
	}
}

// replace kills a writer, which may have been stopped with a batch that it sends
// later, and starts another from its last checkpoint, which is handed the rows
// since then again.
func (g *guard) replace(w int) {
	old := g.writers[w]
	for _, batch := range []map[geo.Cell]waiting{old.hand, old.sink.waiting} {
		if len(batch) > 0 {
			g.zombies = append(g.zombies, func() { g.send(old.sink, batch) })
		}
	}
	g.begin(w, old.state)
	for _, s := range old.since {
		g.write(w, s)
	}
}

func (g *guard) step() {
	w := rapid.IntRange(0, 1).Draw(g.t, "writer")
	writer := g.writers[w]
	switch what := rapid.IntRange(0, 9).Draw(g.t, "what"); {
	case what < 4:
		g.write(w, said{rapid.SampledFrom(g.cells).Draw(g.t, "cell"), version{
			end: noon + minute*rapid.Int64Range(0, 5).Draw(g.t, "end"), revision: rapid.Int32Range(0, 2).Draw(g.t, "revision"),
		}})
	case what < 7 && writer.hand == nil:
		writer.hand = writer.sink.take()
	case what < 7:
		taken := rapid.Bool().Draw(g.t, "taken")
		g.flush(writer, taken, rapid.Bool().Draw(g.t, "heard"))
	case what == 7:
		state, left, err := writer.sink.save()
		if err != nil || left > 0 {
			g.t.Fatal(left, err)
		}
		writer.state, writer.since = fmt.Appendf(nil, `{"run": 1, "rows": %q}`, base64.StdEncoding.EncodeToString(state)), nil
	case what == 8:
		g.replace(w)
	case len(g.zombies) > 0:
		i := rapid.IntRange(0, len(g.zombies)-1).Draw(g.t, "zombie")
		late := g.zombies[i]
		g.zombies = slices.Delete(g.zombies, i, i+1)
		late()
	}
}

// Two writers of one pair, stopped and started between any two of their steps,
// with rows and markers that come again and batches that arrive long after:
// every entity is at every moment the newest of all that was written, and at the
// end the newest of all that there was.
func TestRedisRealGuard(t *testing.T) {
	client, cells := clientOf(t, testserver.Redis(t)), someCells(t)[:3]
	rapid.Check(t, func(rt *rapid.T) {
		g := &guard{t: rt, plan: planOf(t, own("guard"), "none", "json"), client: client, cells: cells, stands: map[geo.Cell]version{}, handed: map[geo.Cell]version{}}
		g.begin(0, nil)
		g.begin(1, nil)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			g.step()
		}
		for _, w := range g.writers {
			if w.hand != nil {
				g.flush(w, true, true)
			}
			for len(w.sink.waiting) > 0 {
				w.hand = w.sink.take()
				g.flush(w, true, true)
			}
		}
		for _, late := range g.zombies {
			late()
		}
		for cell, want := range g.handed {
			got := g.stands[cell]
			if got.end != want.end || got.revision != want.revision {
				rt.Fatalf("%s is %+v at the end, not %+v", cell, got, want)
			}
		}
		client.Del(context.Background(), client.Keys(context.Background(), g.plan.Name+"*").Val()...)
	})
}

// Two sinks at full speed, goroutines and all, while a reader looks: no value is
// ever older than one seen before.
func TestRedisRealOnlyUp(t *testing.T) {
	address := testserver.Redis(t)
	c, cells, plan := clientOf(t, address), gridCells(t, 64), planOf(t, own("up"), "none", "json")
	writers := [2]*Redis{}
	for i := range writers {
		writers[i] = toRedis(t, address, plan, []byte(`{"run": 1}`), RedisOptions{Keep: time.Hour})
	}
	key := writers[0].Key(cells[0])
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		var last []byte
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			value, err := c.Get(context.Background(), key).Bytes()
			if errors.Is(err, redis.Nil) && last == nil {
				continue
			}
			if err == nil && last != nil && !packedNewer(value, last) {
				err = fmt.Errorf("% x came after % x", value[:32], last[:32])
			}
			if err != nil {
				done <- err
				return
			}
			last = value
		}
	}()
	for i := range int64(400) {
		for w, r := range writers {
			end := noon + (i*int64(3-2*w)+int64(w)*800)%400*minute // one ascending in threes, the other descending
			b := simple(plan, end, 0, i, cells...)
			b.incarnation = int64(w + 1)
			deliver(t, r, outputOf(plan, b))
			if i%8 == int64(w) {
				settled(t, r)
			}
		}
	}
	for _, r := range writers {
		settled(t, r)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if p := get(t, c, plan, cells[63]); p.WindowEnd != noon+399*minute || p.Incarnation != 2 {
		t.Errorf("%+v stands", p)
	}
}
