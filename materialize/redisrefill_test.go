package materialize

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"github.com/redis/go-redis/v9"
)

// keptRows are what a run keeps beside Redis, fixed.
type keptRows map[geo.Cell]*stream.Rows

func (k keptRows) Cells() []geo.Cell { return slices.Sorted(maps.Keys(k)) }

func (k keptRows) Newest(cells []geo.Cell, visit func(rows *stream.Rows, row int)) {
	for _, cell := range cells {
		if rows, is := k[cell]; is {
			visit(rows, slices.Index(rows.Cells, cell))
		}
	}
}

// keep keeps the blocks' rows.
func (k keptRows) keep(plan *pipeline.Plan, blocks ...block) *stream.Output {
	o := outputOf(plan, blocks...)
	for _, rows := range o.Rows {
		rows.Retain()
		for _, cell := range rows.Cells {
			k[cell] = rows
		}
	}
	return o
}

// contents are all values of a pair, by key.
func contents(t testing.TB, c *redis.Client, r *Redis) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range c.Keys(t.Context(), r.plan.Name+":"+r.pair()+":*").Val() {
		all[key] = c.Get(t.Context(), key).Val()
	}
	return all
}

// blocksOf spread rows and markers over blocks.
func blocksOf(plan *pipeline.Plan, cells []geo.Cell) (blocks []block) {
	for i := 0; len(cells) > 0; i++ {
		n := min(len(cells), stream.BlockRows)
		b := simple(plan, noon+int64(i)*minute, int32(i%2), int64(i), cells[:n]...)
		b.empty = i%4 == 3
		blocks, cells = append(blocks, b), cells[n:]
	}
	return blocks
}

// A Redis that is killed and comes back empty is filled again by itself, without
// a row coming, and once more when it happens again.
func TestRedisRealEmptied(t *testing.T) {
	server := testserver.NewEmptyRedis(t)
	c, plan, kept := clientOf(t, server.Addr()), planOf(t, "emptied", "none", "json"), keptRows{}
	r := toRedis(t, server.Addr(), plan, nil, RedisOptions{Kept: kept, Keep: time.Hour})
	deliver(t, r, kept.keep(plan, blocksOf(plan, gridCells(t, 9000))...))
	settled(t, r)
	want := contents(t, c, r)
	if len(want) != 9000 {
		t.Fatalf("%d keys", len(want))
	}
	for i := range int64(2) {
		server.Kill()
		server.Start()
		eventually(t, "Redis is filled again", func() bool { own, _ := r.Refills(); return own > i })
		if got := contents(t, c, r); !maps.Equal(got, want) || c.Get(t.Context(), plan.Name).Val() != r.pair() {
			t.Fatalf("%d of %d keys have come back, as %q", len(got), len(want), c.Get(t.Context(), plan.Name).Val())
		}
	}
	marker := r.Key(kept.Cells()[3*stream.BlockRows])
	if life := c.TTL(t.Context(), marker).Val(); life <= 0 || life > time.Hour {
		t.Errorf("a marker stays for %s", life)
	}
}

// A refill brings back what is missing or older, and leaves alone what is newer.
func TestRedisRealRefill(t *testing.T) {
	address := testserver.Redis(t)
	c, plan, kept := clientOf(t, address), planOf(t, own("refill"), "none", "json"), keptRows{}
	r := toRedis(t, address, plan, nil, RedisOptions{Kept: kept})
	cells := gridCells(t, 5000)
	deliver(t, r, kept.keep(plan, simple(plan, noon, 0, 1, cells[0])))
	deliver(t, r, kept.keep(plan, blocksOf(plan, cells)...))
	settled(t, r)
	want := contents(t, c, r)
	for i, cell := range cells {
		switch i % 3 {
		case 0:
			c.Del(t.Context(), r.Key(cell))
		case 1:
			c.Set(t.Context(), r.Key(cell), AppendPacked(nil, outputOf(plan, simple(plan, noon-minute, 0, 7, cell)).Rows[0], 0), 0)
		}
	}
	newer := AppendPacked(nil, outputOf(plan, simple(plan, noon+1000*minute, 0, 7, cells[2])).Rows[0], 0)
	c.Set(t.Context(), r.Key(cells[2]), newer, 0)
	want[r.Key(cells[2])] = string(newer)
	last := 0
	n, err := r.Refill(t.Context(), func(written, of int) {
		if written <= last || of != len(cells) {
			t.Errorf("%d of %d after %d", written, of, last)
		}
		last = written
	})
	if _, asked := r.Refills(); err != nil || n != len(cells) || last != n || asked != 1 {
		t.Fatalf("%d entities, the last said %d, %d refills: %v", n, last, asked, err)
	}
	if got := contents(t, c, r); !maps.Equal(got, want) {
		t.Errorf("%d keys are there, of %d, or their values differ", len(got), len(want))
	}
}

// A refill that Redis does not take says so, and a Redis that comes back empty
// under it is filled again all the same.
func TestRedisRealRefillAway(t *testing.T) {
	server := testserver.NewEmptyRedis(t)
	c, plan, kept := clientOf(t, server.Addr()), planOf(t, "away", "none", "json"), keptRows{}
	r := toRedis(t, server.Addr(), plan, nil, RedisOptions{Kept: kept})
	deliver(t, r, kept.keep(plan, blocksOf(plan, gridCells(t, 9000))...))
	settled(t, r)
	want := contents(t, c, r)
	n, err := r.Refill(t.Context(), func(written, of int) {
		if written < of {
			server.Kill()
		}
	})
	if err == nil || !strings.Contains(err.Error(), "Redis is away after 4096 of 9000 entities") || n != 4096 {
		t.Fatalf("%d entities: %v", n, err)
	}
	if _, err := r.Refill(t.Context(), func(int, int) {}); err == nil || !strings.Contains(err.Error(), "Redis is away") {
		t.Fatal(err)
	}
	server.Start()
	eventually(t, "Redis is filled again", func() bool { own, _ := r.Refills(); return own > 0 })
	if got := contents(t, c, r); !maps.Equal(got, want) {
		t.Errorf("%d of %d keys have come back", len(got), len(want))
	}
}
