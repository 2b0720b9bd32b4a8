package serving

import (
	"time"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// answer builds the two parts of every response, entities and columns, in a
// handful of allocations whatever their number.
type answer struct {
	entities []*pb.Entity
	columns  []*pb.Column

	schema    *Schema
	selection []int
	now       time.Time
}

// newAnswer makes room for n entities with the selected columns.
func newAnswer(s *Schema, selection []int, n int, names bool, now time.Time) *answer {
	a := &answer{schema: s, selection: selection, now: now}
	a.entities = make([]*pb.Entity, 0, n)
	columns := make([]pb.Column, len(selection))
	a.columns = make([]*pb.Column, len(selection))
	integers := 0
	for _, c := range selection {
		if s.Columns[c].Kind != column.Float {
			integers++
		}
	}
	ints := make([]int64, integers*n)
	floats := make([]float64, (len(selection)-integers)*n)
	for i, c := range selection {
		out := &columns[i]
		if names {
			out.Name = s.Columns[c].Name
		}
		if s.Columns[c].Kind == column.Float {
			out.Floats, floats = floats[:0:n], floats[n:]
		} else {
			out.Integers, ints = ints[:0:n], ints[n:]
		}
		a.columns[i] = out
	}
	return a
}

// row adds a row of a block.
func (a *answer) row(rows *stream.Rows, i int, final bool) {
	state := pb.RowState_ROW_STATE_PROVISIONAL
	switch {
	case rows.Empty:
		state = pb.RowState_ROW_STATE_EMPTY
	case rows.Open:
		state = pb.RowState_ROW_STATE_OPEN
	case final:
		state = pb.RowState_ROW_STATE_FINAL
	}
	position := uint32(len(a.entities))
	a.entities = append(a.entities, &pb.Entity{
		Cell: uint64(rows.Cells[i]), H3: rows.Cells[i].String(), WindowEnd: stamp(rows.WindowEnd),
		State: state, Revision: rows.Revision, Age: durationpb.New(a.age(rows)),
	})
	for j, c := range a.selection {
		v, out := &rows.Columns[c], a.columns[j]
		if v.Null(i) {
			out.Nulls = append(out.Nulls, position)
		}
		if v.Kind == column.Float {
			out.Floats = append(out.Floats, v.Floats[i])
		} else {
			out.Integers = append(out.Integers, v.Ints[i])
		}
	}
}

// age is the wall-clock time since the row was computed; 0 for an open row.
func (a *answer) age(rows *stream.Rows) time.Duration {
	if rows.Open || rows.ComputedAt == 0 {
		return 0
	}
	return max(0, a.now.Sub(time.UnixMicro(rows.ComputedAt)))
}

// nothing adds the row of a cell that has none: what the columns are where no
// event has come, at the newest closed window end.
func (a *answer) nothing(cell geo.Cell, end int64) {
	position := uint32(len(a.entities))
	a.entities = append(a.entities, &pb.Entity{
		Cell: uint64(cell), H3: cell.String(), WindowEnd: stamp(end), State: pb.RowState_ROW_STATE_EMPTY, Age: durationpb.New(0),
	})
	for j, c := range a.selection {
		out := a.columns[j]
		if !a.schema.Columns[c].Zero {
			out.Nulls = append(out.Nulls, position)
		}
		if a.schema.Columns[c].Kind == column.Float {
			out.Floats = append(out.Floats, 0)
		} else {
			out.Integers = append(out.Integers, 0)
		}
	}
}

// stamp is a time as protobuf has it; nil for NoTime.
func stamp(us int64) *timestamppb.Timestamp {
	if us == stream.NoTime {
		return nil
	}
	return timestamppb.New(time.UnixMicro(us))
}
