package stream

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
)

// oldEntries are the entries of a shard as the program wrote them when a model was
// one entry: after 30 panes of oldLife.
func oldEntries(t *testing.T) []Entry {
	f, err := os.Open("testdata/shard-model-one-entry.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	var entries []Entry
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		var e Entry
		for to, text := range map[*[]byte]string{&e.Key: key, &e.Value: value} {
			if *to, err = hex.DecodeString(text); err != nil {
				t.Fatal(err)
			}
		}
		entries = append(entries, e)
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return entries
}

// oldLife feeds panes to a shard of fuzzedPlan, cells joining as it goes, and
// returns its rows as text.
func oldLife(t *testing.T, plan *pipeline.Plan, s *Shard, from, to int64) string {
	var text bytes.Buffer
	pane := plan.Pane.Microseconds()
	for i := from; i < to; i++ {
		for n := range 1 + min(i/8, 7) {
			cell, err := geo.Index(37.7, -122.4+float64(n*(i%3)), plan.Grid.Resolution)
			if err != nil {
				t.Fatal(err)
			}
			p := &Partials{Territory: plan.Grid.Territories.Of(cell), Pane: (1000 + i) * pane, Cells: []geo.Cell{cell}}
			for m := range plan.Layout.Measures {
				p.Measures = append(p.Measures, aggregate.MeasureColumn{Lo: []uint64{uint64(int64(m) + i%5)}})
			}
			if err := s.Merge(p); err != nil {
				t.Fatal(err)
			}
		}
		s.Advance((999+i)*pane, (997+i)*pane)
		for more := true; more; {
			var out Output
			var err error
			if more, err = s.Step(&out, nil); err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Rows {
				for c := range r.Cells {
					fmt.Fprintf(&text, "%d %t %v %x\n", r.WindowEnd, r.Final, r.Cells[c], AppendRecord(nil, r, c))
				}
				r.Release()
			}
		}
	}
	return text.String()
}

// A model that was kept as one entry goes on, and is kept in parts from the next
// epoch on.
func TestModelOfOneEntryGoesOn(t *testing.T) {
	plan := fuzzedPlan(t)
	shard := func() *Shard {
		s, err := NewShard(plan, 0, ShardOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	straight, old := shard(), shard()
	oldLife(t, plan, straight, 0, 30)
	entries := oldEntries(t)
	if err := old.Restore(entries); err != nil {
		t.Fatal(err)
	}
	kept := map[string][]byte{}
	for _, e := range entries {
		kept[string(e.Key)] = e.Value
	}
	d := old.Save(0)
	applied(kept, &Generation{Entries: d.Entries(), Removed: d.Removed})
	parts := 0
	for _, e := range straight.Save(Everything).Entries() {
		if e.Key[0] == tableModel {
			parts++
			if !bytes.Equal(kept[string(e.Key)], e.Value) {
				t.Errorf("entry %x is %.60x, want %.60x", e.Key, kept[string(e.Key)], e.Value)
			}
		}
	}
	if n, _ := modelEntries(d.Entries()); n != parts || n < 60 {
		t.Errorf("%d parts, want %d", n, parts)
	}
	if n, _ := modelEntries(old.Save(1).Entries()); n != 0 {
		t.Errorf("%d parts are written twice", n)
	}
	again := shard()
	if err := again.Restore((&keeper{entries: kept}).list()); err != nil {
		t.Fatal(err)
	}
	want := oldLife(t, plan, straight, 30, 60)
	for _, s := range []*Shard{old, again} {
		if got := oldLife(t, plan, s, 30, 60); got != want || want == "" {
			t.Errorf("rows\n%.1000s\nwant\n%.1000s", got, want)
		}
	}
}
