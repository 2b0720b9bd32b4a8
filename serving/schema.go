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

// Select turns column names into positions; no names mean all columns. A name
// may stand once only. Every unknown name is in the error, with the nearest name
// that exists where one is near.
func (s *Schema) Select(names []string) ([]int, error) {
	if len(names) == 0 {
		all := make([]int, len(s.Columns))
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	if len(names) > len(s.Columns) {
		return nil, fmt.Errorf("%d columns asked for; there are %d", len(names), len(s.Columns))
	}
	selection, asked := make([]int, 0, len(names)), make([]bool, len(s.Columns))
	var unknown []string
	for _, name := range names {
		i, known := s.byName[name]
		if !known {
			unknown = append(unknown, s.hint(name))
			continue
		}
		if asked[i] {
			return nil, fmt.Errorf("column %q is asked for more than once", name)
		}
		asked[i] = true
		selection = append(selection, i)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("no column %s", strings.Join(unknown, ", nor "))
	}
	return selection, nil
}

// longName is the length from which an unknown name is cut in messages and not
// compared with others.
const longName = 128

// hint is an unknown name and what may have been meant.
func (s *Schema) hint(name string) string {
	if len(name) >= longName {
		return fmt.Sprintf("%.32q…", name)
	}
	names := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		names[i] = c.Name
	}
	if near := pipeline.Nearest(name, names); near != "" {
		return fmt.Sprintf("%q (did you mean %q?)", name, near)
	}
	return fmt.Sprintf("%q", name)
}
