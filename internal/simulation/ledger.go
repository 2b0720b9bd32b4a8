package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hextide/hextide/internal/oracle"
	"github.com/hextide/hextide/stream"
)

// ledger is a log of transactions, as Kafka's: one process at a time may commit,
// and readers see what is committed.
type ledger struct {
	fence     int // of the process that fenced last
	committed stream.Committed
	told      *chapter // what readers see
}

// transactions is a process's sink of the ledger.
type transactions struct {
	*process
	fence  int
	open   []*chapter // since the last barrier
	sealed []sealed   // up to a barrier, and not committed
	tried  *stream.Committed
}

type sealed struct {
	epoch    int64
	chapters []*chapter
}

var _ stream.Committer = (*transactions)(nil)

var errFence = errors.New("another process has fenced this one off")

// Name is the sink's.
func (t *transactions) Name() string { return "transactions" }

// Write adds what it is handed to the transaction.
func (t *transactions) Write(ctx context.Context, o *stream.Output) error {
	c := t.chapter(o, nil)
	return t.call(ctx, "transactions write", t.faults/10, func() error {
		t.open = append(t.open, c)
		return nil
	})
}

// Checkpoint closes what the epoch's transaction holds.
func (t *transactions) Checkpoint(_ context.Context, epoch int64) ([]byte, error) {
	t.sealed, t.open = append(t.sealed, sealed{epoch, t.open}), nil
	return nil, nil
}

// Restore has nothing to go back: what was not committed is gone.
func (t *transactions) Restore(context.Context, []byte) error { return nil }

// Fence fences all other processes off.
func (t *transactions) Fence(ctx context.Context) (committed *stream.Committed, err error) {
	err = t.call(ctx, "fence", t.faults, func() error {
		t.ledger.fence++
		t.fence = t.ledger.fence
		is := t.ledger.committed
		committed = &is
		return nil
	})
	if err != nil {
		return nil, err
	}
	if t.tried != nil && committed.Epoch == t.tried.Epoch && committed.Incarnation == t.tried.Incarnation {
		t.drop(committed.Epoch)
	}
	return committed, nil
}

// Commit lets readers see the epoch.
func (t *transactions) Commit(ctx context.Context, p *stream.Pointer) error {
	var all []*chapter
	for _, s := range t.sealed {
		if s.epoch <= p.Epoch {
			all = append(all, s.chapters...)
		}
	}
	fence, is := t.fence, *p.Commits()
	is.Partitions = slices.Clone(is.Partitions)
	t.tried = &is
	err := t.call(ctx, "commit", 2*t.faults, func() error {
		if fence != t.ledger.fence {
			return errFence
		}
		for _, c := range all {
			c.before, t.ledger.told = t.ledger.told, c
		}
		t.ledger.committed = is
		t.note("process %d has committed %s", t.number, is.String())
		return nil
	})
	if err == nil {
		t.drop(p.Epoch)
	}
	return err
}

// GoBack is not called: stores lose nothing here, and nobody goes back on purpose.
func (t *transactions) GoBack(_ context.Context, p *stream.Pointer, _ bool) error {
	return fmt.Errorf("epoch %d is gone back to, though %s is whole", p.Epoch, &t.ledger.committed)
}

// Silent tells of nothing, without a GoBack.
func (t *transactions) Silent() map[int32]stream.Frontiers { return nil }

// drop forgets what is committed.
func (t *transactions) drop(epoch int64) {
	t.sealed = slices.DeleteFunc(t.sealed, func(s sealed) bool { return s.epoch <= epoch })
}

// Close has nothing to do.
func (t *transactions) Close() error { return nil }

// judgeLedger wants each row, dead letter and late record once, a row's revisions
// in their order, no row that was called final to be another, and nothing missing.
func (w *world) judgeLedger(t *truth, want *oracle.Result) error {
	got := map[oracle.Key]told{}
	var dead, late []place
	for _, c := range chapters(w.ledger.told) {
		dead, late = append(dead, c.dead...), append(late, c.late...)
		for _, row := range c.rows {
			if before, is := got[row.Key]; is && (row.revision < before.revision || row.revision == before.revision && row.empty == before.empty) {
				return fmt.Errorf("the row %v, revision %d, is told twice, or after revision %d: by incarnation %d and by %d", row.Key, row.revision, before.revision, before.incarnation, row.incarnation)
			}
			if real := want.Rows[row.Key]; row.final && !row.empty && row.End <= t.end && (real == nil || w.record(row.Key, real) != row.record) {
				return fmt.Errorf("the row %v was told as final by incarnation %d, and is another", row.Key, row.incarnation)
			}
			got[row.Key] = row
		}
	}
	if err := samePlaces("dead letters", dead, t.dead); err != nil {
		return err
	}
	if err := samePlaces("late records", late, t.late); err != nil {
		return err
	}
	return w.sameRows(got, t, want)
}
