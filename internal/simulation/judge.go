package simulation

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/internal/oracle"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
)

// judge holds what readers see in the end against brute force over what the
// control log says was accepted.
func (w *world) judge(last *process, o *outcome) error {
	entries, err := statebackend.Open(access{&process{world: w, number: -1}}, statebackend.Options{}).ReadControl(context.Background())
	if err != nil {
		return fmt.Errorf("reading the control log: %w", err)
	}
	for _, e := range entries {
		w.note("control log: %+v", e)
	}
	truth, err := w.truth(entries)
	if err != nil {
		return err
	}
	s := last.summary
	o.late, o.joins = len(truth.late), truth.joins
	for _, at := range s.Partitions {
		records := w.source.partitions[at.ID]
		if end := records[len(records)-1].position; at.Position <= end {
			return fmt.Errorf("partition %d was read up to %d, its last record is at %d", at.ID, at.Position, end)
		}
	}
	if s.Counts.Read != truth.read || s.Counts.Late != int64(len(truth.late)) || s.Counts.Dead != int64(len(truth.dead)) {
		return fmt.Errorf("counted were %+v; there are %d records, %d late, %d dead", s.Counts, truth.read, len(truth.late), len(truth.dead))
	}
	if w.bounded {
		s.Final = math.MaxInt64 / 2
		for _, e := range truth.events {
			truth.end = max(truth.end, e.Time)
		}
		pane := w.plan.Pane.Microseconds()
		truth.end = truth.end - truth.end%pane + pane + w.plan.WidestWindow().Microseconds()
	} else {
		truth.end = s.Final
	}
	want := oracle.Compute(w.plan, truth.events, truth.end)
	o.rows = len(want.Rows)
	if err := w.judgeSnapshot(last.files.written, &truth, &want); err != nil {
		return fmt.Errorf("the snapshot: %w", err)
	}
	if w.exactly {
		if err := w.judgeLedger(&truth, &want); err != nil {
			return fmt.Errorf("the transactions: %w", err)
		}
		return nil
	}
	if err := w.judgeFeed(&truth, &want); err != nil {
		return fmt.Errorf("the feed: %w", err)
	}
	return nil
}

// truth is what should have been made of the records.
type truth struct {
	events []oracle.Event // accepted, once each
	late   []place
	dead   []place
	read   int64
	left   bool // a partition was idle at some time
	joins  int
	end    int64 // of the windows that are judged
}

// truth goes over each partition, record by record.
func (w *world) truth(entries []stream.ControlEntry) (t truth, err error) {
	var valid []stream.ControlEntry
	newest := int64(0)
	for _, e := range entries {
		switch {
		case e.Incarnation < newest: // of a process that was replaced
		case e.Kind == stream.ControlStart:
			newest = e.Incarnation
		default:
			valid, t.left = append(valid, e), true
			if e.Kind == stream.ControlJoin {
				t.joins++
			}
		}
	}
	for i := range w.source.partitions {
		if err := w.accept(int32(i), valid, &t); err != nil {
			return t, err
		}
	}
	return t, nil
}

// accept judges the records of a partition.
func (w *world) accept(partition int32, entries []stream.ControlEntry, t *truth) error {
	pane, seen := w.plan.Pane.Microseconds(), map[string]bool{}
	outOfOrder, allowed := w.plan.Source.OutOfOrder.Microseconds(), w.plan.Source.AllowedLateness.Microseconds()
	watermark := int64(math.MinInt64 / 2)
	for i := range w.source.partitions[partition] {
		r := &w.source.partitions[partition][i]
		for _, e := range entries {
			if e.Partition == partition && e.Next <= r.position {
				watermark = max(watermark, e.Watermark)
			}
		}
		t.read++
		at := place{partition, r.position}
		if r.broken {
			t.dead = append(t.dead, at)
			continue
		}
		late := r.time-r.time%pane+pane <= watermark-allowed
		watermark = max(watermark, r.time-outOfOrder)
		switch {
		case late:
			t.late = append(t.late, at)
		case w.plan.Source.Dedup != nil && seen[r.key]:
		default:
			seen[r.key] = true
			e, err := r.accepted(w.plan)
			if err != nil {
				return err
			}
			t.events = append(t.events, e)
		}
	}
	return nil
}

