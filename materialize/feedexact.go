package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ExactOptions say how an ExactFeed commits.
type ExactOptions struct {
	FeedOptions
	Source  string                            // topic that the positions are of
	Group   string                            // consumer group that holds them
	Timeout time.Duration                     // after which the broker aborts a transaction, at first; default 60 s
	Buffer  int64                             // bytes from which on a checkpoint is asked for early; default 64 MiB
	Hasten  func()                            // asks for it
	Ended   func(epoch int64) <-chan struct{} // closed when an epoch's checkpoint has ended, or is not being taken; nil: always
	Logger  *slog.Logger                      // default slog.Default()
	Crash   func(string)                      // nil in production; called at each of FeedCrashPoints
}

// The crash points of an ExactFeed.
const (
	CrashFeedFenced   = "feed:fenced"   // the older producer is, nothing was looked at
	CrashFeedBegun    = "feed:begun"    // a transaction; nothing is in it
	CrashFeedProduced = "feed:produced" // all records are in it
	CrashFeedOffsets  = "feed:offsets"  // and the source's offsets
	CrashFeedEnded    = "feed:ended"    // it is committed, nobody knows
)

// FeedCrashPoints lists them, so that a test can visit all.
var FeedCrashPoints = []string{CrashFeedFenced, CrashFeedBegun, CrashFeedProduced, CrashFeedOffsets, CrashFeedEnded}

// ExactFeed is a Feed whose readers, if they read what is committed, see each record
// once. What it is written it keeps, encoded, until its epoch is to be committed;
// then one transaction holds all of it, the source's offsets (of a consumer group
// that nobody is a member of), and a record in `<topic>.epochs` that says which epoch
// this was. That record is the truth of where a run goes on.
//
// Write and Checkpoint are called from one goroutine, Fence, GoBack and Commit from
// another. What is kept is bounded: while too much is kept, Write waits for the
// checkpoint whose barrier it has behind it, since that needs nothing more of Write's
// goroutine; else it asks for a checkpoint and goes on, since only a barrier that is
// yet to come would help.
type ExactFeed struct {
	feedTopics
	exact  ExactOptions
	client *kgo.Client // nil: not fenced
	last   *feedEpoch  // committed, as the last Fence found or a Commit made it; nil: nothing
	tried  int64       // epoch of the last Commit of this process
	slow   bool        // the last transaction took longer than it may
	kept   buffer

	told   tellings // by Write's goroutine alone
	silent silence  // likewise
	stats  exactStats
}

var _ stream.Committer = (*ExactFeed)(nil)

// NewExactFeed makes the sink; Fence connects it.
func NewExactFeed(plan *pipeline.Plan, o ExactOptions) (*ExactFeed, error) {
	topics, err := newFeedTopics(plan, o.FeedOptions)
	if err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Buffer == 0 {
		o.Buffer = 64 << 20
	}
	if o.Hasten == nil {
		o.Hasten = func() {}
	}
	if o.Ended == nil {
		over := make(chan struct{})
		close(over)
		o.Ended = func(int64) <-chan struct{} { return over }
	}
	if o.Crash == nil {
		o.Crash = func(string) {}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	f := &ExactFeed{feedTopics: topics, exact: o, told: tellings{}}
	f.stats.timeout.Store(int64(o.Timeout))
	return f, nil
}

// Name is "feed".
func (f *ExactFeed) Name() string { return "feed" }

// Restore goes on from an epoch and announces the run, which its first transaction
// makes visible.
func (f *ExactFeed) Restore(ctx context.Context, state []byte) error {
	var saved feedState
	if state != nil {
		if err := json.Unmarshal(state, &saved); err != nil {
			return fmt.Errorf("the feed's state is damaged: %w", err)
		}
	}
	f.told = tellingsOf(saved.Told)
	if f.last != nil {
		saved.Silent = f.last.Silent // that of the epoch, and what GoBack has added
	}
	f.silent = silenceOf(saved.Silent)
	return f.announce(f.kept.put)
}

// Silent is what was told by an abandoned course of events and is not told again, by
// shard.
func (f *ExactFeed) Silent() map[int32]stream.Frontiers {
	all := map[int32]stream.Frontiers{}
	for shard, t := range f.silent.told {
		all[shard] = stream.Frontiers{Provisional: t.last(), Final: t.Final}
	}
	return all
}

// Write keeps an output's records.
func (f *ExactFeed) Write(ctx context.Context, o *stream.Output) error {
	o = f.silent.unsaid(o)
	if err := f.records(o, f.kept.put); err != nil {
		return err
	}
	f.told.note(o)
	return f.room(ctx)
}

// overfull is how many times its bound the buffer may grow once no epoch comes to be
// committed.
const overfull = 4

// room waits for a checkpoint that is under way, or asks for one, while too much is
// kept.
func (f *ExactFeed) room(ctx context.Context) error {
	for over := int64(0); ; {
		k := f.kept.state()
		var ends <-chan struct{}
		switch {
		case k.bytes < f.exact.Buffer:
			return nil
		case k.landed != nil:
			ends = k.landed
		case k.sealed > over:
			ends, over = f.exact.Ended(k.sealed), k.sealed
		case k.sealed > 0 && k.bytes >= overfull*f.exact.Buffer: // its checkpoint is over, and it is not committed
			return errors.Join(fmt.Errorf("%d bytes of the feed wait, and epoch %d was not committed: see to what the checkpoints fail of, and start the run again", k.bytes, k.sealed), k.failed)
		default:
			f.exact.Hasten()
			return nil
		}
		select {
		case <-ends:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Checkpoint seals what was written since the last one: it belongs to the epoch.
func (f *ExactFeed) Checkpoint(ctx context.Context, epoch int64) ([]byte, error) {
	f.kept.seal(epoch)
	if f.told.passed(f.silent.told) {
		f.silent.told = nil
	}
	return json.Marshal(feedState{Told: f.told.list(), Silent: f.silent.kept()})
}

// Close ends the client, when readers see what was committed. What was not is nobody's.
func (f *ExactFeed) Close() error {
	if f.client != nil {
		f.untilSeen()
		f.client.Close()
		f.client = nil
	}
	return nil
}
