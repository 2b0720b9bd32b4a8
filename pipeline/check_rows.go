package pipeline

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hextide/hextide/aggregate"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/features"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/models"
)

// widestAllowed bounds rings, most of all the memory of a territory's halo.
const widestAllowed = 100

// territoryDepth is how many resolutions a territory is coarser than the cells.
const territoryDepth = 6

func (c *checker) grid() {
	d, g := &c.definition.Grid, &c.plan.Grid
	g.Resolution, g.Rings, g.Parents = d.Resolution, d.Rings, slices.Clone(d.Parents)
	g.Neighborhood = d.Emit != "cell"
	resolution, ring := g.Resolution >= 0 && g.Resolution <= 15, true
	if !resolution {
		c.on("grid.resolution", "H3 has resolutions 0 to 15, not %d", g.Resolution)
		g.Resolution = 9
	}
	if len(g.Rings) == 0 {
		g.Rings = []int{0}
	}
	for i, k := range g.Rings {
		switch {
		case k < 0 || k > widestAllowed:
			c.on(fmt.Sprintf("grid.rings[%d]", i), "a ring is 0 to %d, not %d", widestAllowed, k)
			ring = false
		case i > 0 && k <= g.Rings[i-1]:
			c.on(fmt.Sprintf("grid.rings[%d]", i), "rings ascend: %d comes after %d", k, g.Rings[i-1])
		}
	}
	coarsest := max(0, g.Resolution-territoryDepth)
	for i, r := range g.Parents {
		switch {
		case r >= g.Resolution || r < coarsest:
			c.on(fmt.Sprintf("grid.parents[%d]", i), "a parent is coarser than the cells and not coarser than the territory: %d to %d, not %d", coarsest, g.Resolution-1, r)
		case slices.Contains(g.Parents[:i], r):
			c.on(fmt.Sprintf("grid.parents[%d]", i), "the parent %d is there twice", r)
		}
	}
	slices.Sort(g.Parents)
	slices.Reverse(g.Parents)
	if _, given := c.positions["grid.rings"]; given && len(d.Rings) > 0 && d.Rings[0] != 0 && len(g.Parents) > 0 {
		c.on("grid.parents", "parents have the columns of ring 0, which is not among the rings")
	}
	c.regions(resolution, ring)
}

// regions checks each region alone and then all together; resolution and ring
// tell whether the grid's are right.
func (c *checker) regions(resolution, ring bool) {
	g := &c.plan.Grid
	good := true
	for i, r := range c.definition.Grid.Regions {
		path := fmt.Sprintf("grid.regions[%d]", i)
		if slices.ContainsFunc(g.Regions, func(other geo.Region) bool { return other.Name == r.Name }) {
			c.on(path+".name", "there are two regions %q", r.Name)
		}
		region := geo.Region{Name: r.Name}
		for j, text := range r.Cells {
			cell, err := geo.ParseCell(text)
			if err != nil {
				c.on(fmt.Sprintf("%s.cells[%d]", path, j), "%v", err)
				continue
			}
			region.Cells = append(region.Cells, cell)
		}
		g.Regions = append(g.Regions, region)
		if len(region.Cells) < len(r.Cells) || !resolution {
			good = false
			continue
		}
		if _, err := geo.NewTerritories(g.Resolution, []geo.Region{region}, 0); err != nil {
			c.on(path, "%v", err)
			good = false
		}
	}
	if !good || !resolution || !ring {
		return
	}
	var err error
	if g.Territories, err = geo.NewTerritories(g.Resolution, g.Regions, g.Rings[len(g.Rings)-1]); err != nil {
		c.on("grid.regions", "%v", err)
	}
}

func (c *checker) aggregates() {
	p := c.plan
	fields := make([]aggregate.Field, len(p.Source.Fields))
	for i, f := range p.Source.Fields {
		fields[i] = aggregate.Field(f)
	}
	specs := []aggregate.Spec{}
	good := true
	if _, given := c.positions["aggregates"]; given && len(c.definition.Aggregates) == 0 {
		c.on("aggregates", "expected at least one aggregate")
	}
	for i, a := range c.definition.Aggregates {
		path := fmt.Sprintf("aggregates[%d]", i)
		s := aggregate.Spec{Name: a.Name, Op: a.Op, Of: -1, Where: -1}
		if a.Where != "" {
			s.Where = c.where(path+".where", a.Where)
		}
		c.wheres = append(c.wheres, s.Where)
		if a.Of != "" {
			s.Of = c.field(path+".of", a.Of)
		}
		if a.Of != "" && s.Of < 0 || !slices.Contains(aggregate.Ops(), a.Op) { // both are noted
			good = false
			continue
		}
		if err := s.Check(fields); err != nil {
			c.on(path, "%v", err)
			good = false
		}
		specs = append(specs, s)
	}
	if good {
		p.Layout, _ = aggregate.NewLayout(specs, fields) // each spec has been checked
	}
}

// where compiles a condition, equal ones once; -1 where it is wrong.
func (c *checker) where(path, source string) int {
	program := c.expression(path, source, c.plan.Source.Variables(), column.Bool)
	if program == nil {
		return -1
	}
	for i, have := range c.plan.Wheres {
		if have.Source == source {
			return i
		}
	}
	c.plan.Wheres = append(c.plan.Wheres, program)
	return len(c.plan.Wheres) - 1
}

// maxColumns bounds the columns of a row.
const maxColumns = 10_000