// judgeSnapshot wants every final row, and the right number of dead letters and
// late records.
func (w *world) judgeSnapshot(last *chapter, t *truth, want *oracle.Result) error {
	got := map[oracle.Key]told{}
	var dead, late []place
	for _, c := range chapters(last) {
		dead, late = append(dead, c.dead...), append(late, c.late...)
		for _, row := range c.rows {
			if before, is := got[row.Key]; is && !row.empty && row.revision == 0 && !before.empty {
				return fmt.Errorf("the row %v is told twice: by incarnation %d and by %d", row.Key, before.incarnation, row.incarnation)
			}
			got[row.Key] = row
		}
	}
	if err := samePlaces("dead letters", dead, t.dead); err != nil {
		return err
	}
	if err := samePlaces("late records", late, t.late); err != nil {
		return err
	}
	return w.sameRows(got, t, want)
}

// sameRows compares the rows up to the end of truth.
func (w *world) sameRows(got map[oracle.Key]told, t *truth, want *oracle.Result) error {
	for _, key := range oracle.Sorted(want.Rows) {
		row, is := got[key]
		if !is || row.empty {
			return fmt.Errorf("the row %v is missing", key)
		}
		if record := w.record(key, want.Rows[key]); row.record != record {
			return fmt.Errorf("the row %v, told by incarnation %d (revision %d, final %v), is %x, not %x", key, row.incarnation, row.revision, row.final, row.record, record)
		}
	}
	for _, key := range oracle.Sorted(got) {
		if row := got[key]; key.End <= t.end && want.Rows[key] == nil && !row.empty {
			return fmt.Errorf("the row %v, told by incarnation %d (revision %d, final %v), should not be", key, row.incarnation, row.revision, row.final)
		}
	}
	return nil
}

func (w *world) record(key oracle.Key, row *oracle.Row) string {
	return string(stream.AppendRecord(nil, &stream.Rows{
		Resolution: key.Resolution, WindowEnd: key.End, Cells: []geo.Cell{key.Cell}, Columns: row.Columns,
	}, 0))
}

// judgeFeed wants, for a reader who takes the word of the newest incarnation, every
// final row. No row that was called final may differ, but those that a process told
// after it had been replaced, or where a partition was idle at some time: after a
// crash that comes back before what was told without it, or leaves before what was
// told with it. So what an earlier process told of events that are late now may stay.
func (w *world) judgeFeed(t *truth, want *oracle.Result) error {
	got, last := map[oracle.Key]told{}, int64(0)
	places := map[string]map[place]bool{"dead letters": {}, "late records": {}}
	for _, c := range chapters(w.feed) {
		for _, row := range c.rows {
			if row.stale {
				continue
			}
			last = max(last, row.incarnation)
			if before, is := got[row.Key]; !is || before.incarnation <= row.incarnation {
				got[row.Key] = row
			}
			if real := want.Rows[row.Key]; !t.left && row.final && !row.empty && row.End <= t.end && (real == nil || w.record(row.Key, real) != row.record) {
				return fmt.Errorf("the row %v was told as final by incarnation %d, and is another", row.Key, row.incarnation)
			}
		}
		for _, d := range c.dead {
			places["dead letters"][d] = true
		}
		for _, l := range c.late {
			places["late records"][l] = true
		}
	}
	for _, d := range t.dead {
		if !places["dead letters"][d] {
			return fmt.Errorf("the dead letter %v is missing", d)
		}
	}
	for _, l := range t.late {
		if !places["late records"][l] {
			return fmt.Errorf("the late record %v is missing", l)
		}
	}
	if t.left {
		maps.DeleteFunc(got, func(key oracle.Key, row told) bool { return want.Rows[key] == nil && row.incarnation < last })
	}
	return w.sameRows(got, t, want)
}

// chapters are all up to the last, in their order.
func chapters(last *chapter) (all []*chapter) {
	for c := last; c != nil; c = c.before {
		all = append(all, c)
	}
	slices.Reverse(all)
	return all
}

// samePlaces compares records' places, once each.
func samePlaces(what string, got, want []place) error {
	order := func(a, b place) int {
		return int(a.partition-b.partition)<<32 + int(a.position-b.position)
	}
	got, want = slices.Clone(got), slices.Clone(want)
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s: told %v, there are %v", what, got, want)
	}
	return nil
}
