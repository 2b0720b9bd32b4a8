package stream

import (
	"errors"
	"strings"
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
)

// An entry of a newer format is refused, never misread: by a restart and by the
// translation to another definition.
func TestNewerEntriesAreRefused(t *testing.T) {
	plan := testPlan(t, 0, 20*second, 0)
	shard, err := NewShard(plan, 0, ShardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	task, err := NewTask(plan, 0, TaskOptions{From: NoTime})
	if err != nil {
		t.Fatal(err)
	}
	event := testEvent{time: 1_000_000_000 * second, lat: 37, lng: -122, key: "k"}
	var out Ingested
	task.Batch(makeBatch([]testEvent{event}, 0), &out)
	cell, err := geo.Index(event.lat, event.lng, plan.Grid.Resolution)
	if err != nil {
		t.Fatal(err)
	}
	p := &Partials{Territory: plan.Grid.Territories.Of(cell), Pane: event.time, Cells: []geo.Cell{cell}}
	for range plan.Layout.Measures {
		p.Measures = append(p.Measures, aggregate.MeasureColumn{Lo: []uint64{1}})
	}
	if err := shard.Merge(p); err != nil {
		t.Fatal(err)
	}
	kept := map[string][]Entry{"shard": shard.Save(Everything).Entries(), "task": task.Save(Everything).Entries()}
	if len(kept["task"]) < 2 || len(kept["shard"]) < 3 {
		t.Fatalf("%d entries of a task, %d of a shard", len(kept["task"]), len(kept["shard"]))
	}
	e := &evolution{old: plan, now: plan}
	read := map[string]func(Entry) error{
		"shard": func(newer Entry) error {
			s, _ := NewShard(plan, 0, ShardOptions{})
			_, translated := e.shard([]Entry{newer})
			return errors.Join(s.Restore([]Entry{newer}), translated)
		},
		"task": func(newer Entry) error {
			t, _ := NewTask(plan, 0, TaskOptions{From: NoTime})
			return t.Restore([]Entry{newer})
		},
	}
	for of, entries := range kept {
		for _, entry := range entries {
			newer := Entry{Key: entry.Key, Value: append([]byte{entry.Value[0] + 1}, entry.Value[1:]...)}
			if err := read[of](newer); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "newer one") {
				t.Errorf("%s %q: %v", of, entry.Key, err)
			}
		}
	}
}
