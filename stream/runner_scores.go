package stream

import (
	"context"

	"github.com/hextide/hextide/models"
)

// scores are the models' scores, in the definition's order, over the worker's shards.
func (w *worker) scores() []models.Score {
	total := make([]models.Score, len(w.run.cfg.Plan.Models))
	for _, s := range w.shards {
		for i, score := range s.shard.Scores() {
			total[i] = total[i].Plus(score)
		}
	}
	return total
}

// Scores are how the models have done so far, in the definition's order; nil
// where the run has not begun, has ended, or ctx is done. It may be called from
// any goroutine.
func (r *Runner) Scores(ctx context.Context) []models.Score {
	select {
	case <-r.life.ready:
	default:
		return nil
	}
	total := make([]models.Score, len(r.cfg.Plan.Models))
	if len(total) == 0 {
		return nil
	}
	for _, w := range r.workers {
		reply := make(chan []models.Score, 1)
		select {
		case w.asks <- ask{scores: reply}:
		case <-ctx.Done():
			return nil
		case <-r.life.over:
			return nil
		}
		select {
		case scores := <-reply:
			for i, score := range scores {
				total[i] = total[i].Plus(score)
			}
		case <-ctx.Done():
			return nil
		case <-r.life.over:
			return nil
		}
	}
	return total
}
