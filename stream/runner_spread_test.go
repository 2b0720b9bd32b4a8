package stream

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
)

// What makers make is each made once and taken in order, also while others are at
// work, and after an error nothing is taken any more.
func TestSpread(t *testing.T) {
	broken := errors.New("broken")
	for _, makers := range []int{1, 2, 4} {
		for _, fails := range []int{-1, 0, 57} {
			const n = 100
			var made [n]atomic.Int32
			var taken []int
			err := spread(makers, n, func(maker, i int) {
				if maker < 0 || maker >= makers {
					t.Errorf("maker %d of %d", maker, makers)
				}
				made[i].Add(1)
			}, func(i int) error {
				if made[i].Load() != 1 {
					t.Errorf("%d was made %d times when it was taken", i, made[i].Load())
				}
				if taken = append(taken, i); i == fails {
					return broken
				}
				return nil
			})
			want := n
			if fails >= 0 {
				want = fails + 1
			}
			if fails >= 0 != errors.Is(err, broken) || len(taken) != want || !slices.IsSorted(taken) {
				t.Errorf("%d makers, %d fails: %v, taken %v", makers, fails, err, taken)
			}
			for i := range made {
				if made[i].Load() > 1 || fails < 0 && made[i].Load() == 0 {
					t.Errorf("%d makers made %d %d times", makers, i, made[i].Load())
				}
			}
		}
	}
}

// Makers are for the processors on which no other worker closes panes.
func TestUsefulMakers(t *testing.T) {
	for _, c := range []struct{ makers, processors, busy, want int }{
		{4, 2, 1, 2}, {4, 2, 2, 1}, {4, 1, 1, 1}, {4, 8, 1, 4}, {4, 8, 6, 3}, {4, 2, 9, 1},
	} {
		if got := useful(c.makers, c.processors, c.busy); got != c.want {
			t.Errorf("of %d makers, %d processors and %d workers that close panes: %d, not %d", c.makers, c.processors, c.busy, got, c.want)
		}
	}
}

// record appends the rows of blocks and lets go of them.
func record(to []byte, rows []*Rows) []byte {
	for _, r := range rows {
		for i := range r.Cells {
			to = AppendRecord(to, r, i)
		}
		r.Release()
	}
	return to
}

// Blocks that leave while a pane is closed, and those left at its end, are the rows
// that a Step without leaves at once.
func TestBlocksLeaveInOrder(t *testing.T) {
	grids := &gridPool{}
	whole, parted := newClosing(t, overRings, ShardOptions{}), newClosing(t, overRings, ShardOptions{Makers: 2, Spread: spread, Grids: grids})
	for range 2 {
		var want, got []byte
		whole.close(t, whole.partials(), func(r *Rows) {
			for i := range r.Cells {
				want = AppendRecord(want, r, i)
			}
		})
		parted.end(t, parted.partials())
		times := 0
		var out Output
		more, err := parted.shard.Step(&out, func(rows []*Rows) error {
			if times++; len(rows) != manyBlocks {
				t.Errorf("%d blocks left together", len(rows))
			}
			got = record(got, rows)
			return nil
		})
		if got = record(got, out.Rows); err != nil || more || !slices.Equal(got, want) {
			t.Fatalf("other rows: %d bytes, not %d; %v, %v", len(got), len(want), more, err)
		}
		if times < 5 || len(out.Rows) >= manyBlocks {
			t.Errorf("blocks left %d times, and %d stayed to the end", times, len(out.Rows))
		}
		if len(grids.free) != 1 {
			t.Errorf("%d grids came back", len(grids.free))
		}
	}
}

// A sink that fails ends a Step, and so does memory that failed, whose rows stay.
func TestBlocksStayWhereFailed(t *testing.T) {
	parted := newClosing(t, overRings, ShardOptions{Makers: 2, Spread: spread})
	broken := errors.New("broken")
	for what, memory := range map[string]*share{"sink": nil, "memory": {err: broken}} {
		parted.end(t, parted.partials())
		parted.shard.options.memory = memory
		_, err := parted.shard.Step(&Output{}, func([]*Rows) error {
			if memory != nil {
				t.Error("rows leave that were made of what could not be read back")
			}
			return broken
		})
		if parted.shard.options.memory = nil; !errors.Is(err, broken) {
			t.Errorf("a failed %s: %v", what, err)
		}
	}
}
