package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// figures are the times measured under load.
type figures struct {
	lookup  [2][]time.Duration // of 1 cell and of 100 cells
	nothing [2][]time.Duration // of the empty handler, as many bytes
	bytes   [2]int
	fresh   []time.Duration
}

// sizes are the numbers of cells a lookup asks for.
var sizes = [2]int{1, 100}

// lookups calls pipeline and empty handler in turn, one call at a time, until
// ctx ends.
func (f *figures) lookups(ctx context.Context, s *servers, cells []uint64) error {
	random := rand.New(rand.NewPCG(1, 2))
	for ctx.Err() == nil {
		for i, size := range sizes {
			request := &pb.LookupRequest{Cells: make([]uint64, size), Compact: true}
			for j := range request.Cells {
				request.Cells[j] = cells[random.IntN(len(cells))]
			}
			start := time.Now()
			response, err := s.client.Lookup(ctx, request)
			took := time.Since(start)
			if over(ctx, err) {
				return nil
			}
			if err != nil {
				return err
			}
			f.bytes[i] = proto.Size(response)
			start = time.Now()
			if _, err = s.empty.call(ctx, f.bytes[i]); over(ctx, err) {
				return nil
			}
			if err != nil {
				return err
			}
			f.lookup[i], f.nothing[i] = append(f.lookup[i], took), append(f.nothing[i], time.Since(start))
		}
		time.Sleep(2 * time.Millisecond) // a caller, not a flood
	}
	return nil
}

// over tells whether a call failed because the measuring has ended.
func over(ctx context.Context, err error) bool {
	return ctx.Err() != nil || status.Code(err) == codes.DeadlineExceeded
}

// freshness produces events at places of their own, one after the other, and
// waits until each can be read in an open window.
func (f *figures) freshness(ctx context.Context, client pb.HextideClient, p *producer) error {
	for i := 0; ctx.Err() == nil; i++ {
		at := place{lat: 10 + float64(i/300)*0.05, lng: -140 + float64(i%300)*0.05} // the open Pacific
		request := &pb.LookupRequest{Locations: []*pb.LatLng{{Lat: at.lat, Lng: at.lng}}, Columns: []string{"n_k0_w1m"}, Open: true}
		start := time.Now()
		p.probe(ctx, at)
		for {
			response, err := client.Lookup(ctx, request)
			if over(ctx, err) {
				return nil
			}
			if err != nil {
				return err
			}
			if len(response.Columns[0].Integers) > 0 && response.Columns[0].Integers[0] > 0 {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		f.fresh = append(f.fresh, time.Since(start))
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

func quantile(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func (f *figures) print(p *producer) {
	fmt.Printf("produced %d events, %.0f/s\n", p.sent.Load(), p.achieved())
	fmt.Printf("%-22s %8s %10s %10s %10s %10s %7s %7s\n", "lookups", "bytes", "p50", "p99", "empty p50", "empty p99", "x p50", "x p99")
	for i, size := range sizes {
		a50, a99, b50, b99 := quantile(f.lookup[i], .5), quantile(f.lookup[i], .99), quantile(f.nothing[i], .5), quantile(f.nothing[i], .99)
		fmt.Printf("%3d cells x 54 columns %8d %10s %10s %10s %10s %7.2f %7.2f\n", size, f.bytes[i], round(a50), round(a99), round(b50), round(b99),
			float64(a50)/float64(b50), float64(a99)/float64(b99))
	}
	fmt.Printf("freshness, %d probes: p50 %s p99 %s\n", len(f.fresh), round(quantile(f.fresh, .5)), round(quantile(f.fresh, .99)))
}

func round(d time.Duration) time.Duration { return d.Round(time.Microsecond) }

// emptyClient calls the empty handler.
type emptyClient struct{ conn *grpc.ClientConn }
