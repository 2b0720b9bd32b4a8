package pipeline

import (
	"slices"
	"strings"
	"testing"
)

const compared = `
version: 1
name: a
source:
  format: csv
  topic: events
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {id: string, n: int, fare: decimal(2)}
  filter: "n >= 0"
  out_of_order: 10s
  allowed_lateness: 20s
  dedup: {by: [id, n], within: 2m}
grid: {resolution: 9, rings: [0, 1], parents: [8, 7], regions: [{name: b, cells: [832830fffffffff, 832834fffffffff]}]}
windows: {sizes: [1m, 1h]}
aggregates:
  - {name: n, op: count}
  - {name: free, op: count, where: "n == 0"}
  - {name: fare, op: mean, of: fare}
backoff:
  - {name: near, of: fare, at_least: 3}
features:
  - {name: share, expr: "free_k0_w1m / n_k0_w1m"}
  - {name: twice, expr: "share * 2"}
  - {name: miss, expr: "next - n_k0_w1h"}
models:
  - {name: next, kind: demand, target: n_k0_w1h}
`

// changed loads the definition with something replaced in it.
func changed(t *testing.T, replace ...string) *Plan {
	t.Helper()
	text := compared
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("nothing to replace: %q", replace[i])
		}
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	return load(t, text)
}

// Every change of meaning is refused, by name, with the reason and a way out; what
// reads it is refused with it.
func TestCompareRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		replace []string
		want    []string // what is refused
	}{
		"the name":              {[]string{"name: a\n", "name: other\n"}, []string{"name"}},
		"the format":            {[]string{"format: csv", "format: json"}, []string{"source.format"}},
		"the topic":             {[]string{"topic: events", "topic: others"}, []string{"source.topic"}},
		"the event time":        {[]string{"unit: s}", "unit: ms}"}, []string{"source.event_time"}},
		"the location":          {[]string{"lat: lat, lng: lng", "lat: lat, lng: lon"}, []string{"source.location"}},
		"the filter":            {[]string{`filter: "n >= 0"`, `filter: "n > 0"`}, []string{"source.filter"}},
		"no filter":             {[]string{"  filter: \"n >= 0\"\n", ""}, []string{"source.filter"}},
		"lateness":              {[]string{"allowed_lateness: 20s", "allowed_lateness: 30s"}, []string{"source.allowed_lateness"}},
		"dedup's span":          {[]string{"within: 2m", "within: 3m"}, []string{"source.dedup"}},
		"dedup's key":           {[]string{"by: [id, n]", "by: [id]"}, []string{"source.dedup"}},
		"no dedup":              {[]string{"  dedup: {by: [id, n], within: 2m}\n", ""}, []string{"source.dedup"}},
		"the resolution":        {[]string{"resolution: 9", "resolution: 10", "[8, 7]", "[9, 8, 7]"}, []string{"grid.resolution", "model next", "backoff near", "feature miss"}},
		"regions":               {[]string{", 832834fffffffff", ""}, []string{"grid.regions"}},
		"the pane":              {[]string{"{sizes:", "{pane: 30s, sizes:"}, []string{"windows.pane"}},
		"a field's type":        {[]string{"n: int", "n: decimal(0)", `"n == 0"`, `"n == 0"`}, []string{"source.fields.n"}},
		"a field's scale":       {[]string{"decimal(2)", "decimal(3)"}, []string{"source.fields.fare"}},
		"an aggregate's where":  {[]string{`"n == 0"`, `"n == 1"`}, []string{"aggregate free", "feature share", "feature twice"}},
		"an aggregate's op":     {[]string{"op: mean", "op: sum"}, []string{"aggregate fare", "backoff near"}},
		"an aggregate's field":  {[]string{"op: mean, of: fare", "op: mean, of: n"}, []string{"aggregate fare", "backoff near"}},
		"a backoff's bound":     {[]string{"at_least: 3", "at_least: 4"}, []string{"backoff near"}},
		"a backoff's parents":   {[]string{"[8, 7]", "[8]"}, []string{"backoff near"}},
		"an expression":         {[]string{"free_k0_w1m / n_k0_w1m", "n_k0_w1m - free_k0_w1m"}, []string{"feature share", "feature twice"}},
		"a model's target":      {[]string{"target: n_k0_w1h", "target: free_k0_w1h"}, []string{"model next", "feature miss"}},
		"a model's time zone":   {[]string{"target: n_k0_w1h", "target: n_k0_w1h, time_zone: Europe/Rome"}, []string{"model next", "feature miss"}},
		"a model's parent":      {[]string{"target: n_k0_w1h", "target: n_k0_w1h, parent: 6"}, []string{"model next", "feature miss"}},
		"a model of a new kind": {[]string{"name: twice, expr: \"share * 2\"", "name: twice, expr: \"next\""}, []string{"feature twice"}},
	} {
		comparison := Compare(changed(t), changed(t, c.replace...))
		var got []string
		for _, r := range comparison.Refused {
			got = append(got, r.What)
			if r.Was == r.Is && !strings.Contains(r.Reason, "reads") || r.Reason == "" || r.WayOut == "" || !strings.Contains(r.Error(), r.What) {
				t.Errorf("%s: %s", name, r.Error())
			}
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: refused %v, want %v", name, got, c.want)
		}
	}
}

