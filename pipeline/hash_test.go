package pipeline

import (
	"strings"
	"testing"
)

const hashed = `
version: 1
name: a
source:
  format: csv
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {id: string, n: int, fare: decimal(2)}
  dedup: {by: [id, n], within: 2m}
grid: {resolution: 9, parents: [8, 7], regions: [{name: b, cells: [832830fffffffff, 832834fffffffff]}, {name: a, cells: [832a10fffffffff]}]}
windows: {sizes: [1m, 1h]}
aggregates:
  - {name: n, op: count}
  - {name: free, op: count, where: "n == 0"}
features:
  - {name: share, expr: "free_k0_w1m / n_k0_w1m"}
models:
  - {name: next, kind: demand, target: n_k0_w1h}
`

func load(t *testing.T, text string) *Plan {
	t.Helper()
	p, err := Load([]byte(text), "a.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

// What is the same pipeline has the same hash, however it is written down.
func TestHashIsOfWhatIsComputed(t *testing.T) {
	want := load(t, hashed).Hash
	for name, replace := range map[string][]string{
		"a comment":            {"version: 1", "version: 1 # the first"},
		"the order of keys":    {"version: 1\nname: a\n", "name: a\nversion: 1\n"},
		"the order in a list":  {"field: ts, unit: s", "unit: s, field: ts"},
		"quotes":               {"name: a\n", "name: \"a\"\n"},
		"another unit":         {"within: 2m", "within: 120s"},
		"a window in minutes":  {"[1m, 1h]", "[60s, 60m]"},
		"defaults of the time": {"  format: csv\n", "  format: csv\n  out_of_order: 0s\n  allowed_lateness: 0s\n  idle_after: 60s\n  max_ahead: 1h\n  not_before: 2000-01-01T00:00:00Z\n"},
		"defaults of the grid": {"resolution: 9,", "resolution: 9, rings: [0], emit: neighborhood,"},
		"the default pane":     {"{sizes:", "{pane: 1m, sizes:"},
		"a model's defaults":   {"target: n_k0_w1h", "target: n_k0_w1h, time_zone: UTC, parent: 7"},
		"the order of parents": {"[8, 7]", "[7, 8]"},
		"a region's members":   {"832830fffffffff, 832834fffffffff", "832834fffffffff, 832830fffffffff"},
		"no dimensions":        {"aggregates:", "dimensions: []\naggregates:"},
		"sinks":                {"windows:", "sinks: {redis: {}, feed: {topic: rows}}\nwindows:"},
	} {
		text := strings.Replace(hashed, replace[0], replace[1], 1)
		if text == hashed {
			t.Fatalf("%s: nothing is replaced", name)
		}
		if got := load(t, text).Hash; got != want {
			t.Errorf("%s changes the hash", name)
		}
	}
}

// Each part of a pipeline, but the sinks, bears on the hash.
func TestHashCoversThePlan(t *testing.T) {
	seen := map[string]string{load(t, hashed).Hash: "nothing"}
	for name, replace := range map[string][]string{
		"the name":            {"name: a\n", "name: b\n"},
		"the format":          {"csv", "json"},
		"the topic":           {"  format", "  topic: t\n  format"},
		"the event time":      {"field: ts", "field: at"},
		"its unit":            {"unit: s", "unit: ms"},
		"the location":        {"{lat: lat, lng: lng}", "{cell: c}"},
		"a field's type":      {"decimal(2)", "decimal(3)"},
		"the order of fields": {"id: string, n: int", "n: int, id: string"},
		"the filter":          {"  format", "  filter: \"n > 0\"\n  format"},
		"out of order":        {"  format", "  out_of_order: 1s\n  format"},
		"lateness":            {"  format", "  allowed_lateness: 1s\n  format"},
		"idle after":          {"  format", "  idle_after: 1s\n  format"},
		"ahead":               {"  format", "  max_ahead: 1s\n  format"},
		"not before":          {"  format", "  not_before: 2001-01-01T00:00:00Z\n  format"},
		"the dedup key":       {"[id, n]", "[n, id]"},
		"the dedup span":      {"within: 2m", "within: 1m"},
		"the rings":           {"resolution: 9", "resolution: 9, rings: [0, 1]"},
		"the parents":         {"[8, 7]", "[8]"},
		"what is emitted":     {"resolution: 9", "resolution: 9, emit: cell"},
		"a region":            {"832830fffffffff, 832834fffffffff", "832830fffffffff"},
		"the pane":            {"{sizes:", "{pane: 30s, sizes:"},
		"the windows":         {"[1m, 1h]", "[1m, 30m, 1h]"},
		"an aggregate's name": {"{name: n, op: count}", "{name: n, op: count}\n  - {name: m, op: count}"},
		"a condition":         {"n == 0", "n == 1"},
		"an expression":       {"free_k0_w1m / n", "free_k0_w1h / n"},
		"a feature's name":    {"name: share", "name: part"},
		"a target":            {"target: n_", "target: free_"},
		"a zone":              {"target: n_k0_w1h", "target: n_k0_w1h, time_zone: Europe/Berlin"},
		"a model's parents":   {"target: n_k0_w1h", "target: n_k0_w1h, parent: 6"},
	} {
		text := strings.Replace(hashed, replace[0], replace[1], 1)
		hash := load(t, text).Hash
		if other, taken := seen[hash]; taken {
			t.Errorf("%s gives the hash of %s", name, other)
		}
		seen[hash] = name
	}
}
