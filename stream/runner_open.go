package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/models"
)

// ask is a question for open windows, or for the models' scores.
type ask struct {
	shard  int32
	parts  []territoryCells
	given  <-chan struct{} // closed when nobody waits any more
	reply  chan<- answer
	scores chan<- []models.Score // of all the worker's shards; then the rest is not asked
}

type answer struct {
	rows []*Rows
	err  error
}

// inquiry is the question that a worker is at: one at a time, so that many who
// ask wait for one another and not the pipeline for them.
type inquiry struct {
	ask
	question *question // nil: none
}

// hear takes a question; scores are answered at once.
func (w *worker) hear(a ask) {
	if a.scores != nil {
		a.scores <- w.scores()
		return
	}
	w.asked = inquiry{ask: a, question: w.seat(a.shard).shard.ask(a.parts)}
}

// answer goes on with the question by one slice, a few milliseconds' work.
func (w *worker) answer() {
	q := &w.asked
	if ready(q.given) {
		release(q.question.rows)
		q.question = nil
		return
	}
	more, err := q.question.slice()
	if err != nil {
		err = fmt.Errorf("shard %d: %w", q.shard, err)
	} else if more {
		return
	}
	now := time.Now().UnixMicro()
	for _, rows := range q.question.rows {
		rows.Incarnation, rows.ComputedAt = w.run.incarnation, now
	}
	q.reply <- answer{rows: q.question.rows, err: err} // there is room: nobody waits to answer
	q.question = nil
}

func release(blocks []*Rows) {
	for _, rows := range blocks {
		rows.Release()
	}
}

// Open computes the open windows of cells, of the pipeline's resolution, as far
// as partials have come: blocks of at most BlockRows rows, in ascending order of
// the shards, each owned by the caller. A worker answers in slices, between its
// other work, and no longer than ctx lasts; the blocks of one answer may
// therefore tell of different moments, and their window ends say which. It may be
// called from any goroutine while Run runs.
func (r *Runner) Open(ctx context.Context, cells []geo.Cell) ([]*Rows, error) {
	select {
	case <-r.life.ready:
	default:
		return nil, errors.New("the run has not begun")
	}
	byShard := make([][]territoryCells, r.cfg.Shape.Shards)
	for _, p := range r.workers[0].shards[0].shard.shape.byTerritory(cells) {
		s := ShardOf(p.id, r.cfg.Shape.Shards)
		byShard[s] = append(byShard[s], p)
	}
	replies := make(chan answer, len(byShard)) // room for all
	asked, errs := 0, error(nil)
	for s, parts := range byShard {
		if len(parts) == 0 || errs != nil {
			continue
		}
		select {
		case r.workers[r.exchange.worker(int32(s))].asks <- ask{shard: int32(s), parts: parts, given: ctx.Done(), reply: replies}:
			asked++
		case <-ctx.Done():
			errs = context.Cause(ctx)
		case <-r.life.over:
			errs = ErrEnded
		}
	}
	return r.answers(ctx, replies, asked, errs)
}

// answers takes the answers to what was asked.
func (r *Runner) answers(ctx context.Context, replies <-chan answer, asked int, errs error) ([]*Rows, error) {
	var all []*Rows
	for range asked {
		select {
		case a := <-replies:
			errs = errors.Join(errs, a.err)
			all = append(all, a.rows...)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-r.life.over:
			return nil, ErrEnded
		}
	}
	if errs != nil {
		release(all)
		return nil, fmt.Errorf("open windows: %w", errs)
	}
	slices.SortStableFunc(all, func(a, b *Rows) int { return cmp.Compare(a.Shard, b.Shard) })
	return all, nil
}
