package stream

import (
	"context"
	"sync"
)

// crew owns the goroutines of a run: the first that fails ends the others, and
// nobody leaves before all have.
type crew struct {
	wait sync.WaitGroup
	fail context.CancelCauseFunc
}

func (c *crew) start(f func() error) {
	c.wait.Go(func() {
		if err := f(); err != nil {
			c.fail(err)
		}
	})
}
