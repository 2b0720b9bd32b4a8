package materialize

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"pgregory.net/rapid"
)

// definition has two columns of each kind and rows at two resolutions.
const definition = `version: 1
name: %s
source:
  format: csv
  topic: pings
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {taxi: string}
  out_of_order: 30s
  allowed_lateness: 2m
grid: {resolution: 9, rings: [0, 1], parents: [8]}
windows: {pane: 1m, sizes: [1m]}
aggregates:
  - {name: n, op: count}
features:
  - {name: share, expr: "n_k0_w1m / n_k1_w1m"}
  - {name: half, expr: "n_k0_w1m / 2"}
sinks:
  redis: {}
  feed: {topic: %s, format: %s}
`

// planOf loads the definition under a name of its own.
func planOf(t testing.TB, name, topic, format string) *pipeline.Plan {
	t.Helper()
	p, err := pipeline.Load(fmt.Appendf(nil, definition, name, topic, format), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// some are cells of two territories at both resolutions, ascending by cell.
func someCells(t testing.TB) []geo.Cell {
	t.Helper()
	var all []geo.Cell
	for i := range 12 {
		c, err := geo.Index(37.70+float64(i%4)/50, -122.45+float64(i/4)/50, 9)
		if err != nil {
			t.Fatal(err)
		}
		parent, err := c.Parent(8)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c, parent)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

const (
	minute = int64(60e6)
	noon   = int64(1211371200e6) // 2008-05-21T12:00:00Z
)

// value is one column's value in one row; nil: null.
type value *uint64

// block is the plan of a block of rows, made anew for each sink.
type block struct {
	shard       int32
	territory   geo.Territory
	end         int64
	revision    int32
	final       bool
	empty       bool
	incarnation int64
	cells       []geo.Cell
	values      [][]value // by row
}

// rows makes the block for a plan's columns.
func (b *block) rows(plan *pipeline.Plan) *stream.Rows {
	r := new(stream.RowPool).Get()
	r.Shard, r.Territory, r.Resolution, r.WindowEnd = b.shard, b.territory, b.cells[0].Resolution(), b.end
	r.Revision, r.Final, r.Empty, r.Incarnation = b.revision, b.final, b.empty, max(b.incarnation, 1)
	r.Cells = slices.Clone(b.cells)
	for c := range plan.Columns {
		v := column.Vector{Kind: plan.Columns[c].Kind}
		for i := range b.cells {
			if x := b.values[i][c]; x != nil {
				v.AppendBits(*x)
			} else {
				v.AppendBits(0)
				v.Nulls.Set(i)
			}
		}
		r.Columns = append(r.Columns, v)
	}
	return r
}

// step is one thing that happens to a sink.
type step struct {
	blocks     []block
	frontier   *stream.Frontier
	dead, late int // records
	checkpoint bool
}

func (s *step) output(plan *pipeline.Plan) *stream.Output {
	o := &stream.Output{Frontier: s.frontier}
	for i := range s.blocks {
		o.Rows = append(o.Rows, s.blocks[i].rows(plan))
	}
	for i := range s.dead {
		o.Dead = append(o.Dead, stream.DeadLetter{Position: int64(i), Raw: []byte("raw")})
	}
	for i := range s.late {
		o.Late = append(o.Late, stream.LateRecord{Position: int64(i), Time: noon, PaneEnd: noon + minute, Watermark: noon + 3*minute, Raw: []byte("late")})
	}
	return o
}

// deliver does to a sink what its goroutine does with an output.
func deliver(t fataler, sink stream.Sink, o *stream.Output) {
	t.Helper()
	if err := sink.Write(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	for _, r := range o.Rows {
		r.Release()
	}
}

type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// drawValues draws the values of a row: extremes, fractions, −0 and nulls.
func drawValues(t *rapid.T, plan *pipeline.Plan) []value {
	values := make([]value, len(plan.Columns))
	for c := range plan.Columns {
		var bits uint64
		switch {
		case rapid.IntRange(0, 4).Draw(t, "null") == 0:
			continue
		case plan.Columns[c].Kind == column.Float:
			bits = math.Float64bits(rapid.OneOf(rapid.Just(math.Copysign(0, -1)), rapid.Float64Range(-1e300, 1e300), rapid.Just(0.1)).Draw(t, "float"))
		default:
			bits = uint64(rapid.OneOf(rapid.Int64Range(0, 9), rapid.Int64()).Draw(t, "int"))
		}
		values[c] = &bits
	}
	return values
}

// drawBlocks draws blocks of one window end: those of two territories interleave,
// resolutions apart.
func drawBlocks(t *rapid.T, plan *pipeline.Plan, cells []geo.Cell, like block) []block {
	var blocks []block
	for _, resolution := range []int{9, 8} {
		for territory := range 2 {
			b := like
			b.territory = geo.Territory(territory + 1)
			for i, c := range cells {
				if c.Resolution() == resolution && i/2%2 == territory && rapid.Bool().Draw(t, "has") {
					b.cells, b.values = append(b.cells, c), append(b.values, drawValues(t, plan))
				}
			}
			if len(b.cells) > 0 {
				blocks = append(blocks, b)
			}
		}
	}
	return blocks
}

// drawScript draws the life of two shards: provisional rows (and markers), then,
// as the final frontier comes by, changed rows again, and checkpoints between.
func drawScript(t *rapid.T, plan *pipeline.Plan, cells []geo.Cell) []step {
	var script []step
	panes := rapid.IntRange(2, 6).Draw(t, "panes")
	trail := rapid.IntRange(0, 2).Draw(t, "trail")
	half := len(cells) / 2
	for pane := range panes + trail + 1 {
		for shard := range int32(2) {
			own := cells[:half]
			if shard == 1 {
				own = cells[half:]
			}
			s := step{frontier: &stream.Frontier{Shard: shard, Incarnation: 1}}
			if at := pane - trail; at >= 0 && at < panes { // what is final now
				s.blocks = drawBlocks(t, plan, own, block{shard: shard, end: noon + int64(at)*20*minute, revision: int32(min(trail, 1)), final: true})
			}
			if pane < panes && trail > 0 {
				like := block{shard: shard, end: noon + int64(pane)*20*minute, empty: rapid.IntRange(0, 5).Draw(t, "marker") == 0}
				s.blocks = append(s.blocks, drawBlocks(t, plan, own, like)...)
			}
			s.frontier.Provisional = noon + int64(pane)*20*minute
			s.frontier.Final = s.frontier.Provisional - int64(trail)*20*minute
			s.dead, s.late = rapid.IntRange(0, 1).Draw(t, "dead"), rapid.IntRange(0, 1).Draw(t, "late")
			script = append(script, s)
			if rapid.IntRange(0, 3).Draw(t, "checkpoint") == 0 {
				script = append(script, step{checkpoint: true})
			}
		}
	}
	return append(script, step{checkpoint: true})
}

// place of a row among those of a run.
type rowKey struct {
	end  int64
	cell geo.Cell
}

// records is a set of rows, each as the bytes that are hashed for it.
type records map[rowKey]string

// expected are the rows that a script leaves: of each the greatest revision.
func expected(plan *pipeline.Plan, script []step) records {
	all, revisions := records{}, map[rowKey]int32{}
	for i := range script {
		for j := range script[i].blocks {
			b := &script[i].blocks[j]
			if b.empty {
				continue
			}
			r := b.rows(plan)
			for row, c := range b.cells {
				k := rowKey{b.end, c}
				if old, is := revisions[k]; !is || b.revision >= old {
					revisions[k], all[k] = b.revision, string(stream.AppendRecord(nil, r, row))
				}
			}
		}
	}
	return all
}

// read gives the rows of a side, whose order is checked.
func read(t fataler, side Side) (all records, notFinal int) {
	t.Helper()
	all = records{}
	last := int64(math.MinInt64)
	for {
		p, err := side.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return all, notFinal
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.End <= last {
			t.Fatalf("%s: window end %d comes after %d", side.Name(), p.End, last)
		}
		last = p.End
		var before geo.Cell
		for _, r := range p.Rows {
			if !r.Final {
				notFinal += len(r.Cells)
			}
			for i, c := range r.Cells {
				if c <= before {
					t.Fatalf("%s: cell %s comes after %s", side.Name(), c, before)
				}
				before = c
				all[rowKey{p.End, c}] = string(stream.AppendRecord(nil, r, i))
			}
		}
	}
}

// same compares sets of rows.
func same(t fataler, what string, got, want records) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	keys := slices.SortedFunc(maps.Keys(want), func(a, b rowKey) int { return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.cell, b.cell)) })
	for _, k := range keys {
		if got[k] != want[k] {
			t.Fatalf("%s: %d rows, not %d; the row of %s at %s is %x, not %x", what, len(got), len(want), k.cell, stampText(k.end), got[k], want[k])
		}
	}
	t.Fatalf("%s: %d rows, not %d", what, len(got), len(want))
}

// simple is a block of some cells' rows that count n and more.
func simple(plan *pipeline.Plan, end int64, revision int32, n int64, cells ...geo.Cell) block {
	b := block{end: end, revision: revision, cells: cells}
	for range cells {
		values := make([]value, len(plan.Columns))
		for c := range values {
			bits := uint64(n)
			if plan.Columns[c].Kind == column.Float {
				bits = math.Float64bits(float64(n) / 2)
			}
			values[c] = &bits
		}
		b.values = append(b.values, values)
	}
	return b
}

// eventually waits for something that another goroutine or process does.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
