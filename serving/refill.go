package serving

import (
	"context"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// tellEvery is the time between two messages of long work.
const tellEvery = 200 * time.Millisecond

// RefillRedis writes the kept rows to Redis again.
func (s *Service) RefillRedis(_ *pb.RefillRedisRequest, out grpc.ServerStreamingServer[pb.RefillRedisResponse]) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	stopping := status.Error(codes.Unavailable, "the server is stopping")
	ctx, cancel := context.WithCancelCause(out.Context())
	defer cancel(nil)
	go func() {
		select {
		case <-ctx.Done():
		case <-s.quit:
			cancel(stopping)
		}
	}()
	complete := s.store.Complete()
	var told time.Time
	n, err := s.live.RefillRedis(ctx, func(written, of int) {
		if s.now().Sub(told) < tellEvery {
			return
		}
		told = s.now()
		if err := out.Send(&pb.RefillRedisResponse{Written: uint64(written), Entities: uint64(of)}); err != nil {
			cancel(err)
		}
	})
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return out.Send(&pb.RefillRedisResponse{Written: uint64(n), Entities: uint64(n), Done: true, Complete: complete})
}
