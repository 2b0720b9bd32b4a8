package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// steady starts a pipeline over four partitions of a real broker, lets events flow whose
// time runs faster than the clock, until its windows are full and its store keeps as much
// as it may, and prints the memory that it has taken and what of it the store keeps,
// again and again: what it takes for good is what no longer grows.
func steady(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	var s setting
	s.add(flags)
	speed := flags.Int("speed", 60, "how much faster event time runs")
	length := flags.Duration("length", 190*time.Minute, "event time")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	took := *length / time.Duration(max(1, *speed))
	if *speed < 1 || took < time.Second {
		return fmt.Errorf("--length %v at --speed %d: a speed of at least 1, and a length that takes a second", *length, *speed)
	}
	state, err := os.MkdirTemp("", "hextide-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	address, err := freeAddress()
	if err != nil {
		return err
	}
	topic, pipeline, err := s.pipeline(ctx, "", state, "--http", address)
	if err != nil {
		return err
	}
	var start time.Time
	producer, err := s.producer(topic, func() time.Time {
		return start.Add(took - *length + time.Since(start)*time.Duration(*speed)) // up to now
	})
	if err != nil {
		return err
	}
	defer producer.client.Close()
	end, err := begin(pipeline)
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("%d events/s over 4 partitions, a minute of event time every %v\n", s.rate, time.Minute/time.Duration(*speed))
	start = time.Now()
	flowing, stop := context.WithTimeout(ctx, took)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- producer.run(flowing) }()
	memory := memoryOf{pipeline.Process.Pid, address}
	const prints = 5
	tick := time.NewTicker(took / prints)
	defer tick.Stop()
	for range prints - 1 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := memory.print(ctx, time.Since(start)*time.Duration(*speed)); err != nil {
			return err
		}
	}
	return firstOf(<-ended, memory.print(ctx, *length))
}

// memoryOf is a pipeline's process, which serves its metrics at an address.
type memoryOf struct {
	pid     int
	address string
}

// print prints what Linux counts as the process's resident memory, and what of it the
// pipeline's store keeps.
func (m memoryOf) print(ctx context.Context, after time.Duration) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.pid))
	if err != nil {
		return err
	}
	amounts := amountsOf(string(status), ":")
	if amounts["VmRSS"] == "" {
		return errors.New("the pipeline has ended")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.address+"/metrics", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	kept := amountsOf(string(metrics), " ")
	fmt.Printf("after %v: resident memory %s, at its peak %s, without the program itself %s; the store keeps %s bytes and %s cells\n",
		after.Round(time.Minute), amounts["VmRSS"], amounts["VmHWM"], amounts["RssAnon"], kept["hextide_store_bytes"], kept["hextide_store_cells"])
	return nil
}

// amountsOf are the amounts of lines that begin with a name.
func amountsOf(text, separator string) map[string]string {
	amounts := map[string]string{}
	for line := range strings.Lines(text) {
		name, amount, _ := strings.Cut(line, separator)
		amounts[name] = strings.TrimSpace(amount)
	}
	return amounts
}
