package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/redis/go-redis/v9"
)

// away is how long servers are gone.
func away() time.Duration {
	if os.Getenv("HEXTIDE_NIGHTLY") != "" {
		return 30 * time.Second
	}
	return 10 * time.Second
}

// liveArguments run a definition for ever, with lookups at ports of their own
// and frequent checkpoints.
func liveArguments(definition, brokers, state string, more ...string) []string {
	return append([]string{"run", definition, "--brokers", brokers, "--state", state, "--shards", "8", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0",
		"--checkpoint-interval", "500ms", "--checkpoint-min-pause", "100ms"}, more...)
}

// halves are the taxis in two files.
func halves(t *testing.T) (first, second string) {
	t.Helper()
	all := read(t)
	return csvFile(t, all[:20_001]), csvFile(t, append([]string{all[0]}, all[20_001:]...))
}

// closed is the frontier of a live run that has read all taxis: the dedup spans
// of the last minute are open.
const closed = 1211335140

// closes waits until a live run has read all taxis and made all rows up to the
// frontier, and says how many a snapshot has of them.
func (p *process) closes(http, snapshot string) int64 {
	p.t.Helper()
	rows := int64(0)
	rowsOf(p.t, snapshot, func(_ string, end int64, _ map[string]int64) {
		if end <= closed*1e6 {
			rows++
		}
	})
	p.measures(http, "all rows", func(f figures) bool {
		return f["records_read_total"] == taxiEvents && f["final_seconds"] >= closed && f["rows_total"] >= float64(rows)
	})
	return rows
}

// ends stops a run in good order.
func (p *process) ends() {
	p.t.Helper()
	p.interrupt()
	if code := p.wait(); code != exitDone {
		p.t.Errorf("exit code %d\n%s", code, p.err)
	}
}

// The broker, which both source and feed need, is gone for ten seconds.
func TestBrokerGone(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	_, snapshot := backfill(t, definition, []string{taxis})
	broker := testserver.NewBroker(t)
	first, second := halves(t)
	simulate := func(input string) {
		do(t, exitDone, "simulate", definition, "--brokers", broker.Addr(), "--speed", "0", "--input", input)
	}
	simulate(first)
	state := filepath.Join(t.TempDir(), "state")
	p := start(t, nil, liveArguments(definition, broker.Addr(), state)...)
	_, http := p.address()
	p.measures(http, "the first half", func(f figures) bool { return f["records_read_total"] == 20_000 })
	broker.Kill()
	time.Sleep(away())
	broker.Start()
	simulate(second)
	rows := p.closes(http, snapshot)
	complains(t, p, "Kafka broker")
	p.ends()
	agree(t, rows, "kafka://"+broker.Addr()+"/"+name+".rows", snapshot)
	once(t, broker.Addr(), name+".rows")
	groupAgrees(t, broker.Addr(), "hextide-"+name, name, state)
}

// Redis is gone for ten seconds: the newest rows wait, the run goes on.
func TestRedisGone(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city, "sinks:", "sinks:\n  redis: {}")
	_, snapshot := backfill(t, definition, []string{taxis})
	first, second := halves(t)
	brokers := replayed(t, definition, name, first)
	server := testserver.NewRedis(t)
	p := start(t, nil, liveArguments(definition, brokers, filepath.Join(t.TempDir(), "state"), "--redis", server.Addr(), "--keep", "4h")...)
	_, http := p.address()
	p.measures(http, "rows in Redis", func(f figures) bool {
		return f["records_read_total"] == 20_000 && f["redis_rows_total"] > 0 && f["redis_waiting"] == 0
	})
	server.Kill()
	replayed(t, definition, name, second)
	p.measures(http, "rows that wait", func(f figures) bool {
		return f["records_read_total"] == taxiEvents && f["redis_waiting"] > 0
	})
	time.Sleep(away())
	if status, text, err := ask(http, "/readyz"); status != 200 || err != nil {
		t.Errorf("not ready while Redis is away: %d %s %v", status, text, err)
	}
	server.Start()
	p.closes(http, snapshot)
	f := p.measures(http, "Redis to be up to date", func(f figures) bool { return f["redis_waiting"] == 0 })
	complains(t, p, "Redis is away", "Redis is back")
	if f["redis_dropped_total"] != 0 {
		t.Errorf("%g rows were dropped", f["redis_dropped_total"])
	}
	p.ends()
	if ceased, cells := holdRedis(t, server.Addr(), name, snapshot, int64(f["final_seconds"])); ceased == 0 || ceased == cells {
		t.Errorf("%d of %d cells have ceased", ceased, cells)
	}
}

