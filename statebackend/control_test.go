package statebackend

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hextide/hextide/stream"
)

// fileControl opens the control log of a folder.
func fileControl(s *State) (*ControlFile, error) {
	c, err := s.OpenControl()
	if err != nil {
		return nil, err
	}
	return c.(*ControlFile), nil
}

func TestControlLogSurvivesTornLinesAndFullDisks(t *testing.T) {
	full, failing := errors.New("no space left on device"), false
	mem := vfs.NewMem()
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if failing && op.Kind == errorfs.OpFileSync {
			return full
		}
		return nil
	}))
	f, _, _ := start(t, fs)
	c, err := fileControl(f)
	if err != nil {
		t.Fatal(err)
	}
	leave := func(n int64) stream.ControlEntry {
		return stream.ControlEntry{Partition: 1, Next: n, Watermark: n * 1000, Incarnation: 1, Kind: stream.ControlLeave}
	}
	for n := int64(1); n <= 3; n++ {
		if err := c.Append(context.Background(), leave(n)); err != nil {
			t.Fatal(err)
		}
	}
	failing = true
	if err := c.Append(context.Background(), leave(1_000_000)); !errors.Is(err, full) {
		t.Fatalf("a full disk: %v", err)
	}
	failing = false
	if err := c.Append(context.Background(), leave(4)); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := readFile(mem, "state/control.log")
	if err != nil {
		t.Fatal(err)
	}
	if err := writeAtomic(mem, "state", "control.log", append(content, `{"partition":1,"ne`...)); err != nil {
		t.Fatal(err)
	}
	c, err = fileControl(f)
	if err != nil {
		t.Fatal(err)
	}
	before, got, _ := c.Entries(context.Background())
	if want := []stream.ControlEntry{leave(1), leave(2), leave(3), leave(4)}; before != 0 || !slices.Equal(got, want) {
		t.Fatalf("got %d, %v", before, got)
	}
}

// No bit of a log can change unnoticed; only one of a line's end may make it a line
// that was never acknowledged, and one of the name of its checksum leaves it whole.
func TestControlLogFlipped(t *testing.T) {
	fs := vfs.NewMem()
	f, c := open(t, fs)
	if err := turns(f, c, 1, 4, 10); err != nil {
		t.Fatal(err)
	}
	written, err := readFile(fs, "state/control.log")
	if err != nil {
		t.Fatal(err)
	}
	_, want, err := readLog(fs, "state")
	if err != nil || len(want) != 3 {
		t.Fatalf("%v, %v", want, err)
	}
	found := 0
	for bit := range 8 * len(written) {
		content := slices.Clone(written)
		content[bit/8] ^= 1 << (bit % 8)
		lines, err := parseLog(content)
		if err != nil {
			found++
			continue
		}
		for i, l := range lines {
			if l.ControlEntry != want[i] {
				t.Fatalf("bit %d: %+v, written was %+v", bit, l.ControlEntry, want[i])
			}
		}
	}
	if found < 7*len(written) {
		t.Errorf("%d of %d bits are found", found, 8*len(written))
	}
}

// Lines of programs that wrote no checksums are read, and get one.
func TestControlLogWithoutChecksums(t *testing.T) {
	fs := vfs.NewMem()
	f, c := open(t, fs)
	if err := errors.Join(turns(f, c, 1, 2, 10), c.Close()); err != nil {
		t.Fatal(err)
	}
	old := `{"partition":1,"next":7,"watermark_us":8,"incarnation":9,"kind":"leave"}` + "\n"
	if err := writeAtomic(fs, "state", controlName, []byte(old)); err != nil {
		t.Fatal(err)
	}
	c, err := openControl(fs, "state")
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := c.Entries(context.Background())
	if want := (stream.ControlEntry{Partition: 1, Next: 7, Watermark: 8, Incarnation: 9, Kind: stream.ControlLeave}); !slices.Equal(got, []stream.ControlEntry{want}) {
		t.Errorf("got %+v", got)
	}
	if content, err := readFile(fs, "state/control.log"); err != nil || !strings.Contains(string(content), lineSum) {
		t.Errorf("%s, %v", content, err)
	}
}

