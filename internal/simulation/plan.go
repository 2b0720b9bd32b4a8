package simulation

import (
	"fmt"
	"math/rand/v2"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/internal/oracle"
	"github.com/hextide/hextide/pipeline"
)

const second = int64(1e6) // µs

// drawPlan draws a definition. Its only where is that the value is even.
func drawPlan(r *rand.Rand) (*pipeline.Plan, error) {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	return pipeline.Load(fmt.Appendf(nil, `
version: 1
name: simulated
source:
  format: csv
  event_time: {field: time, unit: us}
  location: {lat: lat, lng: lng}
  fields: {key: string, value: int, x: float}
  out_of_order: 5s
  allowed_lateness: %s
  idle_after: 60s
  %s
grid: {resolution: 7, rings: [0, 1], emit: %s}
windows: {pane: 10s, sizes: [10s, 20s]}
aggregates:
  - {name: n, op: count}
  - {name: even, op: sum, of: value, where: "value %% 2 == 0"}
  - {name: low, op: min, of: x}
features:
  - {name: share, expr: "n_k0_w10s / (n_k1_w20s + 1)"}
%s
`, pick("0s", "0s", "4s"), pick("", "dedup: {by: [key], within: 20s}"), pick("neighborhood", "cell"),
		pick("", "", "", "", "", "models:\n  - {name: next, kind: demand, target: n_k0_w10s}")), "simulated.yaml")
}

// event is a record's content.
type event struct {
	time     int64 // µs
	lat, lng float64
	key      string
	value    int64
	x        float64
}

// accepted is the event as the oracle takes it.
func (e *event) accepted(plan *pipeline.Plan) (oracle.Event, error) {
	cell, err := geo.Index(e.lat, e.lng, plan.Grid.Resolution)
	if err != nil {
		return oracle.Event{}, err
	}
	out := oracle.Event{Time: e.time, Cell: cell}
	for _, m := range plan.Layout.Measures {
		add := int64(1)
		switch {
		case m.Field >= 0 && plan.Source.Fields[m.Field].Name == "x":
			add = aggregate.FloatKey(e.x)
		case m.Field >= 0:
			add = e.value
		}
		if m.Where >= 0 && e.value%2 != 0 {
			add = 0
			if m.Kind != aggregate.Sum {
				add = aggregate.None(m.Kind)
			}
		}
		out.Adds = append(out.Adds, add)
	}
	return out, nil
}
