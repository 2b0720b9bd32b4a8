package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/materialize"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
)

// committedRecords visits what a reader of what is committed sees in a topic, in the
// order of each partition.
func committedRecords(t *testing.T, brokers, topic string, visit func(*kgo.Record)) {
	t.Helper()
	client := cluster(t, brokers, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	ends, err := kadm.NewClient(client).ListCommittedOffsets(t.Context(), topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset < left[r.Partition] && !r.Attrs.IsControl() {
				visit(r)
			}
			if r.Offset >= left[r.Partition]-1 {
				delete(left, r.Partition)
			}
		})
	}
}

// once expects that a reader of what is committed sees each row, marker, dead letter
// and late record once, the rows of a cell in the order of window ends and revisions,
// and gives the numbers of rows and of the others.
func once(t *testing.T, brokers, feed string) (rows, revised, aside int) {
	t.Helper()
	type telling struct {
		cell       uint64
		resolution int32
		end        int64
		revision   int32
	}
	seen, last := map[telling]bool{}, map[telling]telling{}
	committedRecords(t, brokers, feed, func(r *kgo.Record) {
		m := &pb.FeedRecord{}
		if err := proto.Unmarshal(r.Value, m); err != nil {
			t.Fatal(err)
		}
		row := m.GetRow()
		if row == nil {
			return
		}
		at := telling{row.Cell, row.Resolution, row.WindowEndUs, row.Revision}
		if seen[at] {
			t.Errorf("%s: %+v came twice", feed, at)
		}
		of := telling{cell: row.Cell, resolution: row.Resolution, revision: row.Revision}
		if before, is := last[of]; is && before.end >= at.end {
			t.Errorf("%s: %+v came after %+v", feed, at, before)
		}
		seen[at], last[of] = true, at
		if rows++; row.Revision > 0 {
			revised++
		}
	})
	for _, topic := range []string{feed + ".dead", feed + ".late"} {
		keys := map[string]bool{}
		committedRecords(t, brokers, topic, func(r *kgo.Record) {
			if keys[string(r.Key)] {
				t.Errorf("%s: %s came twice", topic, r.Key)
			}
			keys[string(r.Key)] = true
			aside++
		})
	}
	return rows, revised, aside
}

