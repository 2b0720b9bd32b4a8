package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"testing"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/redis/go-redis/v9"
)

// inRedis are all rows of a pipeline in Redis, by entity.
func inRedis(t *testing.T, address, name string) map[string]string {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: address})
	defer client.Close()
	rows := map[string]string{}
	for _, key := range client.Keys(t.Context(), name+":*").Val() {
		rows[key] = client.Get(t.Context(), key).Val()
	}
	return rows
}

// Redis is killed and comes back empty under a run that has nothing more to read:
// the run fills it again. What is lost later comes back by the command.
func TestRedisRefilled(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city, "sinks:", "sinks:\n  redis: {}")
	first, _ := halves(t)
	brokers := replayed(t, definition, name, first)
	server := testserver.NewEmptyRedis(t)
	p := start(t, nil, liveArguments(definition, brokers, filepath.Join(t.TempDir(), "state"), "--redis", server.Addr(), "--keep", "4h")...)
	grpc, http := p.address()
	quiet := func(f figures) bool {
		return f["records_read_total"] == 20_000 && f["redis_waiting"] == 0 && f["redis_rows_total"] > 0 && f[`sink_rows_total{sink="redis"}`] == f[`sink_rows_total{sink="store"}`] &&
			f[`queue_messages{task="worker/0"}`] == 0 && f[`queue_messages{task="sink/redis"}`] == 0
	}
	f := p.measures(http, "rows in Redis", quiet)
	for stable := false; !stable; { // until no more rows are on their way
		before := f["rows_total"]
		f = p.measures(http, "another checkpoint", func(now figures) bool {
			return quiet(now) && now["checkpoints_completed_total"] > f["checkpoints_completed_total"]
		})
		stable = f["rows_total"] == before
	}
	want := inRedis(t, server.Addr(), name)
	if len(want) < 100 || len(want) != int(f["store_cells"]) {
		t.Fatalf("%d entities are in Redis, %g in the store", len(want), f["store_cells"])
	}
	server.Kill()
	server.Start()
	p.measures(http, "Redis filled again", func(f figures) bool { return f[`redis_refills_total{cause="emptied"}`] == 1 })
	complains(t, p, "Redis has come back empty", "Redis is filled again")
	if got := inRedis(t, server.Addr(), name); !maps.Equal(got, want) {
		t.Errorf("by itself %d of %d entities have come back, or their values differ", len(got), len(want))
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	for key := range want { // about half of them
		if key[len(key)-8]%2 == 0 {
			client.Del(t.Context(), key)
		}
	}
	if left := inRedis(t, server.Addr(), name); len(left) == len(want) {
		t.Error("nothing was lost")
	}
	do(t, exitDone, "redis", "refill", "--grpc", grpc).says(fmt.Sprintf("%d entities are in Redis again", len(want)))
	if got := inRedis(t, server.Addr(), name); !maps.Equal(got, want) {
		t.Errorf("by the command %d of %d entities have come back, or their values differ", len(got), len(want))
	}
	server.Kill()
	complains(t, do(t, exitFailed, "redis", "refill", "--grpc", grpc), "Redis is away")
	server.Start()
	p.ends()
}

// A run without Redis, or none at all, is said so.
func TestRedisRefillRefused(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	first, _ := halves(t)
	p := start(t, nil, liveArguments(definition, replayed(t, definition, name, first), filepath.Join(t.TempDir(), "state"))...)
	grpc, http := p.address()
	p.measures(http, "a run", func(f figures) bool { return f["records_read_total"] > 0 })
	complains(t, do(t, exitFailed, "redis", "refill", "--grpc", grpc), "has no Redis sink", "sinks: {redis: {}}")
	p.ends()
	complains(t, do(t, exitFailed, "redis", "refill", "--grpc", grpc), "no running pipeline answers")
}
