// Package testserver gives tests real servers: an Apache Kafka and a Redis on
// loopback, started by scripts/kafka.sh and scripts/redis.sh. It promises that
// nothing outlives the test binary, neither process nor file, not even when the
// binary is killed: each server is held by a process that waits on a pipe and
// cleans up when the pipe closes. A server that cannot start fails the test; no
// test is ever left out for the lack of one.
//
// Tests must keep to names of their own in a shared server (topics, key
// prefixes), since other packages may be using it at the same time.
package testserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// The environment variables that name servers to share. The scripts of the
// whole test run set them, so that one pair of servers serves all packages.
const (
	KafkaVariable = "HEXTIDE_TEST_KAFKA"
	RedisVariable = "HEXTIDE_TEST_REDIS"
)

// Kafka is the bootstrap address (host:port) of a real broker that all tests of
// the binary share, started at the first call.
func Kafka(t testing.TB) string {
	t.Helper()
	return shared(t, KafkaVariable, kafka)
}

// Redis is the address (host:port) of a real Redis that all tests of the binary
// share, started at the first call.
func Redis(t testing.TB) string {
	t.Helper()
	return shared(t, RedisVariable, redis)
}

// kind is a sort of server: the name of its script.
type kind string

const (
	kafka kind = "kafka"
	redis kind = "redis"
)

// The servers that the tests of this binary share. They are held until the
// process ends.
var (
	sharedKafka = sync.OnceValues(func() (*held, error) { return hold(kafka) })
	sharedRedis = sync.OnceValues(func() (*held, error) { return hold(redis) })
)

func shared(t testing.TB, variable string, k kind) string {
	t.Helper()
	if address := os.Getenv(variable); address != "" {
		return address
	}
	start := sharedKafka
	if k == redis {
		start = sharedRedis
	}
	h, err := start()
	if err != nil {
		t.Fatal(err)
	}
	return h.address
}

// held is a server whose folder and process go when leash closes, or when this
// process ends and the kernel closes it.
type held struct {
	kind    kind
	folder  string
	address string
	leash   io.Closer
	ended   chan struct{} // closed when the holder has cleaned up
}

// hold starts a server and waits until it answers.
func hold(k kind, environment ...string) (*held, error) {
	parent, err := os.MkdirTemp("", "hextide-test-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for %s: %w", k, err)
	}
	folder := filepath.Join(parent, string(k))
	// The holder removes the parent too, after the server's own folder.
	holder := exec.Command("bash", "-c", `"$0" hold "$1"; rmdir "$2"`, script(k), folder, parent)
	holder.Env = append(os.Environ(), environment...)
	holder.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C must not end it before it cleaned up
	h := &held{kind: k, folder: folder, ended: make(chan struct{})}
	if err := h.launch(holder); err != nil {
		return nil, fmt.Errorf("starting %s: %w", k, err)
	}
	return h, nil
}

func (h *held) launch(holder *exec.Cmd) error {
	leash, err := holder.StdinPipe()
	if err != nil {
		return err
	}
	said, err := holder.StdoutPipe()
	if err != nil {
		return err
	}
	// A file, not a pipe: who waits for this process's output must not wait for
	// a holder that is still cleaning up.
	complaints, err := os.CreateTemp("", "hextide-test-")
	if err != nil {
		return err
	}
	defer complaints.Close()
	defer os.Remove(complaints.Name())
	holder.Stderr = complaints
	if err := holder.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(said).ReadString('\n')
	h.address, h.leash = strings.TrimSpace(line), leash
	go func() {
		defer close(h.ended)
		_ = holder.Wait() // how it ended says nothing more
	}()
	if err != nil || h.address == "" {
		h.release()
		text, _ := os.ReadFile(complaints.Name())
		return errors.New(strings.TrimSpace(string(text)))
	}
	return nil
}

// release ends the server and waits until nothing of it is left.
func (h *held) release() {
	_ = h.leash.Close()
	<-h.ended
}

// script is the path of a server's script in this source tree.
func script(k kind) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "scripts", string(k)+".sh")
}
