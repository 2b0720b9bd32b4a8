package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hextide/hextide/materialize"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kadm"
)

// stopAt lets a process stop itself, by SIGSTOP, at a crash point.
func stopAt(point string) []string { return []string{"HEXTIDE_TEST_STOP=" + point} }

// stands waits until a process has stopped itself.
func (p *process) stands() {
	p.t.Helper()
	p.until("its stop", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		_, after, _ := bytes.Cut(status, []byte(") ")) // the name is in brackets
		return err == nil && bytes.HasPrefix(after, []byte("T"))
	})
}

// goesOn lets a stopped process go on.
func (p *process) goesOn() {
	p.t.Helper()
	check(p.t, p.cmd.Process.Signal(syscall.SIGCONT))
}

// aborted waits until the broker has ended a group's transaction, since its time is
// over.
func (p *process) aborted(brokers, pipeline, group string) {
	p.t.Helper()
	id := "hextide." + pipeline + "." + group
	admin := kadm.NewClient(cluster(p.t, brokers))
	p.until("the transaction's end", func() bool {
		all, err := admin.DescribeTransactions(p.t.Context(), id)
		return err == nil && all[id].State == "CompleteAbort"
	})
}

// briefly is how long a transaction may take here: longer than any does on a busy
// machine.
const briefly = "6s"

// inTransaction are the moments of a transaction that holds something: what it holds
// is lost with it.
var inTransaction = []string{materialize.CrashFeedProduced, materialize.CrashFeedOffsets}

// exactly is a bounded run of a pipeline whose feed, group and snapshot are held
// against an undisturbed backfill.
type exactly struct {
	t           *testing.T
	definition  string
	name        string
	brokers     string
	undisturbed *process
	want        string // snapshot
}

func newExactly(t *testing.T) *exactly {
	t.Helper()
	e := &exactly{t: t}
	e.definition, e.name = define(t, city)
	input := repeated(t, 2)
	e.undisturbed, e.want = backfill(t, e.definition, []string{input})
	e.brokers = replayed(t, e.definition, e.name, input)
	return e
}

// life is one with a feed, a group and a folder of its own.
type life struct {
	*exactly
	feed, group, folder string
	definition          string
}

func (e *exactly) life(t *testing.T, what string) *life {
	of := *e
	of.t = t
	what = strings.NewReplacer(":", "-", "/", "-").Replace(what)
	l := &life{exactly: &of, feed: e.name + ".rows-" + what, group: e.name + "-" + what, folder: t.TempDir()}
	l.definition = rename(t, e.definition, e.name+".rows", l.feed)
	return l
}

func (l *life) state() string { return filepath.Join(l.folder, "state") }

func (l *life) out() string { return filepath.Join(l.folder, "out") }

// run starts a run in the folder.
func (l *life) run(variables []string, more ...string) *process {
	l.t.Helper()
	return start(l.t, variables, append([]string{"run", l.definition, "--brokers", l.brokers, "--bounded", "--shards", "8", "--group", l.group,
		"--state", l.state(), "--out", l.out(), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0",
		"--checkpoint-interval", "20ms", "--checkpoint-min-pause", "1ms", "--batch", "100"}, more...)...)
}

// done waits for the end of a run.
func (l *life) done(p *process) {
	l.t.Helper()
	if code := p.wait(); code != exitDone {
		l.t.Fatalf("exit code %d\n%s", code, p.err)
	}
}

// like holds the snapshot against the undisturbed one, and what was told.
func (l *life) like() {
	l.t.Helper()
	want := manifest(l.t, l.want)
	if got := manifest(l.t, l.out()); got.ContentHash != l.undisturbed.hash() || got.Counts != want.Counts {
		l.t.Errorf("%s %+v, undisturbed %s %+v", got.ContentHash, got.Counts, l.undisturbed.hash(), want.Counts)
	}
	filesListed(l.t, l.out())
	l.told(l.state())
}

// told holds the feed against the undisturbed snapshot, each record once, and the
// group against the newest pointer of a state.
func (l *life) told(state string) {
	l.t.Helper()
	want := manifest(l.t, l.want)
	agree(l.t, want.Counts.Rows, "kafka://"+l.brokers+"/"+l.feed, l.want)
	if rows, _, _ := once(l.t, l.brokers, l.feed); int64(rows) < want.Counts.Rows {
		l.t.Errorf("%d rows of %d", rows, want.Counts.Rows)
	}
	groupAgrees(l.t, l.brokers, l.group, l.name, state)
}

// A process that stands still in the middle of a transaction until the broker has
// aborted it tells what it held with the next one, once. A second one, started
// meanwhile by mistake, is refused.
func TestTransactionAbortedByBroker(t *testing.T) {
	t.Parallel()
	e := newExactly(t)
	for _, point := range append([]string{materialize.CrashFeedBegun}, inTransaction...) {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			l := e.life(t, point)
			p := l.run(stopAt(point+"/2"), "--feed-transaction-timeout", briefly)
			p.stands()
			if point != materialize.CrashFeedBegun { // the broker knows of it
				p.aborted(l.brokers, l.name, l.group)
			}
			second := l.run(nil)
			if code := second.wait(); code != exitFailed {
				t.Errorf("a second process: exit code %d", code)
			}
			complains(t, second, "in use by another process")
			p.goesOn()
			l.done(p)
			if point != materialize.CrashFeedBegun {
				complains(t, p, "checkpoint failed")
			}
			l.like()
		})
	}
}

// A process on a bucket stands still, at any step of a commit, for longer than its
// transaction may take; another takes its place, and is half done when the first goes
// on: that commits nothing, and ends with the reason.
func TestZombieOnS3(t *testing.T) {
	t.Parallel()
	e := newExactly(t)
	for _, point := range append([]string{stream.CrashBeforeCommit, stream.CrashPrepared, stream.CrashCommitted}, inTransaction...) {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			l := e.life(t, point)
			o := newOnS3(t, l.definition, l.brokers)
			run := func(point, local string) *process {
				return o.run(stopAt(point), "--bounded", "--group", l.group, "--feed-transaction-timeout", briefly, "--local", filepath.Join(o.folder, local))
			}
			zombie := run(point+"/2", "first")
			zombie.stands()
			if strings.HasPrefix(point, "feed:") {
				zombie.aborted(l.brokers, l.name, l.group)
			}
			next := run(stream.CrashCommitted, "second")
			next.stands()
			zombie.goesOn()
			if code := zombie.wait(); code != exitFailed {
				t.Errorf("the zombie: exit code %d", code)
			}
			complains(t, zombie, stream.ErrFenced.Error())
			next.goesOn()
			l.done(next)
			l.told(o.copied())
		})
	}
}

// copied is a folder with what is in the state's bucket.
func (o *onS3) copied() string {
	o.t.Helper()
	folder := o.t.TempDir()
	for name, content := range o.server.Objects(o.t) {
		path := filepath.Join(folder, filepath.FromSlash(strings.TrimPrefix(name, "taxis/state/")))
		check(o.t, os.MkdirAll(filepath.Dir(path), 0o755))
		write(o.t, path, content)
	}
	return folder
}
