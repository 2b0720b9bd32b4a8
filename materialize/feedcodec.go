package materialize

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"google.golang.org/protobuf/proto"
)

// feedEncoder turns rows and frontiers into record values.
type feedEncoder interface {
	schema(incarnation int64, incomplete []stream.IncompleteColumn) ([]byte, error)
	row(r *stream.Rows, i int) ([]byte, error)
	frontier(f *stream.Frontier) ([]byte, error)
}

// kindName is how formats name the kind of a row's column.
func kindName(k column.Kind) string {
	if k == column.Float {
		return "float64"
	}
	return "int64"
}

// protoEncoder writes proto/hextide/v1/feed.proto.
type protoEncoder struct {
	plan *pipeline.Plan
	next pb.FeedRecord // reused between rows
	to   pb.FeedRow
}

func newProtoEncoder(plan *pipeline.Plan) *protoEncoder { return &protoEncoder{plan: plan} }

func (e *protoEncoder) schema(incarnation int64, incomplete []stream.IncompleteColumn) ([]byte, error) {
	s := &pb.FeedSchema{Pipeline: e.plan.Name, PlanHash: e.plan.Hash, Incarnation: incarnation}
	for _, c := range e.plan.Columns {
		s.Columns = append(s.Columns, &pb.FeedColumn{Name: c.Name, Kind: kindName(c.Kind), IncompleteUntilUs: untilOf(incomplete, c.Name)})
	}
	return proto.Marshal(&pb.FeedRecord{Record: &pb.FeedRecord_Schema{Schema: s}})
}

func (e *protoEncoder) row(r *stream.Rows, i int) ([]byte, error) {
	to := &e.to
	to.Cell, to.Resolution, to.WindowEndUs = uint64(r.Cells[i]), int32(r.Resolution), r.WindowEnd
	to.Revision, to.Final, to.Empty = r.Revision, r.Final, r.Empty
	to.Incarnation, to.Shard = r.Incarnation, r.Shard
	to.Integers, to.Floats, to.Nulls = to.Integers[:0], to.Floats[:0], to.Nulls[:0]
	for c := range r.Columns {
		v := &r.Columns[c]
		if v.Null(i) {
			to.Nulls = append(to.Nulls, uint32(c))
		}
		if v.Kind == column.Float {
			to.Floats = append(to.Floats, v.Floats[i])
		} else {
			to.Integers = append(to.Integers, v.Ints[i])
		}
	}
	e.next.Record = &pb.FeedRecord_Row{Row: to}
	return proto.Marshal(&e.next)
}

func (e *protoEncoder) frontier(f *stream.Frontier) ([]byte, error) {
	return proto.Marshal(&pb.FeedRecord{Record: &pb.FeedRecord_Frontier{Frontier: &pb.FeedFrontier{
		Shard: f.Shard, Incarnation: f.Incarnation, ProvisionalUs: f.Provisional, FinalUs: f.Final,
	}}})
}

// The records of a feed in JSON. Just one member is set.
type feedJSON struct {
	Schema   *feedSchemaJSON   `json:"schema,omitempty"`
	Row      *feedRowJSON      `json:"row,omitempty"`
	Frontier *feedFrontierJSON `json:"frontier,omitempty"`
}

type feedSchemaJSON struct {
	Pipeline    string           `json:"pipeline"`
	PlanHash    string           `json:"plan_hash"`
	Incarnation int64            `json:"incarnation"`
	Columns     []feedColumnJSON `json:"columns"`
}

type feedColumnJSON struct {
	ManifestColumn
	IncompleteUntil int64 `json:"incomplete_until_us,omitempty"`
}

// untilOf is until when a column is incomplete; 0: it is complete.
func untilOf(incomplete []stream.IncompleteColumn, column string) int64 {
	at := slices.IndexFunc(incomplete, func(c stream.IncompleteColumn) bool { return c.Column == column })
	if at < 0 {
		return 0
	}
	return incomplete[at].Until
}

type feedRowJSON struct {
	Cell        string         `json:"cell"` // 15 hexadecimal digits
	Resolution  int            `json:"resolution"`
	WindowEnd   time.Time      `json:"window_end"`
	Revision    int32          `json:"revision"`
	Final       bool           `json:"final"`
	Empty       bool           `json:"empty,omitempty"`
	Incarnation int64          `json:"incarnation"`
	Shard       int32          `json:"shard"`
	Values      map[string]any `json:"values"` // by column; null where undefined
}

type feedFrontierJSON struct {
	Shard       int32 `json:"shard"`
	Incarnation int64 `json:"incarnation"`
	Provisional int64 `json:"provisional_us"`
	Final       int64 `json:"final_us"`
}

// jsonEncoder writes one JSON object a record.
type jsonEncoder struct{ plan *pipeline.Plan }

func newJSONEncoder(plan *pipeline.Plan) *jsonEncoder { return &jsonEncoder{plan} }

func (e *jsonEncoder) schema(incarnation int64, incomplete []stream.IncompleteColumn) ([]byte, error) {
	s := &feedSchemaJSON{Pipeline: e.plan.Name, PlanHash: e.plan.Hash, Incarnation: incarnation}
	for _, c := range e.plan.Columns {
		s.Columns = append(s.Columns, feedColumnJSON{ManifestColumn{Name: c.Name, Kind: kindName(c.Kind)}, untilOf(incomplete, c.Name)})
	}
	return json.Marshal(feedJSON{Schema: s})
}

