package serving

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Live is the running pipeline behind the service.
type Live interface {
	// Open computes the rows of windows that are still open.
	Open(ctx context.Context, cells []geo.Cell) ([]*stream.Rows, error)
	// Status is how the pipeline is doing.
	Status() *pb.StatusResponse
	// Incomplete are the columns that were added to the state not long ago.
	Incomplete() []stream.IncompleteColumn
	// RefillRedis writes the kept rows to Redis again and returns of how many
	// entities; its error is a status.
	RefillRedis(ctx context.Context, progress func(written, of int)) (int, error)
}

// Limits bound what one request may ask for, and all of them together.
type Limits struct {
	Cells   int // entities a lookup or a watch; default 10,000
	Rows    int // cells in a Latest answer, rows in a History answer; default 200,000
	Values  int // entities × columns an answer; default 4,000,000
	Streams int // watches and scans at a time; default 256
}

// Service answers the calls of proto/hextide/v1. Its methods may be called from
// any goroutine.
type Service struct {
	pb.UnimplementedHextideServer

	plan     *pipeline.Plan
	schema   *Schema
	store    *Store
	live     Live
	limits   Limits
	describe *pb.DescribeResponse
	now      func() time.Time
	streams  atomic.Int64
	quit     chan struct{} // closed: streams end with UNAVAILABLE
	stopping sync.Once
}

// NewService makes the service of one pipeline.
func NewService(plan *pipeline.Plan, store *Store, live Live, limits Limits, version string) *Service {
	if limits.Cells == 0 {
		limits.Cells = 10_000
	}
	if limits.Rows == 0 {
		limits.Rows = 200_000
	}
	if limits.Values == 0 {
		limits.Values = 4_000_000
	}
	if limits.Streams == 0 {
		limits.Streams = 256
	}
	return &Service{
		plan: plan, schema: NewSchema(plan), store: store, live: live, limits: limits,
		describe: describe(plan, version), now: time.Now, quit: make(chan struct{}),
	}
}

// Stop ends the streams that are open.
func (s *Service) Stop() { s.stopping.Do(func() { close(s.quit) }) }

// Lookup returns the newest row of each entity asked for.
func (s *Service) Lookup(ctx context.Context, r *pb.LookupRequest) (*pb.LookupResponse, error) {
	selection, err := s.selection(r.Columns)
	if err != nil {
		return nil, err
	}
	cells, err := s.cellsOf(r, len(selection))
	if err != nil {
		return nil, err
	}
	a := newAnswer(s.schema, selection, len(cells), r.Compact, s.now())
	var provisional, final int64
	if r.Open {
		provisional, final, err = s.open(ctx, a, cells)
	} else {
		rows := s.store.newest(cells)
		provisional, final = rows.at.provisional, rows.at.final
		for i := range cells {
			a.newest(rows, i)
		}
	}
	if err != nil {
		return nil, err
	}
	return &pb.LookupResponse{Entities: a.entities, Columns: a.columns, Watermark: stamp(provisional), Final: stamp(final)}, nil
}

// newest adds a cell's newest closed row; where there is none, the row of
// nothing, unless the store has not been told of all rows since a restart.
func (a *answer) newest(rows *picked, i int) {
	switch r := rows.rows[i]; {
	case r.block != nil:
		a.kept(r, rows.at)
	case rows.complete:
		a.nothing(r.cell, rows.at.provisional)
	default:
		a.unknown(r.cell)
	}
}

