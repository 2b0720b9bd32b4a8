package serving

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/hextide/hextide/geo"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

func textsOf(cells ...geo.Cell) (texts []string) {
	for _, c := range cells {
		texts = append(texts, c.String())
	}
	return texts
}

// watching starts a watch and returns the error that ends it at once.
func (r *running) watching(t testing.TB, request *pb.WatchRequest) error {
	t.Helper()
	w, err := r.client.Watch(t.Context(), request)
	if err == nil {
		_, err = w.Recv()
	}
	return err
}

// A column is named at most once, and unknown names make no long message; every
// call with columns says so.
func TestColumnsAskedFor(t *testing.T) {
	r := serve(t)
	cell := textsOf(r.cells[0])
	for text, columns := range map[string][]string{
		"300000 columns asked for; there are 5":               slices.Repeat([]string{"share"}, 300_000),
		`column "share" is asked for more than once`:          {"share", "share"},
		`no column "` + strings.Repeat("x", 32) + `"…: Descr`: {strings.Repeat("x", 1<<20)},
		`no column "zzz": Describe`:                           {"zzz"},
	} {
		_, err := r.client.Lookup(t.Context(), &pb.LookupRequest{H3: cell, Columns: columns})
		code(t, err, codes.InvalidArgument, text)
		_, err = r.client.Latest(t.Context(), &pb.LatestRequest{Columns: columns})
		code(t, err, codes.InvalidArgument, text)
		_, err = r.client.History(t.Context(), &pb.HistoryRequest{H3: cell[0], Columns: columns})
		code(t, err, codes.InvalidArgument, text)
		code(t, r.watching(t, &pb.WatchRequest{H3: cell, Columns: columns}), codes.InvalidArgument, text)
	}
}

// No answer has more values than the limit: 60, which is 12 entities of 5 columns.
func TestValuesAskedFor(t *testing.T) {
	r := serve(t)
	if _, err := r.client.Lookup(t.Context(), &pb.LookupRequest{H3: textsOf(r.cells...)}); err != nil {
		t.Error(err)
	}
	text, many := "13 entities × 5 columns asked for; at most 60 values", textsOf(append(r.cells, r.cells[0])...)
	_, err := r.client.Lookup(t.Context(), &pb.LookupRequest{H3: many})
	code(t, err, codes.InvalidArgument, text)
	code(t, r.watching(t, &pb.WatchRequest{H3: many}), codes.InvalidArgument, text)
	if _, err := r.client.Lookup(t.Context(), &pb.LookupRequest{H3: many, Columns: []string{"share"}}); err != nil {
		t.Error(err)
	}

	narrow := NewService(r.plan, r.store, r.core, Limits{Values: 9, Rows: 9}, "")
	for _, open := range []bool{false, true} {
		_, err = narrow.Latest(t.Context(), &pb.LatestRequest{Open: open})
		code(t, err, codes.InvalidArgument, "9 entities × 5 columns asked for; at most 9 values")
		if _, err := narrow.Latest(t.Context(), &pb.LatestRequest{Open: open, Limit: 1}); err != nil {
			t.Error(err)
		}
	}
	history := &pb.HistoryRequest{H3: textsOf(r.cells[0])[0]}
	_, err = narrow.History(t.Context(), history)
	code(t, err, codes.InvalidArgument, "2 entities × 5 columns")
	_, err = NewService(r.plan, r.store, r.core, Limits{Rows: 1}, "").History(t.Context(), history)
	code(t, err, codes.InvalidArgument, "2 rows asked for; at most 1")
}

// Streams beyond the limit are refused until others have ended.
func TestStreamsAtATime(t *testing.T) {
	r := serve(t)
	for range 3 { // as many as may be, each ended
		w, err := r.client.Scan(t.Context(), &pb.ScanRequest{})
		for err == nil {
			_, err = w.Recv()
		}
		if !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var last grpc.ServerStreamingClient[pb.WatchResponse]
	for range 3 {
		w, err := r.client.Watch(ctx, &pb.WatchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Header(); err != nil {
			t.Fatal(err)
		}
		last = w
	}
	code(t, r.watching(t, &pb.WatchRequest{}), codes.ResourceExhausted, "3 watches and scans are open")
	scan, err := r.client.Scan(t.Context(), &pb.ScanRequest{})
	if err == nil {
		_, err = scan.Recv()
	}
	code(t, err, codes.ResourceExhausted, "at most 3")
	cancel()
	_, err = last.Recv()
	code(t, err, codes.Canceled, "")
}

// What waits for a watcher is bounded in bytes, one block apart; what it has
// read counts no more.
func TestWatcherBytes(t *testing.T) {
	var h hub
	w := h.add()
	of := func(bytes int) *block { // of values of 64 bits
		cells := make([]geo.Cell, bytes/8)
		for i := range cells {
			cells[i] = geo.Cell(uint64(i) * 0x9e3779b97f4a7c15)
		}
		return packed(&stream.Rows{Cells: cells})
	}
	half, large := of(watchBytes/2-1<<16), of(2*watchBytes)
	put := func(b *block, want bool) {
		t.Helper()
		h.publish([]*block{b})
		if h.watchers[w] != want || w.slow == want {
			t.Errorf("watching: %v", h.watchers[w])
		}
	}
	for range 9 {
		put(half, true)
		w.taken(<-w.blocks)
	}
	put(large, true)
	w.taken(<-w.blocks)
	put(half, true)
	put(half, true)
	put(half, false)
	h.remove(w)
}
