package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/hextide/hextide/materialize"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
)

// feedSettings say how the feed is delivered.
type feedSettings struct {
	delivery string
	group    string
	offsets  string
	buffer   byteSize
	timeout  time.Duration
}

const (
	exactlyOnce   = "exactly-once"
	atLeastOnce   = "at-least-once"
	offsetsAgree  = "agree"
	offsetsState  = "state"
	defaultBuffer = 64 << 20
	defaultWithin = time.Minute // a transaction is to end
)

func (s *feedSettings) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.delivery, "feed-delivery", exactlyOnce, "exactly-once: a record is seen when its checkpoint is committed, once; at-least-once: at once, and again after a crash")
	f.StringVar(&s.group, "group", "", "consumer group that holds the offsets of a feed delivered exactly once (default hextide-<pipeline>)")
	f.StringVar(&s.offsets, "offsets", offsetsAgree, "agree: refuse to start where the group's offsets and the state disagree; state: go on from the state, and set the group's offsets to it")
	s.buffer = defaultBuffer
	f.Var(&s.buffer, "feed-buffer", "records of a feed delivered exactly once that may wait for a checkpoint; beyond, one is taken early")
	timeVar(f, &s.timeout, "feed-transaction-timeout", defaultWithin, time.Second, "how long a transaction may take before the broker aborts it; after one that was too slow the next may take longer, which is logged")
}

func (s *feedSettings) check() error {
	switch {
	case s.delivery != exactlyOnce && s.delivery != atLeastOnce:
		return usagef("--feed-delivery is %s or %s, not %q", exactlyOnce, atLeastOnce, s.delivery)
	case s.offsets != offsetsAgree && s.offsets != offsetsState:
		return usagef("--offsets is %s or %s, not %q", offsetsAgree, offsetsState, s.offsets)
	case s.offsets == offsetsState && s.delivery != exactlyOnce:
		return usagef("--offsets goes with --feed-delivery %s: otherwise no group holds any", exactlyOnce)
	case s.delivery != exactlyOnce && (s.group != "" || s.buffer != defaultBuffer || s.timeout != defaultWithin):
		return usagef("--group, --feed-buffer and --feed-transaction-timeout go with --feed-delivery %s: otherwise there are no transactions", exactlyOnce)
	case s.buffer == 0:
		return usagef("--feed-buffer is at least 1B")
	}
	return nil
}

func (s *feedSettings) groupOf(plan *pipeline.Plan) string {
	return cmp.Or(s.group, "hextide-"+plan.Name)
}

// hinted adds to an error that the state and the group disagree what mends it.
func (s *feedSettings) hinted(plan *pipeline.Plan, err error) error {
	if !errors.Is(err, stream.ErrDisagree) {
		return err
	}
	return fmt.Errorf(`%w
Committed is what the consumer group %s and the topic %s.epochs say. To go on would lose rows or tell some twice. Ways out:
  the state is another's, or an old copy: give the one that belongs to the group (--state)
  the state has lost its newest pointer (pointers/EPOCH.json, of the epoch that was committed): put that back
  the group is another's: give the state one of its own (--group)
  the group's offsets were changed by hand: set them back to what the epoch says
  the group has no positions: they are of another topic (--topic), or have expired
  the state is right, as after a time of --feed-delivery at-least-once: --offsets=state goes on from it and sets the group's offsets; what was told since is told again`, err, s.groupOf(plan), plan.Sinks.Feed.Topic)
}

// makeFeed makes the sink of the feed, or a place for dead letters and late records.
func (a *assembly) makeFeed() error {
	if a.plan.Sinks.Feed == nil {
		a.sinks = append(a.sinks, materialize.NewRecords(a.flags.state.folder()))
		return nil
	}
	client, err := a.flags.kafka.cluster.Options()
	if err != nil {
		return err
	}
	options := materialize.FeedOptions{
		Client: client, Shards: a.flags.shards, Incarnation: func() int64 { return a.runner.Incarnation() },
		Incomplete: func() []stream.IncompleteColumn { return a.runner.Incomplete() },
	}
	settings := &a.flags.feed
	if settings.delivery == atLeastOnce {
		feed, err := materialize.NewFeed(a.plan, options)
		a.sinks = append(a.sinks, feed)
		return err
	}
	topic, err := a.flags.kafka.named(a.plan)
	if err != nil {
		return err
	}
	a.exact, err = materialize.NewExactFeed(a.plan, materialize.ExactOptions{
		FeedOptions: options, Source: topic, Group: settings.groupOf(a.plan), Timeout: settings.timeout, Buffer: int64(settings.buffer),
		Hasten: func() { a.runner.Hasten() }, Ended: func(epoch int64) <-chan struct{} { return a.runner.Ended(epoch) }, Crash: crashPoints(),
	})
	a.sinks = append(a.sinks, a.exact)
	return err
}

// transactions sends how those of the feed went.
func transactions(send figure, f *materialize.ExactFeed) {
	if f == nil {
		return
	}
	s := f.Transactions()
	send(prometheus.CounterValue, "feed_transactions_total", "Transactions of the feed.", float64(s.Committed), "outcome", "committed")
	send(prometheus.CounterValue, "feed_transactions_total", "Transactions of the feed.", float64(s.Aborted), "outcome", "failed")
	send(prometheus.CounterValue, "feed_transaction_seconds_total", "Time that the committed transactions of the feed took.", s.Took.Seconds())
	send(prometheus.GaugeValue, "feed_transaction_timeout_seconds", "How long a transaction of the feed may take: --feed-transaction-timeout, and longer once one was too slow.", s.Timeout.Seconds())
	send(prometheus.GaugeValue, "feed_buffered_bytes", "Records of the feed that wait for their checkpoint.", float64(s.Buffered))
}