// open adds the rows of open windows; where none is open, the newest closed row.
func (s *Service) open(ctx context.Context, a *answer, cells []geo.Cell) (provisional, final int64, err error) {
	for _, cell := range cells {
		if cell.Resolution() != s.plan.Grid.Resolution {
			return 0, 0, status.Errorf(codes.InvalidArgument, "cell %s has resolution %d: open windows are kept at resolution %d only", cell, cell.Resolution(), s.plan.Grid.Resolution)
		}
	}
	blocks, err := s.live.Open(ctx, cells)
	if err != nil {
		return 0, 0, unavailable(ctx, err)
	}
	defer func() {
		for _, rows := range blocks {
			rows.Release()
		}
	}()
	type openRow struct {
		rows *stream.Rows
		row  int
	}
	found := make(map[geo.Cell]openRow, len(cells))
	for _, rows := range blocks {
		for i, cell := range rows.Cells {
			found[cell] = openRow{rows, i}
		}
	}
	closed := s.store.newest(cells)
	for i, cell := range cells {
		if p, is := found[cell]; is {
			a.open(p.rows, p.row)
		} else {
			a.newest(closed, i)
		}
	}
	return closed.at.provisional, closed.at.final, nil
}

// unavailable turns an error of the pipeline into a status.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	return status.Errorf(codes.Unavailable, "the pipeline does not answer: %v", err)
}

// Describe returns the pipeline and its columns.
func (s *Service) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	incomplete := s.live.Incomplete()
	if len(incomplete) == 0 {
		return s.describe, nil
	}
	d := proto.CloneOf(s.describe)
	for _, c := range incomplete {
		for _, info := range d.Columns {
			if info.Name == c.Column {
				info.IncompleteUntil = timestamppb.New(time.UnixMicro(c.Until))
			}
		}
	}
	return d, nil
}

// Status returns how the pipeline is doing.
func (s *Service) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	return s.live.Status(), nil
}

func (s *Service) selection(names []string) ([]int, error) {
	selection, err := s.schema.Select(names)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "%v: Describe lists the columns of %s", err, s.plan.Name)
	}
	return selection, nil
}

// fits refuses an answer of too many values.
func (s *Service) fits(entities, columns int) error {
	if most := s.limits.Values / max(columns, 1); entities > most {
		return status.Errorf(codes.InvalidArgument, "%d entities × %d columns asked for; at most %d values may be in one answer: with these columns %d entities", entities, columns, s.limits.Values, most)
	}
	return nil
}

// cellsOf reads the entities of a lookup of so many columns, all of them checked.
func (s *Service) cellsOf(r *pb.LookupRequest, columns int) ([]geo.Cell, error) {
	n := len(r.Cells) + len(r.H3) + len(r.Locations)
	if n == 0 {
		return nil, status.Error(codes.InvalidArgument, "no cells asked for: give cells, h3 or locations")
	}
	if n > s.limits.Cells {
		return nil, status.Errorf(codes.InvalidArgument, "%d entities asked for; at most %d may be in one call", n, s.limits.Cells)
	}
	if err := s.fits(n, columns); err != nil {
		return nil, err
	}
	cells := make([]geo.Cell, 0, n)
	for _, c := range r.Cells {
		cells = append(cells, geo.Cell(c))
	}
	for _, text := range r.H3 {
		cell, err := geo.ParseCell(text)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "%v", err)
		}
		cells = append(cells, cell)
	}
	for _, at := range r.Locations {
		cell, err := geo.Index(at.GetLat(), at.GetLng(), s.plan.Grid.Resolution)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "%v", err)
		}
		cells = append(cells, cell)
	}
	for _, cell := range cells {
		if err := s.check(cell); err != nil {
			return nil, err
		}
	}
	return cells, nil
}

// check refuses what is no cell and what has no rows by its resolution.
func (s *Service) check(cell geo.Cell) error {
	if !cell.Valid() {
		return status.Errorf(codes.InvalidArgument, "%x is not an H3 cell", uint64(cell))
	}
	resolution := cell.Resolution()
	if resolution == s.plan.Grid.Resolution {
		return nil
	}
	for _, parent := range s.plan.Grid.Parents {
		if resolution == parent {
			return nil
		}
	}
	return status.Errorf(codes.InvalidArgument, "cell %s has resolution %d; %s has rows at %d and its parents %v", cell, resolution, s.plan.Name, s.plan.Grid.Resolution, s.plan.Grid.Parents)
}
