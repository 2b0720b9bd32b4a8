package serving

import (
	"fmt"
	"strings"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/pipeline"
)

// Schema is what the service knows of a plan's columns.
type Schema struct {
	Columns []SchemaColumn
	byName  map[string]int
}

// SchemaColumn is one column of the rows.
type SchemaColumn struct {
	Name string
	Kind column.Kind // Int or Float
	Zero bool        // 0, not null, where no event has come
}

// NewSchema reads a plan's columns.
func NewSchema(plan *pipeline.Plan) *Schema {
	s := &Schema{byName: make(map[string]int, len(plan.Columns))}
	for i, c := range plan.Columns {
		s.Columns = append(s.Columns, SchemaColumn{Name: c.Name, Kind: c.Kind, Zero: plan.ZeroWhenEmpty(i)})
		s.byName[c.Name] = i
	}
	return s
}

// Select turns column names into positions; no names mean all columns. Every
// unknown name is in the error, each with the nearest name that exists.
func (s *Schema) Select(names []string) ([]int, error) {
	if len(names) == 0 {
		all := make([]int, len(s.Columns))
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	selection := make([]int, 0, len(names))
	var unknown []string
	for _, name := range names {
		i, known := s.byName[name]
		if !known {
			unknown = append(unknown, fmt.Sprintf("%q (did you mean %q?)", name, s.nearest(name)))
			continue
		}
		selection = append(selection, i)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("no column %s", strings.Join(unknown, ", nor "))
	}
	return selection, nil
}

func (s *Schema) nearest(name string) string {
	names := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		names[i] = c.Name
	}
	return pipeline.Nearest(name, names)
}
