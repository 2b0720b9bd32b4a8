package stream

import (
	"context"
	"time"
)

// idleClock measures how long a partition had nothing to read while it was
// polled. Time in which we do something else does not count.
type idleClock struct {
	after time.Duration // 0: never idle
	quiet time.Duration // so far
	since time.Time     // zero: the clock stands still
	timer *time.Timer
}

// begin lets the clock run, or stand still, until the next pause or reset; the
// channel tells that the time may be over.
func (c *idleClock) begin(run bool) <-chan time.Time {
	if !run || c.after <= 0 {
		c.since = time.Time{}
		return nil
	}
	c.since = time.Now()
	if c.timer == nil {
		c.timer = time.NewTimer(c.after - c.quiet)
	} else {
		c.timer.Reset(c.after - c.quiet)
	}
	return c.timer.C
}

// pause counts the time since begin; where the source could not tell whether
// there was something to read, counting starts anew.
func (c *idleClock) pause(caughtUp bool) {
	switch {
	case c.since.IsZero():
	case caughtUp:
		c.quiet += time.Since(c.since)
	default:
		c.quiet = 0
	}
	c.since = time.Time{}
}

// reset says that something was read.
func (c *idleClock) reset() { c.quiet, c.since = 0, time.Time{} }

// over tells whether the partition is idle.
func (c *idleClock) over() bool { return c.after > 0 && c.quiet >= c.after }

// mayIdle tells whether waiting now counts: the partition is in the minimum,
// polls, and has no entry of the control log before it, which is proof of
// records to come.
func (p *partition) mayIdle(full <-chan readResult) bool {
	_, pending := p.queue.next()
	return full != nil && len(full) == 0 && !pending && !p.run.cfg.Range.Bounded && !p.task.Passed().Idle
}

func (p *partition) caughtUp() bool {
	c, ok := p.input.reader.(CaughtUp)
	return !ok || c.CaughtUp()
}

// leave takes the partition out of the minimum, once that is durable.
func (p *partition) leave(ctx context.Context) error {
	p.run.cfg.Crash(CrashBeforeLeave)
	applied, err := p.run.control.append(ctx, ControlEntry{
		Partition: p.id, Next: p.position, Watermark: p.task.LeaveWatermark(), Kind: ControlLeave,
	})
	if err != nil {
		return err
	}
	p.run.cfg.Crash(CrashLeaveDurable)
	p.queue.applied = applied
	p.idle.reset()
	p.task.Leave(&p.out)
	if err := p.deliver(ctx); err != nil {
		return err
	}
	p.run.cfg.Crash(CrashLeft)
	p.run.cfg.Logger.Info("partition is idle and left the watermark", "partition", p.id, "position", p.position)
	return nil
}

// rejoin brings the partition back into the minimum before its next record is
// judged: at once, and then durably.
func (p *partition) rejoin(ctx context.Context) error {
	if !p.task.Passed().Idle {
		return nil
	}
	return p.join(ctx, "partition came back")
}

// join brings the partition into the minimum.
func (p *partition) join(ctx context.Context, what string) error {
	watermark := p.run.exchange.join(p.index, p.task, &p.out)
	p.run.cfg.Crash(CrashJoined)
	applied, err := p.run.control.append(ctx, ControlEntry{
		Partition: p.id, Next: p.position, Watermark: watermark, Kind: ControlJoin,
	})
	if err != nil {
		return err
	}
	p.run.cfg.Crash(CrashJoinDurable)
	p.queue.applied = applied
	p.run.cfg.Logger.Info(what, "partition", p.id, "position", p.position, "watermark_us", watermark)
	return nil
}

// replay applies again the entries of the control log that are due, and passes
// on what follows.
//
// A partition that left and is known to have come back never leaves the minimum
// here: both entries have the same place, and only what follows from the second
// is passed on. It waits in the minimum at the watermark that it came back with,
// for others may be read faster this time.
func (p *partition) replay(ctx context.Context) error {
	if !p.reapply() {
		return nil
	}
	return p.deliver(ctx)
}

// reapply is replay without passing on.
func (p *partition) reapply() (applied bool) {
	for {
		e, due := p.queue.due(p.position)
		if !due {
			return applied
		}
		applied = true
		if e.Kind == ControlLeave {
			p.task.Leave(&p.out)
		} else {
			p.task.Join(e.Watermark, &p.out)
		}
	}
}
