package serving

import (
	"fmt"
	"testing"

	"github.com/hextide/hextide/pipeline"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"google.golang.org/protobuf/proto"
)

// lookups is a service with 5,000 rows of 54 counts, and a request of n cells.
func lookups(tb testing.TB, n int) (*Service, *pb.LookupRequest) {
	tb.Helper()
	plan := planOf(tb, "0, 1, 2, 3, 4, 5, 10, 15, 20", "1m, 2m, 4m, 8m, 16m, 32m")
	store := NewStore(plan, Bounds{})
	cells := cellsOf(tb, 5000)
	request := &pb.LookupRequest{Compact: true}
	for i := range n {
		request.Cells = append(request.Cells, uint64(cells[i*37%len(cells)]))
	}
	for _, c := range plan.Columns {
		if c.Origin == pipeline.FromAggregate {
			request.Columns = append(request.Columns, c.Name)
		}
	}
	for len(cells) > 0 {
		m := min(len(cells), stream.BlockRows)
		put(tb, store, &stream.Frontier{Provisional: noon, Final: noon}, blockOf(plan, noon, 0, 7, cells[:m]...))
		cells = cells[m:]
	}
	return NewService(plan, store, nil, Limits{}, ""), request
}

// A lookup of many cells allocates little more than one of a single cell.
func TestLookupAllocates(t *testing.T) {
	count := func(n int) float64 {
		s, request := lookups(t, n)
		return testing.AllocsPerRun(100, func() {
			if _, err := s.Lookup(t.Context(), request); err != nil {
				t.Fatal(err)
			}
		})
	}
	if one, hundred := count(1), count(100); one > 20 || hundred > one+4 {
		t.Errorf("%v allocations for 1 cell, %v for 100", one, hundred)
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1, 100} {
		s, request := lookups(b, n)
		var size int
		b.Run(fmt.Sprintf("cells=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a, err := s.Lookup(b.Context(), request)
				if err != nil {
					b.Fatal(err)
				}
				size = len(a.Columns)
			}
		})
		b.Run(fmt.Sprintf("cells=%d/encoded", n), func(b *testing.B) {
			b.ReportAllocs()
			a, err := s.Lookup(b.Context(), request)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := proto.Marshal(a); err != nil {
					b.Fatal(err)
				}
			}
		})
		if size != 54 {
			b.Fatalf("%d columns", size)
		}
	}
}