func (e *jsonEncoder) row(r *stream.Rows, i int) ([]byte, error) {
	values := make(map[string]any, len(r.Columns))
	for c := range r.Columns {
		v := &r.Columns[c]
		switch {
		case v.Null(i):
			values[e.plan.Columns[c].Name] = nil
		case v.Kind == column.Float:
			values[e.plan.Columns[c].Name] = v.Floats[i]
		default:
			values[e.plan.Columns[c].Name] = v.Ints[i]
		}
	}
	return json.Marshal(feedJSON{Row: &feedRowJSON{
		Cell: r.Cells[i].String(), Resolution: r.Resolution, WindowEnd: time.UnixMicro(r.WindowEnd).UTC(),
		Revision: r.Revision, Final: r.Final, Empty: r.Empty, Incarnation: r.Incarnation, Shard: r.Shard, Values: values,
	}})
}

func (e *jsonEncoder) frontier(f *stream.Frontier) ([]byte, error) {
	return json.Marshal(feedJSON{Frontier: &feedFrontierJSON{f.Shard, f.Incarnation, f.Provisional, f.Final}})
}

// feedRecord is a decoded record of a feed in either format; one member is set.
type feedRecord struct {
	schema   *pb.FeedSchema
	row      *pb.FeedRow
	frontier *pb.FeedFrontier
}

// feedDecoder reads the records of one partition, whose schema comes first.
type feedDecoder struct{ schema *pb.FeedSchema }

// decode reads a record's value; JSON begins with a brace, protobuf never does.
func (d *feedDecoder) decode(value []byte) (feedRecord, error) {
	if len(value) > 0 && value[0] == '{' {
		return d.json(value)
	}
	m := &pb.FeedRecord{}
	if err := proto.Unmarshal(value, m); err != nil {
		return feedRecord{}, fmt.Errorf("a record of the feed does not parse: %w", err)
	}
	if s := m.GetSchema(); s != nil {
		d.schema = s
	}
	record := feedRecord{schema: m.GetSchema(), row: m.GetRow(), frontier: m.GetFrontier()}
	if record == (feedRecord{}) {
		return record, fmt.Errorf("a record of the feed is neither schema, row nor frontier")
	}
	return record, nil
}

func (d *feedDecoder) json(value []byte) (feedRecord, error) {
	var m feedJSON
	if err := json.Unmarshal(value, &m); err != nil {
		return feedRecord{}, fmt.Errorf("a record of the feed does not parse: %w", err)
	}
	switch {
	case m.Schema != nil:
		d.schema = &pb.FeedSchema{Pipeline: m.Schema.Pipeline, PlanHash: m.Schema.PlanHash, Incarnation: m.Schema.Incarnation}
		for _, c := range m.Schema.Columns {
			d.schema.Columns = append(d.schema.Columns, &pb.FeedColumn{Name: c.Name, Kind: c.Kind, IncompleteUntilUs: c.IncompleteUntil})
		}
		return feedRecord{schema: d.schema}, nil
	case m.Frontier != nil:
		f := m.Frontier
		return feedRecord{frontier: &pb.FeedFrontier{Shard: f.Shard, Incarnation: f.Incarnation, ProvisionalUs: f.Provisional, FinalUs: f.Final}}, nil
	case m.Row != nil:
		row, err := d.rowOf(value)
		return feedRecord{row: row}, err
	}
	return feedRecord{}, fmt.Errorf("a record of the feed is neither schema, row nor frontier")
}

// rowOf reads a JSON row with its numbers as text, so that no integer passes
// through a float.
func (d *feedDecoder) rowOf(value []byte) (*pb.FeedRow, error) {
	if d.schema == nil {
		return nil, fmt.Errorf("a row of the feed comes before its schema")
	}
	var m struct {
		Row struct {
			feedRowJSON
			Values map[string]*json.Number `json:"values"`
		} `json:"row"`
	}
	if err := json.Unmarshal(value, &m); err != nil {
		return nil, fmt.Errorf("a row of the feed does not parse: %w", err)
	}
	cell, err := geo.ParseCell(m.Row.Cell)
	if err != nil {
		return nil, fmt.Errorf("a row of the feed: %w", err)
	}
	row := &pb.FeedRow{
		Cell: uint64(cell), Resolution: int32(m.Row.Resolution), WindowEndUs: m.Row.WindowEnd.UnixMicro(),
		Revision: m.Row.Revision, Final: m.Row.Final, Empty: m.Row.Empty, Incarnation: m.Row.Incarnation, Shard: m.Row.Shard,
	}
	return row, d.values(row, m.Row.Values)
}

func (d *feedDecoder) values(row *pb.FeedRow, values map[string]*json.Number) error {
	for i, c := range d.schema.Columns {
		number := values[c.Name]
		if number == nil {
			row.Nulls = append(row.Nulls, uint32(i))
			zero := json.Number("0")
			number = &zero
		}
		if c.Kind == "float64" {
			v, err := number.Float64()
			if err != nil {
				return fmt.Errorf("column %s of a row of the feed: %w", c.Name, err)
			}
			row.Floats = append(row.Floats, v)
			continue
		}
		v, err := number.Int64()
		if err != nil {
			return fmt.Errorf("column %s of a row of the feed: %w", c.Name, err)
		}
		row.Integers = append(row.Integers, v)
	}
	return nil
}
