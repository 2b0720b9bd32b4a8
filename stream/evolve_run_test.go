package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hextide/hextide/pipeline"
)

// twoPlans are two definitions of one pipeline, one after the other, over the
// fields of testEvent.
func twoPlans(t *testing.T, allowed, span int64) (old, now *pipeline.Plan) {
	t.Helper()
	dedup := ""
	if span > 0 {
		dedup = fmt.Sprintf("dedup: {by: [key], within: %ds}", span/second)
	}
	load := func(fields, outOfOrder, grid, rest string) *pipeline.Plan {
		plan, err := pipeline.Load(fmt.Appendf(nil, `
version: 1
name: test
source:
  format: csv
  event_time: {field: time, unit: us}
  location: {lat: lat, lng: lng}
  fields: {%s}
  out_of_order: %s
  allowed_lateness: %ds
  %s
grid: {resolution: 7, %s}
%s`, fields, outOfOrder, allowed/second, dedup, grid, rest), "test.yaml")
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	old = load("key: string, value: int", "5s", "rings: [0, 1], parents: [6]", `
windows: {pane: 10s, sizes: [10s, 20s, 1m]}
aggregates:
  - {name: gone, op: max, of: value}
  - {name: n, op: count}
  - {name: even, op: sum, of: value, where: "value % 2 == 0"}
features:
  - {name: share, expr: "n_k0_w10s / (n_k1_w20s + 1)"}
models:
  - {name: next, kind: demand, target: n_k0_w1m}
`)
	now = load("key: string, value: int, x: float", "4s", "rings: [0, 1, 2], parents: [5, 6], emit: cell", `
windows: {pane: 10s, sizes: [10s, 20s, 40s, 1m, 2m]}
aggregates:
  - {name: low, op: min, of: x}
  - {name: odd, op: count, where: "value % 2 == 1"}
  - {name: even, op: sum, of: value, where: "value % 2 == 0"}
  - {name: n, op: count}
features:
  - {name: share, expr: "n_k0_w10s / (n_k1_w20s + 1)"}
  - {name: odd_share, expr: "odd_k0_w20s / n_k0_w20s"}
  - {name: hope, expr: "next + next_odd"}
models:
  - {name: next_odd, kind: demand, target: odd_k0_w1m}
  - {name: next, kind: demand, target: n_k0_w1m}
`)
	return old, now
}

// columnsOf cuts a row of a memorySink into its columns.
func columnsOf(row string) (columns []string) {
	for len(row) > 0 {
		n := 1
		if row[0] == 1 {
			n = 9
		}
		columns, row = append(columns, row[:n]), row[n:]
	}
	return columns
}

// evolvedRun is a live run that went on with another definition.
type evolvedRun struct {
	t                             *testing.T
	old, now                      *pipeline.Plan
	since                         int64            // final frontier at the change
	until                         map[string]int64 // of columns that are incomplete
	sink                          *memorySink
	summary                       *Summary
	compared, incomplete, missing int
}

// run changes the definition after a while, and lets the process crash after the
// first epoch that it commits with the new one.
func (e *evolvedRun) run(dealt [][]arrival, before time.Duration) {
	t, store := e.t, newMemoryStore()
	cfg := liveConfig(e.old, dealt)
	cfg.Timing.Interval = 20 * time.Second
	attempt(t, cfg, store, "", 0, before)
	p := &Pointer{}
	if err := json.Unmarshal(store.pointer, p); err != nil {
		t.Fatal(err)
	}
	columns, err := IncompleteWith(t.Context(), p, store, e.now)
	if err != nil {
		t.Fatal(err)
	}
	e.since, e.until = p.Final, map[string]int64{}
	for _, c := range columns {
		e.until[c.Column] = c.Until
	}
	var said bytes.Buffer
	cfg.Plan, cfg.Logger = e.now, slog.New(slog.NewTextHandler(&said, nil))
	if _, _, crashed := attempt(t, cfg, store, CrashAfterCommit, 1, liveFor); !crashed {
		t.Error("it did not crash")
	}
	if !strings.Contains(said.String(), "the definition has changed") || !strings.Contains(said.String(), "low_k0_w10s") {
		t.Errorf("the log says %s", said.String())
	}
	e.sink, e.summary, _ = attempt(t, cfg, store, "", 0, liveFor)
}

// holds compares with a replay of everything with the new definition.
func (e *evolvedRun) holds(want *memorySink) {
	for key, row := range want.rows {
		if key.end <= e.since || key.end > e.summary.Final {
			continue
		}
		got, told := e.sink.rows[key]
		if !told {
			if key.end >= e.until["n_k2_w2m"] && key.resolution != 7 { // the cells' may be there for a new model's sake
				e.t.Errorf("row %v is missing", key)
			}
			e.missing++
			continue
		}
		values, expected := columnsOf(got), columnsOf(row)
		for i, c := range e.now.Columns {
			if until, is := e.until[c.Name]; is && key.end < until {
				e.incomplete++
				continue
			}
			e.compared++
			if len(values) != len(expected) || values[i] != expected[i] {
				e.t.Fatalf("row %v: %s is %x, not %x", key, c.Name, values[i], expected[i])
			}
		}
	}
	for key, row := range e.sink.rows {
		if _, is := want.rows[key]; !is && key.end > e.since && key.end <= e.summary.Final && len(columnsOf(row)) != len(e.old.Columns) {
			e.t.Errorf("row %v should not be", key) // it was not told provisionally before the change either
		}
	}
}

// A live run that goes on with another definition gives, in the columns that both
// have, what it would have given without the change, and in the new ones, from
// when they are complete, what a replay of everything with the new definition
// gives: through crashes, dedup spans and windows that are open.
func TestEvolvedRun(t *testing.T) {
	compared, incomplete := 0, 0
	for seed := range uint64(6) {
		e := &evolvedRun{t: t}
		e.old, e.now = twoPlans(t, int64(seed%2)*8*second, int64(seed%3)*10*second)
		dealt := live(seed)
		synctest.Test(t, func(t *testing.T) {
			e.t = t
			e.run(dealt, time.Duration(8+4*seed)*time.Second)
			if u := e.until; u["low_k0_w10s"] == 0 || u["odd_share"] == 0 || u["next_odd"] <= u["odd_k0_w1m"] || u["share"] != 0 || u["next"] != 0 {
				t.Errorf("incomplete: %v", u)
			}
			want, again := bounded(t, Config{
				Plan: e.now, Replay: e.summary.Control, Shape: Shape{Workers: 1, Shards: 8}, Source: &memorySource{partitions: dealt, batch: 7, bounded: true},
			})
			if again.Counts.Read != e.summary.Counts.Read || e.summary.Counts.Dead != 0 {
				t.Errorf("replayed %+v, live %+v", again.Counts, e.summary.Counts)
			}
			e.holds(want)
		})
		compared, incomplete = compared+e.compared, incomplete+e.incomplete
	}
	if compared < 1000 || incomplete == 0 {
		t.Errorf("%d values compared, %d incomplete", compared, incomplete)
	}
}

// What a state cannot follow is refused, with all reasons; so is a state of before
// definitions were kept, and bounded input.
func TestEvolutionRefused(t *testing.T) {
	old := testPlan(t, 0, 0, 0)
	synctest.Test(t, func(t *testing.T) {
		store := newMemoryStore()
		cfg := liveConfig(old, live(1))
		attempt(t, cfg, store, "", 0, 20*time.Second)
		pointer := store.pointer
		run := func(plan *pipeline.Plan, bounded bool) error {
			cfg := liveConfig(plan, live(1))
			sink := newMemorySink()
			sink.disk = store.disk
			cfg.Range.Bounded, cfg.Source.(*memorySource).bounded = bounded, bounded
			cfg.Sinks, cfg.Generations, cfg.Control = []Sink{sink}, store, store
			r, err := NewRunner(cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.Run(t.Context())
			return err
		}
		changed, err := pipeline.Load([]byte(strings.NewReplacer("value % 2 == 0", "value % 2 == 1", "pane: 10s", "pane: 5s").Replace(old.Text)), "changed.yaml")
		if err != nil {
			t.Fatal(err)
		}
		err = run(changed, false)
		for _, want := range []string{"windows.pane was 10s, is 5s", "aggregate even", "give what is new another name"} {
			if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is missing: %v", want, err)
			}
		}
		added, err := pipeline.Load([]byte(old.Text+"  - {name: twice, expr: \"2 * share\"}\n"), "added.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := run(added, true); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), added.Hash) {
			t.Errorf("bounded: %v", err)
		}
		p := &Pointer{}
		if err := json.Unmarshal(pointer, p); err != nil {
			t.Fatal(err)
		}
		p.Definition = ""
		if store.pointer, err = json.Marshal(p); err != nil {
			t.Fatal(err)
		}
		if err := run(added, false); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "older program") {
			t.Errorf("without its definition: %v", err)
		}
	})
}
