package materialize

import (
	"context"
	"fmt"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

// Side is one of two outputs that a diff compares.
type Side interface {
	// Name is how the user called it.
	Name() string
	// Columns are the definition's columns, in order.
	Columns() []ManifestColumn
	// Next returns the rows of the next window end, ascending by cell, each once in
	// its last revision, markers left out; io.EOF after the last. A block's Final
	// tells whether its rows can still change.
	Next(ctx context.Context) (*SidePane, error)
	// Whole tells of a window end that Next has passed over whether it is known to
	// have no rows: not where a shard may not have closed it.
	Whole(end int64) bool
	// Facts say what may explain a difference: plan, sources, late records, version.
	Facts() map[string]string
	Close() error
}

// SidePane holds the rows of one window end.
type SidePane struct {
	End   int64 // µs
	Rows  []*stream.Rows
	Whole bool // a row that is not here does not exist, nor will
}

// newBlock makes an empty block with the columns of a side.
func newBlock(columns []ManifestColumn) (*stream.Rows, error) {
	rows := &stream.Rows{Columns: make([]column.Vector, len(columns))}
	for i, c := range columns {
		switch c.Kind {
		case "int64":
			rows.Columns[i].Kind = column.Int
		case "float64":
			rows.Columns[i].Kind = column.Float
		default:
			return nil, fmt.Errorf("column %s is of an unknown kind %q", c.Name, c.Kind)
		}
	}
	return rows, nil
}
