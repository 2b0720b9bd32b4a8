package materialize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"google.golang.org/grpc"
)

// liveSide reads the rows that a server keeps, by Scan.
type liveSide struct {
	name    string
	columns []ManifestColumn
	facts   map[string]string
	stream  grpc.ServerStreamingClient[pb.ScanResponse]
	stop    context.CancelFunc
	ahead   *pb.ScanResponse // the first message of the next window end
	begun   int64            // the final frontier when the scan began, µs
	closed  bool             // a pane closed since the server started has passed
}

// OpenLiveSide scans a server.
func OpenLiveSide(ctx context.Context, name string, conn grpc.ClientConnInterface) (Side, error) {
	client := pb.NewHextideClient(conn)
	d, err := client.Describe(ctx, &pb.DescribeRequest{})
	if err != nil {
		return nil, fmt.Errorf("asking %s for its columns: %w", name, err)
	}
	status, err := client.Status(ctx, &pb.StatusRequest{})
	if err != nil {
		return nil, fmt.Errorf("asking %s for its status: %w", name, err)
	}
	s := &liveSide{name: name, facts: map[string]string{
		"plan": d.PlanHash, "version": d.Version, "late records": strconv.FormatUint(status.Late, 10),
	}}
	for _, c := range d.Columns {
		s.columns = append(s.columns, ManifestColumn{Name: c.Name, Kind: c.Kind})
	}
	ctx, s.stop = context.WithCancel(ctx)
	if s.stream, err = client.Scan(ctx, &pb.ScanRequest{}); err != nil {
		s.stop()
		return nil, fmt.Errorf("scanning %s: %w", name, err)
	}
	if err = s.fetch(); s.ahead != nil {
		s.begun = finalOf(s.ahead)
	}
	return s, err
}

func (s *liveSide) Name() string              { return s.name }
func (s *liveSide) Columns() []ManifestColumn { return s.columns }
func (s *liveSide) Facts() map[string]string  { return s.facts }

// fetch reads the next message with rows; ahead is nil at the end.
func (s *liveSide) fetch() error {
	for {
		m, err := s.stream.Recv()
		if errors.Is(err, io.EOF) {
			s.ahead = nil
			return nil
		}
		if err != nil {
			return fmt.Errorf("scanning %s: %w", s.name, err)
		}
		if len(m.Entities) > 0 {
			s.ahead = m
			return nil
		}
	}
}

// Next gathers the messages of one window end. They come by resolution, the
// finest first, each ascending by cell; a pane ascends by cell over all.
func (s *liveSide) Next(ctx context.Context) (*SidePane, error) {
	if s.ahead == nil {
		return nil, io.EOF
	}
	pane := &SidePane{End: s.ahead.Entities[0].WindowEnd.AsTime().UnixMicro(), Whole: s.closed}
	waiting := pending{}
	for s.ahead != nil && s.ahead.Entities[0].WindowEnd.AsTime().UnixMicro() == pane.End {
		part := &SidePane{End: pane.End}
		if err := part.message(s.columns, s.ahead); err != nil {
			return nil, err
		}
		for _, rows := range part.Rows {
			waiting.add(rows)
		}
		// The frontier moves while the server scans: what counts is where it was
		// when these rows were read.
		pane.Whole = pane.Whole && pane.End <= finalOf(s.ahead)
		s.closed = s.closed || slices.ContainsFunc(s.ahead.Entities, func(e *pb.Entity) bool { return e.Revision == 0 })
		if err := s.fetch(); err != nil {
			return nil, err
		}
	}
	pane.Rows = waiting.take(0, pane.End)
	return pane, ctx.Err()
}

// finalOf is the final frontier when a message was made, µs.
func finalOf(m *pb.ScanResponse) int64 {
	if m.Final == nil {
		return math.MinInt64
	}
	return m.Final.AsTime().UnixMicro()
}

// Whole tells whether the server had closed a window end for good when the scan
// began, and keeps all of its rows. Of window ends that were closed before it
// started it has only what changed since, in revision 1, and the first that it
// closed may be one of them for some shards: so a pane counts from the one after
// the first with another row.
func (s *liveSide) Whole(end int64) bool { return s.closed && end <= s.begun }

// message turns the columns of a message into rows; markers are left out.
func (p *SidePane) message(columns []ManifestColumn, m *pb.ScanResponse) error {
	row := &pb.FeedRow{Resolution: m.Resolution}
	nulls := make([]int, len(m.Columns)) // how many of a column's nulls, which ascend, are behind
	for i, e := range m.Entities {
		row.Cell, row.Integers, row.Floats, row.Nulls = e.Cell, row.Integers[:0], row.Floats[:0], row.Nulls[:0]
		for c, v := range m.Columns {
			if len(v.Integers) > i {
				row.Integers = append(row.Integers, v.Integers[i])
			}
			if len(v.Floats) > i {
				row.Floats = append(row.Floats, v.Floats[i])
			}
			if at := nulls[c]; at < len(v.Nulls) && int(v.Nulls[at]) == i {
				row.Nulls = append(row.Nulls, uint32(c))
				nulls[c]++
			}
		}
		if e.State == pb.RowState_ROW_STATE_EMPTY {
			continue
		}
		if err := p.add(columns, row, e.State == pb.RowState_ROW_STATE_FINAL); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the scan.
func (s *liveSide) Close() error {
	s.stop()
	return nil
}
