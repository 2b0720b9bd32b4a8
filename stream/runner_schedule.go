package stream

import "context"

// What a run does is decided by its input, the clock, and by which of its
// goroutines goes on when. Config.Schedule puts the last in a simulation's hands:
// each goroutine of a run calls it when it begins, and what it returned after
// every wait, before it acts. Where only one goroutine is let go on at a time, a
// run does the same each time that the order is the same, for whatever is ready
// at once is looked at in a fixed order (poll) before anything is waited for.

// scheduled is the key under which a goroutine's context holds what to call after
// a wait.
type scheduled struct{}

// begin is the first thing that a goroutine of the run does.
func (r *Runner) begin(ctx context.Context, who string) context.Context {
	if r.cfg.Schedule == nil {
		return ctx
	}
	turn := r.cfg.Schedule(who)
	turn()
	return context.WithValue(ctx, scheduled{}, turn)
}

// woken is called by a goroutine that has waited.
func woken(ctx context.Context) {
	if turn, is := ctx.Value(scheduled{}).(func()); is {
		turn()
	}
}

// poll receives what is there, and waits for nothing.
func poll[T any](from <-chan T, to *T) bool {
	select {
	case *to = <-from:
		return true
	default:
		return false
	}
}

// ready receives what is there, and tells whether there was anything.
func ready[T any](from <-chan T) bool {
	var what T
	return poll(from, &what)
}

// wait waits for what is sent, no longer than ctx lasts.
func wait[T any](ctx context.Context, from <-chan T) (what T, err error) {
	if ctx.Err() != nil {
		return what, context.Cause(ctx)
	}
	if poll(from, &what) {
		return what, nil
	}
	defer woken(ctx)
	select {
	case what = <-from:
		return what, nil
	case <-ctx.Done():
		return what, context.Cause(ctx)
	}
}
