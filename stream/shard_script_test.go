package stream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	h3 "github.com/uber/h3-go/v4"
)

// The scripts of testdata/shard are whole conversations with a shard. Times are
// minutes; c0, c1, ... are the cells within two steps of a place in San
// Francisco, ascending.
func TestShardScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/shard", func(t *testing.T, path string) {
		s := &shardScript{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			text, err := s.run(t, d)
			if err != nil {
				return "error: " + err.Error() + "\n"
			}
			return text
		})
	})
}

type shardScript struct {
	plan  *pipeline.Plan
	shard *Shard
	o     ShardOptions
	cells []geo.Cell
}

const scriptMinute = 60e6

func (s *shardScript) run(t *testing.T, d *datadriven.TestData) (string, error) {
	switch d.Cmd {
	case "plan":
		return "", s.start(d)
	case "merge":
		return "", s.merge(t, d)
	case "advance":
		var provisional, final int64
		d.ScanArgs(t, "final", &final)
		provisional = final
		d.MaybeScanArgs(t, "provisional", &provisional)
		s.shard.Advance(provisional*scriptMinute, final*scriptMinute)
		return s.steps(d.HasArg("quiet"))
	case "silent":
		var told Frontiers
		d.ScanArgs(t, "provisional", &told.Provisional)
		d.ScanArgs(t, "final", &told.Final)
		s.shard.Silent(Frontiers{told.Provisional * scriptMinute, told.Final * scriptMinute})
		return "", nil
	case "end":
		var at int64
		d.ScanArgs(t, "at", &at)
		s.shard.End(at * scriptMinute)
		return s.steps(d.HasArg("quiet"))
	case "open":
		text := ""
		blocks, err := s.shard.Open(s.cells)
		for _, rows := range blocks {
			text += s.text(rows)
		}
		return text, err
	case "restart":
		saved := s.shard.Save(Everything).Entries()
		var text strings.Builder
		for _, e := range saved {
			fmt.Fprintf(&text, "%c %x\n", e.Key[0], e.Key[1:])
		}
		var err error
		if s.shard, err = NewShard(s.plan, 0, s.o); err != nil {
			return "", err
		}
		return text.String(), s.shard.Restore(saved)
	case "stats":
		return fmt.Sprintf("%+v\n", s.shard.Stats()), nil
	}
	return "", fmt.Errorf("no command %s", d.Cmd)
}

// start reads a definition without its usual head.
func (s *shardScript) start(d *datadriven.TestData) error {
	lateness := "0s"
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "lateness":
			lateness = a.Vals[0]
		case "history":
			s.o.FinalOnly = true
		}
	}
	head := fmt.Sprintf(`
version: 1
name: script
source:
  format: csv
  topic: t
  event_time: {field: ts, unit: s}
  location: {lat: lat, lng: lng}
  fields: {a: int}
  allowed_lateness: %s
`, lateness)
	var err error
	if s.plan, err = pipeline.Load([]byte(head+d.Input), "script.yaml"); err != nil {
		return err
	}
	center, err := h3.LatLngToCell(h3.LatLng{Lat: 37.7749, Lng: -122.4194}, s.plan.Grid.Resolution)
	if err != nil {
		return err
	}
	disk, err := center.GridDisk(2)
	if err != nil {
		return err
	}
	s.cells = s.cells[:0]
	for _, c := range disk {
		s.cells = append(s.cells, geo.Cell(c))
	}
	slices.Sort(s.cells)
	s.shard, err = NewShard(s.plan, 0, s.o)
	return err
}

// merge takes lines of a cell and its measures.
func (s *shardScript) merge(t *testing.T, d *datadriven.TestData) error {
	var pane int64
	d.ScanArgs(t, "pane", &pane)
	p := &Partials{Pane: pane * scriptMinute, Halo: d.HasArg("halo"), Measures: make([]aggregate.MeasureColumn, len(s.plan.Layout.Measures))}
	for line := range strings.Lines(d.Input) {
		words := strings.Fields(line)
		n, err := strconv.Atoi(strings.TrimPrefix(words[0], "c"))
		if err != nil {
			return err
		}
		p.Cells = append(p.Cells, s.cells[n])
		p.Territory = s.plan.Grid.Territories.Of(s.cells[n])
		for m := range p.Measures {
			v, err := strconv.ParseInt(words[1+m], 10, 64)
			if err != nil {
				return err
			}
			p.Measures[m].Lo = append(p.Measures[m].Lo, uint64(v))
		}
	}
	return s.shard.Merge(p)
}

// steps steps until nothing is left to close.
func (s *shardScript) steps(quiet bool) (string, error) {
	var text strings.Builder
	n := 0
	for more := true; more; n++ {
		var out Output
		var err error
		if more, err = s.shard.Step(&out, nil); err != nil {
			return "", err
		}
		for _, r := range out.Rows {
			if !quiet {
				text.WriteString(s.text(r))
			}
			r.Release()
		}
		if out.Frontier != nil && !more {
			fmt.Fprintf(&text, "frontier %d %d\n", out.Frontier.Provisional/scriptMinute, out.Frontier.Final/scriptMinute)
		}
	}
	if quiet {
		fmt.Fprintf(&text, "%d steps\n", n)
	}
	return text.String(), nil
}

func (s *shardScript) text(r *Rows) string {
	var text strings.Builder
	for i, c := range r.Cells {
		name := fmt.Sprintf("%d:%s", r.Resolution, c)
		if n := slices.Index(s.cells, c); n >= 0 {
			name = fmt.Sprintf("c%d", n)
		}
		kind := "provisional"
		switch {
		case r.Open:
			kind = "open"
		case r.Final && r.Empty:
			kind = "final empty"
		case r.Final:
			kind = "final"
		case r.Empty:
			kind = "provisional empty"
		}
		fmt.Fprintf(&text, "%d %s %s %d:", r.WindowEnd/scriptMinute, name, kind, r.Revision)
		for k := range r.Columns {
			v := &r.Columns[k]
			switch {
			case v.Null(i):
				text.WriteString(" -")
			case v.Kind == column.Float:
				fmt.Fprintf(&text, " %.3g", v.Floats[i])
			default:
				fmt.Fprintf(&text, " %d", v.Ints[i])
			}
		}
		text.WriteString("\n")
	}
	return text.String()
}