// history is the whole log: the archive, and what follows on it.
func history(t *testing.T, fs vfs.FS) []stream.ControlEntry {
	t.Helper()
	all, err := readControl(fs, "state")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// turn is the n-th entry of a log: now and then a start, else a partition's.
func turn(n int64) stream.ControlEntry {
	if n%50 == 0 {
		return stream.ControlEntry{Partition: -1, Watermark: stream.NoTime, Incarnation: 1 + n/50, Kind: stream.ControlStart}
	}
	return stream.ControlEntry{Partition: 1, Next: n, Watermark: n, Incarnation: 1 + n/50, Kind: stream.ControlLeave}
}

// turns appends entries from one to another and commits an epoch every so often.
func turns(f *State, c *ControlFile, from, to, every int64) error {
	for n := from; n < to; n++ {
		if err := c.Append(context.Background(), turn(n)); err != nil {
			return err
		}
		if (n+1)%every == 0 {
			if err := f.Commit(context.Background(), &stream.Pointer{Epoch: (n + 1) / every, Control: n + 1}); err != nil {
				return err
			}
		}
	}
	return nil
}

func open(t *testing.T, fs vfs.FS) (*State, *ControlFile) {
	t.Helper()
	f := Open(NewFolder(fs, "state"), Options{Pipeline: "p"})
	if err := f.Claim(); err != nil {
		t.Fatal(err)
	}
	c, err := fileControl(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := begin(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	return f, c
}

// The log and its copy in memory are bounded by what a restart needs; the archive
// has the rest, and may be moved away.
func TestControlLogIsArchived(t *testing.T) {
	fs := vfs.NewMem()
	f, c := open(t, fs)
	for from := int64(0); from < 10_000; from += 500 {
		if err := turns(f, c, from, from+500, 100); err != nil {
			t.Fatal(err)
		}
		if len(c.entries) > archiveAt+300 || len(content(t, fs, "state/control.log")) > 200*(archiveAt+300) {
			t.Fatalf("%d entries are held", len(c.entries))
		}
		if from%2000 == 0 {
			if err := errors.Join(c.Close(), f.Close()); err != nil {
				t.Fatal(err)
			}
			f, c = open(t, fs)
		}
	}
	all := history(t, fs)
	if len(all) != 10_000 {
		t.Fatalf("%d entries", len(all))
	}
	for n, e := range all {
		if e != turn(int64(n)) {
			t.Fatalf("entry %d is %+v", n, e)
		}
	}
	before, kept, err := c.Entries(context.Background())
	if err != nil || before+int64(len(kept)) != 10_000 || before == 0 {
		t.Fatalf("%d entries behind %d, %v", len(kept), before, err)
	}
	if e := kept[0]; e.Kind != stream.ControlStart || e.Incarnation != 1+before/50 || !slices.Equal(kept[1:], all[before+1:]) {
		t.Fatalf("the entries behind %d begin with %+v", before, e)
	}
	overwrite(t, fs, "state/control.archive.log", nil)
	if err := turns(f, c, 10_000, 12_000, 100); err != nil {
		t.Fatal(err)
	}
	if moved := content(t, fs, "state/control.archive.log"); c.archived.Entries <= before+1 || int64(len(moved)) != c.archived.Bytes || moved[0] != '{' {
		t.Fatalf("after the archive was moved away: %+v, %d bytes", c.archived, len(moved))
	}
	if _, err := readControl(fs, "state"); err == nil || !strings.Contains(err.Error(), "archive") {
		t.Errorf("without what was archived first: %v", err)
	}
	overwrite(t, fs, "state/control.archive.log", []byte("{\n"))
	if _, err := readControl(fs, "state"); err == nil || !strings.Contains(err.Error(), "line 1 is damaged") {
		t.Errorf("of a damaged archive: %v", err)
	}
	if _, err := readControl(fs, "elsewhere"); err == nil || !strings.Contains(err.Error(), "no control log in elsewhere") {
		t.Errorf("of no log: %v", err)
	}
}

// An epoch that needs what has gone to the archive is not gone on from.
func TestArchivedEpochIsGivenUp(t *testing.T) {
	fs := vfs.NewMem()
	f, c := open(t, fs)
	if err := turns(f, c, 0, 100, 100); err != nil {
		t.Fatal(err)
	}
	old := content(t, fs, "state/pointers/1.json")
	if err := turns(f, c, 100, 2000, 100); err != nil {
		t.Fatal(err)
	}
	if err := writeAtomic(fs, "state/pointers", "1.json", old); err != nil { // its removal was not durable
		t.Fatal(err)
	}
	p, err := f.Pointer(context.Background(), 1)
	if err == nil {
		err = f.whole(context.Background(), p)
	}
	if !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	if p, _, err := f.newest(context.Background()); err != nil || p.Epoch != 20 {
		t.Fatalf("%+v, %v", p, err)
	}
}

// The power is cut after every operation: what was acknowledged is there, once,
// in the log or in the archive, and what a restart needs is in the log.
func TestControlLogCrashAnywhere(t *testing.T) {
	const entries = 60
	for after := 1; ; after++ {
		mem := vfs.NewCrashableMem()
		operations := 0
		var crashed *vfs.MemFS
		cut := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return nil
			}
			if operations++; operations == after {
				crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(after), 2))})
			}
			return nil
		})
		f, c := open(t, errorfs.Wrap(mem, cut))
		c.least = 7
		acknowledged := int64(0)
		for n := range int64(entries) {
			if err := turns(f, c, n, n+1, 3); err != nil {
				t.Fatal(err)
			}
			if crashed == nil {
				acknowledged = n + 1
			}
		}
		if crashed == nil {
			return
		}
		g, d := open(t, crashed)
		all := history(t, crashed)
		if n := int64(len(all)); n < acknowledged || n > acknowledged+1 {
			t.Fatalf("crash %d: %d entries of %d", after, n, acknowledged)
		}
		for n, e := range all {
			if e != turn(int64(n)) {
				t.Fatalf("crash %d: entry %d is %+v", after, n, e)
			}
		}
		if p, _, err := g.newest(context.Background()); err != nil || p != nil && p.Control < d.archived.Entries {
			t.Fatalf("crash %d: %+v, %v; %d entries are archived", after, p, err, d.archived.Entries)
		}
		d.least = 7
		if err := turns(g, d, int64(len(all)), 2*entries, 3); err != nil {
			t.Fatal(err)
		}
		if again := history(t, crashed); len(again) != 2*entries || again[len(all)] != turn(int64(len(all))) || d.archived.Entries == 0 {
			t.Fatalf("crash %d: %d entries in the end", after, len(again))
		}
	}
}

// A disk that is full for a while, at whichever operation, loses no entry that was
// acknowledged and keeps none that was not.
func TestControlLogOnFullDisk(t *testing.T) {
	full := errors.New("no space left on device")
	for after := 1; after < 120; after++ {
		operations, began := 0, false
		mem := vfs.NewMem()
		f, c := open(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead || !began {
				return nil
			}
			if operations++; operations >= after && operations < after+4 {
				return full
			}
			return nil
		})))
		c.least = 5
		began = true
		var want []stream.ControlEntry
		for n := range int64(40) {
			if err := c.Append(context.Background(), turn(n)); err == nil {
				want = append(want, turn(n))
			}
			_ = f.Commit(context.Background(), &stream.Pointer{Epoch: n + 1, Control: int64(len(want))}) // it fails while the disk is full
		}
		if got := history(t, mem); !slices.Equal(got, want) || c.archived.Entries == 0 {
			t.Fatalf("failing from operation %d: %d entries, %d acknowledged", after, len(got), len(want))
		}
		if err := errors.Join(c.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		open(t, mem)
		if got := history(t, mem); !slices.Equal(got, want) {
			t.Fatalf("failing from operation %d: other entries when opened again", after)
		}
	}
}