// holdRedis expects the newest row of each cell of a snapshot in Redis, or the
// marker of its end, and counts both.
func holdRedis(t *testing.T, address, name, snapshot string, final int64) (ceased, cells int) {
	t.Helper()
	type newest struct {
		end    int64
		values [4]int64
	}
	want := map[string]newest{}
	columns := [4]string{"n_k0_w1m", "n_k0_w5m", "n_k1_w1m", "n_k1_w5m"}
	rowsOf(t, snapshot, func(cell string, end int64, values map[string]int64) {
		if end > final*1e6 {
			return
		}
		n := newest{end: end}
		for i, column := range columns {
			n.values[i] = values[column]
		}
		want[cell] = n
	})
	client := redis.NewClient(&redis.Options{Addr: address})
	defer client.Close()
	pair, err := client.Get(t.Context(), name).Result()
	if err != nil {
		t.Fatal(err)
	}
	for cell, row := range want {
		value, err := client.Get(t.Context(), name+":"+pair+":"+cell).Bytes()
		if err != nil {
			t.Fatalf("%s: %v", cell, err)
		}
		end := int64(binary.LittleEndian.Uint64(value[8:]))
		if value[1]&2 != 0 {
			ceased++
			if end <= row.end {
				t.Errorf("%s ceased at %d, and has a row at %d", cell, end, row.end)
			}
			continue
		}
		for i := range columns {
			if got := int64(binary.LittleEndian.Uint64(value[32+8+8*i:])); got != row.values[i] || end != row.end {
				t.Errorf("%s: %s is %d at %d, not %d at %d", cell, columns[i], got, end, row.values[i], row.end)
			}
		}
	}
	return ceased, len(want)
}

// full lets no file of a process grow beyond a size, as a full disk does;
// "unlimited" ends that.
func full(t *testing.T, p *process, limit string) {
	t.Helper()
	c := exec.Command("prlimit", "--pid", strconv.Itoa(p.cmd.Process.Pid), "--fsize="+limit+":")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("prlimit: %v: %s", err, out)
	}
}

// While the disk is full checkpoints fail and the run goes on; when there is
// room again they succeed.
func TestDiskFullLive(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	_, snapshot := backfill(t, definition, []string{taxis})
	first, second := halves(t)
	brokers := replayed(t, definition, name, first)
	state := filepath.Join(t.TempDir(), "state")
	arguments := liveArguments(definition, brokers, state, "--checkpoint-failures", "2")
	p := start(t, nil, arguments...)
	grpc, http := p.address()
	p.measures(http, "a checkpoint", func(f figures) bool { return f["records_read_total"] == 20_000 && f["checkpoints_completed_total"] > 0 })
	full(t, p, "0")
	replayed(t, definition, name, second)
	p.measures(http, "failed checkpoints", func(f figures) bool {
		return f["checkpoints_failed_total"] >= 2 && f["checkpoint_degraded"] == 1 && f["records_read_total"] == taxiEvents
	})
	do(t, exitDone, "status", "--server", grpc).says("degraded: checkpoints fail")
	if status, text, err := ask(http, "/readyz"); status != 503 || !strings.Contains(text, "degraded") || err != nil {
		t.Errorf("/readyz says %d %s %v", status, text, err)
	}
	complains(t, p, "checkpoint failed")
	full(t, p, "unlimited")
	p.measures(http, "checkpoints again", func(f figures) bool { return f["checkpoint_degraded"] == 0 })
	p.until("readiness", func() bool { status, _, _ := ask(http, "/readyz"); return status == 200 })
	tellsTiming(t, p, grpc, http, state)
	p.kill()
	p = start(t, nil, arguments...)
	_, http = p.address()
	rows := p.closes(http, snapshot)
	p.ends()
	agree(t, rows, "kafka://"+brokers+"/"+name+".rows", snapshot)
	once(t, brokers, name+".rows")
	groupAgrees(t, brokers, "hextide-"+name, name, state)
}

