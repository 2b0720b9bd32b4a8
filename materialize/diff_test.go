package materialize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"
)

// listed is a side in memory, whose panes are those of some blocks in order.
type listed struct {
	columns []ManifestColumn
	panes   []*SidePane
	open    bool // window ends that it has no pane of may still get rows
}

func (s *listed) Whole(int64) bool { return !s.open }

func (s *listed) Name() string              { return "a list" }
func (s *listed) Columns() []ManifestColumn { return s.columns }
func (s *listed) Facts() map[string]string  { return nil }
func (s *listed) Close() error              { return nil }

func (s *listed) Next(context.Context) (*SidePane, error) {
	if len(s.panes) == 0 {
		return nil, io.EOF
	}
	p := s.panes[0]
	s.panes = s.panes[1:]
	return p, nil
}

// twoPanes are two window ends of two rows each, final.
func twoPanes(t testing.TB, change func(i int, b *block)) *listed {
	t.Helper()
	plan, cells := planOf(t, "diff", "t", "json"), someCells(t)
	s := &listed{}
	for _, c := range plan.Columns {
		s.columns = append(s.columns, ManifestColumn{Name: c.Name, Kind: kindName(c.Kind)})
	}
	for i := range 2 {
		b := simple(plan, noon+int64(i)*minute, 0, 4, cells[20:22]...)
		b.final = true
		if change != nil {
			change(i, &b)
		}
		p := &SidePane{End: b.end, Whole: true}
		if len(b.cells) > 0 {
			p.Rows = []*stream.Rows{b.rows(plan)}
		}
		s.panes = append(s.panes, p)
	}
	return s
}

// A diff finds nothing between equal sides, and what is changed on purpose: one
// value, with its column and both values; rows that one side lacks; and it does
// not compare what is not final.
func TestDiffFinds(t *testing.T) {
	minusZero := uint64(1 << 63)
	for name, c := range map[string]struct {
		change   func(i int, b *block)
		want     Difference
		column   string
		examples string
	}{
		"nothing":    {nil, Difference{Compared: 4}, "", "[]"},
		"one value":  {func(i int, b *block) { b.values[i][0] = func() value { n := uint64(5); return &n }() }, Difference{Compared: 4, Differ: 2}, "n_k0_w1m", "[n_k0_w1m 4 != 5]"},
		"a null":     {func(i int, b *block) { b.values[0][1] = nil }, Difference{Compared: 4, Differ: 2}, "n_k1_w1m", "[n_k1_w1m 4 != null]"},
		"minus zero": {func(i int, b *block) { b.values[1][3] = &minusZero }, Difference{Compared: 4, Differ: 2}, "half", "half 2 != -0]"},
		"a row":      {func(i int, b *block) { b.cells, b.values = b.cells[1:], b.values[1:] }, Difference{Compared: 4, Differ: 2, OnlyA: 2}, "", "only in a list"},
		"not final":  {func(i int, b *block) { b.final = i == 0 }, Difference{Compared: 2, NotFinal: 2}, "", "[]"},
		"no rows":    {func(i int, b *block) { b.cells = b.cells[:2*i] }, Difference{Compared: 4, Differ: 2, OnlyA: 2}, "", "only in"},
	} {
		d := diffOf(t, twoPanes(t, nil), twoPanes(t, c.change))
		if d.Compared != c.want.Compared || d.Differ != c.want.Differ || d.OnlyA != c.want.OnlyA || d.OnlyB != 0 || d.NotFinal != c.want.NotFinal || d.Same() != (c.want.Differ == 0) {
			t.Errorf("%s: %+v", name, d)
		}
		if text := fmt.Sprint(d.Examples); !strings.Contains(text, c.examples) || c.column != "" && (len(d.Columns) == 0 || d.Columns[c.column] == 0) {
			t.Errorf("%s: %s, columns %v", name, text, d.Columns)
		}
		if other := diffOf(t, twoPanes(t, c.change), twoPanes(t, nil)); other.Differ != d.Differ || other.OnlyB != d.OnlyA || other.HashB != d.HashA {
			t.Errorf("%s: %+v the other way round", name, other)
		}
	}
}

