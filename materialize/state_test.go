package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/exact"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// held is an epoch in memory.
type held struct {
	pointer stream.Pointer
	objects map[string][]stream.Entry
}

var errObject = errors.New("no such object")

func (h *held) Read(_ context.Context, owner string, _ stream.Chain, each func(key, value []byte) error) error {
	entries, there := h.objects[owner]
	if !there {
		return errObject
	}
	for _, e := range entries {
		if err := each(e.Key, e.Value); err != nil {
			return err
		}
	}
	return nil
}

func (h *held) put(owner string, entries []stream.Entry) {
	h.objects[owner] = entries
	h.pointer.Generations[owner] = stream.Chain{{Name: owner}}
}

const heldText = `
version: 1
name: held
source:
  format: csv
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {fare: decimal(2), x: float, who: string, cell: int, paid: bool}
  dedup: {by: [who, paid], within: 10m}
grid: {resolution: 7, rings: [0, 1], parents: [6]}
windows: {pane: 5m, sizes: [5m, 15m]}
aggregates:
  - {name: own, op: count, where: "cell > 0"}
  - {name: fare, op: sum, of: fare}
  - {name: least, op: min, of: x}
  - {name: most, op: max, of: fare}
  - {name: mean, op: mean, of: cell, where: "cell > 0"}
models: [{name: next, kind: demand, target: own_k0_w5m}]
`

const heldStart = int64(1_211_328_000_000_000)