// newestPointer is the newest of a state in a folder.
func newestPointer(t *testing.T, folder string) *stream.Pointer {
	t.Helper()
	state := statebackend.Open(statebackend.NewFolder(vfs.Default, folder), statebackend.Options{})
	epochs, err := state.Pointers(t.Context())
	if err != nil || len(epochs) == 0 {
		t.Fatal(epochs, err)
	}
	p, err := state.Pointer(t.Context(), epochs[len(epochs)-1])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// groupAgrees holds the offsets of a group against the newest pointer of a state.
func groupAgrees(t *testing.T, brokers, group, topic, state string) {
	t.Helper()
	offsets, err := kadm.NewClient(cluster(t, brokers)).FetchOffsets(kadm.RequireStable(t.Context()), group)
	if err != nil {
		t.Fatal(err)
	}
	p := newestPointer(t, state)
	for _, s := range p.Partitions {
		if o, is := offsets.Lookup(topic, s.ID); !is || o.At != s.Position || !strings.Contains(o.Metadata, fmt.Sprintf("epoch %d of incarnation %d", p.Epoch, p.Incarnation)) {
			t.Errorf("partition %d: the pointer says %d of epoch %d, the group %d, %q", s.ID, s.Position, p.Epoch, o.At, o.Metadata)
		}
	}
	if len(p.Partitions) == 0 || !p.Transactional {
		t.Errorf("%+v", p)
	}
}

// exactPoints are the crash points that a bounded run with a feed passes.
func exactPoints() []string {
	points := append([]string{}, materialize.FeedCrashPoints...)
	for _, p := range materialize.FeedCrashPoints[1:] {
		points = append(points, p+"/3")
	}
	for _, p := range stream.CrashPoints {
		if !strings.HasPrefix(p, "control:") && p != stream.CrashSettled {
			points = append(points, p)
		}
	}
	return append(points, stream.CrashCommitted+"/2", stream.CrashPrepared+"/2")
}

// A live run that is killed at every point and at any moment, and started again with
// the same command, tells a reader of its feed everything once.
func TestRestartExactlyOnce(t *testing.T) {
	restarted(t, func(t *testing.T, e *exactly, late bool) {
		c := &crashes{t: t, points: []string{stream.CrashCommitted, materialize.CrashFeedEnded + "/2"}, moments: 4, longest: time.Second}
		if late {
			c.points, c.moments = exactPoints(), 8
		}
		e.killed(c).like()
	})
}

// A state and a group that disagree are refused, with both and the ways out, and
// nothing is changed; --offsets=state goes on from the state.
func TestOffsetsDisagree(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	brokers, folder := replayed(t, definition, name, taxis), t.TempDir()
	state := filepath.Join(folder, "state")
	run := func(variables []string, more ...string) *process {
		return start(t, variables, append(append([]string{"run", definition, "--brokers", brokers, "--bounded", "--shards", "8",
			"--state", state, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"}, often...), more...)...)
	}
	if p := run([]string{"HEXTIDE_TEST_CRASH=" + stream.CrashAfterCommit + "/2"}); p.wait() != -1 {
		t.Fatalf("it was not killed\n%s", p.err)
	}
	p := newestPointer(t, state)
	admin := kadm.NewClient(cluster(t, brokers))
	moved := kadm.Offsets{}
	moved.AddOffset(name, p.Partitions[0].ID, p.Partitions[0].Position+7, -1)
	if err := admin.CommitAllOffsets(t.Context(), "hextide-"+name, moved); err != nil {
		t.Fatal(err)
	}
	unclaimed := func() map[string]string { // all but the claims of the starts
		all := tree(t, state)
		maps.DeleteFunc(all, func(path, _ string) bool {
			return strings.Contains(path, "incarnations") || strings.HasSuffix(path, "control.log")
		})
		return all
	}
	before := unclaimed()
	refused := run(nil)
	if code := refused.wait(); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	complains(t, refused, "disagree", fmt.Sprintf("epoch %d of incarnation %d", p.Epoch, p.Incarnation),
		fmt.Sprintf(" 0:%d ", p.Partitions[0].Position), fmt.Sprintf(" 0:%d ", p.Partitions[0].Position+7), "hextide-"+name, "--offsets=state", "--group")
	same(t, "after it was refused", before, unclaimed())
	last := run(nil, "--offsets", offsetsState)
	if code := last.wait(); code != exitDone || !strings.Contains(last.err.String(), "the run goes on from the state") {
		t.Errorf("exit code %d\n%s", code, last.err)
	}
	once(t, brokers, name+".rows")
	groupAgrees(t, brokers, "hextide-"+name, name, state)
	_, want := backfill(t, definition, []string{taxis})
	agree(t, manifest(t, want).Counts.Rows, "kafka://"+brokers+"/"+name+".rows", want)
}

// A run whose delivery was at least once goes on exactly once, and the other way.
func TestDeliveryChanges(t *testing.T) {
	t.Parallel()
	definition, name := define(t, city)
	_, want := backfill(t, definition, []string{taxis})
	brokers, folder := replayed(t, definition, name, taxis), t.TempDir()
	run := func(variables []string, more ...string) *process {
		return start(t, variables, append(append([]string{"run", definition, "--brokers", brokers, "--bounded", "--shards", "8",
			"--state", filepath.Join(folder, "state"), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"}, often...), more...)...)
	}
	kill := []string{"HEXTIDE_TEST_CRASH=" + stream.CrashAfterCommit + "/2"}
	if p := run(kill, "--feed-delivery", atLeastOnce); p.wait() != -1 {
		t.Fatalf("it was not killed\n%s", p.err)
	}
	if p := run(kill); p.wait() != -1 {
		t.Fatalf("it was not killed\n%s", p.err)
	}
	groupAgrees(t, brokers, "hextide-"+name, name, filepath.Join(folder, "state"))
	if p := run(nil, "--feed-delivery", atLeastOnce); p.wait() != exitDone {
		t.Errorf("at least once again:\n%s", p.err)
	}
	complains(t, do(t, exitFailed, "run", definition, "--brokers", brokers, "--bounded", "--shards", "8", "--state", filepath.Join(folder, "state"),
		"--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"), "disagree") // the group stood still meanwhile
	agree(t, manifest(t, want).Counts.Rows, "kafka://"+brokers+"/"+name+".rows", want)
}
