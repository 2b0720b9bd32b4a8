package statebackend

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
)

// opened starts a state in a bucket and reads its control log.
func opened(t *testing.T, s Store) (*State, stream.ControlLog, int64, []stream.ControlEntry) {
	t.Helper()
	f := Open(s, Options{Pipeline: "p", Grace: time.Hour})
	if _, _, err := begin(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	c, err := f.OpenControl()
	if err != nil {
		t.Fatal(err)
	}
	before, got, err := c.Entries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f, c, before, got
}

// The whole log is kept, an object a segment; a restart reads what it needs.
func TestControlLogInObjects(t *testing.T) {
	server := testserver.NewS3(t)
	s := bucket(t, server, "p")
	f, c, before, got := opened(t, s)
	if before != 0 || got != nil {
		t.Fatalf("an empty log has %v behind %d", got, before)
	}
	if _, err := f.ReadControl(t.Context()); err == nil || !strings.Contains(err.Error(), "no control log in s3://") {
		t.Fatal(err)
	}
	var want []stream.ControlEntry
	for n := range int64(3*segmentEntries + 10) {
		if n%100 == 99 { // a process that dies and its successor
			f, c, before, got = opened(t, s)
			if before+int64(len(got)) != n || !slices.Equal(got[min(before, 1):], want[before+min(before, 1):]) {
				t.Fatalf("%d entries behind %d, written are %d", len(got), before, n)
			}
			if before > 0 && (got[0].Kind != stream.ControlStart || got[0].Incarnation != 1+before/50) {
				t.Fatalf("the entries behind %d begin with %+v", before, got[0])
			}
		}
		if err := c.Append(t.Context(), turn(n)); err != nil {
			t.Fatal(err)
		}
		want = append(want, turn(n))
		if n%40 == 20 {
			if err := f.Commit(t.Context(), &stream.Pointer{Epoch: n, Control: n}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if before == 0 {
		t.Error("each restart reads all of the log")
	}
	if all, err := f.ReadControl(t.Context()); err != nil || !slices.Equal(all, want) {
		t.Fatalf("%d entries of %d, %v", len(all), len(want), err)
	}
	if kept := names(t, s, segmentsName); len(kept) != 4 {
		t.Errorf("objects: %q", kept)
	}
	last := "p/" + segmentName(int64(len(want)))
	server.Change(t, last, []byte(strings.Replace(string(server.Objects(t)[last]), `"leave"`, `"joint"`, 1)))
	if _, err := f.ReadControl(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("of a damaged log: %v", err)
	}
	server.Change(t, "p/"+segmentName(2*segmentEntries), nil)
	server.Change(t, last, nil)
	if _, err := f.ReadControl(t.Context()); err == nil || !strings.Contains(err.Error(), "entries before 513 are missing") {
		t.Errorf("of a log with a gap: %v", err)
	}
}

// A process that was replaced appends nothing that counts, wherever it was held up.
func TestFencedControlLog(t *testing.T) {
	s := bucket(t, testserver.NewS3(t), "p")
	_, old, _, _ := opened(t, s)
	if err := old.Append(t.Context(), turn(0)); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []bool{false, true} {
		stood := old.(*segments)
		held := &segments{state: stood.state, tail: stood.tail, opened: true} // it appends once it goes on
		f, c, _, got := opened(t, s)
		want := append(slices.Clone(got), turn(1), turn(2))
		if err := c.Append(t.Context(), turn(1)); err != nil {
			t.Fatal(err)
		}
		if gone { // the object after the old one's last has been replaced
			if err := c.Append(t.Context(), turn(2)); err != nil {
				t.Fatal(err)
			}
		} else {
			want = want[:len(want)-1]
		}
		for range 2 {
			if err := held.Append(t.Context(), turn(7)); !errors.Is(err, stream.ErrFenced) {
				t.Fatalf("gone %t: %v", gone, err)
			}
		}
		if all, err := f.ReadControl(t.Context()); err != nil || !slices.Equal(all, want) {
			t.Fatalf("gone %t: %v, %v; want %v", gone, all, err, want)
		}
		old = c
	}
}

// A third of all requests fails, answers are lost: every entry is there once.
func TestControlLogOnFailingStore(t *testing.T) {
	server := testserver.NewS3(t)
	f, c, _, _ := opened(t, bucket(t, server, "p"))
	server.Fail(testserver.Randomly(5, 0.3, heals...))
	for n := range int64(40) {
		if err := c.Append(context.Background(), turn(n)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := f.ReadControl(t.Context())
	if err != nil || len(all) != 40 {
		t.Fatal(len(all), err)
	}
	for n, e := range all {
		if e != turn(int64(n)) {
			t.Errorf("entry %d is %+v", n, e)
		}
	}
}

// A log that grows while it is read is read whole.
func TestControlLogGrowsWhileItIsRead(t *testing.T) {
	s := bucket(t, testserver.NewS3(t), "p")
	_, c, _, _ := opened(t, s)
	var want []stream.ControlEntry
	grow := func() {
		e := turn(int64(len(want)))
		if err := c.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		want = append(want, e)
	}
	grow()
	reader := Open(&growing{Store: s, grow: grow}, Options{Pipeline: "p"})
	if all, err := reader.ReadControl(t.Context()); err != nil || len(want) != 2 || !slices.Equal(all, want) {
		t.Errorf("read %v of %v, %v", all, want, err)
	}
}

// growing is a bucket whose control log grows as it has been listed.
type growing struct {
	Store
	grow func()
}

func (s *growing) List(ctx context.Context, folder string) ([]Listed, error) {
	listed, err := s.Store.List(ctx, folder)
	if folder == segmentsName && s.grow != nil {
		s.grow()
		s.grow = nil
	}
	return listed, err
}
