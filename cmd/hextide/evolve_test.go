package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/materialize"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
)

// schemas are the schema records of a feed by incarnation.
func schemas(t *testing.T, brokers, topic string) map[int64]*pb.FeedSchema {
	t.Helper()
	found := map[int64]*pb.FeedSchema{}
	committedRecords(t, brokers, topic, func(r *kgo.Record) {
		record := &pb.FeedRecord{}
		if err := proto.Unmarshal(r.Value, record); err != nil {
			t.Fatal(err)
		}
		if s := record.GetSchema(); s != nil {
			found[s.Incarnation] = s
		}
	})
	return found
}

// evolution is a pipeline whose definition changes while it runs.
type evolution struct {
	t              *testing.T
	brokers, redis string
	state          string
	first, second  string // definitions
	name           string
	halves         [2]string
}

func newEvolution(t *testing.T) *evolution {
	e := &evolution{t: t, brokers: testserver.Kafka(t), redis: testserver.NewRedis(t).Addr(), state: filepath.Join(t.TempDir(), "state")}
	e.first, e.name = define(t, city, "sinks:", "sinks:\n  redis: {}", "aggregates:", "aggregates:\n  - {name: gone, op: max, of: occupied}")
	e.second, _ = define(t, city, "sinks:", "sinks:\n  redis: {}", "aggregates:", "aggregates:\n  - {name: idle, op: count, where: \"occupied == 0\"}", "[1m, 5m]", "[1m, 5m, 10m]")
	topic(t, e.brokers, e.name, 2)
	all := read(t)
	e.halves = [2]string{csvFile(t, all[:len(all)/2]), csvFile(t, append(all[:1:1], all[len(all)/2:]...))}
	return e
}

func (e *evolution) send(half int) {
	do(e.t, exitDone, "simulate", e.second, "--brokers", e.brokers, "--speed", "0", "--partitions", "2", "--input", e.halves[half])
}

func (e *evolution) run(definition string) *process {
	return start(e.t, nil, "run", definition, "--brokers", e.brokers, "--redis", e.redis, "--state", e.state, "--shards", "8",
		"--checkpoint-interval", "1h", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
}

// stopped ends a run that has read everything.
func (e *evolution) stopped(p *process, http string, records int) {
	p.measures(http, "all records", func(f figures) bool { return f["records_read_total"] == float64(records) })
	p.interrupt()
	if code := p.wait(); code != exitDone {
		e.t.Fatalf("exit code %d\n%s", code, p.err)
	}
}

// planned is what `plan --against` says of a change beforehand; it changes nothing,
// and what it refuses is refused by a run.
func (e *evolution) planned() {
	t := e.t
	before := tree(t, e.state)
	p := do(t, exitDone, "plan", e.second, "--against", e.state)
	for _, want := range []string{"idle_k0_w1m", "added", "incomplete until 2008-", "gone_k0_w1m", "removed", "windows.sizes", "0 changes refused"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("the plan does not say %q:\n%s", want, p.out)
		}
	}
	refused := rename(t, e.first, "op: sum, of: occupied", "op: mean, of: occupied")
	p = do(t, exitFailed, "plan", refused, "--against", e.state)
	if !strings.Contains(p.out.String(), "aggregate occ") || !strings.Contains(p.out.String(), "give what is new another name") {
		t.Errorf("refused:\n%s", p.out)
	}
	renamed := rename(t, refused, "name: "+e.name, "name: "+e.name+"-trial")
	p = do(t, exitFailed, "plan", renamed, "--against", e.state)
	if !strings.Contains(p.out.String(), "aggregate occ") || !strings.Contains(p.out.String(), e.name+"-trial") { // one reason does not hide another
		t.Errorf("refused with another name:\n%s", p.out)
	}
	complains(t, p, "savepoint export --as")
	same(t, "after plan --against", before, tree(t, e.state))
	run := e.run(refused)
	if code := run.wait(); code != exitFailed || !strings.Contains(run.err.String(), "aggregate occ") {
		t.Errorf("exit code %d\n%s", code, run.err)
	}
	do(t, exitDone, "state", "export", "--state", e.state, "--out", filepath.Join(t.TempDir(), "exported"))
}

