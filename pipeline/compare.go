package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
)

// Comparison is what becomes of a state when it goes on with another plan.
type Comparison struct {
	Added     []string // columns, in the order of the new plan
	Removed   []string // columns, in the order of the old plan
	Unchanged []string // columns, in the order of the new plan
	Changed   []Change // settings that may change
	Refused   []Refusal
}

// Change is a setting that is another now.
type Change struct{ What, Was, Is string }

// Refusal is a change that the state cannot follow.
type Refusal struct {
	Change
	Reason string
	WayOut string
}

// Error is one sentence.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s was %s, is %s: %s; %s", r.What, r.Was, r.Is, r.Reason, r.WayOut)
}

// Same tells whether the plans differ in nothing that is compared.
func (c *Comparison) Same() bool {
	return len(c.Added)+len(c.Removed)+len(c.Changed)+len(c.Refused) == 0
}

// Compare compares the plan that a state was made with and the one that it is to
// go on with. Columns are the same where name and meaning are; the same name with
// another meaning is refused.
func Compare(old, now *Plan) *Comparison {
	c := &Comparison{}
	for i := range settings {
		c.setting(&settings[i], old, now)
	}
	c.fields(old.Source.Fields, now.Source.Fields)
	c.columns(old, now)
	return c
}

// setting is a part of a definition that is not about single columns. Without a
// reason to refuse it may change.
type setting struct {
	name   string
	text   func(p *Plan) string
	reason string
}

const (
	anew    = "keep it, or give the new definition a state of its own (--state)"
	rename  = "keep it, or give what is new another name"
	refused = "what the state holds was made by it"
)

// settings are all of a definition but fields, columns and sinks. Sinks are no part
// of what is computed.
var settings = []setting{
	{"name", func(p *Plan) string { return p.Name }, "a state belongs to one pipeline"},
	{"source.format", func(p *Plan) string { return p.Source.Format }, "the records of one topic are read in one way"},
	{"source.topic", func(p *Plan) string { return text(p.Source.Topic) }, "the state's positions are of the topic before"},
	{"source.event_time", func(p *Plan) string {
		return fmt.Sprintf("%s in %s", p.Source.EventTime.Field, p.Source.EventTime.Unit)
	}, "panes would hold events of two kinds of time"},
	{"source.location", func(p *Plan) string { return locationText(p.Source.Location) }, "cells would hold events of two kinds of place"},
	{"source.filter", filterText, "panes would hold events that passed another filter"},
	{"source.out_of_order", func(p *Plan) string { return FormatDuration(p.Source.OutOfOrder) }, ""},
	{"source.allowed_lateness", func(p *Plan) string { return FormatDuration(p.Source.AllowedLateness) }, "which windows are final, and what models have learnt, depends on it"},
	{"source.idle_after", func(p *Plan) string { return FormatDuration(p.Source.IdleAfter) }, ""},
	{"source.max_ahead", func(p *Plan) string { return FormatDuration(p.Source.MaxAhead) }, ""},
	{"source.not_before", func(p *Plan) string { return time.UnixMicro(p.Source.NotBefore).UTC().Format(time.RFC3339) }, ""},
	{"source.dedup", dedupText, "open spans are kept by it"},
	{"grid.resolution", func(p *Plan) string { return fmt.Sprint(p.Grid.Resolution) }, refused},
	{"grid.regions", regionsText, "the state is kept by territory"},
	{"grid.parents", func(p *Plan) string { return fmt.Sprint(p.Grid.Parents) }, ""},
	{"grid.rings", func(p *Plan) string { return fmt.Sprint(p.Grid.Rings) }, ""},
	{"grid.emit", emitText, ""},
	{"windows.pane", func(p *Plan) string { return FormatDuration(p.Pane) }, refused},
	{"windows.sizes", windowsText, ""},
}

func text(s string) string { return cmp.Or(s, "none") }

func locationText(l Location) string {
	if l.Cell != "" {
		return "the cell in " + l.Cell
	}
	return l.Lat + " and " + l.Lng
}

func filterText(p *Plan) string {
	if p.Source.Filter == nil {
		return "none"
	}
	return p.Source.Filter.Source
}

func dedupText(p *Plan) string {
	d := p.Source.Dedup
	if d == nil {
		return "none"
	}
	by := make([]string, len(d.By))
	for i, f := range d.By {
		by[i] = p.Source.Fields[f].Name
	}
	slices.Sort(by)
	return fmt.Sprintf("by %s within %s", strings.Join(by, ", "), FormatDuration(d.Within))
}

func regionsText(p *Plan) string {
	var all []string
	for _, r := range p.Grid.Regions {
		all = append(all, fmt.Sprintf("%s %v", r.Name, slices.SortedFunc(slices.Values(r.Cells), func(a, b geo.Cell) int { return cmp.Compare(a, b) })))
	}
	slices.Sort(all)
	return text(strings.Join(all, ", "))
}

func emitText(p *Plan) string {
	if p.Grid.Neighborhood {
		return "neighborhood"
	}
	return "cell"
}

func windowsText(p *Plan) string {
	sizes := make([]string, len(p.Windows))
	for i, w := range p.Windows {
		sizes[i] = FormatDuration(w)
	}
	return strings.Join(sizes, " ")
}

func (c *Comparison) setting(s *setting, old, now *Plan) {
	change := Change{s.name, s.text(old), s.text(now)}
	switch {
	case change.Was == change.Is:
	case s.reason == "":
		c.Changed = append(c.Changed, change)
	default:
		c.Refused = append(c.Refused, Refusal{change, s.reason, anew})
	}
}

