package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/stream"
)

// onS3 runs a pipeline with its state on a server that speaks S3.
type onS3 struct {
	t          *testing.T
	server     *testserver.S3
	definition string
	brokers    string
	folder     string // of what stays on the machine
}

func newOnS3(t *testing.T, definition, brokers string) *onS3 {
	t.Helper()
	return &onS3{t: t, server: testserver.NewS3(t), definition: definition, brokers: brokers, folder: t.TempDir()}
}

func (o *onS3) variables(more ...string) []string {
	return append(more, "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret", "AWS_REGION=eu-central-1", "HEXTIDE_S3_ENDPOINT="+o.server.URL())
}

const stateOnS3 = "s3://" + testserver.S3Bucket + "/taxis/state"

// run starts a run with a folder beside its state.
func (o *onS3) run(variables []string, more ...string) *process {
	return start(o.t, o.variables(variables...), append([]string{"run", o.definition, "--brokers", o.brokers, "--shards", "8", "--state", stateOnS3,
		"--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--batch", "100", "--checkpoint-interval", "50ms", "--checkpoint-min-pause", "1ms"}, more...)...)
}

// bounded starts a run that ends at the topic's end and writes a snapshot.
func (o *onS3) bounded(variables []string, more ...string) *process {
	return o.run(variables, append([]string{"--bounded", "--out", filepath.Join(o.folder, "out"), "--local", filepath.Join(o.folder, "local")}, more...)...)
}

// copies is where a bounded run keeps copies of its generations.
func (o *onS3) copies() string { return filepath.Join(o.folder, "local", copiesName) }

// shardOf is an object that was written for an epoch and a shard; empty: none was.
func (o *onS3) shardOf(epoch int64) string {
	for path := range o.server.Objects(o.t) {
		if strings.Contains(path, "/shard/") && strings.Contains(path, fmt.Sprintf("/%d-", epoch)) {
			return path
		}
	}
	return ""
}

// like holds the snapshot against an undisturbed one.
func (o *onS3) like(undisturbed *process, want string) {
	o.t.Helper()
	out := filepath.Join(o.folder, "out")
	if got := manifest(o.t, out); got.ContentHash != undisturbed.hash() || got.Counts != manifest(o.t, want).Counts {
		o.t.Errorf("%s %+v, undisturbed %s %+v", got.ContentHash, got.Counts, undisturbed.hash(), manifest(o.t, want).Counts)
	}
	filesListed(o.t, out)
}

// A run with its state in a bucket that is killed at every point, and started
// again, loses nothing and doubles nothing.
func TestRestartOnS3(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	undisturbed, want := backfill(t, definition, []string{taxis})
	o := newOnS3(t, definition, replayed(t, definition, name, taxis))
	c := &crashes{t: t, points: boundedPoints(), moments: 3, longest: time.Second}
	lives := 0
	c.begin = func(again bool, variables []string) *process {
		if again {
			o.server, o.folder, lives = testserver.NewS3(t), t.TempDir(), lives+1
		}
		return o.bounded(variables, "--checkpoint-interval", "1ms", "--group", fmt.Sprint(name, "-", lives))
	}
	c.run()
	t.Logf("%d kills", c.kills)
	o.like(undisturbed, want)
	agree(t, manifest(t, want).Counts.Rows, "kafka://"+o.brokers+"/"+name+".rows", want)
}

// A run survives a store that fails a third of its calls in every way, and stands
// still now and then; it is killed on top of that.
func TestFailingS3(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	undisturbed, want := backfill(t, definition, []string{taxis})
	o := newOnS3(t, definition, replayed(t, definition, name, taxis))
	ways := []testserver.Fault{
		testserver.ServerError, testserver.SlowDown, testserver.TornUpload, testserver.TornDownload, testserver.LostAnswer, testserver.Stall,
	}
	o.server.Fail(testserver.Randomly(1, 0.3, ways...))
	for range 2 {
		if p := o.bounded([]string{"HEXTIDE_TEST_CRASH=" + stream.CrashAfterCommit}, "--s3-timeout", "200ms"); p.wait() != -1 {
			t.Fatalf("it was not killed\n%s", p.err)
		}
	}
	if p := o.bounded(nil, "--s3-timeout", "200ms"); p.wait() != exitDone {
		t.Fatalf("exit code\n%s", p.err)
	}
	o.like(undisturbed, want)
	for _, way := range ways {
		if o.server.Failed(way) == 0 {
			t.Errorf("fault %d was never met", way)
		}
	}
}