// tellsTiming expects of a run whose checkpoints failed for a while where they spend
// their time, and why the last one that failed did.
func tellsTiming(t *testing.T, p *process, grpc, http, state string) {
	t.Helper()
	told := do(t, exitDone, "status", "--server", grpc).out.String()
	for _, text := range []string{"last failed checkpoint", "file too large", "START_DELAY", "SLOWEST SHARD", "NEW", "LONGEST CHAIN"} {
		if !strings.Contains(told, text) {
			t.Errorf("the status does not say %q:\n%s", text, told)
		}
	}
	p.measures(http, "checkpoints by part, partition and worker", func(f figures) bool {
		all := f["checkpoints_completed_total"] + f["checkpoints_failed_total"]
		_, alignment := f[`checkpoint_alignment_seconds{partition="0"}`]
		return f[`checkpoint_seconds_count{part="commit"}`] == all && f[`checkpoint_seconds_sum{part="all"}`] > f[`checkpoint_seconds_sum{part="saving"}`] &&
			f[`checkpoint_duration_seconds{part="commit"}`] > 0 && f[`checkpoint_stopped_seconds{worker="0"}`] > 0 && f["checkpoint_slowest_shard_seconds"] > 0 && alignment && f["checkpoint_objects"] >= f["checkpoint_longest_chain"] && f["checkpoint_longest_chain"] > 0
	})
	p.until("an epoch's timing", func() bool { // a run drops old epochs while they are looked at
		lines := strings.Split(strings.TrimSpace(do(t, exitDone, "checkpoint", "ls", "--state", state).out.String()), "\n")
		epoch, _, _ := strings.Cut(lines[len(lines)-1], " ")
		show := start(t, nil, "checkpoint", "show", epoch, "--state", state)
		return show.wait() == exitDone && strings.Contains(show.out.String(), `"slowest_shard": {`) &&
			strings.Contains(show.out.String(), `"before": {`) && strings.Contains(show.out.String(), `"longest_chain": `)
	})
}

// A backfill that finds the disk full says so and can be resumed.
func TestDiskFullBackfill(t *testing.T) {
	t.Parallel()
	definition, _ := define(t, city)
	undisturbed, _ := backfill(t, definition, []string{taxis})
	for _, limit := range []int{0, 4, 40} { // KiB
		out := filepath.Join(t.TempDir(), "out")
		arguments := append([]string{"backfill", definition, "--input", absolute(t, taxis), "--out", out}, often...)
		c := exec.Command("bash", append([]string{"-c", fmt.Sprintf(`ulimit -S -f %d && exec "$0" "$@"`, limit), hextide}, arguments...)...)
		p := launch(t, c, nil)
		if code := p.wait(); code != exitFailed {
			t.Errorf("%d KiB: exit code %d\n%s", limit, code, p.err)
		}
		complains(t, p, "file too large")
		if limit > 0 {
			complains(t, p, "--resume goes on")
			arguments = append(arguments, "--resume")
		}
		if p := do(t, exitDone, arguments...); p.hash() != undisturbed.hash() {
			t.Errorf("%d KiB, resumed: content_hash %s, not %s", limit, p.hash(), undisturbed.hash())
		}
	}
}