// fields compares the fields by their names.
func (c *Comparison) fields(old, now []FieldType) {
	find := func(fields []FieldType, name string) int {
		return slices.IndexFunc(fields, func(f FieldType) bool { return f.Name == name })
	}
	for _, f := range old {
		i := find(now, f.Name)
		if i < 0 {
			c.Changed = append(c.Changed, Change{"source.fields." + f.Name, fieldText(f), "none"})
		} else if now[i] != f {
			c.Refused = append(c.Refused, Refusal{
				Change{"source.fields." + f.Name, fieldText(f), fieldText(now[i])}, "sums and winners of the field are kept by its type", anew,
			})
		}
	}
	for _, f := range now {
		if find(old, f.Name) < 0 {
			c.Changed = append(c.Changed, Change{"source.fields." + f.Name, "none", fieldText(f)})
		}
	}
}

// columns compares the columns by their names, what a column reads before it.
func (c *Comparison) columns(old, now *Plan) {
	was, is := old.ByName(), now.ByName()
	changed := map[string]bool{} // by column
	owners := map[string]bool{}  // refused
	for _, i := range now.ReadOrder() {
		name := now.Columns[i].Name
		j, held := was[name]
		if !held {
			continue
		}
		r := Refusal{Change{now.owner(i), old.meaning(j), now.meaning(i)}, "the state holds it with the meaning before", rename}
		if r.Was == r.Is {
			read := slices.IndexFunc(now.Reads(i), func(k int) bool { return changed[now.Columns[k].Name] })
			if read < 0 {
				continue
			}
			r.Reason = fmt.Sprintf("it reads %s, whose meaning has changed", now.Columns[now.Reads(i)[read]].Name)
		}
		changed[name] = true
		if !owners[r.What] {
			owners[r.What] = true
			c.Refused = append(c.Refused, r)
		}
	}
	for _, col := range now.Columns {
		if _, held := was[col.Name]; !held {
			c.Added = append(c.Added, col.Name)
		} else if !changed[col.Name] {
			c.Unchanged = append(c.Unchanged, col.Name)
		}
	}
	for _, col := range old.Columns {
		if _, held := is[col.Name]; !held {
			c.Removed = append(c.Removed, col.Name)
		}
	}
}

// ByName are the positions of the columns.
func (p *Plan) ByName() map[string]int {
	at := map[string]int{}
	for i, c := range p.Columns {
		at[c.Name] = i
	}
	return at
}

// ReadOrder are all columns, each after those that it reads: features may read
// models, and come before them in the rows.
func (p *Plan) ReadOrder() []int {
	var order, features []int
	for i, c := range p.Columns {
		if c.Origin == FromFeature {
			features = append(features, i)
		} else {
			order = append(order, i)
		}
	}
	return append(order, features...)
}

// Reads are the columns that a feature's or a model's column is made of, ascending.
func (p *Plan) Reads(i int) []int {
	switch c := p.Columns[i]; c.Origin {
	case FromFeature:
		return p.Features[c.Index].Program.Variables()
	case FromModel:
		return []int{p.Models[c.Index].Target}
	}
	return nil
}

// Measures are the positions in the layout of what an aggregate's or a backoff's
// column is made of.
func (p *Plan) Measures(i int) []int {
	switch c := p.Columns[i]; c.Origin {
	case FromAggregate:
		return p.Layout.Aggregates[c.Index].Measures
	case FromBackoff:
		b := &p.Backoffs[c.Index]
		return append(slices.Clone(p.Layout.Aggregates[b.Aggregate].Measures), b.Count)
	}
	return nil
}

// MeasureText says what a measure of the layout holds: equal texts of two plans
// with the same fields mean equal values.
func (p *Plan) MeasureText(i int) string {
	m := p.Layout.Measures[i]
	s := [...]string{aggregate.Sum: "sum", aggregate.Min: "min", aggregate.Max: "max"}[m.Kind]
	if m.Field < 0 {
		s = "count"
	} else {
		s += " of " + p.Source.Fields[m.Field].Name
	}
	if m.Where >= 0 {
		s += " where " + p.Wheres[m.Where].Source
	}
	return s
}

// owner names what in the definition a column is of.
func (p *Plan) owner(i int) string {
	c := p.Columns[i]
	name := c.Name
	switch c.Origin {
	case FromAggregate:
		name = p.Layout.Aggregates[c.Index].Name
	case FromBackoff:
		name = p.Backoffs[c.Index].Name
	case FromModel:
		name = p.Models[c.Index].Name
	}
	return c.Origin.String() + " " + name
}

// meaning says all that a column's values follow from, but for the columns that
// it reads.
func (p *Plan) meaning(i int) string {
	c := p.Columns[i]
	switch c.Origin {
	case FromFeature:
		return p.Features[c.Index].Program.Source
	case FromModel:
		m := &p.Models[c.Index]
		return fmt.Sprintf("%s of %s with windows of %s, time zone %s, parent %d: %s", m.Kind, p.Columns[m.Target].Name,
			FormatDuration(m.Window()), m.Options.TimeZone, m.Options.Parent, c.Description)
	case FromBackoff:
		var of []string
		for _, m := range p.Measures(i) {
			of = append(of, p.MeasureText(m))
		}
		return fmt.Sprintf("%s (%s) of parents %v", c.Description, strings.Join(of, ", "), p.Grid.Parents)
	}
	return c.Description
}

func fieldText(f FieldType) string {
	if f.Kind == column.Decimal {
		return fmt.Sprintf("%s(%d)", f.Kind, f.Scale)
	}
	return f.Kind.String()
}