// What may change does, and says which columns come and go.
func TestCompareAllows(t *testing.T) {
	for name, c := range map[string]struct {
		replace        []string
		added, removed string // columns
		changed        string // settings
	}{
		"nothing":           {},
		"a comment":         {replace: []string{"version: 1", "version: 1 # one"}},
		"sinks":             {replace: []string{"windows:", "sinks: {redis: {}}\nwindows:"}},
		"the order":         {replace: []string{"  - {name: n, op: count}\n", "", "backoff:", "  - {name: n, op: count}\nbackoff:"}},
		"the order of keys": {replace: []string{"by: [id, n]", "by: [n, id]"}},
		"out of order":      {replace: []string{"out_of_order: 10s", "out_of_order: 1m"}, changed: "source.out_of_order"},
		"idle":              {replace: []string{"out_of_order: 10s", "out_of_order: 10s\n  idle_after: 2m\n  max_ahead: 2h\n  not_before: 2001-01-01T00:00:00Z"}, changed: "source.idle_after source.max_ahead source.not_before"},
		"emit":              {replace: []string{"{resolution", "{emit: cell, resolution"}, changed: "grid.emit"},
		"fields":            {replace: []string{"fare: decimal(2)", "fare: decimal(2), tip: int"}, changed: "source.fields.tip"},
		"a sum":             {replace: []string{"backoff:", "  - {name: most, op: max, of: n}\nbackoff:"}, added: "most_k0_w1m most_k0_w1h most_k1_w1m most_k1_w1h"},
		"no model":          {replace: []string{"models:\n  - {name: next, kind: demand, target: n_k0_w1h}\n", "", "  - {name: miss, expr: \"next - n_k0_w1h\"}\n", ""}, removed: "miss next next_lo next_hi next_at next_miss next_up next_down next_up_start next_down_start"},
		"a feature":         {replace: []string{"name: twice", "name: double"}, added: "double", removed: "twice"},
		"a window":          {replace: []string{"[1m, 1h]", "[1m, 2m, 1h]", "  - {name: free, op: count, where: \"n == 0\"}\n  - {name: fare, op: mean, of: fare}\nbackoff:\n  - {name: near, of: fare, at_least: 3}\n", "  - {name: free, op: count, where: \"n == 0\"}\n"}, added: "n_k0_w2m n_k1_w2m free_k0_w2m free_k1_w2m", removed: "fare_k0_w1m fare_k0_w1h fare_k1_w1m fare_k1_w1h near_w1m near_w1m_resolution near_w1h near_w1h_resolution", changed: "windows.sizes"},
		"parents and rings": {replace: []string{"[8, 7]", "[8]", "backoff:\n  - {name: near, of: fare, at_least: 3}\n", "", "rings: [0, 1]", "rings: [0]"}, removed: "n_k1_w1m n_k1_w1h free_k1_w1m free_k1_w1h fare_k1_w1m fare_k1_w1h near_w1m near_w1m_resolution near_w1h near_w1h_resolution", changed: "grid.parents grid.rings"},
	} {
		old, now := changed(t), changed(t, c.replace...)
		got := Compare(old, now)
		var settings []string
		for _, s := range got.Changed {
			settings = append(settings, s.What)
		}
		if added, removed, set := strings.Join(got.Added, " "), strings.Join(got.Removed, " "), strings.Join(settings, " "); added != c.added || removed != c.removed || set != c.changed {
			t.Errorf("%s: added %q, removed %q, settings %q", name, added, removed, set)
		}
		if len(got.Refused) > 0 {
			t.Errorf("%s: %s", name, got.Refused[0].Error())
		}
		if len(got.Unchanged)+len(got.Added) != len(now.Columns) || len(got.Unchanged)+len(got.Removed) != len(old.Columns) {
			t.Errorf("%s: %d unchanged, %d added, %d removed", name, len(got.Unchanged), len(got.Added), len(got.Removed))
		}
		if got.Same() != (c.added+c.removed+c.changed == "") {
			t.Errorf("%s: the same: %t", name, got.Same())
		}
	}
}
