package serving

import (
	"github.com/hextide/hextide/geo"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Watch streams rows as they are made.
func (s *Service) Watch(r *pb.WatchRequest, out grpc.ServerStreamingServer[pb.WatchResponse]) error {
	selection, err := s.selection(r.Columns)
	if err != nil {
		return err
	}
	wanted, err := s.wanted(r, len(selection))
	if err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	w := s.store.hub.add()
	if w == nil {
		return status.Error(codes.Unavailable, "the server is stopping")
	}
	defer s.store.hub.remove(w)
	if err := out.SendHeader(nil); err != nil { // the watch stands: what comes from now on is seen
		return err
	}
	for {
		select {
		case <-out.Context().Done():
			return status.FromContextError(out.Context().Err()).Err()
		case <-s.quit:
			return status.Error(codes.Unavailable, "the server is stopping")
		case b, open := <-w.blocks:
			if !open {
				return w.ended()
			}
			w.taken(b)
			response := s.change(b, selection, wanted)
			if response == nil {
				continue
			}
			if err := out.Send(response); err != nil {
				return err
			}
		}
	}
}

// enter counts a stream in, if there is room for one more; leave counts it out.
func (s *Service) enter() error {
	if s.streams.Add(1) > int64(s.limits.Streams) {
		s.leave()
		return status.Errorf(codes.ResourceExhausted, "%d watches and scans are open; at most %d may be at a time", s.limits.Streams, s.limits.Streams)
	}
	return nil
}

func (s *Service) leave() { s.streams.Add(-1) }

func (w *watcher) ended() error {
	if w.slow {
		return status.Error(codes.ResourceExhausted, "the reader is too slow for the rows that it watches: watch fewer cells, or read the latest rows and watch again")
	}
	return status.Error(codes.Unavailable, "the server is stopping")
}

// change is the part of a block that a watcher wants; nil: nothing.
func (s *Service) change(b *block, selection []int, wanted func(geo.Cell) bool) *pb.WatchResponse {
	var a *answer
	at := s.store.told()
	for i := range b.len() {
		cell := b.cell(i)
		if !wanted(cell) {
			continue
		}
		if a == nil {
			a = newAnswer(s.schema, selection, b.len()-i, false, s.now())
		}
		a.kept(row{cell, place{b, i}}, at)
	}
	if a == nil {
		return nil
	}
	return &pb.WatchResponse{Entities: a.entities, Columns: a.columns, Watermark: stamp(at.provisional), Final: stamp(at.final)}
}

// wanted makes the filter of a watch.
func (s *Service) wanted(r *pb.WatchRequest, columns int) (func(geo.Cell) bool, error) {
	within, err := s.within(r.Within, s.plan.Grid.Resolution)
	if err != nil {
		return nil, err
	}
	if len(r.Cells)+len(r.H3) == 0 {
		return func(c geo.Cell) bool { return below(c, within) }, nil
	}
	if within != 0 {
		return nil, status.Error(codes.InvalidArgument, "give either cells or within, not both")
	}
	cells, err := s.cellsOf(&pb.LookupRequest{Cells: r.Cells, H3: r.H3}, columns)
	if err != nil {
		return nil, err
	}
	set := make(map[geo.Cell]bool, len(cells))
	for _, c := range cells {
		set[c] = true
	}
	return func(c geo.Cell) bool { return set[c] }, nil
}
