package materialize

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A transaction that takes longer than it may fails, and the next one has more to
// hold: it would fail too, and so would all that follow. So the next one may take
// longer: longer times as long, up to longestTimeout, which is what brokers allow
// unless they were told otherwise, or to what they do allow where that is less.
const (
	longer         = 4
	longestTimeout = 15 * time.Minute
)

// errSlow is wrapped by the error of a transaction that took too long.
var errSlow = errors.New("the transaction took longer than it may (--feed-transaction-timeout)")

// timeout is how long a transaction may take.
func (f *ExactFeed) timeout() time.Duration { return time.Duration(f.stats.timeout.Load()) }

// Fence begins with a producer of its own, which ends what any other of the same
// transactional id was about to do, and then reads what is committed. Where the last
// transaction was too slow, and not for the lack of brokers, the next may take longer.
func (f *ExactFeed) Fence(ctx context.Context) (*stream.Committed, error) {
	if err := f.Close(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.options.StartWithin)
	defer cancel()
	now, next := f.timeout(), f.timeout()
	if f.slow {
		next = max(now, min(longer*now, longestTimeout))
	}
	for ; ; next = max(now, next/2) {
		committed, err := f.fenceWith(ctx, next)
		switch {
		case err == nil:
			f.grant(now, next)
			return committed, nil
		case next > now && errors.Is(err, kerr.InvalidTransactionTimeout):
			continue // the brokers do not allow that
		case away(err):
			f.slow = false
			err = fmt.Errorf("%w: %w", stream.ErrAway, err)
		}
		return nil, err
	}
}

// grant says how long the next transaction may take, where the last was too slow.
func (f *ExactFeed) grant(before, now time.Duration) {
	f.stats.timeout.Store(int64(now))
	if !f.slow {
		return
	}
	f.slow = false
	if now > before {
		f.exact.Logger.Warn("a transaction of the feed was too slow: its records come with the next, which may take longer; give --feed-transaction-timeout that time, or let checkpoints be smaller (--checkpoint-interval, --feed-buffer)",
			"took_longer_than", before, "next_may_take", now)
		return
	}
	f.exact.Logger.Error("a transaction of the feed was too slow, and the next may not take longer: raise --feed-transaction-timeout, and the brokers' transaction.max.timeout.ms where that is less, or let checkpoints be smaller (--checkpoint-interval, --feed-buffer)",
		"took_longer_than", before)
}

// fenceWith fences with a producer whose transactions may take so long.
func (f *ExactFeed) fenceWith(ctx context.Context, timeout time.Duration) (*stream.Committed, error) {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.ZstdCompression(), kgo.NoCompression()),
		kgo.TransactionalID(f.transactionalID()), kgo.TransactionTimeout(timeout),
		kgo.RecordDeliveryTimeout(max(time.Second, timeout)), kgo.MaxVersions(versions()),
	}, f.options.Client...)...)
	if err != nil {
		return nil, fmt.Errorf("the feed's Kafka client: %w", err)
	}
	committed, err := f.fence(ctx, client, timeout)
	if err != nil {
		client.Close()
		return nil, err
	}
	f.client = client
	return committed, nil
}
