package serving

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/pipeline"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

// core stands for the running pipeline: open rows count 100.
type core struct {
	open       atomic.Value // answering: calls that were given up may still ask
	incomplete []stream.IncompleteColumn
}

type answering = func(context.Context, []geo.Cell) ([]*stream.Rows, error)

func (c *core) Open(ctx context.Context, cells []geo.Cell) ([]*stream.Rows, error) {
	return c.open.Load().(answering)(ctx, cells)
}

func (c *core) RefillRedis(_ context.Context, progress func(written, of int)) (int, error) {
	progress(1, 2)
	progress(2, 2)
	return 2, nil
}

func (c *core) Incomplete() []stream.IncompleteColumn { return c.incomplete }

func (c *core) Status() *pb.StatusResponse { return &pb.StatusResponse{Phase: "running", Rows: 7} }

// running is a server on loopback with a client.
type running struct {
	plan   *pipeline.Plan
	cells  []geo.Cell
	store  *Store
	core   *core
	server *Server
	client pb.HextideClient
	conn   *grpc.ClientConn
	ready  error
}

// serve starts a server whose first 10 cells have rows of two window ends, the
// first of them final; cell 1 has ceased.
func serve(t testing.TB) *running {
	t.Helper()
	r := &running{plan: planOf(t, "0, 1", "1m, 2m"), cells: cellsOf(t, 12)}
	r.store = NewStore(r.plan, Bounds{})
	r.core = &core{}
	r.core.open.Store(func(_ context.Context, cells []geo.Cell) ([]*stream.Rows, error) {
		b := blockOf(r.plan, noon+2*minute, 0, 100, cells[0])
		b.Open = true
		return []*stream.Rows{b}, nil
	})
	service := NewService(r.plan, r.store, r.core, Limits{Cells: 20, Rows: 8, Values: 60, Streams: 3}, "v-test")
	var err error
	r.server, err = Listen(Addresses{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Pprof: "127.0.0.1:0"}, service, Parts{
		Logger: slog.New(slog.DiscardHandler), Ready: func() error { return r.ready },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("metrics")) }),
		Page:    http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("page")) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.conn, err = grpc.NewClient(r.server.Bound().GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	r.client = pb.NewHextideClient(r.conn)
	t.Cleanup(func() {
		_ = r.conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r.server.Close(ctx)
		r.server.Close(ctx) // once more does nothing
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	marker := blockOf(r.plan, noon+minute, 0, 0, r.cells[1])
	marker.Empty = true
	parent, err := r.cells[0].Parent(8)
	if err != nil {
		t.Fatal(err)
	}
	put(t, r.store, nil, blockOf(r.plan, noon, 0, 1, r.cells[:10]...), blockOf(r.plan, noon, 0, 9, parent))
	put(t, r.store, &stream.Frontier{Provisional: noon + minute, Final: noon},
		blockOf(r.plan, noon+minute, 0, 2, append(slices.Clone(r.cells[:1]), r.cells[2:9]...)...), marker)
	return r
}

// code is a call's status, which must hold a text.
func code(t testing.TB, err error, want codes.Code, text string) {
	t.Helper()
	if status.Code(err) != want || !strings.Contains(status.Convert(err).Message(), text) {
		t.Errorf("the status is %v, not %v with %q", err, want, text)
	}
}

// An answer holds the entities in the order asked, each with the state that
// docs/serving.md says, and columns as asked.
func TestLookup(t *testing.T) {
	r := serve(t)
	lat, lng := 37.77, -122.42
	at, err := geo.Index(lat, lng, 9)
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.client.Lookup(t.Context(), &pb.LookupRequest{Cells: []uint64{uint64(r.cells[9]), uint64(r.cells[1]), uint64(r.cells[11])},
		H3: []string{r.cells[0].String()}, Locations: []*pb.LatLng{{Lat: lat, Lng: lng}}, Columns: []string{"share", "n_k1_w2m"}})
	if err != nil {
		t.Fatal(err)
	}
	final, provisional, empty := pb.RowState_ROW_STATE_FINAL, pb.RowState_ROW_STATE_PROVISIONAL, pb.RowState_ROW_STATE_EMPTY
	for i, want := range []struct {
		cell  geo.Cell
		state pb.RowState
		end   int64
	}{{r.cells[9], final, noon}, {r.cells[1], empty, noon + minute}, {r.cells[11], empty, noon + minute}, {r.cells[0], provisional, noon + minute}, {at, empty, noon + minute}} {
		e := a.Entities[i]
		if e.Cell != uint64(want.cell) || e.H3 != want.cell.String() || e.State != want.state || e.WindowEnd.AsTime().UnixMicro() != want.end || e.AgeSeconds != 0 {
			t.Errorf("entity %d is %v, not %v", i, e, want)
		}
	}
	if len(a.Columns) != 2 || a.Columns[0].Name != "share" || !slices.Equal(a.Columns[0].Floats, []float64{1, 0, 0, 1, 0}) || !slices.Equal(a.Columns[0].Nulls, []uint32{1, 2, 4}) ||
		a.Columns[1].Name != "n_k1_w2m" || !slices.Equal(a.Columns[1].Integers, []int64{1, 0, 0, 2, 0}) || a.Columns[1].Nulls != nil {
		t.Errorf("columns %v", a.Columns)
	}
	if a.Watermark.AsTime().UnixMicro() != noon+minute || a.Final.AsTime().UnixMicro() != noon {
		t.Errorf("frontiers %v, %v", a.Watermark, a.Final)
	}
	b, err := r.client.Lookup(t.Context(), &pb.LookupRequest{Cells: []uint64{uint64(r.cells[0])}, Compact: true})
	if err != nil || len(b.Columns) != len(r.plan.Columns) || b.Columns[0].Name != "" || b.Entities[0].H3 != "" {
		t.Errorf("%v, %v", b, err)
	}
}

// Open windows answer where there are some, closed rows where not.
func TestLookupOpen(t *testing.T) {
	r := serve(t)
	request := &pb.LookupRequest{Cells: []uint64{uint64(r.cells[0]), uint64(r.cells[2])}, Open: true}
	a, err := r.client.Lookup(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if a.Entities[0].State != pb.RowState_ROW_STATE_OPEN || a.Entities[1].State != pb.RowState_ROW_STATE_PROVISIONAL || !slices.Equal(a.Columns[0].Integers, []int64{100, 2}) {
		t.Errorf("%v", a)
	}
	latest, err := r.client.Latest(t.Context(), &pb.LatestRequest{Open: true})
	if err != nil || latest.Entities[0].State != pb.RowState_ROW_STATE_OPEN || len(latest.Entities) != 8 {
		t.Errorf("%v, %v", latest, err)
	}
	few := NewService(r.plan, r.store, r.core, Limits{Cells: 8}, "")
	parent, _ := r.cells[0].Parent(8)
	if _, err := few.Latest(t.Context(), &pb.LatestRequest{Open: true, Within: parent.String()}); err != nil {
		t.Error(err)
	}
	_, err = few.Latest(t.Context(), &pb.LatestRequest{Open: true})
	code(t, err, codes.InvalidArgument, "open windows of 9 cells asked for; at most 8 may be in one call: give within or limit")
	if _, err := few.Latest(t.Context(), &pb.LatestRequest{Open: true, Limit: 8}); err != nil {
		t.Error(err)
	}
	_, err = r.client.Latest(t.Context(), &pb.LatestRequest{Open: true, Resolution: 8})
	code(t, err, codes.InvalidArgument, "resolution 9")
	_, err = r.client.Lookup(t.Context(), &pb.LookupRequest{Cells: []uint64{uint64(parent)}, Open: true})
	code(t, err, codes.InvalidArgument, "resolution 9")
	r.core.open.Store(func(context.Context, []geo.Cell) ([]*stream.Rows, error) { return nil, errors.New("it stopped") })
	_, err = r.client.Lookup(t.Context(), request)
	code(t, err, codes.Unavailable, "it stopped")
	r.core.open.Store(func(ctx context.Context, _ []geo.Cell) ([]*stream.Rows, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = r.client.Lookup(ctx, request)
	code(t, err, codes.DeadlineExceeded, "")
	r.core.open.Store(func(context.Context, []geo.Cell) ([]*stream.Rows, error) { panic("a fault") })
	_, err = r.client.Lookup(t.Context(), request)
	code(t, err, codes.Internal, "fault of the server")
}

// After a restart a cell of which no row has come answers that it is not known.
func TestLookupAfterRestart(t *testing.T) {
	r := serve(t)
	state, err := r.store.Checkpoint(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.Restore(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	a, err := r.client.Lookup(t.Context(), &pb.LookupRequest{Cells: []uint64{uint64(r.cells[11]), uint64(r.cells[0])}})
	if err != nil {
		t.Fatal(err)
	}
	if e := a.Entities[0]; e.State != pb.RowState_ROW_STATE_UNSPECIFIED || e.WindowEnd != nil || !slices.Equal(a.Columns[0].Nulls, []uint32{0}) {
		t.Errorf("%v, %v", e, a.Columns[0])
	}
	if a.Entities[1].State != pb.RowState_ROW_STATE_PROVISIONAL {
		t.Errorf("%v", a.Entities[1])
	}
}

// What cannot be answered is refused with what is wrong and what there is.
func TestRefusals(t *testing.T) {
	r := serve(t)
	good := uint64(r.cells[0])
	finer, err := r.cells[0].CenterChild(10)
	if err != nil {
		t.Fatal(err)
	}
	for text, request := range map[string]*pb.LookupRequest{
		`did you mean "n_k0_w1m"?`:    {Cells: []uint64{good}, Columns: []string{"n_k0_w1n"}},
		"not an H3 cell":              {Cells: []uint64{12345}},
		`"xyz"`:                       {H3: []string{"xyz"}},
		"resolution 10":               {Cells: []uint64{uint64(finer)}},
		"at most 20":                  {Cells: slices.Repeat([]uint64{good}, 21)},
		"give cells, h3 or locations": {},
		"latitude":                    {Locations: []*pb.LatLng{{Lat: 91, Lng: 0}}},
		`no column "x": Describe`:     {Cells: []uint64{good}, Columns: []string{"x", "share"}},
	} {
		_, err := r.client.Lookup(t.Context(), request)
		code(t, err, codes.InvalidArgument, text)
	}
	_, err = r.client.Lookup(t.Context(), &pb.LookupRequest{H3: []string{strings.Repeat("x", 5<<20)}})
	code(t, err, codes.ResourceExhausted, "larger than max")
	_, err = r.client.Latest(t.Context(), &pb.LatestRequest{Resolution: 3})
	code(t, err, codes.InvalidArgument, "no rows at resolution 3")
	_, err = r.client.Latest(t.Context(), &pb.LatestRequest{Within: "x"})
	code(t, err, codes.InvalidArgument, "within")
	_, err = r.client.Latest(t.Context(), &pb.LatestRequest{Within: finer.String()})
	code(t, err, codes.InvalidArgument, "no row at resolution 9 lies in it")
	_, err = r.client.Latest(t.Context(), &pb.LatestRequest{Within: r.cells[0].String(), Resolution: 8})
	code(t, err, codes.InvalidArgument, "no row at resolution 8 lies in it")
	_, err = r.client.History(t.Context(), &pb.HistoryRequest{H3: "x"})
	code(t, err, codes.InvalidArgument, "x")
	for text, request := range map[string]*pb.WatchRequest{
		"not both":  {Cells: []uint64{good}, Within: r.cells[0].String()},
		"no column": {Columns: []string{"x"}},
		"no row at": {Within: finer.String()},
	} {
		code(t, r.watching(t, request), codes.InvalidArgument, text)
	}
}

// Latest, History and Scan read what is kept.
func TestRanges(t *testing.T) {
	r := serve(t)
	latest, err := r.client.Latest(t.Context(), &pb.LatestRequest{Columns: []string{"n_k0_w1m"}})
	if err != nil || len(latest.Entities) != 8 || !latest.Truncated {
		t.Fatalf("%v, %v", latest, err)
	}
	for i, e := range latest.Entities {
		if i > 0 && e.Cell <= latest.Entities[i-1].Cell || e.State == pb.RowState_ROW_STATE_EMPTY {
			t.Errorf("entity %d is %v", i, e)
		}
	}
	parent, _ := r.cells[0].Parent(8)
	up, err := r.client.Latest(t.Context(), &pb.LatestRequest{Resolution: 8, Within: parent.String()})
	if err != nil || len(up.Entities) != 1 || up.Columns[0].Integers[0] != 9 {
		t.Errorf("%v, %v", up, err)
	}
	history, err := r.client.History(t.Context(), &pb.HistoryRequest{H3: r.cells[0].String(), From: stamp(noon - 1), To: stamp(noon + minute)})
	if err != nil || len(history.Entities) != 2 || !slices.Equal(history.Columns[0].Integers, []int64{1, 2}) {
		t.Errorf("%v, %v", history, err)
	}
	later, err := r.client.History(t.Context(), &pb.HistoryRequest{H3: r.cells[0].String(), From: stamp(noon)})
	if err != nil || len(later.Entities) != 1 {
		t.Errorf("%v, %v", later, err)
	}
	scan, err := r.client.Scan(t.Context(), &pb.ScanRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for {
		m, err := scan.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(m.Entities))
	}
	if !slices.Equal(sizes, []int{10, 1, 9}) { // noon at 9 and at 8, then the minute after
		t.Errorf("messages of %v rows", sizes)
	}
}

// A watch tells what its cells' rows become, from when its header has come.
func TestWatch(t *testing.T) {
	r := serve(t)
	coarse, _ := r.cells[0].Parent(8)
	for _, request := range []*pb.WatchRequest{{Cells: []uint64{uint64(r.cells[0])}}, {Within: coarse.String()}, {}} {
		ctx, cancel := context.WithCancel(t.Context())
		w, err := r.client.Watch(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Header(); err != nil {
			t.Fatal(err)
		}
		put(t, r.store, &stream.Frontier{Provisional: noon + 3*minute},
			blockOf(r.plan, noon+3*minute, 0, 5, r.cells[11]), // may be none of the watch's
			blockOf(r.plan, noon+3*minute, 0, 6, r.cells[0]))
		for {
			m, err := w.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if last := len(m.Entities) - 1; m.Entities[last].Cell == uint64(r.cells[0]) && m.Columns[0].Integers[last] == 6 {
				break
			}
			if request.Cells != nil {
				t.Errorf("%v is none of the watch's", m)
			}
		}
		r.store.hub.mu.Lock()
		for w := range r.store.hub.watchers {
			if n := w.bytes.Load(); n != 0 {
				t.Errorf("%d bytes wait for a watcher that has read everything", n)
			}
		}
		r.store.hub.mu.Unlock()
		cancel()
		for err == nil {
			_, err = w.Recv()
		}
		code(t, err, codes.Canceled, "")
		for watchers(r.store) > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	for limit := time.Now().Add(10 * time.Second); watchers(r.store) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("a watcher stays after its watch")
		}
	}
}

func watchers(s *Store) int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return len(s.hub.watchers)
}

// A watcher that does not read is dropped; the writer never waits for it.
func TestWatchTooSlow(t *testing.T) {
	r := serve(t)
	w, err := r.client.Watch(t.Context(), &pb.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Header(); err != nil {
		t.Fatal(err)
	}
	for i := int64(0); watchers(r.store) > 0; i++ { // gRPC's windows fill, then the buffer
		put(t, r.store, nil, blockOf(r.plan, noon+i, 0, 1, r.cells...))
		if i > 200_000 {
			t.Fatal("the watcher is never dropped")
		}
	}
	for err == nil {
		_, err = w.Recv()
	}
	code(t, err, codes.ResourceExhausted, "too slow")
}

// A server that stops ends its streams, and calls in progress may finish.
func TestStopEndsStreams(t *testing.T) {
	r := serve(t)
	w, err := r.client.Watch(t.Context(), &pb.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Header(); err != nil {
		t.Fatal(err)
	}
	r.server.Close(t.Context())
	_, err = w.Recv()
	code(t, err, codes.Unavailable, "stopping")
}

// The standard health service follows readiness, and reflection lists the service.
func TestHealthAndReflection(t *testing.T) {
	r := serve(t)
	for ready, want := range map[bool]healthpb.HealthCheckResponse_ServingStatus{true: healthpb.HealthCheckResponse_SERVING, false: healthpb.HealthCheckResponse_NOT_SERVING} {
		r.server.SetReady(ready)
		for _, service := range []string{"", "hextide.v1.Hextide"} {
			h, err := healthpb.NewHealthClient(r.conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
			if err != nil || h.Status != want {
				t.Errorf("%q: %v, %v", service, h, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := reflectionpb.NewServerReflectionClient(r.conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	m, err := s.Recv()
	if err != nil || !strings.Contains(m.String(), "hextide.v1.Hextide") {
		t.Errorf("%v, %v", m, err)
	}
}

// ask makes an HTTP request and returns its status and body.
func ask(t testing.TB, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// The same calls by HTTP, in JSON, and what stands beside them.
func TestHTTP(t *testing.T) {
	r := serve(t)
	base, cell := "http://"+r.server.Bound().HTTP, r.cells[0].String()
	for _, c := range []struct {
		method, path, body string
		code               int
		text               string
	}{
		{"POST", "/v1/lookup", fmt.Sprintf(`{"h3": [%q], "columns": ["n_k0_w1m"]}`, cell), 200, `"ROW_STATE_PROVISIONAL"`},
		{"GET", "/v1/lookup?h3=" + cell + "&columns=share", "", 200, `"floats":[1]`},
		{"POST", "/v1/lookup", `{"h3": ["x"]}`, 400, "H3"},
		{"POST", "/v1/lookup", `{`, 400, ""},
		{"POST", "/v1/lookup", `{"h3": ["` + strings.Repeat("x", 5<<20) + `"]}`, 413, "4194304"},
		{"POST", "/v1/lookup", fmt.Sprintf(`{"h3": [%q], "colums": ["share"]}`, cell), 400, `unknownfield\"colums\"`},
		{"POST", "/v1/lookup?open=true", fmt.Sprintf(`{"h3": [%q]}`, cell), 400, `unknownqueryparameter\"open\"`},
		{"GET", "/v1/lookup?h3=" + cell + "&colums=share", "", 400, `unknownqueryparameter\"colums\"`},
		{"GET", "/v1/history/" + cell + "?h3=x", "", 400, `unknownqueryparameter\"h3\"`},
		{"GET", "/v1/history/" + cell + "?columns=share&from=2008-05-21T12:00:00Z", "", 200, `"floats":[1]`},
		{"GET", "/v1/describe?verbose=1", "", 400, `unknownqueryparameter\"verbose\"`},
		{"POST", "/v1/status", "", 501, ""},
		{"POST", "/v1/latest", `{}`, 200, `"truncated":true`},
		{"GET", "/v1/history/" + cell, "", 200, `"integers":["1","2"]`},
		{"GET", "/v1/scan", "", 200, `"resolution":9`},
		{"GET", "/v1/describe", "", 200, `"name":"n_k1_w2m"`},
		{"GET", "/v1/status", "", 200, `"rows":"7"`},
		{"GET", "/v1/nothing", "", 404, ""},
		{"GET", "/healthz", "", 200, "ok"},
		{"GET", "/readyz", "", 200, "ready"},
		{"GET", "/metrics", "", 200, "metrics"},
		{"GET", "/", "", 200, "page"},
	} {
		if got, body := ask(t, c.method, base+c.path, c.body); got != c.code || !strings.Contains(strings.ReplaceAll(body, " ", ""), c.text) {
			t.Errorf("%s %s: %d %.300s, not %d with %s", c.method, c.path, got, body, c.code, c.text)
		}
	}
	r.ready = errors.New("not yet")
	if got, body := ask(t, "GET", base+"/readyz", ""); got != 503 || body != "not yet\n" {
		t.Errorf("/readyz: %d %s", got, body)
	}
	if got, body := ask(t, "GET", "http://"+r.server.Bound().Pprof+"/debug/pprof/cmdline", ""); got != 200 || body == "" {
		t.Errorf("profiles: %d", got)
	}
	if got, _ := ask(t, "GET", base+"/debug/pprof/cmdline", ""); got == 200 {
		if _, body := ask(t, "GET", base+"/debug/pprof/cmdline", ""); body != "page" {
			t.Error("profiles are served where users reach them")
		}
	}
}

// A watch by HTTP is a line of JSON a message.
func TestHTTPWatch(t *testing.T) {
	r := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "POST", "http://"+r.server.Bound().HTTP+"/v1/watch", strings.NewReader(`{"h3": ["`+r.cells[0].String()+`"]}`))
	if err != nil {
		t.Fatal(err)
	}
	go func() { // the response's header comes with the first message
		for watchers(r.store) == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		_ = r.store.Write(ctx, &stream.Output{Rows: []*stream.Rows{blockOf(r.plan, noon+2*minute, 0, 3, r.cells[0])}})
	}()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil || !strings.Contains(line, r.cells[0].String()) {
		t.Errorf("%s, %v", line, err)
	}
}

// An address that is taken is an error that says which listener.
func TestListenFails(t *testing.T) {
	r := serve(t)
	for _, a := range []Addresses{{GRPC: r.server.Bound().GRPC}, {HTTP: r.server.Bound().GRPC}, {Pprof: r.server.Bound().GRPC}} {
		service := NewService(r.plan, NewStore(r.plan, Bounds{}), r.core, Limits{}, "")
		if _, err := Listen(a, service, Parts{Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "listening for") {
			t.Error(err)
		}
	}
}