// Of two processes on one state the newer goes on; the older ends, and commits
// nothing more. One with the same folder beside it is refused.
func TestSecondProcessOnS3(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	o := newOnS3(t, definition, replayed(t, definition, name, taxis))
	local := func(name string) []string { return []string{"--local", filepath.Join(o.folder, name)} }
	commits := func(p *process) figures {
		_, http := p.address()
		return p.measures(http, "two checkpoints", func(f figures) bool { return f["checkpoints_completed_total"] >= 2 })
	}
	first := o.run(nil, local("first")...)
	f := commits(first)
	for _, operation := range []string{"get", "put", "create", "list"} {
		if f[fmt.Sprintf("state_calls_total{operation=%q}", operation)] == 0 {
			t.Errorf("no %s is counted: %v", operation, f)
		}
	}
	if f[`state_bytes_total{operation="put"}`] == 0 || f[`state_errors_total{operation="put"}`] != 0 {
		t.Errorf("%v", f)
	}
	mistaken := o.run(nil, local("first")...)
	if code := mistaken.wait(); code != exitFailed || !strings.Contains(mistaken.err.String(), "in use by another process") {
		t.Errorf("exit code %d\n%s", code, mistaken.err)
	}
	second := o.run(nil, local("second")...)
	if code := first.wait(); code != exitFailed || !strings.Contains(first.err.String(), stream.ErrFenced.Error()) {
		t.Errorf("the first: exit code %d\n%s", code, first.err)
	}
	commits(second)
	if listed := doWith(t, exitDone, o.variables(), "checkpoint", "ls", "--state", stateOnS3).out.String(); strings.Contains(listed, "damaged") {
		t.Errorf("while epochs come and go there are\n%s", listed)
	}
	second.interrupt()
	if code := second.wait(); code != exitDone {
		t.Errorf("the second: exit code %d\n%s", code, second.err)
	}
	listed := doWith(t, exitDone, o.variables(), "checkpoint", "ls", "--state", stateOnS3).out.String()
	if len(lines(listed, name)) != 3 {
		t.Errorf("kept are\n%s", listed)
	}
}

// killedOnS3 is a run that was killed with three epochs committed, shards written
// for the third, and objects of a fourth.
func killedOnS3(t *testing.T, definition, brokers string) *onS3 {
	t.Helper()
	for range 20 { // one may end before its fourth checkpoint, or find nothing changed for its third
		o := newOnS3(t, definition, brokers)
		if p := o.bounded([]string{"HEXTIDE_TEST_CRASH=" + stream.CrashBeforeCommit + "/4"}); p.wait() == -1 && o.shardOf(3) != "" {
			return o
		}
	}
	t.Fatal("never killed")
	return nil
}

// What is looked at and mended in a folder is so in a bucket: checkpoints are
// listed, shown, removed and exported, and damaged ones gone back behind; and a
// live run's rows can be had again with its control log.
func TestCheckpointsOnS3(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	input := longer(t)
	undisturbed, want := backfill(t, definition, []string{input})
	o := killedOnS3(t, definition, replayed(t, definition, name, input))
	look := func(code int, arguments ...string) string {
		t.Helper()
		p := doWith(t, code, o.variables(), append(arguments, "--state", stateOnS3)...)
		return p.out.String() + p.err.String()
	}
	if text := look(exitDone, "checkpoint", "show", "2"); !strings.Contains(text, `"epoch": 2`) {
		t.Errorf("shown is\n%s", text)
	}
	look(exitDone, "state", "export", definition, "--out", filepath.Join(t.TempDir(), "export"))
	look(exitDone, "checkpoint", "rm", "1")
	if text := look(exitDone, "checkpoint", "gc", "--dry-run"); !strings.Contains(text, stateOnS3+"/objects/") {
		t.Errorf("what the killed run left is not listed\n%s", text)
	}
	look(exitDone, "checkpoint", "gc", "--older", "0s")
	if text := look(exitDone, "checkpoint", "gc", "--dry-run"); !strings.Contains(text, "0 objects of 0 bytes unreached") {
		t.Errorf("after gc:\n%s", text)
	}
	look(exitFailed, "checkpoint", "rm", "3")
	look(exitUsage, "checkpoint", "show", "1")
	if text := doWith(t, exitUsage, o.variables(), "checkpoint", "ls", "--state", "s3://"+testserver.S3Bucket+"/nothing").err.String(); !strings.Contains(text, "holds no checkpoints") {
		t.Errorf("of an empty place: %s", text)
	}
	for _, wrong := range []string{"s3://", "s3:///x", "s3://b/p?x=1"} {
		doWith(t, exitUsage, o.variables(), "checkpoint", "ls", "--state", wrong)
	}
	damaged := o.shardOf(3)
	content := slices.Clone(o.server.Objects(t)[damaged])
	content[len(content)/2] ^= 1
	o.server.Change(t, damaged, content)
	if err := os.RemoveAll(o.copies()); err != nil {
		t.Fatal(err)
	}
	last := o.bounded(nil)
	if code := last.wait(); code != exitDone || !strings.Contains(last.err.String(), "damaged=3 goes_back_to=2") {
		t.Errorf("exit code %d\n%s", code, last.err)
	}
	o.like(undisturbed, want)
	aside := 0
	for path, content := range o.server.Objects(t) {
		if strings.HasSuffix(path, "pointers/3.json.damaged") && bytes.Contains(content, []byte(`"epoch":3`)) {
			aside++
		}
	}
	if aside != 1 {
		t.Error("the damaged pointer is not kept")
	}
}
