package testserver

import (
	"os/exec"
	"testing"
)

// Server is a server of one test's own, which the test may stop, kill and start
// again to see how others bear it. It goes when the test ends.
type Server struct {
	t           testing.TB
	held        *held
	environment []string
}

// Broker is a Kafka of one test's own. What it stored, and its port, outlive
// Stop and Kill.
type Broker struct{ Server }

// NewBroker starts a Kafka for this test alone. It takes some seconds: tests
// that only need a broker call Kafka.
func NewBroker(t testing.TB) *Broker {
	t.Helper()
	return &Broker{own(t, kafka)}
}

// RedisServer is a Redis of one test's own. Its port outlives Stop and Kill.
type RedisServer struct{ Server }

// NewRedis starts a Redis for this test alone that writes every change to disk
// before it answers, so that what it stored outlives Stop and Kill.
func NewRedis(t testing.TB) *RedisServer {
	t.Helper()
	return &RedisServer{own(t, redis, "REDIS_KEEP=1")}
}

// NewEmptyRedis starts a Redis for this test alone that keeps nothing on disk: it
// is empty after Stop and Kill.
func NewEmptyRedis(t testing.TB) *RedisServer {
	t.Helper()
	return &RedisServer{own(t, redis, "REDIS_KEEP=0")}
}

func own(t testing.TB, k kind, environment ...string) Server {
	t.Helper()
	h, err := hold(k, environment...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.release)
	return Server{t: t, held: h, environment: environment}
}

// Addr is the server's address, host:port; the same for its whole life.
func (s *Server) Addr() string { return s.held.address }

// Stop ends the server in good order and returns when it has gone.
func (s *Server) Stop() {
	s.t.Helper()
	s.command("stop")
}

// Kill ends the server with SIGKILL and returns when it has gone.
func (s *Server) Kill() {
	s.t.Helper()
	s.command("kill")
}

// Start starts the server again after Stop or Kill, with its data and its port,
// and returns when it answers.
func (s *Server) Start() {
	s.t.Helper()
	s.command("start")
}

func (s *Server) command(verb string) {
	s.t.Helper()
	c := exec.Command(script(s.held.kind), verb, s.held.folder)
	c.Env = append(c.Environ(), s.environment...)
	if out, err := c.CombinedOutput(); err != nil {
		s.t.Fatalf("%s %s: %v: %s", s.held.kind, verb, err, out)
	}
}
