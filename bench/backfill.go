package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// job is one backfill that is measured.
type job struct {
	name       string
	definition string
	input      string
	runs       int
	arguments  []string
}

// measured is what one whole process took.
type measured struct {
	wall, cpu   time.Duration
	memory      int64   // peak, bytes
	allocations float64 // an event read, where the process tells
}

var allocationsForm = regexp.MustCompile(`allocations_per_event=([0-9.]+)`)

// backfill measures whole backfills, start of the process included, in turn with
// `gzip -dc FILE | wc -l`.
func backfill(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	data := flags.String("data", "", "gzip file of taxi events")
	binary := flags.String("binary", "bin/hextide", "the program to measure")
	runs := flags.Int("runs", 3, "counted runs of J3, after one that is not; there are three times as many of J1")
	from := flags.String("from", "2008-05-21T00:00:00Z", "J3: from")
	to := flags.String("to", "2008-05-21T06:00:00Z", "J3: to")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	// What was written stays to the end: a file system may be slow to make files
	// where it has just removed some.
	folder, err := os.MkdirTemp("", "hextide-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	plain := filepath.Join(folder, "events.csv")
	if _, err := timed(exec.CommandContext(ctx, "sh", "-c", `gzip -dc "$0" >"$1" && sync`, *data, plain)); err != nil {
		return err
	}
	one, three := "examples/checks/j1.yaml", "examples/checks/j3.yaml"
	window := []string{"--from", *from, "--to", *to}
	jobs := []job{
		{"J1, snapshot written", one, *data, 3 * *runs, nil},
		{"J1 of the uncompressed file", one, plain, 3 * *runs, nil},
		{"J3, content_hash, nothing written", three, *data, *runs, append(window, "--no-files")},
		{"J3, snapshot written", three, *data, *runs, window},
	}
	fmt.Printf("%-36s %8s %8s %9s %12s %12s %8s %9s %12s\n", "job", "wall s", "cpu s", "x reading", "events/s", "rows/s", "peak MB", "bytes/row", "allocs/event")
	for _, j := range jobs {
		if err := measure(ctx, *binary, *data, folder, j); err != nil {
			return fmt.Errorf("%s: %w", j.name, err)
		}
	}
	return nil
}

// measure runs reading and job in turn and prints the medians.
func measure(ctx context.Context, binary, data, folder string, j job) error {
	var reading, working []measured
	var m manifest
	for i := range j.runs + 1 {
		base, err := timed(exec.CommandContext(ctx, "sh", "-c", `gzip -dc "$0" | wc -l`, data))
		if err != nil {
			return err
		}
		out := filepath.Join(folder, fmt.Sprintf("%s %d", j.name, i))
		arguments := append([]string{"backfill", j.definition, "--input", j.input, "--out", out, "--progress=false", "--log-level", "debug"}, j.arguments...)
		took, err := timed(exec.CommandContext(ctx, binary, arguments...))
		if err != nil {
			return err
		}
		if err := m.read(out); err != nil {
			return err
		}
		if i > 0 { // the first warms the caches
			reading, working = append(reading, base), append(working, took)
		}
	}
	read, work := median(reading), median(working)
	seconds := work.wall.Seconds()
	fmt.Printf("%-36s %8.2f %8.2f %9.2f %12.0f %12.0f %8.0f %9.1f %12.4f\n", j.name, seconds, work.cpu.Seconds(),
		seconds/read.wall.Seconds(), float64(m.Counts.Read)/seconds, float64(m.Counts.Rows)/seconds, float64(work.memory)/1e6, m.bytesPerRow(), work.allocations)
	return nil
}

// timed runs a command to its end.
func timed(c *exec.Cmd) (measured, error) {
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	start := time.Now()
	err := c.Run()
	wall := time.Since(start)
	if err != nil {
		return measured{}, fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, output.String())
	}
	usage := c.ProcessState.SysUsage().(*syscall.Rusage)
	m := measured{wall: wall, cpu: c.ProcessState.UserTime() + c.ProcessState.SystemTime(), memory: usage.Maxrss * 1024}
	if told := allocationsForm.FindStringSubmatch(output.String()); told != nil {
		m.allocations, err = strconv.ParseFloat(told[1], 64)
	}
	return m, err
}

// median takes the run whose wall time is the middle one.
func median(runs []measured) measured {
	sorted := slices.Clone(runs)
	slices.SortFunc(sorted, func(a, b measured) int { return int(a.wall - b.wall) })
	return sorted[len(sorted)/2]
}

// manifest is what is read of a snapshot's manifest.
type manifest struct {
	Counts struct {
		Read int64 `json:"read"`
		Rows int64 `json:"rows"`
	} `json:"counts"`
	Files []struct {
		Bytes int64 `json:"bytes"`
	} `json:"files"`
}

func (m *manifest) read(dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, "_MANIFEST.json"))
	if err != nil {
		return err
	}
	*m = manifest{}
	return json.Unmarshal(content, m)
}

func (m *manifest) bytesPerRow() float64 {
	total := int64(0)
	for _, f := range m.Files {
		total += f.Bytes
	}
	if m.Counts.Rows == 0 {
		return 0
	}
	return float64(total) / float64(m.Counts.Rows)
}
