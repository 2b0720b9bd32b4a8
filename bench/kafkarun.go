package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// program is a run of the program over a copy of the state, or over a new one.
type program struct {
	cmd    *exec.Cmd
	conn   *grpc.ClientConn
	client pb.HextideClient
	state  string // folder
	feed   string // topic; empty: none
	began  time.Time
	ended  chan error
}

// now is how a run is doing.
type now = pb.StatusResponse

// start starts the program on the history; feed is the topic of its rows, if any.
func (s *shipping) start(ctx context.Context, state, feed string, arguments ...string) (*program, error) {
	return s.launch(ctx, fmt.Sprintf(shippedPlan, s.history.panes), s.topic, state, feed, arguments...)
}

func (s *shipping) launch(ctx context.Context, plan, topic, state, feed string, arguments ...string) (*program, error) {
	if feed != "" {
		plan += fmt.Sprintf("sinks: {feed: {topic: %s, format: protobuf}}\n", feed)
	}
	definition := filepath.Join(s.folder, fmt.Sprintf("%d.yaml", s.runs))
	s.runs++
	if err := os.WriteFile(definition, []byte(plan), 0o600); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p := &program{state: state, feed: feed, ended: make(chan error, 1)}
	p.cmd = exec.CommandContext(ctx, s.binary, append(append([]string{"run", definition, "--brokers", s.brokers, "--topic", topic,
		"--grpc", address, "--http", "", "--state", state, "--log-level", "error", "--shards", "16",
		"--keep", "5m", "--keep-memory", "32MiB"}, s.arguments...), arguments...)...)
	p.cmd.Stdout, p.cmd.Stderr = os.Stderr, os.Stderr
	if p.conn, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second})); err != nil {
		return nil, err
	}
	p.client = pb.NewHextideClient(p.conn)
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", s.binary, err), p.conn.Close())
	}
	go func() { p.ended <- p.cmd.Wait() }()
	return p, nil
}

// until asks how the run is doing until a condition holds.
func (p *program) until(ctx context.Context, every time.Duration, done func(*now) bool) error {
	for {
		n, err := p.client.Status(ctx, &pb.StatusRequest{})
		if err == nil && done(n) {
			return nil
		}
		select {
		case err := <-p.ended:
			p.ended <- err
			return errors.Join(errors.New("the program ended"), err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

// stop lets the run take a last checkpoint.
func (p *program) stop() error {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	err := <-p.ended
	p.ended <- err
	return errors.Join(err, p.conn.Close())
}

// kill ends the run with SIGKILL; one that has ended stays so.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	p.ended <- <-p.ended
	_ = p.conn.Close()
}

// processors are the times that a process, and all of the machine, have had.
type processors struct {
	at            time.Time
	process, busy time.Duration
	machine       time.Duration // busy or not
}

// clockTick is the unit of Linux's processor times.
const clockTick = 10 * time.Millisecond

func (p *program) processors() (processors, error) {
	own, err := ticks(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return processors{}, err
	}
	all, err := ticks("/proc/stat")
	if err != nil {
		return processors{}, err
	}
	t := processors{at: time.Now(), process: own[11] + own[12]} // user and system time
	for i, part := range all[:8] {
		t.machine += part
		if i != 3 && i != 4 { // idle, waiting for a disk
			t.busy += part
		}
	}
	return t, nil
}

// ticks reads the numbers of a line, those behind the name.
func ticks(name string) ([]time.Duration, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if at := strings.LastIndexByte(line, ')'); at >= 0 {
		line = line[at:]
	}
	var all []time.Duration
	for _, field := range strings.Fields(line)[1:] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			n = 0 // a letter, or a number beyond
		}
		all = append(all, time.Duration(n)*clockTick)
	}
	return all, nil
}

// since tells what of the machine was used from a time to this one, for so many
// events.
func (t processors) since(from processors, events float64) string {
	wall := t.at.Sub(from.at).Seconds()
	return fmt.Sprintf("the program %.2f processors, %.0f ns an event; the machine %.0f%% busy", (t.process-from.process).Seconds()/wall,
		float64((t.process-from.process).Nanoseconds())/events, 100*float64(t.busy-from.busy)/float64(t.machine-from.machine))
}
