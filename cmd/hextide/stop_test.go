package main

import (
	"net"
	"strings"
	"testing"
	"time"
)

// A demo that is stopped before it runs ends as one that runs does.
func TestDemoStopsAtAnyMoment(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond, 80 * time.Millisecond, 300 * time.Millisecond} {
		p := start(t, nil, "demo", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
		p.says("hextide demo:")
		time.Sleep(after) // any moment is right
		p.interrupt()
		if code := p.wait(); code != exitDone || strings.Contains(p.err.String(), "canceled") || !strings.HasSuffix(p.out.String(), "ended\n") {
			t.Errorf("stopped %v after its first line: exit code %d\n%s\n%s", after, code, p.out, p.err)
		}
	}
}

// The same of a run whose broker does not answer.
func TestRunStopsBeforeItBegins(t *testing.T) {
	t.Parallel()
	definition, _ := define(t, city)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := silent.(*net.TCPListener).SetDeadline(time.Now().Add(bound)); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "run", definition, "--brokers", silent.Addr().String(), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	connection, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	p.interrupt()
	if code := p.wait(); code != exitDone || strings.Contains(p.err.String(), "canceled") {
		t.Errorf("exit code %d\n%s", code, p.err)
	}
}