// columns lays out all columns, those of features and models with their names
// alone, so that expressions can refer to them. It tells whether that is so.
func (c *checker) columns() bool {
	p := c.plan
	if n := (len(c.definition.Aggregates)*len(p.Grid.Rings) + 2*len(c.definition.Backoff)) * len(p.Windows); n > maxColumns {
		c.on("aggregates", "aggregates, rings and windows make %d columns, at most %d are allowed", n, maxColumns)
		return false
	}
	for i, a := range c.definition.Aggregates {
		c.name(fmt.Sprintf("aggregates[%d].name", i), a.Name)
		for ring, k := range p.Grid.Rings {
			for window, w := range p.Windows {
				col := Column{Name: fmt.Sprintf("%s_k%d_w%s", a.Name, k, FormatDuration(w)), Kind: column.Int, Index: i, Ring: ring, Window: window}
				if p.Layout != nil {
					col.Kind = p.Layout.Aggregates[i].Kind
				}
				col.Description = fmt.Sprintf("%s within grid distance %d over the last %s", describeAggregate(a), k, FormatDuration(w))
				c.column(fmt.Sprintf("aggregates[%d].name", i), col)
			}
		}
	}
	c.backoffColumns()
	for i, f := range c.definition.Features {
		c.name(fmt.Sprintf("features[%d].name", i), f.Name)
		c.column(fmt.Sprintf("features[%d].name", i), Column{Name: f.Name, Kind: column.Float, Origin: FromFeature, Index: i, Description: f.Expr})
	}
	for i, m := range c.definition.Models {
		c.name(fmt.Sprintf("models[%d].name", i), m.Name)
		p.Models = append(p.Models, ModelPlan{Name: m.Name, Kind: m.Kind, Target: -1, First: len(p.Columns)})
		for j, spec := range models.DemandColumns(m.Name) {
			col := Column{Name: spec.Name, Kind: column.Float, Origin: FromModel, Index: i, Output: j, Description: spec.What}
			if spec.Kind == models.IntColumn {
				col.Kind = column.Int
			}
			c.column(fmt.Sprintf("models[%d].name", i), col)
		}
		p.Models[i].Count = len(p.Columns) - p.Models[i].First
	}
	return true
}

func describeAggregate(a Aggregate) string {
	text := a.Op
	if a.Of != "" {
		text += " of " + a.Of
	}
	if a.Where != "" {
		text += " where " + a.Where
	}
	return text
}

// reserved are the columns that every row has beside the definition's.
var reserved = []string{"cell", "h3", "resolution", "window_end", "available_at", "revision", "final"}

func (c *checker) name(path, name string) {
	switch {
	case name == "": // noted when it was read
	case !columnName.MatchString(name):
		c.on(path, "expected a name of lower-case letters, digits and underscores that begins with a letter, found %q", name)
	case slices.Contains(reserved, name):
		c.on(path, "every row has a column %q already", name)
	}
}

func (c *checker) column(path string, col Column) {
	if c.names[col.Name] && !slices.Contains(c.twice, path) { // of the columns of one thing the first will do
		c.on(path, "there are two columns %q", col.Name)
		c.twice = append(c.twice, path)
	}
	c.names[col.Name] = true
	c.plan.Columns = append(c.plan.Columns, col)
}

func (c *checker) models() {
	p := c.plan
	for i, m := range c.definition.Models {
		path := fmt.Sprintf("models[%d]", i)
		to := &p.Models[i]
		to.Target = c.target(path+".target", m.Target)
		if to.Target < 0 {
			continue
		}
		to.Options = models.DemandOptions{
			Window: p.Windows[p.Columns[to.Target].Window], TimeZone: m.TimeZone,
			Resolution: p.Grid.Resolution, Parent: models.DemandParent(p.Grid.Resolution),
		}
		if m.TimeZone == "" {
			to.Options.TimeZone = "UTC"
		}
		if m.Parent != nil {
			to.Options.Parent = *m.Parent
		}
		for _, err := range each(to.Options.Check()) {
			at := path
			if errors.Is(err, models.ErrTimeZone) {
				at += ".time_zone"
			}
			c.on(at, "model %s: %v", m.Name, err)
		}
	}
}

// each is the errors that an error joins.
func each(err error) []error {
	if joined, is := err.(interface{ Unwrap() []error }); is {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// target finds the column that a model forecasts: a count at ring 0.
func (c *checker) target(path, name string) int {
	p := c.plan
	var counts []string
	for i, col := range p.Columns {
		if col.Origin != FromAggregate || c.definition.Aggregates[col.Index].Op != "count" || p.Grid.Rings[col.Ring] != 0 {
			continue
		}
		if col.Name == name {
			return i
		}
		counts = append(counts, col.Name)
	}
	if name != "" {
		c.on(path, "expected a count at ring 0, found %q%s", name, meant(name, counts))
	}
	return -1
}

// features compiles the features: over columns of aggregates and models, and
// over features that come before.
func (c *checker) features() {
	p := c.plan
	for i, f := range c.definition.Features {
		vars := make([]features.Variable, len(p.Columns))
		for j, col := range p.Columns {
			if col.Origin != FromFeature || col.Index < i {
				vars[j] = features.Variable{Name: col.Name, Kind: col.Kind}
			}
		}
		if f.Expr == "" {
			continue
		}
		path := fmt.Sprintf("features[%d].expr", i)
		program, err := features.Compile(f.Expr, vars, column.Float)
		if err != nil && c.usesLater(f.Expr) {
			c.on(path, "the feature %s uses itself or a feature that comes later: only those before it have values", f.Name)
		} else if err != nil {
			c.on(path, "%v", err)
		}
		p.Features = append(p.Features, FeaturePlan{Name: f.Name, Program: program})
	}
}

// usesLater tells whether an expression is right but for the order of features.
func (c *checker) usesLater(source string) bool {
	all := make([]features.Variable, len(c.plan.Columns))
	for i, col := range c.plan.Columns {
		all[i] = features.Variable{Name: col.Name, Kind: col.Kind}
	}
	_, err := features.Compile(source, all, column.Float)
	return err == nil
}
