package serving

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// routes lays out the HTTP side: calls, metrics, probes, page.
func (s *Server) routes(calls http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/", calls)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.parts.Ready(); err != nil {
			reply(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		reply(w, http.StatusOK, "ready")
	})
	if s.parts.Metrics != nil {
		mux.Handle("GET /metrics", s.parts.Metrics)
	}
	if s.parts.Checkpoint != nil {
		mux.HandleFunc("POST /checkpoint", s.checkpoint)
	}
	if s.parts.Page != nil {
		mux.Handle("/", s.parts.Page)
	}
	return mux
}

// checkpoint takes a checkpoint and answers with its epoch. Pages of a browser, of
// whichever site, may not ask for it.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		reply(w, http.StatusForbidden, "not from a page")
		return
	}
	epoch, err := s.parts.Checkpoint(r.Context())
	if err != nil {
		reply(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	reply(w, http.StatusOK, strconv.FormatInt(epoch, 10))
}

// reply writes a line of text; a client that has gone is nobody's error.
func reply(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n"))
}

// profiles serves net/http/pprof on a mux of its own.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// deadline gives unary calls that have none the server's own.
func deadline(ctx context.Context, request any, _ *grpc.UnaryServerInfo, call grpc.UnaryHandler) (any, error) {
	if _, set := ctx.Deadline(); set {
		return call(ctx, request)
	}
	ctx, cancel := context.WithTimeout(ctx, unaryTimeout)
	defer cancel()
	return call(ctx, request)
}

// recoverUnary turns a panic of one call into its INTERNAL error: a fault in
// answering must not stop the pipeline.
func recoverUnary(logger *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, call grpc.UnaryHandler) (response any, err error) {
		defer caught(logger, info.FullMethod, &err)
		return call(ctx, request)
	}
}

func recoverStream(logger *slog.Logger) grpc.StreamServerInterceptor {
	return func(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, call grpc.StreamHandler) (err error) {
		defer caught(logger, info.FullMethod, &err)
		return call(service, stream)
	}
}

func caught(logger *slog.Logger, method string, err *error) {
	if fault := recover(); fault != nil {
		logger.Error("a call failed by a fault of the server", "method", method, "fault", fault, "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "a fault of the server; its log has more")
	}
}
