package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hextide/hextide/stream"
)

// A finished snapshot is resumed only as what it is: with another definition,
// range or input it is refused, and stays.
func TestResumeFinished(t *testing.T) {
	definition, _ := define(t, city)
	input := csvFile(t, read(t)[:2000])
	_, out := backfill(t, definition, []string{input}, "--to", "2008-05-21T01:00:00Z")
	before, err := os.ReadFile(filepath.Join(out, "_MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	other := rename(t, definition, "sizes: [1m, 5m]", "sizes: [1m, 2m]")
	longer := csvFile(t, read(t)[:2001])
	resume := []string{"backfill", "--resume", "--out", out, "--progress=false"}
	for what, c := range map[string]struct {
		code  int
		more  []string
		wants []string
	}{
		"the same":           {exitDone, []string{definition, "--input", input, "--to", "2008-05-21T01:00:00Z"}, nil},
		"the same time":      {exitDone, []string{definition, "--input", input, "--to", "2008-05-21T03:00:00+02:00"}, nil},
		"another definition": {exitFailed, []string{other, "--input", input, "--to", "2008-05-21T01:00:00Z"}, []string{"definition"}},
		"another range":      {exitFailed, []string{definition, "--input", input, "--to", "2008-05-21T02:00:00Z"}, []string{"--to", "01:00:00Z", "02:00:00Z"}},
		"no range":           {exitFailed, []string{definition, "--input", input}, []string{"--to", "01:00:00Z"}},
		"longer input":       {exitFailed, []string{definition, "--input", longer, "--to", "2008-05-21T01:00:00Z"}, []string{"input", "events.csv"}},
		"more input":         {exitFailed, []string{definition, "--input", input, "--input", longer, "--to", "2008-05-21T01:00:00Z"}, []string{"1 csv files", "2 csv files"}},
		"no files":           {exitFailed, []string{definition, "--input", input, "--to", "2008-05-21T01:00:00Z", "--no-files"}, []string{"--no-files=false, not --no-files=true"}},
		"no input":           {exitFailed, []string{definition, "--input", input + "-none", "--to", "2008-05-21T01:00:00Z"}, []string{"no such file"}},
	} {
		t.Run(what, func(t *testing.T) {
			p := do(t, c.code, append(resume, c.more...)...)
			complains(t, p, c.wants...)
			if after, err := os.ReadFile(filepath.Join(out, "_MANIFEST.json")); err != nil || string(after) != string(before) {
				t.Errorf("the manifest is another (%v)", err)
			}
		})
	}
}

// day are the taxis over and over, each time two hours later.
func day(t *testing.T) string {
	t.Helper()
	all := read(t)
	many := []string{all[0]}
	for shift := 0; shift < 24*3600; shift += 2 * 3600 {
		for _, line := range all[1:] {
			second, rest, _ := strings.Cut(line, ",")
			at, err := strconv.Atoi(second)
			if err != nil {
				t.Fatal(err)
			}
			many = append(many, strconv.Itoa(at+shift)+","+rest)
		}
	}
	return csvFile(t, many)
}

// stopped is a backfill that was killed after a few checkpoints.
func stopped(t *testing.T, definition, input string, more ...string) (out string) {
	t.Helper()
	untilKilled(t, stream.CrashAfterCommit+"/3", func(variables []string) *process {
		out = filepath.Join(t.TempDir(), "out")
		arguments := append([]string{"backfill", definition, "--input", input, "--out", out}, more...)
		return start(t, variables, append(arguments, often...)...)
	})
	return out
}

// untilKilled begins a run anew until one is killed at a point: how many
// checkpoints a run takes before it ends is for the machine to say.
func untilKilled(t *testing.T, point string, begin func(variables []string) *process) {
	t.Helper()
	const tries = 30
	for range tries {
		p := begin([]string{"HEXTIDE_TEST_CRASH=" + point})
		if code := p.wait(); p.killed() {
			return
		} else if code != exitDone {
			t.Fatalf("exit code %d\n%s", code, p.err)
		}
	}
	t.Fatalf("%d runs ended before they came to %s", tries, point)
}

// What a backfill was begun with, with files or without, it goes on with.
func TestResumeNoFiles(t *testing.T) {
	definition, _ := define(t, city)
	input := day(t)
	for _, begun := range []string{"--no-files=false", "--no-files=true"} {
		out := stopped(t, definition, input, begun)
		other := "--no-files=true"
		if begun == other {
			other = "--no-files=false"
		}
		resume := []string{"backfill", definition, "--input", input, "--out", out, "--resume"}
		complains(t, do(t, exitFailed, append(resume, other)...), begun+", not "+other)
		if finished(out) {
			t.Errorf("begun with %s, resumed with %s, it has a manifest", begun, other)
		}
		do(t, exitDone, append(resume, begun)...)
		if m := manifest(t, out); m.NoFiles() != (begun == "--no-files=true") {
			t.Errorf("begun and resumed with %s: %d files of %d rows", begun, len(m.Parts), m.Counts.Rows)
		}
	}
}

// A backfill some of whose files have gone, or are shorter, is not gone on with:
// its manifest would list them.
func TestResumeMissingFile(t *testing.T) {
	definition, _ := define(t, city)
	input := day(t)
	for what, c := range map[string]struct {
		harm func(path string) error
		says string
	}{
		"removed":   {os.Remove, "is missing"},
		"truncated": {func(path string) error { return os.Truncate(path, 100) }, "has 100 bytes"},
	} {
		unfinished := stopped(t, definition, input)
		_, whole := backfill(t, definition, []string{taxis})
		for out, input := range map[string]string{unfinished: input, whole: absolute(t, taxis)} {
			found, err := filepath.Glob(filepath.Join(out, "rows", "*", "*", "*"))
			if err != nil || len(found) == 0 {
				t.Fatalf("%s has %d files (%v)", out, len(found), err)
			}
			if err := c.harm(found[0]); err != nil {
				t.Fatal(err)
			}
			p := do(t, exitFailed, "backfill", definition, "--input", input, "--out", out, "--resume")
			complains(t, p, found[0], c.says)
			unhinted(t, what, p)
		}
		if finished(unfinished) {
			t.Errorf("%s: it has a manifest", what)
		}
	}
}

// That resuming helps is said only where it does.
func TestResumeHint(t *testing.T) {
	definition, _ := define(t, city)
	input := day(t)
	out := stopped(t, definition, input)
	other := rename(t, definition, "sizes: [1m, 5m]", "sizes: [1m, 2m]")
	longer := csvFile(t, read(t)[:2001])
	unhinted(t, "another definition", do(t, exitFailed, "backfill", other, "--input", input, "--out", out, "--resume"))
	unhinted(t, "another input", do(t, exitFailed, "backfill", definition, "--input", longer, "--out", out, "--resume"))
	text, err := os.ReadFile(taxis)
	if err != nil {
		t.Fatal(err)
	}
	cut := write(t, filepath.Join(t.TempDir(), "cut.csv.gz"), text[:len(text)/2])
	unhinted(t, "damaged input", do(t, exitFailed, "backfill", definition, "--input", cut, "--out", filepath.Join(t.TempDir(), "out")))
}

func unhinted(t *testing.T, what string, p *process) {
	t.Helper()
	if strings.Contains(p.err.String(), "goes on") {
		t.Errorf("%s: resuming is said to help:\n%s", what, p.err)
	}
}
