package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hextide/hextide/stream"
)

// often makes a run take checkpoints as often as it can.
var often = []string{"--checkpoint-interval", "1ms", "--checkpoint-min-pause", "1ms", "--batch", "100"}

// boundedPoints are the crash points that a run over bounded input passes, with
// more than one moment of those that a checkpoint passes many times.
func boundedPoints() []string {
	var points []string
	for _, point := range stream.CrashPoints {
		if !strings.HasPrefix(point, "control:") && !strings.HasPrefix(point, "transaction:") {
			points = append(points, point)
		}
	}
	return append(points, stream.CrashBeforeGeneration+"/4", stream.CrashAfterGeneration+"/3", stream.CrashAfterCommit+"/2")
}

// crashes kills runs, each at its point or moment, until all were visited and the
// last run ended. begin starts the next process; again says that nothing is left
// of the runs before, for one ended before its point was passed.
type crashes struct {
	t       *testing.T
	points  []string
	moments int           // kills at any moment, after those at points
	longest time.Duration // to a kill at any moment
	begin   func(again bool, variables []string) *process
	kills   int
}

func (c *crashes) run() (last *process) {
	c.t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	again, endings := true, 0
	for len(c.points) > 0 || c.moments > 0 {
		if len(c.points) > 0 {
			last = c.begin(again, []string{"HEXTIDE_TEST_CRASH=" + c.points[0]})
		} else {
			last = c.begin(again, nil)
			time.Sleep(time.Duration(random.Int64N(int64(c.longest))))
			_ = last.cmd.Process.Kill() // or it has ended
		}
		code := last.wait()
		again = !last.killed()
		switch {
		case again && code != exitDone:
			c.t.Fatalf("exit code %d\n%s", code, last.err)
		case again && endings > 60:
			c.t.Fatalf("never killed at %v (%d more moments)", c.points, c.moments)
		case again:
			endings++
			if len(c.points) == 0 {
				c.longest = c.longest * 3 / 4 // it is done sooner on this machine
			}
		case len(c.points) > 0:
			c.kills, c.points = c.kills+1, c.points[1:]
		default:
			c.kills, c.moments = c.kills+1, c.moments-1
		}
	}
	if again {
		return last
	}
	last = c.begin(false, nil)
	if code := last.wait(); code != exitDone {
		c.t.Fatalf("exit code %d\n%s", code, last.err)
	}
	return last
}

// A backfill that is killed at every point and at any moment, and resumed, gives
// the same rows in the same files' places.
func TestRestartBackfill(t *testing.T) {
	definition, _ := define(t, city)
	undisturbed, want := backfill(t, definition, []string{taxis})
	out, lives := "", 0
	c := &crashes{t: t, points: append(boundedPoints(), crashBeforeManifest, crashAfterManifest), moments: 10, longest: 400 * time.Millisecond}
	c.begin = func(again bool, variables []string) *process {
		arguments := append([]string{"backfill", definition, "--input", absolute(t, taxis)}, often...)
		if again {
			lives++
			out = filepath.Join(t.TempDir(), fmt.Sprint("life-", lives))
		} else if _, err := os.Stat(filepath.Join(out, stateFolder, begunName)); err == nil || finished(out) {
			arguments = append(arguments, "--resume")
		} // else it was killed before it had begun
		return start(t, variables, append(arguments, "--out", out)...)
	}
	last := c.run()
	if c.kills < 20 {
		t.Errorf("%d kills", c.kills)
	}
	t.Logf("%d kills in %d lives", c.kills, lives)
	if got := manifest(t, out); got.ContentHash != undisturbed.hash() || got.Counts != manifest(t, want).Counts {
		t.Errorf("%s %+v, undisturbed %s %+v\n%s", got.ContentHash, got.Counts, undisturbed.hash(), manifest(t, want).Counts, last.err)
	}
	agree(t, manifest(t, want).Counts.Rows, out, want)
	filesListed(t, out)
}

func finished(out string) bool {
	_, err := os.Stat(filepath.Join(out, "_MANIFEST.json"))
	return err == nil
}

// filesListed holds the files of a snapshot against its manifest: none is more,
// none is less, none is other.
func filesListed(t *testing.T, dir string) {
	t.Helper()
	m := manifest(t, dir)
	rows := int64(0)
	for _, part := range m.Parts {
		content, err := os.ReadFile(filepath.Join(dir, part.Path))
		if err != nil || int64(len(content)) != part.Bytes || fmt.Sprintf("%x", sha256.Sum256(content)) != part.SHA256 {
			t.Errorf("%s: %v, %d bytes, the manifest says %d and %s", part.Path, err, len(content), part.Bytes, part.SHA256)
		}
		rows += part.Rows
	}
	found, err := filepath.Glob(filepath.Join(dir, "rows", "*", "*", "*"))
	if err != nil || len(found) != len(m.Parts) || rows != m.Counts.Rows {
		t.Errorf("%d files (%v) of %d in the manifest, %d rows of %d", len(found), err, len(m.Parts), rows, m.Counts.Rows)
	}
	if _, err := os.Stat(filepath.Join(dir, stateFolder)); err == nil {
		t.Errorf("%s still has its working state", dir)
	}
}

// A live run that is killed at every point and at any moment, and started again
// with the same command, loses nothing; what its feed, which is delivered at least
// once, tells again is equal.
func TestRestartLive(t *testing.T) {
	repeats := 0 // of final rows in the feeds; where a kill falls decides on each
	restarted(t, func(t *testing.T, e *exactly, late bool) {
		c := &crashes{t: t, points: boundedPoints(), moments: 6, longest: time.Second}
		if late {
			c.points, c.moments = nil, 12
		}
		l := e.killed(c, "--feed-delivery", atLeastOnce)
		l.kept()
		agree(t, manifest(t, l.want).Counts.Rows, "kafka://"+l.brokers+"/"+l.feed, l.want)
		repeats += readFeed(t, l.brokers, l.feed).repeats()
	})
	if repeats == 0 {
		t.Error("no final row came twice: this tests nothing")
	}
}

// rename copies a definition with another name in it.
func rename(t *testing.T, definition, old, name string) string {
	t.Helper()
	text, err := os.ReadFile(definition)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(t.TempDir(), "pipeline.yaml"), bytes.ReplaceAll(text, []byte(old), []byte(name)))
}
