package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hextide/hextide/internal/testserver"
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

// A process that stands still in the middle of a transaction until the broker has
// aborted it tells what it held with the next one, once. A second one, started
// meanwhile by mistake, is refused.
func TestTransactionAbortedByBroker(t *testing.T) {
	t.Parallel()
	e := newExactly(t, testserver.Kafka(t))
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
	e := newExactly(t, testserver.Kafka(t))
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
