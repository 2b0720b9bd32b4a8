package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
)

// cost compares the throughput on a backlog with a checkpoint every 10 s and with
// none, each run from a copy of one state; the feed is delivered at least once,
// since exactly once rows wait for a checkpoint.
func (s *shipping) cost(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	var wall, used [2]time.Duration // for each million events
	for range s.rounds {
		for i, interval := range []string{"10s", "100h"} {
			took, err := s.saturated(ctx, interval)
			if err != nil {
				return err
			}
			wall[i] += took.wall
			used[i] += took.cpu
		}
	}
	fmt.Printf("with a checkpoint every 10 s to without: throughput %.3f, events a second of the program's processor time %.3f\n",
		float64(wall[1])/float64(wall[0]), float64(used[1])/float64(used[0]))
	return nil
}

// saturated is what a million events of a run on the backlog take.
func (s *shipping) saturated(ctx context.Context, interval string) (took once, err error) {
	state, err := s.copied()
	if err != nil {
		return took, err
	}
	defer os.RemoveAll(state)
	feed := fmt.Sprintf("%s-rows-%d", s.topic, s.runs)
	p, err := s.start(ctx, state, feed, "--checkpoint-interval", interval, "--feed-delivery", "at-least-once")
	if err != nil {
		return took, err
	}
	defer p.kill()
	var first, last *now
	if err := p.until(ctx, 20*time.Millisecond, func(n *now) bool { first = n; return n.Phase == "running" && n.Events > 1e6 }); err != nil {
		return took, err
	}
	from, err := p.processors()
	if err != nil {
		return took, err
	}
	seen := &checkpointsSeen{}
	epoch := first.LastEpoch
	err = p.until(ctx, 100*time.Millisecond, func(n *now) bool {
		if last = n; n.LastEpoch != epoch && len(n.Checkpoints) > 0 {
			epoch = n.LastEpoch
			seen.told(n.Checkpoints[0])
			if newest, err := newestPointer(ctx, state, "shipped"); err == nil {
				seen.sizes(newest)
			}
		}
		return time.Since(from.at) > s.wait
	})
	if err != nil {
		return took, err
	}
	to, err := p.processors()
	if err != nil {
		return took, err
	}
	if last.RecordsBehind <= 0 {
		return took, errors.New("the backlog ended before the run: give --events more, or --for less")
	}
	events, seconds := float64(last.Events-first.Events), to.at.Sub(from.at).Seconds()
	took.wall = time.Duration(float64(to.at.Sub(from.at)) * 1e6 / events)
	took.cpu = time.Duration(float64(to.process-from.process) * 1e6 / events)
	fmt.Printf("checkpoints every %s: %.0f events/s, %.0f rows/s; %s\n", interval, events/seconds, float64(last.Rows-first.Rows)/seconds, to.since(from, events))
	if len(seen.all) > 0 {
		seen.print("every " + interval)
	}
	p.kill()
	return took, s.forget(ctx, feed)
}

// told notes a checkpoint that a status tells of.
func (c *checkpointsSeen) told(s *pb.Checkpoint) {
	parts := map[string]time.Duration{}
	for _, p := range s.Parts {
		parts[p.Name] = time.Duration(p.Seconds * float64(time.Second))
	}
	c.saving = append(c.saving, parts["saving"])
	c.delay = append(c.delay, parts["start_delay"])
	c.all = append(c.all, parts["all"])
}
