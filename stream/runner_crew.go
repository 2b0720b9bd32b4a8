package stream

import (
	"context"
	"sync"
)

// crew owns the goroutines of a run: the first that fails ends the others, and
// nobody leaves before all have.
type crew struct {
	run  *Runner
	wait sync.WaitGroup
	fail context.CancelCauseFunc
}

func (c *crew) start(ctx context.Context, who string, f func(context.Context) error) {
	c.wait.Go(func() {
		if err := f(c.run.begin(ctx, who)); err != nil {
			c.fail(err)
		}
	})
}