// Window ends before a side's first or behind its last are outside of what is
// compared; one in between that it lacks is not.
func TestDiffCovers(t *testing.T) {
	short := twoPanes(t, nil)
	short.panes = short.panes[1:]
	if d := diffOf(t, twoPanes(t, nil), short); !d.Same() || d.Outside != 2 || d.Compared != 2 {
		t.Errorf("%+v", d)
	}
	short = twoPanes(t, nil)
	short.panes = short.panes[:1]
	if d := diffOf(t, short, twoPanes(t, nil)); !d.Same() || d.Outside != 2 || d.Compared != 2 {
		t.Errorf("%+v", d)
	}
}

// taken makes a snapshot of n window ends.
func taken(t *testing.T, n int, o SnapshotOptions) (dir string, m *Manifest) {
	t.Helper()
	plan, cells := planOf(t, "diff", "t", "json"), someCells(t)
	dir = t.TempDir()
	s := snap(t, dir, plan, o, nil)
	var script []step
	for i := range n {
		end := noon + int64(i)*40*minute
		script = append(script, step{blocks: []block{simple(plan, end, 0, int64(i), cells[20:]...)}, frontier: &stream.Frontier{Provisional: end, Final: end}}, step{checkpoint: true})
	}
	play(t, s, plan, script)
	if !o.NoFiles {
		return dir, finish(t, s, dir, expected(plan, script))
	}
	m = &Manifest{}
	if err := errors.Join(s.Finish(m), s.Close()); err != nil {
		t.Fatal(err)
	}
	return dir, m
}

// Two snapshots of one range cover the same: an end that is missing is found,
// and equal ones have the content_hash of their manifests.
func TestDiffOfSnapshots(t *testing.T) {
	plan, cells := planOf(t, "diff", "t", "json"), someCells(t)
	three, m := taken(t, 3, SnapshotOptions{})
	again, _ := taken(t, 3, SnapshotOptions{})
	two, _ := taken(t, 2, SnapshotOptions{})
	if d := diffOf(t, mustOpen(t, three), mustOpen(t, again)); !d.Same() || d.HashA != m.ContentHash || d.HashB != m.ContentHash || d.Compared != m.Counts.Rows {
		t.Errorf("%+v", d)
	}
	if d := diffOf(t, mustOpen(t, three), mustOpen(t, two)); d.Same() || d.OnlyA != int64(len(cells)-20) || d.Outside != 0 {
		t.Errorf("%+v", d)
	}
	side := mustOpen(t, three)
	defer side.Close()
	if facts := side.Facts(); facts["plan"] != plan.Hash || facts["late records"] != "0" {
		t.Errorf("%v", facts)
	}
}

// A snapshot without files is compared by its hash, and with snapshots alone.
func TestDiffNoFiles(t *testing.T) {
	three, m := taken(t, 3, SnapshotOptions{})
	two, _ := taken(t, 2, SnapshotOptions{})
	none, _ := taken(t, 3, SnapshotOptions{NoFiles: true})
	for _, sides := range [][2]string{{none, three}, {three, none}, {none, none}} {
		d := diffOf(t, mustOpen(t, sides[0]), mustOpen(t, sides[1]))
		if !d.Same() || !d.Hashes || d.HashA != m.ContentHash || d.HashB != m.ContentHash || d.Compared != m.Counts.Rows {
			t.Errorf("%+v", d)
		}
	}
	if d := diffOf(t, mustOpen(t, none), mustOpen(t, two)); d.Same() || d.Differ != 0 || !d.Hashes {
		t.Errorf("%+v", d)
	}
	if _, err := Diff(t.Context(), mustOpen(t, none), twoPanes(t, nil)); !errors.Is(err, ErrNoFiles) || !strings.Contains(err.Error(), none) {
		t.Errorf("compared with rows: %v", err)
	}
}

