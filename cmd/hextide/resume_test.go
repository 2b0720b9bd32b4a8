package main

import (
	"os"
	"path/filepath"
	"testing"
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

// stopped is a backfill of some taxis that was killed before its manifest.
func stopped(t *testing.T, definition, input string, more ...string) (out string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "out")
	arguments := append([]string{"backfill", definition, "--input", input, "--out", out}, more...)
	if p := start(t, []string{"HEXTIDE_TEST_CRASH=" + crashBeforeManifest}, arguments...); p.wait() == exitDone {
		t.Fatalf("%v was not killed", arguments)
	}
	return out
}

// What a backfill was begun with, with files or without, it goes on with.
func TestResumeNoFiles(t *testing.T) {
	definition, _ := define(t, city)
	input := csvFile(t, read(t)[:2000])
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
