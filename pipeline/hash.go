package pipeline

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/hextide/hextide/geo"
	"github.com/zeebo/xxh3"
)

// hash is XXH3-128 over a plan in a canonical form: the whole
// definition with defaults filled in, but its sinks. ops are the aggregates as
// the definition has them.
func hash(p *Plan, ops []Aggregate) string {
	type source struct {
		SourcePlan
		Filter string
	}
	type modelOptions struct {
		Name, Kind, Target string
		Options            any
	}
	canonical := struct {
		Name     string
		Source   source
		Grid     any
		Pane     any
		Windows  any
		Measures any
		Ops      []Aggregate
		Columns  any
		Wheres   []string
		Backoffs []BackoffPlan `json:",omitempty"`
		Features []string
		Models   []modelOptions
	}{Name: p.Name, Source: source{SourcePlan: p.Source}, Pane: p.Pane, Windows: p.Windows, Measures: p.Layout.Measures, Ops: ops, Backoffs: p.Backoffs}
	if p.Source.Filter != nil {
		canonical.Source.Filter = p.Source.Filter.Source
	}
	grid := p.Grid
	grid.Territories = nil // follows from the rest
	grid.Regions = slices.Clone(grid.Regions)
	for i, r := range grid.Regions {
		grid.Regions[i].Cells = slices.Sorted(slices.Values(r.Cells))
	}
	slices.SortFunc(grid.Regions, func(a, b geo.Region) int { return cmp.Compare(a.Name, b.Name) })
	canonical.Grid = grid
	columns := make([]Column, len(p.Columns))
	for i, c := range p.Columns {
		c.Description = ""
		columns[i] = c
	}
	canonical.Columns = columns
	for _, w := range p.Wheres {
		canonical.Wheres = append(canonical.Wheres, w.Source)
	}
	for _, f := range p.Features {
		canonical.Features = append(canonical.Features, f.Program.Source)
	}
	for _, m := range p.Models {
		canonical.Models = append(canonical.Models, modelOptions{m.Name, m.Kind, p.Columns[m.Target].Name, m.Options})
	}
	text, err := json.Marshal(canonical)
	if err != nil {
		panic("a plan has a value that JSON has not: " + err.Error()) // all of its types have
	}
	sum := xxh3.Hash128(text).Bytes()
	return hex.EncodeToString(sum[:])
}
