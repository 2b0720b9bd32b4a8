package stream

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// claim takes the state over and finds the pointer to go on from. The order is what
// keeps an older process from committing after this one has looked: the incarnation
// first, then the committer's fence, then the look.
func (r *Runner) claim(ctx context.Context) (*Pointer, error) {
	if r.cfg.Generations == nil {
		return nil, nil
	}
	var err error
	if r.incarnation, err = r.cfg.Generations.Start(ctx); err != nil {
		return nil, fmt.Errorf("claiming the state: %w", err)
	}
	r.life.claimed.Store(r.incarnation)
	r.cfg.Crash(CrashClaimed)
	committer := r.checkpoints.committer
	if committer == nil {
		p, err := r.cfg.Generations.GoOn(ctx, nil)
		return p, wrapClaim(err)
	}
	committed, err := committer.Fence(ctx)
	if err != nil {
		return nil, fmt.Errorf("fencing other processes off sink %s: %w", committer.Name(), err)
	}
	r.cfg.Crash(CrashFenced)
	p, err := r.cfg.Generations.GoOn(ctx, committed)
	if errors.Is(err, ErrDisagree) && r.cfg.Range.Anyway {
		return r.overrule(ctx, committed)
	}
	if err == nil && p != nil && committed.Epoch > 0 && !p.Is(committed) {
		err = r.goBack(ctx, p, committed)
	}
	return p, wrapClaim(err)
}

// goBack has an older epoch committed than what was, which is damaged, or was given
// up on purpose: then what was told since is told again.
func (r *Runner) goBack(ctx context.Context, p *Pointer, committed *Committed) error {
	if p.Rewound {
		r.cfg.Logger.Warn("the run goes back behind what was committed: what was told since is told again", "committed", committed.String(), "goes_back_to", p.Epoch)
	} else {
		r.cfg.Logger.Error("what was committed last is damaged: the run goes back, and does not tell again what was told", "committed", committed.String(), "goes_back_to", p.Epoch)
	}
	if err := r.checkpoints.committer.GoBack(ctx, p, !p.Rewound); err != nil {
		return fmt.Errorf("going back to epoch %d: %w", p.Epoch, err)
	}
	return nil
}

func wrapClaim(err error) error {
	if err != nil {
		err = fmt.Errorf("claiming the state: %w", err)
	}
	return err
}

// overrule goes on from the state and has that committed, where it is not what was.
func (r *Runner) overrule(ctx context.Context, committed *Committed) (*Pointer, error) {
	p, err := r.cfg.Generations.GoOn(ctx, nil)
	if err != nil || p == nil || p.Is(committed) {
		if p == nil && err == nil && committed.Epoch > 0 {
			r.cfg.Logger.Warn("there is no state, yet something was committed: the run begins anew, and what was told is told again", "committed", committed.String())
		}
		return p, wrapClaim(err)
	}
	r.cfg.Logger.Warn("the state and what was committed disagree: the run goes on from the state; rows that were told may be told again, or be missing",
		"state", p.Commits().String(), "committed", committed.String())
	if err := r.checkpoints.committer.GoBack(ctx, p, false); err != nil {
		return nil, fmt.Errorf("committing epoch %d anew, that of the state: %w", p.Epoch, err)
	}
	return p, nil
}

// Commits is what a Committer that has committed the pointer tells.
func (p *Pointer) Commits() *Committed {
	return &Committed{Epoch: p.Epoch, Incarnation: p.Incarnation, Checksum: p.Checksum, Partitions: p.Partitions}
}

// Is tells whether the pointer is the one that was committed, its positions too.
func (p *Pointer) Is(c *Committed) bool {
	if p.Epoch != c.Epoch || p.Incarnation != c.Incarnation || p.Checksum != c.Checksum || len(p.Partitions) != len(c.Partitions) {
		return false
	}
	positions := map[int32]int64{}
	for _, s := range c.Partitions {
		positions[s.ID] = s.Position
	}
	for _, s := range p.Partitions {
		if at, is := positions[s.ID]; !is || at != s.Position {
			return false
		}
	}
	return true
}

// String names the epoch and its positions by partition.
func (c *Committed) String() string {
	if c.Epoch == 0 {
		return "nothing"
	}
	text := fmt.Sprintf("epoch %d of incarnation %d at", c.Epoch, c.Incarnation)
	if c.Checksum != "" {
		text = fmt.Sprintf("epoch %d of incarnation %d (pointer %s) at", c.Epoch, c.Incarnation, c.Checksum)
	}
	if len(c.Partitions) == 0 {
		text += " no positions"
	}
	for _, s := range c.Partitions {
		text += fmt.Sprintf(" %d:%d", s.ID, s.Position)
	}
	return text
}

