package serving

import (
	"context"
	"slices"

	"github.com/hextide/hextide/geo"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Latest returns the newest row of every cell that has one.
func (s *Service) Latest(ctx context.Context, r *pb.LatestRequest) (*pb.LatestResponse, error) {
	selection, err := s.selection(r.Columns)
	if err != nil {
		return nil, err
	}
	resolution := int(r.Resolution)
	if resolution == 0 {
		resolution = s.plan.Grid.Resolution
	}
	if resolution != s.plan.Grid.Resolution && !slices.Contains(s.plan.Grid.Parents, resolution) {
		return nil, status.Errorf(codes.InvalidArgument, "no rows at resolution %d; %s has %d and its parents %v", resolution, s.plan.Name, s.plan.Grid.Resolution, s.plan.Grid.Parents)
	}
	within, err := s.within(r.Within, resolution)
	if err != nil {
		return nil, err
	}
	limit := s.limits.Rows
	if r.Limit > 0 {
		limit = min(limit, int(r.Limit))
	}
	if r.Open && resolution != s.plan.Grid.Resolution {
		return nil, status.Errorf(codes.InvalidArgument, "open windows are kept at resolution %d only, not at %d", s.plan.Grid.Resolution, resolution)
	}
	rows := s.store.current(resolution, within)
	n := min(limit, len(rows.rows))
	if err := s.fits(n, len(selection)); err != nil {
		return nil, err
	}
	response := &pb.LatestResponse{Truncated: len(rows.rows) > n}
	a := newAnswer(s.schema, selection, n, false, s.now())
	provisional, final := rows.at.provisional, rows.at.final
	if r.Open {
		provisional, final, err = s.latestOpen(ctx, a, rows.rows[:n])
	} else {
		a.rows(rows, n)
	}
	if err != nil {
		return nil, err
	}
	response.Entities, response.Columns = a.entities, a.columns
	response.Watermark, response.Final = stamp(provisional), stamp(final)
	return response, nil
}

// latestOpen adds the rows of the open windows of cells that have closed rows.
func (s *Service) latestOpen(ctx context.Context, a *answer, rows []row) (provisional, final int64, err error) {
	if len(rows) > s.limits.Cells {
		return 0, 0, status.Errorf(codes.InvalidArgument, "open windows of %d cells asked for; at most %d may be in one call: give within or limit", len(rows), s.limits.Cells)
	}
	cells := make([]geo.Cell, len(rows))
	for i, r := range rows {
		cells[i] = r.cell
	}
	return s.open(ctx, a, cells)
}

// below tells whether a cell lies below a coarser one; everything lies below 0.
func below(cell, within geo.Cell) bool {
	if within == 0 {
		return true
	}
	parent, err := cell.Parent(within.Resolution())
	return err == nil && parent == within
}

// within reads the cell whose rows of a resolution, or of coarser ones, are asked
// for; 0: everywhere.
func (s *Service) within(text string, resolution int) (geo.Cell, error) {
	if text == "" {
		return 0, nil
	}
	cell, err := geo.ParseCell(text)
	if err != nil {
		return 0, status.Errorf(codes.InvalidArgument, "within: %v", err)
	}
	if cell.Resolution() > resolution {
		return 0, status.Errorf(codes.InvalidArgument, "within: cell %s has resolution %d; no row at resolution %d lies in it", cell, cell.Resolution(), resolution)
	}
	return cell, nil
}

// History returns the kept rows of one cell, oldest first.
func (s *Service) History(ctx context.Context, r *pb.HistoryRequest) (*pb.HistoryResponse, error) {
	selection, err := s.selection(r.Columns)
	if err != nil {
		return nil, err
	}
	cell, err := geo.ParseCell(r.H3)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "%v", err)
	}
	if err := s.check(cell); err != nil {
		return nil, err
	}
	from, to := bounds(r.From, r.To)
	rows := s.store.history(cell, from, to)
	n := len(rows.rows)
	if n > s.limits.Rows {
		return nil, status.Errorf(codes.InvalidArgument, "%d rows asked for; at most %d may be in one answer: give from or to", n, s.limits.Rows)
	}
	if err := s.fits(n, len(selection)); err != nil {
		return nil, err
	}
	a := newAnswer(s.schema, selection, n, false, s.now())
	a.rows(rows, n)
	return &pb.HistoryResponse{Entities: a.entities, Columns: a.columns}, nil
}

// bounds reads (from, to] in µs; missing ends are open.
func bounds(from, to *timestamppb.Timestamp) (int64, int64) {
	lo, hi := int64(stream.NoTime), int64(^uint64(0)>>1)
	if from != nil {
		lo = from.AsTime().UnixMicro()
	}
	if to != nil {
		hi = to.AsTime().UnixMicro()
	}
	return lo, hi
}

// Scan streams the rows kept, pane by pane, each pane's in one message a resolution.
func (s *Service) Scan(r *pb.ScanRequest, out grpc.ServerStreamingServer[pb.ScanResponse]) error {
	all, err := s.selection(nil)
	if err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	from, to := bounds(r.From, r.To)
	for {
		blocks, end, at := s.store.blocksAfter(from, to)
		if blocks == nil {
			return nil
		}
		if err := s.scanPane(out, blocks, at, all); err != nil {
			return err
		}
		from = end
	}
}

// scanRows is how many rows one message of a scan holds at most.
const scanRows = 2048

// scanPane sends the rows of one pane.
func (s *Service) scanPane(out grpc.ServerStreamingServer[pb.ScanResponse], blocks []*block, at *frontiers, selection []int) error {
	for _, resolution := range append([]int{s.plan.Grid.Resolution}, s.plan.Grid.Parents...) {
		for rows := range slices.Chunk(collect(blocks, resolution), scanRows) {
			a := newAnswer(s.schema, selection, len(rows), false, s.now())
			for _, r := range rows {
				a.kept(r, at)
			}
			if err := out.Send(&pb.ScanResponse{Entities: a.entities, Columns: a.columns, Resolution: int32(resolution), Final: stamp(at.final)}); err != nil {
				return err
			}
		}
	}
	return nil
}
