package simulation

import (
	"context"
	"fmt"
	"strconv"

	"github.com/hextide/hextide/internal/oracle"
	"github.com/hextide/hextide/stream"
)

// told is a row that a sink was handed.
type told struct {
	oracle.Key
	record      string
	revision    int32
	final       bool
	empty       bool
	incarnation int64
	stale       bool // by a process that another had replaced
}

// place is a record's.
type place struct {
	partition int32
	position  int64
}

// chapter is what a sink was handed at a time, and what it was handed before.
type chapter struct {
	before *chapter
	rows   []told
	dead   []place
	late   []place
}

func (p *process) chapter(o *stream.Output, before *chapter) *chapter {
	c := &chapter{before: before}
	for _, r := range o.Rows {
		for i, cell := range r.Cells {
			c.rows = append(c.rows, told{
				Key:    oracle.Key{End: r.WindowEnd, Resolution: r.Resolution, Cell: cell},
				record: string(stream.AppendRecord(nil, r, i)), revision: r.Revision, final: r.Final, empty: r.Empty,
				incarnation: r.Incarnation, stale: r.Incarnation < p.claimed,
			})
		}
	}
	for _, d := range o.Dead {
		c.dead = append(c.dead, place{d.Partition, d.Position})
	}
	for _, l := range o.Late {
		c.late = append(c.late, place{l.Partition, l.Position})
	}
	return c
}

// snapshot is a sink that goes back with the run: what its readers see is what it
// was handed up to the newest epoch.
type snapshot struct {
	*process
	written *chapter
	kept    *chapter // at the last checkpoint
}

// file is what a snapshot made durable: at a checkpoint, and at the one before it.
type file struct{ now, before *chapter }

var _ stream.Sink = (*snapshot)(nil)

// Name is the sink's.
func (s *snapshot) Name() string { return "snapshot" }

// Write keeps what it is handed.
func (s *snapshot) Write(ctx context.Context, o *stream.Output) error {
	c := s.chapter(o, s.written)
	return s.call(ctx, "snapshot write", s.faults/10, func() error {
		s.written = c
		return nil
	})
}

// Checkpoint makes it durable.
func (s *snapshot) Checkpoint(ctx context.Context, _ int64) (state []byte, err error) {
	err = s.call(ctx, "snapshot checkpoint", s.faults, func() error {
		s.world.files = append(s.world.files, file{s.written, s.kept})
		s.kept = s.written
		state = []byte(strconv.Itoa(len(s.world.files) - 1))
		return nil
	})
	return state, err
}

// Restore goes back to a checkpoint.
func (s *snapshot) Restore(_ context.Context, state []byte) error {
	if state == nil {
		return nil
	}
	n, err := strconv.Atoi(string(state))
	if err != nil || n >= len(s.world.files) {
		return fmt.Errorf("the snapshot made no file %q durable", state)
	}
	f := s.world.files[n]
	s.written, s.kept = f.now, f.now
	if s.defect == oldFiles {
		s.written = f.before
	}
	return nil
}

// Close has nothing to do.
func (s *snapshot) Close() error { return nil }

// feed is a sink that tells its readers at once, and again after a crash.
type feed struct{ *process }

var _ stream.Sink = (*feed)(nil)

// Name is the sink's.
func (f *feed) Name() string { return "feed" }

// Write tells what it is handed.
func (f *feed) Write(ctx context.Context, o *stream.Output) error {
	c := f.chapter(o, nil)
	return f.call(ctx, "feed write", f.faults/10, func() error {
		c.before = f.world.feed
		f.world.feed = c
		return nil
	})
}

// Checkpoint has nothing to do: what was written is durable.
func (f *feed) Checkpoint(context.Context, int64) ([]byte, error) { return nil, nil }

// Restore has nothing to go back.
func (f *feed) Restore(context.Context, []byte) error { return nil }

// Close has nothing to do.
func (f *feed) Close() error { return nil }

// forgetful is a control log with a defect: it forgets who came back.
type forgetful struct{ stream.ControlLog }

// Entries returns starts in the place of those.
func (f forgetful) Entries(ctx context.Context) (int64, []stream.ControlEntry, error) {
	before, entries, err := f.ControlLog.Entries(ctx)
	for i, e := range entries {
		if e.Kind == stream.ControlJoin {
			entries[i] = stream.ControlEntry{Partition: -1, Kind: stream.ControlStart, Incarnation: e.Incarnation}
		}
	}
	return before, entries, err
}
