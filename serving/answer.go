package serving

import (
	"math"
	"strings"
	"time"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
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
	made      []made          // memory of entities to come
	texts     strings.Builder // their h3; as much room as made has
	compact   bool            // neither names nor h3
	chunk     int             // how many entities to make room for next
}

// made is an entity with what it points to.
type made struct {
	entity pb.Entity
	end    timestamppb.Timestamp
}

// grow is how many entities there is room for at first where their number is not
// known.
const grow = 64

// newAnswer makes room for n entities with the selected columns.
func newAnswer(s *Schema, selection []int, n int, compact bool, now time.Time) *answer {
	a := &answer{schema: s, selection: selection, now: now, chunk: max(n, 1), compact: compact}
	if n == 0 {
		a.chunk = grow
	}
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
		if !compact {
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

// entity adds an entity of age 0.
func (a *answer) entity(cell geo.Cell, end int64, state pb.RowState) *made {
	if len(a.made) == 0 {
		a.made = make([]made, a.chunk)
		if a.texts = (strings.Builder{}); !a.compact {
			a.texts.Grow(16 * a.chunk)
		}
		a.chunk = min(2*a.chunk, 4096)
	}
	m := &a.made[0]
	a.made = a.made[1:]
	e := &m.entity
	e.Cell, e.State = uint64(cell), state
	if !a.compact {
		e.H3 = a.text(cell)
	}
	if end != stream.NoTime {
		m.end.Seconds, m.end.Nanos = seconds(end)
		e.WindowEnd = &m.end
	}
	a.entities = append(a.entities, e)
	return m
}

// text is a cell as 15 hexadecimal digits, in memory shared with its neighbours.
func (a *answer) text(cell geo.Cell) string {
	start := a.texts.Len()
	for shift := 56; shift >= 0; shift -= 4 {
		a.texts.WriteByte("0123456789abcdef"[uint64(cell)>>shift&15])
	}
	return a.texts.String()[start:]
}

// open adds a row of windows that are still open.
func (a *answer) open(rows *stream.Rows, i int) {
	a.begin(rows, rows.Cells[i], false)
	for j, c := range a.selection {
		a.value(j, rows.Columns[c].Bits(i), rows.Columns[c].Null(i))
	}
}

// kept adds a row that a store keeps.
func (a *answer) kept(r row, at *frontiers) {
	a.begin(r.block.head, r.cell, at.cover(r.block.head))
	for j, c := range a.selection {
		bits, null := r.block.at(c, r.row)
		a.value(j, bits, null)
	}
}

// rows adds the first n of the rows picked, each of which there is.
func (a *answer) rows(rows *picked, n int) {
	for _, r := range rows.rows[:n] {
		a.kept(r, rows.at)
	}
}

// begin adds a row without its values.
func (a *answer) begin(of *stream.Rows, cell geo.Cell, final bool) {
	state := pb.RowState_ROW_STATE_PROVISIONAL
	switch {
	case of.Empty:
		state = pb.RowState_ROW_STATE_EMPTY
	case of.Open:
		state = pb.RowState_ROW_STATE_OPEN
	case final:
		state = pb.RowState_ROW_STATE_FINAL
	}
	m := a.entity(cell, of.WindowEnd, state)
	m.entity.Revision = of.Revision
	m.entity.AgeSeconds = a.age(of).Seconds()
}

// value adds a value of the last row to the j-th column.
func (a *answer) value(j int, bits uint64, null bool) {
	out := a.columns[j]
	if null {
		out.Nulls = append(out.Nulls, uint32(len(a.entities)-1))
	}
	if a.schema.Columns[a.selection[j]].Kind == column.Float {
		out.Floats = append(out.Floats, math.Float64frombits(bits))
	} else {
		out.Integers = append(out.Integers, int64(bits))
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
	a.without(cell, end, pb.RowState_ROW_STATE_EMPTY)
}

// unknown adds a cell of which the store cannot tell yet whether it has a row:
// every column is null.
func (a *answer) unknown(cell geo.Cell) {
	a.without(cell, stream.NoTime, pb.RowState_ROW_STATE_UNSPECIFIED)
}

func (a *answer) without(cell geo.Cell, end int64, state pb.RowState) {
	position := uint32(len(a.entities))
	a.entity(cell, end, state)
	for j, c := range a.selection {
		out := a.columns[j]
		if state == pb.RowState_ROW_STATE_UNSPECIFIED || !a.schema.Columns[c].Zero {
			out.Nulls = append(out.Nulls, position)
		}
		if a.schema.Columns[c].Kind == column.Float {
			out.Floats = append(out.Floats, 0)
		} else {
			out.Integers = append(out.Integers, 0)
		}
	}
}

// seconds splits µs into whole seconds and the rest in ns, which is not negative.
func seconds(us int64) (int64, int32) {
	s, rest := us/1e6, us%1e6
	if rest < 0 {
		s, rest = s-1, rest+1e6
	}
	return s, int32(rest * 1000)
}

// stamp is a time as protobuf has it; nil for NoTime.
func stamp(us int64) *timestamppb.Timestamp {
	if us == stream.NoTime {
		return nil
	}
	s, ns := seconds(us)
	return &timestamppb.Timestamp{Seconds: s, Nanos: ns}
}