// A snapshot whose files hold other rows than its manifest tells of is damaged,
// whatever it is compared with.
func TestDiffDamaged(t *testing.T) {
	three, m := taken(t, 3, SnapshotOptions{})
	none, _ := taken(t, 3, SnapshotOptions{NoFiles: true})
	again, less := taken(t, 3, SnapshotOptions{})
	less.Parts = less.Parts[1:]
	if err := writeManifest(again, less); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{three, none, again} {
		d := diffOf(t, mustOpen(t, again), mustOpen(t, other))
		if d.Same() || len(d.Damaged) == 0 || !strings.Contains(d.Damaged[0], again+" is damaged") || !strings.Contains(d.Damaged[0], m.ContentHash) {
			t.Errorf("%+v", d)
		}
	}
	if d := diffOf(t, mustOpen(t, three), mustOpen(t, three)); len(d.Damaged) > 0 {
		t.Errorf("%+v", d)
	}
}

// Sides whose columns differ cannot be compared.
func TestDiffRefusesOtherColumns(t *testing.T) {
	other := twoPanes(t, nil)
	other.columns = other.columns[:2]
	if _, err := Diff(t.Context(), twoPanes(t, nil), other); !errors.Is(err, ErrColumns) {
		t.Error(err)
	}
}

// server answers Scan with messages in memory.
type server struct {
	grpc.ClientConnInterface
	columns  []ManifestColumn
	messages []*pb.ScanResponse
}

func (s *server) Invoke(_ context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	if d, is := reply.(*pb.DescribeResponse); is {
		for _, c := range s.columns {
			d.Columns = append(d.Columns, &pb.ColumnInfo{Name: c.Name, Kind: c.Kind})
		}
	}
	return nil
}

func (s *server) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return &scan{server: s}, nil
}

type scan struct {
	grpc.ClientStream
	server *server
}

func (*scan) SendMsg(any) error { return nil }
func (*scan) CloseSend() error  { return nil }

func (s *scan) RecvMsg(m any) error {
	if len(s.server.messages) == 0 {
		return io.EOF
	}
	next := s.server.messages[0]
	s.server.messages = s.server.messages[1:]
	to := m.(*pb.ScanResponse)
	to.Entities, to.Columns, to.Resolution, to.Final = next.Entities, next.Columns, next.Resolution, next.Final
	return nil
}

// A running server's rows are those that it scans, each final or not by itself,
// its resolutions side by side.
func TestLiveSide(t *testing.T) {
	plan, cells := planOf(t, "diff", "t", "json"), someCells(t)
	rapid.Check(t, func(rt *rapid.T) {
		s, want, notFinal := &server{}, records{}, 0
		for _, c := range plan.Columns {
			s.columns = append(s.columns, ManifestColumn{Name: c.Name, Kind: kindName(c.Kind)})
		}
		for i := range rapid.IntRange(1, 3).Draw(rt, "panes") {
			end := noon + int64(i)*minute
			for _, resolution := range []int{9, 8} {
				m := &pb.ScanResponse{Resolution: int32(resolution)}
				for range plan.Columns {
					m.Columns = append(m.Columns, &pb.Column{})
				}
				for _, c := range cells {
					if c.Resolution() != resolution {
						continue
					}
					b := block{end: end, cells: cells[:1], values: [][]value{drawValues(rt, plan)}}
					b.cells = append(b.cells[:0:0], c)
					state := rapid.SampledFrom([]pb.RowState{pb.RowState_ROW_STATE_FINAL, pb.RowState_ROW_STATE_PROVISIONAL, pb.RowState_ROW_STATE_EMPTY}).Draw(rt, "state")
					scanned(m, b.rows(plan), state)
					if state != pb.RowState_ROW_STATE_EMPTY {
						want[rowKey{end, c}] = string(stream.AppendRecord(nil, b.rows(plan), 0))
					}
					if state == pb.RowState_ROW_STATE_PROVISIONAL {
						notFinal++
					}
				}
				s.messages = append(s.messages, m)
			}
		}
		side, err := OpenLiveSide(context.Background(), "grpc://test", s)
		if err != nil {
			rt.Fatal(err)
		}
		defer side.Close()
		got, open := read(rt, side)
		same(rt, "the server", got, want)
		if open != notFinal {
			rt.Fatalf("%d rows are not final, not %d", open, notFinal)
		}
	})
}

