package stream

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// mostMakers bounds the makers of a shard, each of which holds a block's values in
// memory of its own.
const mostMakers = 4

// spread is spread with no more makers than there are processors on which no other
// worker closes panes.
func (r *Runner) spread(makers, n int, build func(maker, i int), take func(i int) error) error {
	return spread(useful(makers, runtime.GOMAXPROCS(0), int(r.steppers.busy.Load())), n, build, take)
}

// useful is how many of the makers a worker is to have, one of busy ones: itself, and one
// for each processor they leave.
func useful(makers, processors, busy int) int {
	return min(makers, 1+max(0, processors-busy))
}

// spread has n things made by makers side by side, the first of them on the goroutine
// of the caller, which takes what is made between its own. Who is done with one makes
// the next.
func spread(makers, n int, build func(maker, i int), take func(i int) error) error {
	var begun atomic.Int64
	made := make([]atomic.Bool, n)
	one := func(maker int) bool {
		i := int(begun.Add(1)) - 1
		if i >= n {
			return false
		}
		build(maker, i)
		made[i].Store(true)
		return true
	}
	var others sync.WaitGroup
	for maker := 1; maker < makers; maker++ {
		others.Go(func() {
			for one(maker) {
			}
		})
	}
	taken := 0
	for more := true; more || taken < n; {
		if more = one(0); !more {
			others.Wait()
		}
		for ; taken < n && made[taken].Load(); taken++ {
			if err := take(taken); err != nil {
				begun.Store(int64(n))
				others.Wait()
				return err
			}
		}
	}
	others.Wait()
	return nil
}
