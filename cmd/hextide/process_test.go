package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bound is how long anything here may take at most. It is no expectation: what
// takes so long hangs.
const bound = 90 * time.Second

// process is a hextide that runs.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err *output
	ended    chan struct{}
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start starts hextide in a folder of its own, with variables for it alone.
func start(t *testing.T, variables []string, arguments ...string) *process {
	t.Helper()
	c := exec.Command(hextide, arguments...)
	c.Dir = t.TempDir()
	return launch(t, c, variables)
}

func launch(t *testing.T, c *exec.Cmd, variables []string) *process {
	t.Helper()
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "HEXTIDE_") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(c.Env, variables...)
	p := &process{t: t, cmd: c, out: &output{}, err: &output{}, ended: make(chan struct{})}
	c.Stdout, c.Stderr = p.out, p.err
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = c.Wait() // how it ended is asked of ProcessState
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as a power cut would, and waits until it has gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// interrupt asks the process to end, as Ctrl-C does.
func (p *process) interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Errorf("interrupting %v: %v\n%s", p.cmd.Args, err, p.err)
	}
}

// wait waits for the end and returns the exit code; -1: it was killed.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(bound):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		<-p.ended
		p.t.Fatalf("%v has not ended\n%s\n%s", p.cmd.Args, p.out, p.err)
	}
	if text := p.err.String(); strings.Contains(text, "panic") || strings.Contains(text, "goroutine ") || strings.Contains(text, "fatal error") {
		p.t.Fatalf("%v panics:\n%s", p.cmd.Args, text)
	}
	return p.cmd.ProcessState.ExitCode()
}

// killed tells whether SIGKILL ended the process.
func (p *process) killed() bool {
	status, is := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return is && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// until waits for something to become true while the process runs.
func (p *process) until(what string, is func() bool) {
	p.t.Helper()
	limit := time.After(bound)
	for !is() {
		select {
		case <-p.ended:
			if !is() {
				p.t.Fatalf("%v ended before %s\n%s\n%s", p.cmd.Args, what, p.out, p.err)
			}
			return
		case <-limit:
			p.t.Fatalf("%v: no %s\n%s\n%s", p.cmd.Args, what, p.out, p.err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// says waits for text on standard output or standard error.
func (p *process) says(text string) {
	p.t.Helper()
	p.until(strconv.Quote(text), func() bool {
		return strings.Contains(p.out.String(), text) || strings.Contains(p.err.String(), text)
	})
}

// do runs hextide to its end and expects an exit code.
func do(t *testing.T, code int, arguments ...string) *process {
	t.Helper()
	return doWith(t, code, nil, arguments...)
}

func doWith(t *testing.T, code int, variables []string, arguments ...string) *process {
	t.Helper()
	p := start(t, variables, arguments...)
	if got := p.wait(); got != code {
		t.Fatalf("hextide %s: exit code %d, not %d\n%s\n%s", strings.Join(arguments, " "), got, code, p.out, p.err)
	}
	return p
}

var addresses = regexp.MustCompile(`grpc=(\S+) http=(\S+)`)

// address waits until a run says where it listens.
func (p *process) address() (grpc, http string) {
	p.t.Helper()
	p.says("the pipeline starts")
	p.until("addresses", func() bool { return addresses.MatchString(p.err.String()) })
	found := addresses.FindStringSubmatch(p.err.String())
	return found[1], found[2]
}

// figures are the metrics of a run, by name and labels as Prometheus writes them.
type figures map[string]float64

func scrape(http string) (figures, error) {
	status, text, err := ask(http, "/metrics")
	if err != nil || status != 200 {
		return nil, fmt.Errorf("metrics: %d, %w", status, err)
	}
	all := figures{}
	for line := range strings.Lines(text) {
		name, value, is := strings.Cut(strings.TrimSpace(line), " ")
		if number, err := strconv.ParseFloat(value, 64); is && err == nil {
			all[strings.TrimPrefix(name, "hextide_")] = number
		}
	}
	return all, nil
}

// ask gets a page of a run.
func ask(address, path string) (status int, text string, err error) {
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get("http://" + address + path)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}

// measures waits until the figures of a run are as they should be.
func (p *process) measures(http, what string, is func(figures) bool) figures {
	p.t.Helper()
	var last figures
	p.until(what, func() bool {
		f, err := scrape(http)
		if err != nil {
			return false
		}
		last = f
		return is(f)
	})
	return last
}

// errNone says that a file holds no hash.
var errNone = errors.New("no content_hash was printed")

var hashLine = regexp.MustCompile(`content_hash ([0-9a-f]{32})`)

// hash is the content_hash that a process printed.
func (p *process) hash() string {
	p.t.Helper()
	found := hashLine.FindStringSubmatch(p.out.String())
	if found == nil {
		p.t.Fatalf("%v: %v\n%s\n%s", p.cmd.Args, errNone, p.out, p.err)
	}
	return found[1]
}
