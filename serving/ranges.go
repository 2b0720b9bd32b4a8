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
	if r.Open {
		return s.latestOpen(ctx, selection, within, limit)
	}
	response := &pb.LatestResponse{}
	s.store.view(func(v view) {
		places := v.current(resolution, within)
		if response.Truncated = len(places) > limit; response.Truncated {
			places = places[:limit]
		}
		if err = s.fits(len(places), len(selection)); err != nil {
			return
		}
		provisional, final := v.frontier()
		response.Watermark, response.Final = stamp(provisional), stamp(final)
		a := newAnswer(s.schema, selection, len(places), false, s.now())
		for _, p := range places {
			a.row(p.block, p.row, v.final(p.block))
		}
		response.Entities, response.Columns = a.entities, a.columns
	})
	return response, err
}

// latestOpen answers Latest with open windows, of the cells that have closed rows.
func (s *Service) latestOpen(ctx context.Context, selection []int, within geo.Cell, limit int) (*pb.LatestResponse, error) {
	var cells []geo.Cell
	s.store.view(func(v view) {
		for _, p := range v.current(s.plan.Grid.Resolution, within) {
			cells = append(cells, p.block.Cells[p.row])
		}
	})
	response := &pb.LatestResponse{Truncated: len(cells) > limit}
	cells = cells[:min(limit, len(cells))]
	if err := s.fits(len(cells), len(selection)); err != nil {
		return nil, err
	}
	a := newAnswer(s.schema, selection, len(cells), false, s.now())
	provisional, final, err := s.open(ctx, a, cells)
	if err != nil {
		return nil, err
	}
	response.Entities, response.Columns = a.entities, a.columns
	response.Watermark, response.Final = stamp(provisional), stamp(final)
	return response, nil
}

// current lists the newest rows of a resolution within a coarser cell (0:
// everywhere) that are not markers, ascending by cell.
func (v view) current(resolution int, within geo.Cell) []place {
	var places []place
	for cell, p := range v.s.latest {
		if !p.block.Empty && p.block.Resolution == resolution && below(cell, within) {
			places = append(places, p)
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.block.Cells[a.row] < b.block.Cells[b.row] {
			return -1
		}
		return 1
	})
	return places
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
	response := &pb.HistoryResponse{}
	s.store.view(func(v view) {
		var places []place
		for _, p := range v.s.panes {
			if p.end <= from || p.end > to {
				continue
			}
			if at, found := p.find(cell); found {
				places = append(places, at)
			}
		}
		if len(places) > s.limits.Rows {
			err = status.Errorf(codes.InvalidArgument, "%d rows asked for; at most %d may be in one answer: give from or to", len(places), s.limits.Rows)
			return
		}
		if err = s.fits(len(places), len(selection)); err != nil {
			return
		}
		a := newAnswer(s.schema, selection, len(places), false, s.now())
		for _, p := range places {
			a.row(p.block, p.row, v.final(p.block))
		}
		response.Entities, response.Columns = a.entities, a.columns
	})
	return response, err
}

// find returns the newest revision of a cell's row in a pane.
func (p *pane) find(cell geo.Cell) (best place, found bool) {
	for _, block := range p.blocks {
		if row, is := slices.BinarySearch(block.Cells, cell); is && (!found || !newer(best.block, block)) {
			best, found = place{block, row}, true
		}
	}
	return best, found
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
	resolutions := append([]int{s.plan.Grid.Resolution}, s.plan.Grid.Parents...)
	for _, end := range s.store.ends(from, to) {
		for _, resolution := range resolutions {
			for _, response := range s.scanPane(end, resolution, all) {
				if err := out.Send(response); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// scanRows is how many rows one message of a scan holds at most.
const scanRows = 2048

// scanPane copies one pane's rows out of the store; none where it has gone.
func (s *Service) scanPane(end int64, resolution int, selection []int) (responses []*pb.ScanResponse) {
	s.store.view(func(v view) {
		i := slices.IndexFunc(v.s.panes, func(p *pane) bool { return p.end == end })
		if i < 0 {
			return
		}
		_, final := v.frontier()
		for places := range slices.Chunk(v.s.panes[i].collect(nil, resolution), scanRows) {
			a := newAnswer(s.schema, selection, len(places), false, s.now())
			for _, p := range places {
				a.row(p.block, p.row, v.final(p.block))
			}
			responses = append(responses, &pb.ScanResponse{Entities: a.entities, Columns: a.columns, Resolution: int32(resolution), Final: stamp(final)})
		}
	})
	return responses
}

// ends lists the window ends in (from, to] that the store keeps.
func (s *Store) ends(from, to int64) (ends []int64) {
	s.view(func(v view) {
		for _, p := range v.s.panes {
			if p.end > from && p.end <= to {
				ends = append(ends, p.end)
			}
		}
	})
	return ends
}