// A row that one side lacks is no difference while that side may still get it: the
// other shard of a feed, or the pane that a server had not closed, or had closed
// before it was started anew.
func TestDiffWaitsForRowsToCome(t *testing.T) {
	for name, change := range map[string]func(s *listed){
		"a pane in parts": func(s *listed) { s.panes[1].Whole, s.panes[1].Rows = false, nil },
		"no pane": func(s *listed) {
			s.panes, s.open = append(s.panes[:1:1], &SidePane{End: noon + 9*minute, Whole: true}), true
		},
	} {
		part := twoPanes(t, nil)
		change(part)
		if d := diffOf(t, twoPanes(t, nil), part); !d.Same() || d.NotFinal != 2 || d.Compared != 2 {
			t.Errorf("%s: %+v", name, d)
		}
		part = twoPanes(t, nil)
		change(part)
		if d := diffOf(t, part, twoPanes(t, nil)); !d.Same() || d.NotFinal != 2 || d.Compared != 2 {
			t.Errorf("%s, the other way round: %+v", name, d)
		}
	}
	feed := &feedSide{newest: 2, shards: map[int32]bool{0: true, 1: true}, frontiers: map[int32]*pb.FeedFrontier{
		0: {Incarnation: 2, FinalUs: noon + minute}, 1: {Shard: 1, Incarnation: 2, FinalUs: noon},
	}}
	if !feed.Whole(noon) || feed.Whole(noon+minute) {
		t.Error("a feed is whole up to the least of its shards' frontiers")
	}
	if feed.frontiers[1].Incarnation = 1; feed.Whole(noon) {
		t.Error("a frontier of an older incarnation counts")
	}
}

// A server's panes are whole from the second that it closed since it started, up
// to the final frontier that it had when it read them.
func TestLiveSideIsWhole(t *testing.T) {
	plan, cells := planOf(t, "diff", "t", "json"), someCells(t)
	s := &server{}
	for _, c := range plan.Columns {
		s.columns = append(s.columns, ManifestColumn{Name: c.Name, Kind: kindName(c.Kind)})
	}
	for i, c := range []struct {
		end, final int64 // minutes
		revision   int32
	}{{0, 3, 1}, {1, 3, 0}, {3, 4, 0}, {4, 4, 1}, {5, 4, 0}, {7, 9, 0}} {
		m := &pb.ScanResponse{Resolution: 9, Final: &timestamppb.Timestamp{Seconds: (noon + c.final*minute) / 1e6}}
		for range plan.Columns {
			m.Columns = append(m.Columns, &pb.Column{})
		}
		b := simple(plan, noon+c.end*minute, c.revision, int64(i), cells[20])
		scanned(m, b.rows(plan), pb.RowState_ROW_STATE_FINAL)
		s.messages = append(s.messages, m)
	}
	side, err := OpenLiveSide(t.Context(), "grpc://test", s)
	if err != nil {
		t.Fatal(err)
	}
	defer side.Close()
	whole := map[int64]bool{}
	for p, err := side.Next(t.Context()); err == nil; p, err = side.Next(t.Context()) {
		whole[(p.End-noon)/minute] = p.Whole
	}
	want := map[int64]bool{0: false, 1: false, 3: true, 4: true, 5: false, 7: true}
	if !maps.Equal(whole, want) || !side.Whole(noon+2*minute) || side.Whole(noon+6*minute) {
		t.Errorf("whole panes: %v, not %v; without rows: %v, %v", whole, want, side.Whole(noon+2*minute), side.Whole(noon+6*minute))
	}
}

// scanned adds a row to a message as a server does.
func scanned(m *pb.ScanResponse, r *stream.Rows, state pb.RowState) {
	position := uint32(len(m.Entities))
	m.Entities = append(m.Entities, &pb.Entity{Cell: uint64(r.Cells[0]), WindowEnd: &timestamppb.Timestamp{Seconds: r.WindowEnd / 1e6}, State: state, Revision: r.Revision})
	for c := range r.Columns {
		v, out := &r.Columns[c], m.Columns[c]
		if v.Null(0) {
			out.Nulls = append(out.Nulls, position)
		}
		out.Integers, out.Floats = append(out.Integers, v.Ints...), append(out.Floats, v.Floats...)
	}
}
