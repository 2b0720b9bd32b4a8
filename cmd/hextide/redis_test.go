package main

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/redis/go-redis/v9"
)

// paused lets a Redis take no writes until what is returned is called.
func paused(t *testing.T, address string) (resume func()) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: address})
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Do(t.Context(), "CLIENT", "PAUSE", bound.Milliseconds(), "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := client.Do(t.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// A bounded run ends when Redis has all its rows, however few may wait; where
// Redis takes none it fails, and goes on when Redis is back.
func TestBoundedRedis(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city, "sinks:", "sinks:\n  redis: {}")
	_, snapshot := backfill(t, definition, []string{taxis})
	brokers := replayed(t, definition, name, taxis)
	for what, waiting := range map[string]string{"all wait at the end": "1000000", "few may wait": "50"} {
		t.Run(what, func(t *testing.T) {
			server := testserver.NewRedis(t)
			resume := paused(t, server.Addr())
			arguments := []string{"run", definition, "--brokers", brokers, "--bounded", "--shards", "8", "--state", filepath.Join(t.TempDir(), "state"),
				"--redis", server.Addr(), "--redis-waiting", waiting, "--group", name + "-" + waiting, "--keep", "4h", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"}
			complains(t, do(t, exitFailed, append(arguments, "--redis-within", "1s")...), "Redis has taken no row for 1s")
			p := start(t, nil, arguments...)
			p.says("Redis is away")
			resume()
			if code := p.wait(); code != exitDone {
				t.Fatalf("exit code %d\n%s", code, p.err)
			}
			if ceased, cells := holdRedis(t, server.Addr(), name, snapshot, math.MaxInt64/1_000_000); ceased != cells {
				t.Errorf("%d of %d cells have ceased at the end of all input", ceased, cells)
			}
		})
	}
}
