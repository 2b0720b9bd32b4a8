package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
)

// arrivals reads the rows of a feed that are committed, as soon as they are.
type arrivals struct {
	client *kgo.Client
	each   func(*pb.FeedRow, time.Time)
	ended  chan error
}

// follow gives a feed's rows to a function until close.
func (s *shipping) follow(ctx context.Context, feed string, each func(*pb.FeedRow, time.Time)) (*arrivals, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(s.brokers, ",")...), kgo.ConsumeTopics(feed),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(200*time.Millisecond), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return nil, err
	}
	a := &arrivals{client: client, each: each, ended: make(chan error, 1)}
	go func() { a.ended <- a.read(ctx) }()
	return a, nil
}

func (a *arrivals) read(ctx context.Context) error {
	for {
		fetches := a.client.PollFetches(ctx)
		if fetches.IsClientClosed() || ctx.Err() != nil {
			return nil
		}
		at := time.Now()
		record := &pb.FeedRecord{}
		for _, r := range fetches.Records() {
			if err := proto.Unmarshal(r.Value, record); err != nil {
				return fmt.Errorf("reading a feed's record: %w", err)
			}
			if row := record.GetRow(); row != nil {
				a.each(row, at)
			}
		}
	}
}

func (a *arrivals) close() error {
	a.client.Close()
	return <-a.ended
}

// recovery kills a run on the backlog, which has the feed delivered exactly once,
// and starts it again at once: exactly once, every row of the new process is beyond
// what was committed.
func (s *shipping) recovery(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	state, err := s.copied()
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	feed := fmt.Sprintf("%s-rows-%d", s.topic, s.runs)
	first := make(chan time.Time, 16)
	newest := int64(0)
	rows, err := s.follow(ctx, feed, func(row *pb.FeedRow, at time.Time) {
		if row.Incarnation > newest {
			newest = row.Incarnation
			first <- at
		}
	})
	if err != nil {
		return err
	}
	killed := time.Time{}
	for range 1 + s.rounds {
		if killed, err = s.killed(ctx, state, feed, killed, first); err != nil {
			return err
		}
	}
	return firstOf(rows.close(), s.forget(ctx, feed))
}

// killed starts the program, which was killed at a time or never was, waits for its
// first row and for some checkpoints, and kills it.
func (s *shipping) killed(ctx context.Context, state, feed string, killed time.Time, first <-chan time.Time) (time.Time, error) {
	p, err := s.start(ctx, state, feed, "--checkpoint-interval", "1s", "--group", feed)
	if err != nil {
		return killed, err
	}
	defer p.kill()
	var running time.Duration
	epoch := int64(0)
	if err := p.until(ctx, 5*time.Millisecond, func(n *now) bool {
		running, epoch = time.Since(p.began), n.LastEpoch
		return n.Phase == "running"
	}); err != nil {
		return killed, err
	}
	select {
	case at := <-first:
		fmt.Printf("started: restored after %s, the first row beyond the committed frontier was read after %s", running.Round(time.Millisecond), at.Sub(p.began).Round(time.Millisecond))
		if !killed.IsZero() {
			fmt.Printf(", %s after SIGKILL", at.Sub(killed).Round(time.Millisecond))
		}
		fmt.Println()
	case <-time.After(2 * time.Minute):
		return killed, errors.New("no row of the new process was committed within two minutes")
	case <-ctx.Done():
		return killed, ctx.Err()
	}
	err = p.until(ctx, 20*time.Millisecond, func(n *now) bool { return n.LastEpoch > epoch+4 })
	return time.Now(), err
}
