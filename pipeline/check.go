package pipeline

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/features"
)

// checker makes a plan of a definition and notes its mistakes.
type checker struct {
	*issues
	definition *Definition
	plan       *Plan
	names      map[string]bool // of columns
	wheres     []int           // by aggregate: its condition; -1: none
	twice      []string        // paths of what gives columns that are there already
}

var (
	pipelineName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	columnName   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	topicName    = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`) // Kafka's rule
)

// IsName tells whether a pipeline can have a name.
func IsName(name string) bool { return pipelineName.MatchString(name) }

func (c *checker) check() {
	d := c.definition
	if d.Name != "" && !IsName(d.Name) {
		c.on("name", "expected a name of lower-case letters, digits and hyphens that begins with a letter, found %q", d.Name)
	}
	c.time()
	c.place()
	c.fields()
	c.windows()
	c.dedup()
	c.grid()
	c.aggregates()
	c.backoffs()
	if c.columns() {
		c.models()
		c.features()
	}
	c.topics()
	if len(c.list) == 0 {
		c.warn()
	}
}

// topics checks the names of topics and fills in the feed's format.
func (c *checker) topics() {
	source, feed := c.definition.Source.Topic, c.definition.Sinks.Feed
	c.topic("source.topic", source)
	if feed == nil {
		return
	}
	c.topic("sinks.feed.topic", feed.Topic)
	if source != "" && source == feed.Topic {
		c.on("sinks.feed.topic", "the feed cannot go into the topic %q that events come from", source)
	}
	if feed.Format == "" {
		feed.Format = "protobuf"
	}
}

func (c *checker) topic(path, name string) {
	if name != "" && (!topicName.MatchString(name) || name == "." || name == "..") {
		c.on(path, "expected a topic's name of at most 249 letters, digits, dots, hyphens and underscores, found %q", name)
	}
}

// orDefault is a duration, or its default where the key is not given.
func (c *checker) orDefault(path string, d Duration, otherwise time.Duration) time.Duration {
	if _, given := c.positions[path]; given {
		return time.Duration(d)
	}
	return otherwise
}

// longest bounds every duration of a definition.
const longest = 366 * 24 * time.Hour

func (c *checker) time() {
	from, to := &c.definition.Source, &c.plan.Source
	to.Format, to.Topic, to.EventTime = from.Format, from.Topic, from.EventTime
	for _, t := range []struct {
		key       string
		from      Duration
		to        *time.Duration
		otherwise time.Duration
	}{
		{"out_of_order", from.OutOfOrder, &to.OutOfOrder, 0},
		{"allowed_lateness", from.AllowedLateness, &to.AllowedLateness, 0},
		{"idle_after", from.IdleAfter, &to.IdleAfter, time.Minute},
		{"max_ahead", from.MaxAhead, &to.MaxAhead, time.Hour},
	} {
		*t.to = c.orDefault("source."+t.key, t.from, t.otherwise)
		if *t.to > longest {
			c.on("source."+t.key, "%s is at most 366d", t.key)
		}
	}
	if to.IdleAfter == 0 {
		c.on("source.idle_after", "idle_after is more than 0s: a partition cannot leave before it was read")
	}
	to.NotBefore = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	if from.NotBefore != "" {
		at, err := time.Parse(time.RFC3339, from.NotBefore)
		if err != nil || at.Year() < 1970 {
			c.on("source.not_before", "expected a time like 2000-01-01T00:00:00Z, not before 1970, found %q", from.NotBefore)
			return
		}
		to.NotBefore = at.UnixMicro()
	}
}

// place checks the location.
func (c *checker) place() {
	l := c.definition.Source.Location
	c.plan.Source.Location = l
	if _, given := c.positions["source.location"]; !given {
		return
	}
	both, one := l.Lat != "" && l.Lng != "", l.Lat != "" || l.Lng != ""
	if l.Cell != "" == one || one && !both {
		c.on("source.location", "expected lat and lng, or cell alone")
	}
}

// fields checks the fields and the filter over them.
func (c *checker) fields() {
	s := &c.plan.Source
	s.Fields = c.definition.Source.Fields
	for _, f := range s.Fields {
		if f.Name == s.EventTime.Field && s.EventTime.Unit == "rfc3339" && f.Kind != column.String {
			c.on("source.fields."+f.Name, "the event time is text: as a field it is a string")
		}
	}
	if f := c.definition.Source.Filter; f != "" {
		s.Filter = c.expression("source.filter", f, s.Variables(), column.Bool)
	}
}

// expression compiles an expression and notes what is wrong with it; nil then.
func (c *checker) expression(path, source string, vars []features.Variable, want column.Kind) *features.Program {
	p, err := features.Compile(source, vars, want)
	if err != nil {
		c.on(path, "%v", err)
		return nil
	}
	return p
}

func (c *checker) windows() {
	p, d := c.plan, &c.definition.Windows
	p.Pane = c.orDefault("windows.pane", d.Pane, time.Minute)
	if p.Pane < time.Second || p.Pane > 24*time.Hour || (24*time.Hour)%p.Pane != 0 {
		c.on("windows.pane", "a pane is a second to a day, and divides a day; %s does not", FormatDuration(p.Pane))
		p.Pane = time.Minute
	}
	if _, given := c.positions["windows.sizes"]; given && len(d.Sizes) == 0 {
		c.on("windows.sizes", "expected at least one window")
	}
	for i, size := range d.Sizes {
		w := time.Duration(size)
		path := fmt.Sprintf("windows.sizes[%d]", i)
		switch {
		case w <= 0 || w%p.Pane != 0:
			c.on(path, "a window is a whole number of panes of %s; %s is not", FormatDuration(p.Pane), FormatDuration(w))
		case w > longest:
			c.on(path, "a window is at most 366d")
		case slices.Contains(p.Windows, w):
			c.on(path, "the window %s is there twice", FormatDuration(w))
		case len(p.Windows) > 0 && w < p.Windows[len(p.Windows)-1]:
			c.on(path, "windows ascend: %s comes after %s", FormatDuration(w), FormatDuration(p.Windows[len(p.Windows)-1]))
		default:
			p.Windows = append(p.Windows, w)
		}
	}
}

func (c *checker) dedup() {
	d, s := c.definition.Source.Dedup, &c.plan.Source
	if d == nil {
		return
	}
	s.Dedup = &DedupPlan{Within: time.Duration(d.Within)}
	if w := s.Dedup.Within; w < 0 || w%c.plan.Pane != 0 || w > 24*time.Hour || w == 0 {
		if _, given := c.positions["source.dedup.within"]; given {
			c.on("source.dedup.within", "a dedup span is a whole number of panes of %s, at most a day; %s is not", FormatDuration(c.plan.Pane), FormatDuration(w))
		}
	}
	if _, given := c.positions["source.dedup.by"]; given && len(d.By) == 0 {
		c.on("source.dedup.by", "expected at least one field")
	}
	for i, name := range d.By {
		path := fmt.Sprintf("source.dedup.by[%d]", i)
		f := c.field(path, name)
		if f >= 0 && slices.Contains(s.Dedup.By, f) {
			c.on(path, "the field %q is there twice", name)
		}
		s.Dedup.By = append(s.Dedup.By, f)
	}
}

// field finds a field by its name; -1 where there is none, which is noted.
func (c *checker) field(path, name string) int {
	var names []string
	for i, f := range c.plan.Source.Fields {
		if f.Name == name {
			return i
		}
		names = append(names, f.Name)
	}
	c.on(path, "there is no field %q%s", name, meant(name, names))
	return -1
}

// warn notes what is allowed and yet seldom meant.
func (c *checker) warn() {
	p := c.plan
	delay := p.Source.OutOfOrder + p.Source.AllowedLateness
	if p.Source.Dedup != nil {
		delay += p.Source.Dedup.Within
	}
	for _, m := range p.Models {
		if delay >= m.Window() {
			p.Warnings = append(p.Warnings, fmt.Sprintf("the model %s forecasts windows of %s, but windows are final only %s after their end: its forecasts come when what they are for is over",
				m.Name, FormatDuration(m.Window()), FormatDuration(delay)))
		}
	}
	if n := len(p.Columns); n > 1000 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("there are %d columns in each row", n))
	}
}