// hold makes an epoch of one partition and one shard, with values at the ends of
// what there is.
func hold(t *testing.T) (*pipeline.Plan, *held, geo.Cell) {
	t.Helper()
	plan, err := pipeline.Load([]byte(heldText), "held.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cell, err := geo.Index(37.7, -122.4, 7)
	if err != nil {
		t.Fatal(err)
	}
	h := &held{objects: map[string][]stream.Entry{}, pointer: stream.Pointer{
		Pipeline: "held", PlanState: stream.PlanState{PlanHash: plan.Hash}, Epoch: 7, Shards: 2, Frontiers: stream.Frontiers{Provisional: heldStart, Final: stream.NoTime},
		Partitions: []stream.PartitionState{{ID: 3, Position: 9}, {ID: 4, Position: stream.FromStart}}, Generations: map[string]stream.Chain{},
	}}
	h.put("partition/3", winners(t, plan))
	shard, err := stream.NewShard(plan, 1, stream.ShardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	none := []uint64{uint64(aggregate.None(aggregate.Min)), uint64(1) << 63}
	for pane := range int64(2) {
		p := &stream.Partials{Territory: plan.Grid.Territories.Of(cell), Pane: heldStart + pane*300_000_000, Cells: []geo.Cell{cell}}
		for m, of := range plan.Layout.Measures {
			c := aggregate.MeasureColumn{Lo: []uint64{uint64(m + 5)}}
			switch {
			case of.Kind != aggregate.Sum && pane == 0:
				c.Lo[0] = none[of.Kind-aggregate.Min]
			case of.Kind == aggregate.Min:
				c.Lo[0] = uint64(aggregate.FloatKey(-1.5))
			case of.Kind == aggregate.Max:
				c.Lo[0] = uint64(1234)
			case of.Field == 0:
				v := exact.Mul64(-1<<62, 1<<50) // −4.6e18 · 1e15
				c.Lo[0], c.Hi = v.Lo, []int64{v.Hi}
			}
			p.Measures = append(p.Measures, c)
		}
		if err := shard.Merge(p); err != nil {
			t.Fatal(err)
		}
	}
	shard.Advance(heldStart+300_000_000, heldStart+300_000_000)
	for more := true; more; {
		if more, err = shard.Step(&stream.Output{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	h.put("shard/1", shard.Save(stream.Everything).Entries())
	return plan, h, cell
}

// winners are the entries of a partition with an open span of two keys.
func winners(t *testing.T, plan *pipeline.Plan) []stream.Entry {
	t.Helper()
	task, err := stream.NewTask(plan, 3, stream.TaskOptions{From: stream.NoTime})
	if err != nil {
		t.Fatal(err)
	}
	b := &stream.Batch{
		Positions: []int64{7, 8}, Next: 9, Limit: 1 << 62, Times: []int64{heldStart + 2, heldStart + 1},
		Lats: []float64{37.7, 37.8}, Lngs: []float64{-122.4, -122.5},
	}
	for _, f := range plan.Source.Fields {
		v := column.Vector{Kind: f.Kind, Scale: f.Scale}
		switch f.Kind {
		case column.Float:
			v.Floats = []float64{.25, 0}
		case column.String:
			v.Strings.Append([]byte("ä"))
			v.Strings.Append(nil)
		default:
			v.Ints = []int64{1, 0}
		}
		if f.Name != "paid" {
			v.Nulls.Set(1)
		}
		b.Fields = append(b.Fields, v)
	}
	task.Batch(b, &stream.Ingested{})
	return task.Save(stream.Everything).Entries()
}

// table reads a Parquet file as text, by column; null is "(null)".
func table(t *testing.T, dir, name string) map[string][]string {
	t.Helper()
	in, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	read, err := pqarrow.ReadTable(t.Context(), in, parquet.NewReaderProperties(nil), pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Release()
	columns := map[string][]string{}
	for i, f := range read.Schema().Fields() {
		columns[f.Name] = []string{f.Type.String()}
		for _, chunk := range read.Column(i).Data().Chunks() {
			for n := range chunk.Len() {
				columns[f.Name] = append(columns[f.Name], chunk.ValueStr(n))
			}
		}
	}
	return columns
}

func says(t *testing.T, name string, columns map[string][]string, want map[string][]string) {
	t.Helper()
	for _, column := range slices.Sorted(maps.Keys(want)) {
		if !slices.Equal(columns[column], want[column]) {
			t.Errorf("%s, %s: %q, not %q", name, column, columns[column], want[column])
		}
	}
}

// Every column has its type and value: numbers beyond 64 bits, nulls, times that
// are none, names that are taken.
func TestExportState(t *testing.T) {
	plan, h, cell := hold(t)
	dir := filepath.Join(t.TempDir(), "new", "out")
	m, err := ExportState(t.Context(), dir, plan, &h.pointer, h)
	if err != nil {
		t.Fatal(err)
	}
	const null, stamp = array.NullValueStr, "timestamp[us, tz=UTC]"
	says(t, "offsets", table(t, dir, "offsets.parquet"), map[string][]string{
		"partition": {"int32", "3", "4"}, "position": {"int64", "9", null}, "duplicates": {"int64", "0", "0"}, "read": {"int64", "2", "0"},
		"newest_event": {stamp, "2008-05-21T00:00:00.000002Z", null}, "idle": {"bool", "false", "false"},
	})
	says(t, "frontiers", table(t, dir, "frontiers.parquet"), map[string][]string{
		"shard": {"int32", null, "1", "1", "1"}, "kind": {"utf8", "committed", "asked", "closed", "told"},
		"provisional": {stamp, "2008-05-21T00:00:00Z", "2008-05-21T00:05:00Z", "2008-05-21T00:05:00Z", "2008-05-21T00:05:00Z"},
		"final":       {stamp, null, "2008-05-21T00:05:00Z", "2008-05-21T00:05:00Z", "2008-05-21T00:05:00Z"},
	})
	says(t, "dedup", table(t, dir, "dedup.parquet"), map[string][]string{
		"partition": {"int32", "3", "3"}, "span_end": {stamp, "2008-05-21T00:10:00Z", "2008-05-21T00:10:00Z"},
		"event_time": {stamp, "2008-05-21T00:00:00.000002Z", "2008-05-21T00:00:00.000001Z"}, "lat": {"float64", "37.7", "37.8"},
		"key_who": {"utf8", "ä", null}, "key_paid": {"bool", "true", "false"}, "field_fare": {"decimal(38, 2)", "0.01", null},
		"field_x": {"float64", "0.25", null}, "field_cell": {"int64", "1", null},
	})
	number := fmt.Sprint(uint64(cell))
	says(t, "panes", table(t, dir, "panes.parquet"), map[string][]string{
		"shard": {"int32", "1", "1"}, "cell": {"uint64", number, number}, "h3": {"utf8", cell.String(), cell.String()}, "own": {"bool", "true", "true"},
		"pane_start": {stamp, "2008-05-21T00:00:00Z", "2008-05-21T00:05:00Z"}, "events": {"int64", "5", "5"}, "own_": {"int64", "6", "6"},
		"fare":  {"decimal(38, 2)", "-51922968585348276285304963292200.96", "-51922968585348276285304963292200.96"},
		"least": {"float64", null, "-1.5"}, "most": {"decimal(38, 2)", null, "12.34"}, "mean_sum": {"decimal(38, 0)", "10", "10"},
	})
	says(t, "windows", table(t, dir, "windows.parquet"), map[string][]string{
		"resolution": {"int32", "7", "7", "6", "6"}, "events": {"int64", "5", "5", "5", "5"}, "provisional": {"bool", "false", "false", "false", "false"},
		"window_start": {stamp, "2008-05-21T00:00:00Z", "2008-05-20T23:50:00Z", "2008-05-21T00:00:00Z", "2008-05-20T23:50:00Z"},
	})
	models := table(t, dir, "models.parquet")
	i := slices.Index(models["parameter"], "windows")
	if i < 0 || models["model"][i] != "next" || models["cell"][i] != null || models["value"][i] != "[1]" || models["learnt_until"][i] != "2008-05-21T00:05:00Z" {
		t.Errorf("models: %d, %v", i, models["value"])
	}
	says(t, "forecasts", table(t, dir, "forecasts.parquet"), map[string][]string{"made_at": {stamp, "2008-05-21T00:05:00Z"}, "cell": {"uint64", number}, "miss": {"int64", null}})

	content, err := os.ReadFile(filepath.Join(dir, StateManifestName))
	var again StateManifest
	if err == nil {
		err = json.Unmarshal(content, &again)
	}
	if err != nil || again.Epoch != 7 || len(again.Files) != 7 || again.Files[3] != (StateFile{"panes.parquet", 2}) || !slices.EqualFunc(again.Measures, m.Measures, func(a, b StateMeasure) bool { return a.Column == b.Column && a.Where == b.Where }) {
		t.Errorf("%+v, %v", again, err)
	}
}

// An export that fails leaves nothing, not even the folder that it made.
func TestExportStateFails(t *testing.T) {
	plan, h, _ := hold(t)
	delete(h.objects, "shard/1")
	given := t.TempDir()
	made := filepath.Join(given, "out")
	for _, dir := range []string{made, given} {
		if _, err := ExportState(t.Context(), dir, plan, &h.pointer, h); !errors.Is(err, errObject) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if left, err := os.ReadDir(given); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}
