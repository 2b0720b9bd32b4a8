package stream

import (
	"bytes"
	"maps"
	"slices"
	"testing"
)

// keeper is what a store has of a machine: what all committed deltas come to.
type keeper struct {
	entries map[string][]byte
	since   int64 // number of the last committed barrier
}

func newKeeper() *keeper { return &keeper{entries: map[string][]byte{}} }

// saver is a machine.
type saver interface{ Save(since int64) *Delta }

// take meets a barrier. An epoch that is committed leaves just what a whole save does.
func (k *keeper) take(t failer, m saver, v *versions, committed bool) {
	number := v.now
	d := m.Save(k.since)
	if !committed {
		d.Entries()
		return
	}
	k.since = number
	if d.Whole() {
		clear(k.entries)
	}
	applied(k.entries, &Generation{Entries: d.Entries(), Removed: d.Removed})
	maps.DeleteFunc(k.entries, func(_ string, value []byte) bool { return value == nil })
	whole := applied(map[string][]byte{}, &Generation{Entries: m.Save(Everything).Entries()})
	for key, value := range whole {
		if kept, there := k.entries[key]; !there || !bytes.Equal(kept, value) {
			t.Fatalf("entry %x is %.99x by its deltas (%t), %.99x in whole", key, kept, there, value)
		}
	}
	if len(k.entries) != len(whole) {
		t.Fatalf("%d entries by their deltas, %d in whole", len(k.entries), len(whole))
	}
}

// failer is *testing.T or *rapid.T.
type failer interface{ Fatalf(string, ...any) }

// list are the entries by key.
func (k *keeper) list() []Entry {
	var entries []Entry
	for _, key := range slices.Sorted(maps.Keys(k.entries)) {
		entries = append(entries, Entry{Key: []byte(key), Value: k.entries[key]})
	}
	return entries
}

// restarted goes on with a machine that was restored.
func (k *keeper) restarted() { k.since = 0 }

// A machine that no checkpoint succeeds of forgets what it removed, and says so
// until its whole state is committed.
func TestRemovalsAreBounded(t *testing.T) {
	v := newVersions()
	key := []byte("key")
	v.now = 2
	for range keptRemovals + 1 {
		v.remove(1, func() []byte { return key })
	}
	for range 2 { // the first one fails
		if d := v.begin(0); !d.Whole() {
			t.Fatalf("%+v", d)
		}
		v.remove(1, func() []byte { return key })
	}
	if d := v.begin(3); d.Whole() || len(d.Removed) != 1 {
		t.Fatalf("%+v", d)
	}
	if d := v.begin(4); len(d.Removed) != 0 {
		t.Fatalf("%+v", d)
	}
	v.remove(v.now, func() []byte { return key })
	if len(v.gone) != 0 {
		t.Fatal("what no barrier met is removed")
	}
}

// Of a machine that nothing has reached since the last epoch nothing is written,
// and of one that was restored neither; what changed in an epoch that failed is
// written in the next.
func TestUnchangedStateIsNotWritten(t *testing.T) {
	s := &script{in: testIntake(t, 0, 5*second)}
	task := newTask(s.in, 0, TaskOptions{From: NoTime})
	queue := newControlQueue(nil, 0, 0)
	save := func(since int64) *Delta {
		d := task.Save(since)
		queue.save(d)
		return d
	}
	k := newKeeper()
	for round := range 2 {
		task.Batch(makeBatch(s.parse(t, "1 a\n2 b"), 0), &s.out)
		task.Flush(&s.out)
		queue.applied++
		save(k.since) // it fails
		number := task.versions.now
		d := save(k.since)
		if d.Empty() {
			t.Fatal("a change is not written")
		}
		applied(k.entries, &Generation{Entries: d.Entries(), Removed: d.Removed})
		k.since = number
		for range 2 {
			if d := save(k.since); !d.Empty() {
				t.Fatalf("round %d: nothing changed, and %q is written", round, d.Entries())
			}
		}
		at, rest, err := takeApplied(k.list())
		if err != nil || at != int64(round+1) {
			t.Fatalf("%d applied, %v", at, err)
		}
		task, queue = newTask(s.in, 0, TaskOptions{From: NoTime}), newControlQueue(nil, 0, at)
		if err := task.Restore(rest); err != nil {
			t.Fatal(err)
		}
		k.restarted()
		if d := save(k.since); !d.Empty() {
			t.Fatalf("round %d: nothing changed since the start, and %q is written", round, d.Entries())
		}
	}
}
