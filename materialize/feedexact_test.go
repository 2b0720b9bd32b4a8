package materialize

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// exactly is an ExactFeed as a run has it, with what a test counts.
type exactly struct {
	*ExactFeed
	t       *testing.T
	plan    *pipeline.Plan
	hastens int
	epoch   int64
	n       int64 // incarnation
}

// toExact makes a sink of a group named like its topic, and fences and restores it.
func toExact(t *testing.T, address string, plan *pipeline.Plan, n int64, change func(*ExactOptions)) *exactly {
	t.Helper()
	e := &exactly{t: t, plan: plan, n: n}
	o := ExactOptions{
		FeedOptions: FeedOptions{Client: []kgo.Opt{kgo.SeedBrokers(address)}, Shards: 2, Incarnation: func() int64 { return n }},
		Source:      "exact-events", Group: plan.Sinks.Feed.Topic + "-group", Hasten: func() { e.hastens++ },
	}
	if change != nil {
		change(&o)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err == nil {
		_, err = haveTopic(t.Context(), kadm.NewClient(client), o.Source, 2, "delete")
		client.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if e.ExactFeed, err = NewExactFeed(plan, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	e.epoch = e.fenced().Epoch
	if err := e.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *exactly) fenced() *stream.Committed {
	e.t.Helper()
	c, err := e.Fence(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

// seal ends an epoch and gives its pointer.
func (e *exactly) seal() *stream.Pointer {
	e.t.Helper()
	e.epoch++
	state, err := e.Checkpoint(e.t.Context(), e.epoch)
	if err != nil {
		e.t.Fatal(err)
	}
	return &stream.Pointer{
		Epoch: e.epoch, Incarnation: e.n, Sinks: map[string][]byte{"feed": state},
		Partitions: []stream.PartitionState{{ID: 0, Position: 10 * e.epoch}, {ID: 1, Position: stream.FromStart}},
		Visibility: stream.Visibility{Checksum: fmt.Sprint("sum-", e.epoch)},
	}
}

// rows writes one row of a window end for each shard.
func (e *exactly) rows(end int64, revision int32) {
	e.t.Helper()
	cells := someCells(e.t)
	for shard := range int32(2) {
		b := simple(e.plan, end, revision, int64(shard), cells[shard])
		b.shard, b.incarnation = shard, e.n
		deliver(e.t, e, (&step{blocks: []block{b}, frontier: &stream.Frontier{Shard: shard, Incarnation: e.n, Provisional: end, Final: end - minute}, dead: 1, late: 1}).output(e.plan))
	}
}

// visible are the records that a reader of what is committed finds in a topic.
func visible(t *testing.T, address, topic string) []*kgo.Record {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListCommittedOffsets(t.Context(), topic)
	if err != nil || ends.Error() != nil {
		t.Fatal(err, ends.Error())
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	var all []*kgo.Record
	for len(left) > 0 {
		fetches := c.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset < left[r.Partition] && !r.Attrs.IsControl() {
				all = append(all, r)
			}
			if r.Offset >= left[r.Partition]-1 {
				delete(left, r.Partition)
			}
		})
	}
	return all
}

// seen lists the rows that a reader sees, and counts the others.
func (e *exactly) seen(address string) (rows []string, schemas, aside int) {
	e.t.Helper()
	d := &feedDecoder{}
	for _, r := range visible(e.t, address, e.topic) {
		m, err := d.decode(r.Value)
		if err != nil {
			e.t.Fatal(err)
		}
		switch {
		case m.schema != nil:
			schemas++
		case m.row != nil:
			rows = append(rows, fmt.Sprintf("%d/%d/%d", m.row.Shard, (m.row.WindowEndUs-noon)/minute, m.row.Revision))
		}
	}
	slices.Sort(rows)
	return rows, schemas, len(visible(e.t, address, e.topic+".dead")) + len(visible(e.t, address, e.topic+".late"))
}

// sees expects the rows that a reader sees, and so many dead letters and late
// records. What is committed is seen a moment later, in each partition at its own.
func (e *exactly) sees(address, what, want string, others int) {
	e.t.Helper()
	var got string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		rows, _, aside := e.seen(address)
		got = fmt.Sprintf("%s and %d others", strings.Join(rows, " "), aside)
		if got == fmt.Sprintf("%s and %d others", want, others) {
			return
		}
	}
	e.t.Errorf("%s: a reader sees %s, not %s and %d", what, got, want, others)
}

// exactConforms is what every broker must show of the sink.
func exactConforms(t *testing.T, address string) {
	t.Run("visible", func(t *testing.T) { exactVisible(t, address) })
	t.Run("failing", func(t *testing.T) { exactFailing(t, address) })
	t.Run("fencing", func(t *testing.T) { exactFencing(t, address) })
	t.Run("back", func(t *testing.T) { exactBack(t, address) })
	t.Run("deleted", func(t *testing.T) { exactDeleted(t, address) })
}

func TestExactFeedFakeConforms(t *testing.T) { exactConforms(t, fakeKafka(t)) }

func TestExactFeedRealConforms(t *testing.T) { exactConforms(t, testserver.Kafka(t)) }

// What is written is seen once its epoch is committed, with its offsets, and the
// next one to fence learns of it.
func exactVisible(t *testing.T, address string) {
	plan := planOf(t, "feed", own("exact"), "protobuf")
	e := toExact(t, address, plan, 1, nil)
	if e.epoch != 0 {
		t.Errorf("epoch %d is committed at the start", e.epoch)
	}
	e.rows(noon, 0)
	p := e.seal()
	e.rows(noon+minute, 0)
	e.sees(address, "before the commit", "", 0)
	if err := e.Commit(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	e.sees(address, "after it", "0/0/0 1/0/0", 4)
	p = e.seal()
	if err := e.Commit(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	e.sees(address, "after the second", "0/0/0 0/1/0 1/0/0 1/1/0", 8)
	if s := e.Transactions(); s.Committed != 2 || s.Aborted != 0 || s.Buffered != 0 {
		t.Errorf("%+v", s)
	}
	next := toExact(t, address, plan, 2, nil)
	if c := next.fenced(); !p.Is(c) {
		t.Errorf("the next finds %s, not %s", c, p.Commits())
	}
	if _, schemas, _ := next.seen(address); schemas != 2 {
		t.Errorf("%d schemas", schemas)
	}
}

// A transaction that fails leaves its records for the next, wherever it fails; one
// that is committed though it seemed to fail is not repeated.
func exactFailing(t *testing.T, address string) {
	for _, point := range FeedCrashPoints[1:4] {
		plan, fails := planOf(t, "feed", own("failing"), "json"), true
		ctx, cancel := context.WithCancel(t.Context())
		e := toExact(t, address, plan, 1, func(o *ExactOptions) {
			o.Crash = func(at string) {
				if fails && at == point {
					cancel()
				}
			}
		})
		e.rows(noon, 0)
		p := e.seal()
		if err := e.Commit(ctx, p); err == nil {
			t.Fatalf("a transaction that is cut at %s succeeds", point)
		}
		fails = false
		if err := e.Commit(t.Context(), p); err == nil {
			t.Error("the producer is used again")
		}
		e.rows(noon+minute, 0)
		p2 := e.seal()
		c := e.fenced()
		if p.Is(c) {
			t.Logf("cut at %s it was committed", point)
		} else if c.Epoch != 0 {
			t.Errorf("committed is %s", c)
		} else {
			e.sees(address, "after "+point, "", 0)
		}
		if err := e.Commit(t.Context(), p2); err != nil {
			t.Fatal(err)
		}
		e.sees(address, "after "+point+" and the next", "0/0/0 0/1/0 1/0/0 1/1/0", 8)
		if c := e.fenced(); !p2.Is(c) {
			t.Errorf("committed is %s, not %s", c, p2.Commits())
		}
	}
}

// Rows that are written while the producer is fenced anew go to their partitions.
func TestExactFeedFencedWhileWritten(t *testing.T) {
	address := fakeKafka(t)
	e := toExact(t, address, planOf(t, "feed", own("beside"), "protobuf"), 1, nil)
	written := make(chan struct{})
	fencing := make(chan struct{})
	go func() {
		defer close(written)
		for i := 0; ; i++ {
			select {
			case <-fencing:
				return
			default:
				e.rows(noon+int64(i)*minute, 0)
			}
		}
	}()
	for range 30 {
		e.fenced()
	}
	close(fencing)
	<-written
	if err := e.Commit(t.Context(), e.seal()); err != nil {
		t.Fatal(err)
	}
	d, rows := &feedDecoder{}, 0
	for _, r := range visible(t, address, e.topic) {
		m, err := d.decode(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		if m.row != nil {
			rows++
		}
		if m.row != nil && m.row.Shard != r.Partition {
			t.Fatalf("a row of shard %d is in partition %d", m.row.Shard, r.Partition)
		}
	}
	if rows == 0 {
		t.Error("nothing was written meanwhile")
	}
}

// Of two processes the one that fenced last commits, and the other does not.
func exactFencing(t *testing.T, address string) {
	plan := planOf(t, "feed", own("fencing"), "protobuf")
	old := toExact(t, address, plan, 1, nil)
	old.rows(noon, 0)
	p := old.seal()
	young := toExact(t, address, plan, 2, nil)
	if err := old.Commit(t.Context(), p); err == nil {
		t.Error("a process that is fenced off commits")
	}
	young.rows(noon+minute, 0)
	if err := young.Commit(t.Context(), young.seal()); err != nil {
		t.Fatal(err)
	}
	young.sees(address, "of two", "0/1/0 1/1/0", 4)
	if c := old.fenced(); c.Incarnation != 2 {
		t.Errorf("the older one finds %s", c)
	}
}

// A run that goes back behind what is committed tells nothing twice, restarted or
// not; where that is not asked for it tells all again.
func exactBack(t *testing.T, address string) {
	for _, quiet := range []bool{true, false} {
		plan := planOf(t, "feed", own("back"), "protobuf")
		e := toExact(t, address, plan, 1, nil)
		e.rows(noon, 0)
		first := e.seal()
		if err := e.Commit(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		e.rows(noon+minute, 0)
		if err := e.Commit(t.Context(), e.seal()); err != nil {
			t.Fatal(err)
		}
		back := toExact(t, address, plan, 2, nil)
		if err := back.GoBack(t.Context(), first, quiet); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second after a crash before anything more was committed
			again := toExact(t, address, plan, 3, nil)
			if c := again.fenced(); !first.Is(c) {
				t.Errorf("after going back committed is %s", c)
			}
			back = again
		}
		at, silent := back.Silent()[1]
		if silent != quiet || quiet && (at.Provisional != noon+minute || at.Final != noon) {
			t.Errorf("quiet %t: silent up to %+v", quiet, at)
		}
		back.rows(noon+minute, 0)
		back.rows(noon+2*minute, 0)
		back.rows(noon+minute, 1)
		if err := back.Commit(t.Context(), back.seal()); err != nil {
			t.Fatal(err)
		}
		want, others := "0/0/0 0/1/0 0/1/1 0/2/0 1/0/0 1/1/0 1/1/1 1/2/0", 8
		if !quiet {
			want, others = "0/0/0 0/1/0 0/1/0 0/1/1 0/2/0 1/0/0 1/1/0 1/1/0 1/1/1 1/2/0", 20
		}
		back.sees(address, fmt.Sprintf("quiet %t", quiet), want, others)
	}
}

// A topic that was deleted is not made anew where something was committed to it, at the
// start nor later; where somebody has made an empty one the run goes on.
func exactDeleted(t *testing.T, address string) {
	plan := planOf(t, "feed", own("deleted"), "protobuf")
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	remove := func() {
		if answers, err := admin.DeleteTopics(t.Context(), plan.Sinks.Feed.Topic); err != nil || answers.Error() != nil {
			t.Fatal(err, answers.Error())
		}
	}
	toExact(t, address, plan, 1, nil)
	remove()
	e := toExact(t, address, plan, 2, nil) // nothing was told
	e.rows(noon, 0)
	p := e.seal()
	if err := e.Commit(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	remove()
	next, err := NewExactFeed(plan, e.exact)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	for what, f := range map[string]*ExactFeed{"the run": e.ExactFeed, "the next": next} {
		if _, err := f.Fence(t.Context()); err == nil || !strings.Contains(err.Error(), "is gone") || !strings.Contains(err.Error(), "epoch 1 of incarnation 2") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if missing, err := lacks(t.Context(), admin, plan.Sinks.Feed.Topic); err != nil || !missing {
		t.Errorf("it was made: %v", err)
	}
	if _, err := admin.CreateTopic(t.Context(), 2, -1, nil, plan.Sinks.Feed.Topic); err != nil {
		t.Fatal(err)
	}
	if c := toExact(t, address, plan, 3, nil).fenced(); !p.Is(c) {
		t.Errorf("committed is %s", c)
	}
}

// While too much is kept a checkpoint is asked for, and Write waits for the one that
// is under way, and for none that is not.
func TestExactFeedBounded(t *testing.T) {
	address := fakeKafka(t)
	plan := planOf(t, "feed", own("bounded"), "protobuf")
	held, go1 := make(chan struct{}), make(chan struct{})
	e := toExact(t, address, plan, 1, func(o *ExactOptions) {
		o.Buffer = 3000
		o.Crash = func(at string) {
			if at == CrashFeedProduced {
				close(held)
				<-go1
			}
		}
	})
	for i := 0; e.hastens == 0 && i < 1000; i++ {
		e.rows(noon+int64(i)*minute, 0)
	}
	if e.hastens == 0 {
		t.Fatal("no checkpoint was asked for")
	}
	p, committed := e.seal(), make(chan error, 1)
	go func() { committed <- e.Commit(t.Context(), p) }()
	<-held
	written := make(chan struct{})
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Write(soon, &stream.Output{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Write does not wait for the transaction: %v", err)
	}
	go func() {
		e.rows(noon-minute, 0)
		close(written)
	}()
	close(go1)
	if err := <-committed; err != nil {
		t.Error(err)
	}
	<-written
	if s := e.Transactions(); s.Buffered == 0 || s.Buffered >= 3000 {
		t.Errorf("%+v", s)
	}
}

// Write waits too while the generations of an epoch that it has sealed are written,
// and goes on where that fails; where all that is kept is far too much, the run ends.
func TestExactFeedBoundedWhileGenerationsAreWritten(t *testing.T) {
	over := make(chan struct{})
	asked := int64(0)
	e := toExact(t, fakeKafka(t), planOf(t, "feed", own("bounded"), "protobuf"), 1, func(o *ExactOptions) {
		o.Buffer = 3000
		o.Ended = func(epoch int64) <-chan struct{} {
			asked = epoch
			return over
		}
	})
	for i := 0; e.hastens == 0 && i < 1000; i++ {
		e.rows(noon+int64(i)*minute, 0)
	}
	e.hastens = 0
	e.seal()
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Write(soon, &stream.Output{}); !errors.Is(err, context.DeadlineExceeded) || asked != e.epoch || e.hastens != 0 {
		t.Errorf("Write does not wait for the checkpoint of epoch %d but %d (%d hastened): %v", e.epoch, asked, e.hastens, err)
	}
	close(over)
	e.rows(noon-minute, 0)
	if e.hastens == 0 {
		t.Error("no checkpoint was asked for after one that failed")
	}
	var err error
	letter := &stream.Output{Dead: []stream.DeadLetter{{Raw: make([]byte, 500)}}}
	for i := 0; err == nil && i < 1000; i++ {
		err = e.Write(t.Context(), letter)
	}
	if buffered := e.Transactions().Buffered; err == nil || !strings.Contains(err.Error(), "epoch 1 was not committed") || buffered < 12000 || buffered > 15000 {
		t.Errorf("%d bytes are kept: %v", buffered, err)
	}
}
