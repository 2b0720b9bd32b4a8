package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/test/bufconn"
)

// Addresses are where a server listens, as host:port; port 0 takes a free one,
// an empty address leaves that listener out.
type Addresses struct {
	GRPC  string
	HTTP  string // gateway, page, metrics, probes
	Pprof string // profiles, apart from everything that users reach
}

// Parts are what a server shows beside the service itself.
type Parts struct {
	Metrics http.Handler // GET /metrics
	Page    http.Handler // everything that is no call
	Ready   func() error // returns nil when ready for traffic, else why not; without it: always ready
	Logger  *slog.Logger // default slog.Default()

	Checkpoint func(context.Context) (epoch int64, err error) // POST /checkpoint: takes one and returns when it is committed; nil: it cannot be asked for
}

// Server serves one pipeline over gRPC and HTTP.
type Server struct {
	service *Service
	parts   Parts
	grpc    *grpc.Server
	health  *health.Server
	inner   *bufconn.Listener // the gateway's way to the service
	gateway *grpc.ClientConn
	http    []*http.Server
	serving sync.WaitGroup
	bound   Addresses
	closing sync.Once
}

// maxMessage bounds a request, in bytes.
const maxMessage = 4 << 20

// unaryTimeout ends unary calls that come without a deadline.
const unaryTimeout = 30 * time.Second

// Listen starts serving on the addresses; Close ends it.
func Listen(a Addresses, service *Service, parts Parts) (*Server, error) {
	if parts.Logger == nil {
		parts.Logger = slog.Default()
	}
	if parts.Ready == nil {
		parts.Ready = func() error { return nil }
	}
	s := &Server{service: service, parts: parts, health: health.NewServer(), inner: bufconn.Listen(1 << 20)}
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.ChainUnaryInterceptor(recoverUnary(parts.Logger), deadline),
		grpc.ChainStreamInterceptor(recoverStream(parts.Logger)),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	pb.RegisterHextideServer(s.grpc, service)
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.SetReady(false)
	if err := s.listen(a); err != nil {
		s.Close(context.Background())
		return nil, err
	}
	return s, nil
}

func (s *Server) listen(a Addresses) error {
	s.serve(func() error { return s.grpc.Serve(s.inner) })
	if a.GRPC != "" {
		l, err := net.Listen("tcp", a.GRPC)
		if err != nil {
			return fmt.Errorf("listening for gRPC: %w", err)
		}
		s.bound.GRPC = l.Addr().String()
		s.serve(func() error { return s.grpc.Serve(l) })
	}
	calls, err := s.gatewayHandler()
	if err != nil {
		return fmt.Errorf("starting the HTTP gateway: %w", err)
	}
	if s.bound.HTTP, err = s.listenHTTP(a.HTTP, s.routes(calls)); err != nil {
		return fmt.Errorf("listening for HTTP: %w", err)
	}
	if s.bound.Pprof, err = s.listenHTTP(a.Pprof, profiles()); err != nil {
		return fmt.Errorf("listening for profiles: %w", err)
	}
	return nil
}

// serve runs a listener's loop until Close.
func (s *Server) serve(loop func() error) {
	s.serving.Add(1)
	go func() {
		defer s.serving.Done()
		if err := loop(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
			s.parts.Logger.Error("a listener ended", "error", err)
		}
	}()
}

func (s *Server) listenHTTP(address string, handler http.Handler) (string, error) {
	if address == "" {
		return "", nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: wholeBodies(handler, bodyTimeout), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	s.http = append(s.http, server)
	s.serve(func() error { return server.Serve(l) })
	return l.Addr().String(), nil
}

// Bound is where the server listens, with the ports that were taken.
func (s *Server) Bound() Addresses { return s.bound }

// SetReady tells health checks whether the pipeline is ready for traffic.
func (s *Server) SetReady(ready bool) {
	state := healthpb.HealthCheckResponse_NOT_SERVING
	if ready {
		state = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", state)
	s.health.SetServingStatus(pb.Hextide_ServiceDesc.ServiceName, state)
}

// Close ends all listeners: calls in progress may finish until ctx is done,
// streams are ended. Calls after the first do nothing.
func (s *Server) Close(ctx context.Context) { s.closing.Do(func() { s.close(ctx) }) }

func (s *Server) close(ctx context.Context) {
	s.health.Shutdown()
	s.service.Stop()
	for _, server := range s.http {
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close() // out of time: connections are cut
		}
	}
	if s.gateway != nil {
		_ = s.gateway.Close() // in process: nothing can be lost
	}
	stopped := make(chan struct{})
	go func() { s.grpc.GracefulStop(); close(stopped) }()
	select {
	case <-stopped:
	case <-ctx.Done():
		s.grpc.Stop()
		<-stopped
	}
	s.serving.Wait()
}
