package materialize

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hextide/hextide/stream"
)

// lineSinks are the sinks that write dead letters and late records into a folder, as a
// run begins or goes on with them.
func lineSinks(t *testing.T) map[string]func(dir string) stream.Sink {
	plan := planOf(t, "snap", "none", "json")
	return map[string]func(dir string) stream.Sink{
		"records": func(dir string) stream.Sink { return NewRecords(dir) },
		"snapshot": func(dir string) stream.Sink {
			s, err := NewSnapshot(dir, plan, SnapshotOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
}

// aside writes a dead letter and a late record, and gives the state with them.
func aside(t *testing.T, sink stream.Sink, epoch int64) []byte {
	t.Helper()
	if err := sink.Write(t.Context(), (&step{dead: 1, late: 1}).output(planOf(t, "snap", "none", "json"))); err != nil {
		t.Fatal(err)
	}
	state, err := sink.Checkpoint(t.Context(), epoch)
	if err := errors.Join(err, sink.Close()); err != nil {
		t.Fatal(err)
	}
	return state
}

// Dead letters and late records that were written before must be there as they were; a
// state of an older program, which does not know how large they were, is gone on from.
func TestLinesAreAsTheyWere(t *testing.T) {
	sizes := regexp.MustCompile(`,"(dead|late)_bytes":\[[^]]*\]`)
	for name, open := range lineSinks(t) {
		for _, file := range []string{"dead/part-00000.jsonl", "late/part-00000.jsonl"} {
			for what, c := range map[string]struct {
				harm func(path string) error
				says string // empty: it goes on
				old  bool   // the state is of an older program
			}{
				"left alone":        {func(string) error { return nil }, "", false},
				"removed":           {os.Remove, "is missing", false},
				"truncated":         {func(path string) error { return os.Truncate(path, 10) }, "has 10 bytes", false},
				"left alone before": {func(string) error { return nil }, "", true},
				"truncated before":  {func(path string) error { return os.Truncate(path, 10) }, "", true},
				"removed before":    {os.Remove, "is missing", true},
			} {
				dir := t.TempDir()
				state := aside(t, open(dir), 1)
				if c.old {
					if state = sizes.ReplaceAll(state, nil); bytes.Contains(state, []byte("_bytes")) {
						t.Fatalf("%s", state)
					}
				}
				if err := c.harm(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
				sink := open(dir)
				err := sink.Restore(t.Context(), state)
				if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), file)) {
					t.Errorf("%s, %s %s: %v", name, file, what, err)
				}
				if err != nil {
					_ = sink.Close()
					continue
				}
				again := open(dir)
				if err := again.Restore(t.Context(), aside(t, sink, 2)); err != nil {
					t.Errorf("%s, %s %s, the next: %v", name, file, what, err)
				}
				_ = again.Close()
			}
		}
	}
}

// A run from a copy of the state, or on another machine, has none of the files of a run
// without a feed, and begins anew; a snapshot does not.
func TestLinesInAnotherPlace(t *testing.T) {
	for name, open := range lineSinks(t) {
		state, dir := aside(t, open(t.TempDir()), 1), t.TempDir()
		sink := open(dir)
		err := sink.Restore(t.Context(), state)
		if (err == nil) != (name == "records") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			_ = sink.Close()
			continue
		}
		again := open(dir)
		if err := again.Restore(t.Context(), aside(t, sink, 2)); err != nil {
			t.Error(err)
		}
		_ = again.Close()
	}
}
