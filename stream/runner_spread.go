package stream

import "sync"

// mostMakers bounds the makers of a shard, each of which holds a block's values in
// memory of its own.
const mostMakers = 4

// spread has makers make their shares side by side, the first on the goroutine of
// the caller, and returns when all have.
func spread(makers int, share func(maker int)) {
	var others sync.WaitGroup
	for maker := 1; maker < makers; maker++ {
		others.Go(func() { share(maker) })
	}
	share(0)
	others.Wait()
}
