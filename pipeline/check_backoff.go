package pipeline

import (
	"fmt"

	"github.com/hextide/hextide/column"
)

// backoffs checks the backoffs and adds the measures that count their events.
func (c *checker) backoffs() {
	p, d := c.plan, c.definition
	if len(d.Backoff) > 0 && len(p.Grid.Parents) == 0 {
		c.on("backoff", "a backoff takes values from coarser resolutions, and the grid has none: grid.parents")
	}
	if len(d.Backoff) > 0 && p.Grid.Rings[0] != 0 {
		c.on("backoff", "a backoff takes values of ring 0, which is not among the rings")
	}
	for i, b := range d.Backoff {
		path := fmt.Sprintf("backoff[%d]", i)
		if _, given := c.positions[path+".at_least"]; given && b.AtLeast < 1 {
			c.on(path+".at_least", "at_least is 1 or more, not %d", b.AtLeast)
		}
		to := BackoffPlan{Name: b.Name, Aggregate: c.aggregate(path+".of", b.Of), AtLeast: int64(b.AtLeast)}
		if to.Aggregate >= 0 && p.Layout != nil {
			to.Count = p.Layout.Counting(c.wheres[to.Aggregate])
		}
		p.Backoffs = append(p.Backoffs, to)
	}
}

// aggregate finds an aggregate by its name; -1 where there is none.
func (c *checker) aggregate(path, name string) int {
	var names []string
	for i, a := range c.definition.Aggregates {
		if a.Name == name {
			return i
		}
		names = append(names, a.Name)
	}
	if name != "" {
		c.on(path, "expected an aggregate, found %q%s", name, meant(name, names))
	}
	return -1
}

// backoffColumns lays out the columns of the backoffs.
func (c *checker) backoffColumns() {
	for i, b := range c.definition.Backoff {
		path := fmt.Sprintf("backoff[%d].name", i)
		c.name(path, b.Name)
		for window, w := range c.plan.Windows {
			name := fmt.Sprintf("%s_w%s", b.Name, FormatDuration(w))
			value := Column{Name: name, Kind: column.Int, Origin: FromBackoff, Index: i, Window: window}
			if of := c.plan.Backoffs[i].Aggregate; of >= 0 && c.plan.Layout != nil {
				value.Kind = c.plan.Layout.Aggregates[of].Kind
			}
			value.Description = fmt.Sprintf("%s over the last %s at the finest resolution with at least %d events", b.Of, FormatDuration(w), b.AtLeast)
			c.column(path, value)
			c.column(path, Column{
				Name: name + "_resolution", Kind: column.Int, Origin: FromBackoff, Index: i, Window: window, Output: 1,
				Description: "the resolution that " + name + " is taken from",
			})
		}
	}
}
