package stream

import (
	"fmt"
	"testing"

	"github.com/hextide/hextide/pipeline"
)

// testPlan is the plan of the runner's tests, over the fields of testEvent:
// panes of 10 s, 5 s out of order, rings across a border of territories.
func testPlan(t testing.TB, allowed, span, idle int64) *pipeline.Plan {
	t.Helper()
	dedup := ""
	if span > 0 {
		dedup = fmt.Sprintf("dedup: {by: [key], within: %ds}", span/second)
	}
	plan, err := pipeline.Load(fmt.Appendf(nil, `
version: 1
name: test
source:
  format: csv
  event_time: {field: time, unit: us}
  location: {lat: lat, lng: lng}
  fields: {key: string, value: int, x: float}
  out_of_order: 5s
  allowed_lateness: %ds
  idle_after: %ds
  %s
grid: {resolution: 7, rings: [0, 1], emit: neighborhood}
windows: {pane: 10s, sizes: [10s, 20s]}
aggregates:
  - {name: n, op: count}
  - {name: even, op: sum, of: value, where: "value %% 2 == 0"}
  - {name: low, op: min, of: x}
features:
  - {name: share, expr: "n_k0_w10s / (n_k1_w20s + 1)"}
`, allowed/second, max(idle/second, 60), dedup), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return plan
}