// lastTries is how often the committer is asked to commit the last epoch, which no
// other comes after, where it fails for another reason than that its servers are
// away. The pauses between grow from firstPause to longestPause.
const (
	lastTries    = 5
	firstPause   = time.Second
	longestPause = 8 * time.Second
)

// commit makes an epoch the one that a restart goes on from.
func (c *checkpoints) commit(ctx context.Context, p *Pointer, b *barrier) error {
	if !c.run.keeps(b) {
		c.run.last.Store(p)
		return nil
	}
	c.run.cfg.Crash(CrashBeforeCommit)
	if err := c.insist(ctx, b, func() error { return c.try(ctx, p) }); err != nil {
		return fmt.Errorf("committing epoch %d: %w", p.Epoch, err)
	}
	c.run.cfg.Crash(CrashAfterCommit)
	return nil
}

// insist does something that has to do with the committer; at the last barrier again
// and again, as no other checkpoint makes up for one that failed. While the committer's
// servers are away it goes on for as long as they are, or until the run is told to stop.
func (c *checkpoints) insist(ctx context.Context, b *barrier, do func() error) error {
	err, pause := do(), firstPause
	if c.committer == nil || !b.last() {
		return err
	}
	var stop <-chan struct{}
	if b.kind == barrierEnd {
		stop = c.run.life.stop
	}
	for tries := 1; err != nil && !errors.Is(err, ErrFenced); {
		if stop == nil || !errors.Is(err, ErrAway) {
			tries++
		}
		if tries > lastTries {
			return err
		}
		c.count(b, nil, &CheckpointStats{Epoch: b.epoch}, err)
		c.run.cfg.Logger.Warn("the last epoch was not committed; it is tried again", "epoch", b.epoch, "after", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-stop:
			woken(ctx)
			return fmt.Errorf("the run was told to stop: %w", err)
		case <-ctx.Done():
			return err
		}
		woken(ctx)
		pause = min(2*pause, longestPause)
		err = do()
	}
	return err
}

// try commits an epoch once. Prepare looks whether the state still is this
// process's, after the fence that the committer stands behind: one that has claimed
// it later fences later, so that nothing is committed after its look.
func (c *checkpoints) try(ctx context.Context, p *Pointer) error {
	if c.committer == nil {
		return c.point(ctx, p)
	}
	if err := c.settle(ctx); err != nil || c.run.last.Load() == p {
		return err
	}
	if err := c.run.cfg.Generations.Prepare(ctx, p); err != nil {
		return fmt.Errorf("preparing it: %w", err)
	}
	c.run.cfg.Crash(CrashPrepared)
	c.open = p
	if err := c.committer.Commit(ctx, p); err != nil {
		err = fmt.Errorf("sink %s: %w", c.committer.Name(), err)
		if unknown := c.settle(ctx); unknown != nil || c.run.last.Load() != p {
			return errors.Join(err, unknown)
		}
		c.run.cfg.Logger.Warn("the epoch is committed, though it seemed to fail", "epoch", p.Epoch, "error", err)
		return nil
	}
	c.run.cfg.Crash(CrashCommitted)
	return c.point(ctx, p)
}

// point makes a pointer the newest.
func (c *checkpoints) point(ctx context.Context, p *Pointer) error {
	if err := c.run.cfg.Generations.Commit(ctx, p); err != nil {
		return err
	}
	c.open = nil
	c.run.last.Store(p)
	return nil
}

// settle finds out whether an epoch was committed whose Commit failed, or did not
// come to the pointer. A process that has been replaced ends before it fences its
// successor off.
//
// It comes before anything of the next epoch is written, for what no pointer names
// is deleted where the pointer of this one is.
func (c *checkpoints) settle(ctx context.Context) error {
	p := c.open
	if p == nil {
		return nil
	}
	if err := c.run.cfg.Generations.Prepare(ctx, p); err != nil {
		return fmt.Errorf("finding out whether epoch %d is committed: %w", p.Epoch, err)
	}
	committed, err := c.committer.Fence(ctx)
	if err != nil {
		return fmt.Errorf("finding out whether epoch %d is committed: %w", p.Epoch, err)
	}
	c.run.cfg.Crash(CrashSettled)
	if p.Is(committed) {
		return c.point(ctx, p)
	}
	if committed.Incarnation > c.run.incarnation {
		return fmt.Errorf("%w: it has committed %s", ErrFenced, committed)
	}
	c.open = nil
	return nil
}