// holds compares the rows of the second definition with those of a run that had it
// from the first record on.
func (e *evolution) holds() {
	t, topic := e.t, e.name+".rows"
	fresh := rename(t, e.second, e.name+".rows", e.name+".fresh")
	do(t, exitDone, "run", fresh, "--brokers", e.brokers, "--redis", testserver.NewRedis(t).Addr(), "--bounded", "--shards", "8", "--group", e.name+"-fresh",
		"--state", filepath.Join(t.TempDir(), "fresh"), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	got, want := readFeed(t, e.brokers, topic), readFeed(t, e.brokers, e.name+".fresh").latest()
	schema := schemas(t, e.brokers, topic)[got.newest]
	since := int64(0) // what the first definition's run had closed
	for _, row := range got.rows[1] {
		since = max(since, row.WindowEndUs)
	}
	complete, incomplete := 0, 0
	for at, row := range want {
		last, said := got.frontier[got.newest][row.Shard]
		if at.end <= since || !said || at.end > last || row.Empty {
			continue
		}
		evolved := got.rows[got.newest][at]
		if evolved == nil {
			if at.end >= since+10*60e6 {
				t.Fatalf("the row of %x at %d is missing", at.cell, at.end)
			}
			continue // of the window that is new, for events of before
		}
		for i, c := range schema.Columns { // all of them integers
			if at.end < c.IncompleteUntilUs {
				incomplete++
				continue
			}
			complete++
			if evolved.Integers[i] != row.Integers[i] {
				t.Fatalf("%s of %x at %d is %d, not %d", c.Name, at.cell, at.end, evolved.Integers[i], row.Integers[i])
			}
		}
	}
	if complete == 0 || incomplete == 0 {
		t.Errorf("%d values compared, %d incomplete", complete, incomplete)
	}
}

// A pipeline goes on with a changed definition: what a run does is said beforehand,
// columns that both definitions have are as if nothing had changed, those that are
// new say until when they are incomplete, and Redis is written beside and switched.
func TestDefinitionEvolves(t *testing.T) {
	t.Parallel()
	e := newEvolution(t)
	lines := len(read(t)) - 1
	e.send(0)
	p := e.run(e.first)
	_, http := p.address()
	e.stopped(p, http, (lines+1)/2-1)
	client := redis.NewClient(&redis.Options{Addr: e.redis})
	t.Cleanup(func() { _ = client.Close() })
	before := client.Get(t.Context(), e.name).Val()
	e.planned()

	p = e.run(e.second)
	_, http = p.address()
	p.says("the definition has changed")
	p.measures(http, "an incomplete column", func(f figures) bool {
		_, still := f[`column_incomplete{column="n_k0_w1m"}`]
		return f[`column_incomplete{column="idle_k0_w1m"}`] == 1 && f[`column_incomplete_until_seconds{column="idle_k0_w1m"}`] > 1e9 && !still
	})
	if _, text, err := ask(http, "/v1/describe"); err != nil || strings.Count(text, `"incompleteUntil":"2008`) != 15 {
		t.Errorf("%v: not 15 columns are described as incomplete: %s", err, text)
	}
	e.send(1)
	p.until("another pair", func() bool { return client.Get(t.Context(), e.name).Val() != before })
	p.measures(http, "complete columns", func(f figures) bool {
		return f["final_seconds"] > 0 && f[`column_incomplete{column="idle_k0_w10m"}`] == 0
	})
	e.stopped(p, http, lines)
	pair := client.Get(t.Context(), e.name).Val()
	keys := client.Keys(t.Context(), e.name+":"+pair+":*").Val()
	if len(keys) == 0 || strings.HasPrefix(pair, before[:16]) {
		t.Fatalf("the pair in use is %s, was %s, with %d keys", pair, before, len(keys))
	}
	value, err := client.Get(t.Context(), keys[0]).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if row, err := materialize.ParsePacked(value); err != nil || len(row.Bits) != 3*3*3 {
		t.Errorf("a row in Redis: %+v, %v", row, err)
	}
	e.holds()
}
