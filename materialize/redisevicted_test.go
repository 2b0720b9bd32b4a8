package materialize

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/hextide/hextide/internal/testserver"
)

// That Redis may evict rows is said at the start, and that it does when it begins.
func TestRedisRealEvicts(t *testing.T) {
	server := testserver.NewEmptyRedis(t)
	c := clientOf(t, server.Addr())
	var said bytes.Buffer
	r := NewRedis(planOf(t, "evicts", "none", "json"), RedisOptions{Client: c, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	r.askEvicted(t.Context())
	if r.Evicted() != 0 || said.Len() > 0 {
		t.Fatalf("before: %d\n%s", r.Evicted(), &said)
	}
	for name, value := range map[string]string{"maxmemory": "4mb", "maxmemory-policy": "allkeys-random"} {
		if err := c.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	next := NewRedis(r.plan, RedisOptions{Client: c, Logger: r.options.Logger})
	next.askEvicted(t.Context())
	if text := said.String(); !strings.Contains(text, "noeviction") || !strings.Contains(text, "allkeys-random") {
		t.Errorf("of the policy it said\n%s", text)
	}
	for i := range 100 {
		if err := c.Set(t.Context(), fmt.Sprint("junk-", i), make([]byte, 100_000), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // it is said once
		r.askEvicted(t.Context())
	}
	if n := r.Evicted(); n == 0 || n > 100 || strings.Count(said.String(), "hextide redis refill") != 1 {
		t.Errorf("%d evicted, it said\n%s", n, &said)
	}
	server.Stop()
	r.askEvicted(t.Context())
	server.Start()
	before := r.Evicted()
	r.askEvicted(t.Context())
	if r.Evicted() != before {
		t.Errorf("%d after %d, though none was evicted since", r.Evicted(), before)
	}
}
