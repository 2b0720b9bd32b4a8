package materialize

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hextide/hextide/internal/testserver"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

func fakeKafka(t *testing.T) string {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

// toFeed is a sink as a run has it.
func toFeed(t fataler, address string, plan *pipeline.Plan, incarnation int64) *Feed {
	t.Helper()
	f, err := NewFeed(plan, FeedOptions{Client: []kgo.Opt{kgo.SeedBrokers(address)}, Shards: 2, Incarnation: func() int64 { return incarnation }})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Restore(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	return f
}

// flush makes durable what a feed was given, and closes it.
func flush(t fataler, f *Feed) {
	t.Helper()
	if _, err := f.Checkpoint(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func openFeed(t fataler, address, topic string) Side {
	t.Helper()
	side, err := OpenFeedSide(context.Background(), topic, kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	return side
}

// feedConforms is what every broker must show of the sink and its reader.
func feedConforms(t *testing.T, address string) {
	for _, format := range []string{"protobuf", "json"} {
		t.Run(format, func(t *testing.T) {
			feedRoundTrip(t, address, format)
			feedRecords(t, address, format)
			feedIncarnations(t, address, format)
			feedAnnounces(t, address, format)
		})
	}
	t.Run("topics", func(t *testing.T) { feedTopicsMade(t, address) })
	t.Run("missing", func(t *testing.T) { feedMissing(t, address) })
	t.Run("deleted", func(t *testing.T) { feedDeleted(t, address) })
}

func TestFeedFakeConforms(t *testing.T) { feedConforms(t, fakeKafka(t)) }

func TestFeedRealConforms(t *testing.T) { feedConforms(t, testserver.Kafka(t)) }

// A feed read back is the last revision of each row, bit for bit, and final as
// the frontiers say; so a snapshot of the same run does not differ from it.
func feedRoundTrip(t *testing.T, address, format string) {
	cells, drawn := someCells(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		if drawn++; drawn > 4 || t.Failed() { // topics are dear on a real broker
			return
		}
		topic := own("feed." + format)
		plan := planOf(t, "feed", topic, format)
		script := drawScript(rt, plan, cells)
		f := toFeed(rt, address, plan, 1)
		dir := t.TempDir()
		s := snap(rt, dir, plan, SnapshotOptions{}, nil)
		for i := range script {
			if !script[i].checkpoint {
				deliver(rt, f, script[i].output(plan))
			}
		}
		flush(rt, f)
		play(rt, s, plan, script)
		finish(rt, s, dir, expected(plan, script))
		side := openFeed(rt, address, topic)
		got, notFinal := read(rt, side)
		same(rt, "the feed", got, expected(plan, script))
		if err := side.Close(); err != nil || notFinal > 0 {
			rt.Fatalf("%d rows are not final, %v", notFinal, err)
		}
		d := diffOf(rt, openFeed(rt, address, topic), mustOpen(rt, dir))
		if !d.Same() || d.Compared != int64(len(got)) || d.Outside+d.NotFinal > 0 {
			rt.Fatalf("the feed differs from the snapshot of the same run: %+v", d)
		}
	})
}

func mustOpen(t fataler, dir string) Side {
	t.Helper()
	side, err := OpenSnapshotSide(dir)
	if err != nil {
		t.Fatal(err)
	}
	return side
}

func diffOf(t fataler, a, b Side) *Difference {
	t.Helper()
	defer a.Close()
	defer b.Close()
	d, err := Diff(context.Background(), a, b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// consumed are all records of a topic, by partition.
func consumed(t *testing.T, address, topic string, n int) map[int32][]*kgo.Record {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all := map[int32][]*kgo.Record{}
	for n > 0 {
		f := c.PollFetches(t.Context())
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		f.EachRecord(func(r *kgo.Record) { all[r.Partition], n = append(all[r.Partition], r), n-1 })
	}
	return all
}

// Records lie in their shard's partition: the schema first, rows with their cell
// as key, and a frontier behind the rows that it covers. They are stamped when
// they are produced.
func feedRecords(t *testing.T, address, format string) {
	topic, cells := own("records."+format), someCells(t)
	plan := planOf(t, "feed", topic, format)
	f := toFeed(t, address, plan, 7)
	begun := time.Now().Add(-time.Minute)
	for shard := range int32(4) {
		b := simple(plan, noon, 0, int64(shard), cells[shard])
		b.shard, b.incarnation = shard, 7
		deliver(t, f, (&step{blocks: []block{b}, frontier: &stream.Frontier{Shard: shard, Incarnation: 7, Provisional: noon, Final: noon - minute}, dead: 1, late: 2}).output(plan))
	}
	flush(t, f)
	partitions := consumed(t, address, topic, 2+4+4)
	for p, all := range partitions {
		d, texts := &feedDecoder{}, []string{}
		for _, r := range all {
			m, err := d.decode(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case m.schema != nil:
				texts = append(texts, "schema "+string(r.Key))
				if m.schema.Incarnation != 7 || m.schema.PlanHash != plan.Hash || len(m.schema.Columns) != len(plan.Columns) {
					t.Errorf("schema %v", m.schema)
				}
			case m.frontier != nil:
				texts = append(texts, "frontier "+string(r.Key))
				if m.frontier.Shard%2 != p || m.frontier.FinalUs != noon-minute || m.frontier.ProvisionalUs != noon || m.frontier.Incarnation != 7 {
					t.Errorf("frontier %v in partition %d", m.frontier, p)
				}
			default:
				texts = append(texts, "row "+string(r.Key))
				if m.row.Shard%2 != p || m.row.WindowEndUs != noon || m.row.Incarnation != 7 {
					t.Errorf("row %v in partition %d", m.row, p)
				}
			}
			if r.Timestamp.Before(begun) {
				t.Errorf("a record is stamped %s", r.Timestamp)
			}
		}
		want := []string{"schema ", "row " + cells[p].String(), "frontier ", "row " + cells[p+2].String(), "frontier "}
		if !slices.Equal(texts, want) {
			t.Errorf("partition %d holds %q, not %q", p, texts, want)
		}
	}
	for suffix, n := range map[string]int{".dead": 4, ".late": 8} {
		for _, all := range consumed(t, address, topic+suffix, n) {
			if len(all) != n || !json.Valid(all[0].Value) {
				t.Errorf("%d records in %s, %s", len(all), suffix, all[0].Value)
			}
		}
	}
}

// A row is final by a frontier of the newest incarnation only, and the greatest
// revision is the row, whichever came last.
func feedIncarnations(t *testing.T, address, format string) {
	topic, cells := own("incarnations."+format), someCells(t)
	plan := planOf(t, "feed", topic, format)
	frontier := func(incarnation, final int64) *stream.Frontier {
		return &stream.Frontier{Incarnation: incarnation, Provisional: final, Final: final}
	}
	first := toFeed(t, address, plan, 1)
	deliver(t, first, (&step{blocks: []block{simple(plan, noon, 1, 8, cells[0]), simple(plan, noon+minute, 0, 5, cells[0])}, frontier: frontier(1, noon+minute)}).output(plan))
	flush(t, first)
	count := func(want int) {
		t.Helper()
		side := openFeed(t, address, topic)
		defer side.Close()
		got, notFinal := read(t, side)
		if notFinal != want || len(got) != 2 || got[rowKey{noon, cells[0]}] != expected(plan, []step{{blocks: []block{simple(plan, noon, 1, 8, cells[0])}}})[rowKey{noon, cells[0]}] {
			t.Errorf("%d of %d rows are not final, not %d", notFinal, len(got), want)
		}
	}
	count(0)
	second := toFeed(t, address, plan, 2)
	b := simple(plan, noon, 0, 7, cells[0])
	b.incarnation = 2
	deliver(t, second, outputOf(plan, b))
	if _, err := second.Checkpoint(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	count(2)
	deliver(t, second, (&step{frontier: frontier(2, noon)}).output(plan))
	flush(t, second)
	count(1)
}

// Missing topics are made, with a partition a shard and unlimited retention; a
// topic that is there is left as it is.
func feedTopicsMade(t *testing.T, address string) {
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin, topic, three := kadm.NewClient(client), own("topics"), own("three")
	if _, err := admin.CreateTopic(t.Context(), 3, -1, nil, three); err != nil {
		t.Fatal(err)
	}
	for name, partitions := range map[string]int32{topic: 2, three: 3} {
		f := toFeed(t, address, planOf(t, "feed", name, "json"), 1)
		if f.partitions != partitions {
			t.Errorf("%s has %d partitions, not %d", name, f.partitions, partitions)
		}
		flush(t, f)
	}
	for _, name := range []string{topic, topic + ".dead", topic + ".late"} {
		configs, err := admin.DescribeTopicConfigs(t.Context(), name)
		if err != nil || len(configs) != 1 {
			t.Fatal(configs, err)
		}
		values := map[string]string{}
		for _, c := range configs[0].Configs {
			if c.Value != nil {
				values[c.Key] = *c.Value
			}
		}
		if values["retention.ms"] != "-1" || values["cleanup.policy"] != "delete" {
			t.Errorf("%s: retention.ms %s, cleanup.policy %s", name, values["retention.ms"], values["cleanup.policy"])
		}
	}
}

// A topic that was deleted is not made anew where the state says that rows were told to it.
func feedDeleted(t *testing.T, address string) {
	plan := planOf(t, "feed", own("deleted"), "json")
	f := toFeed(t, address, plan, 1)
	defer f.Close()
	state, err := f.Checkpoint(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	admin, topic := kadm.NewClient(f.client), plan.Sinks.Feed.Topic
	all := []string{topic, topic + ".dead", topic + ".late"}
	if answers, err := admin.DeleteTopics(t.Context(), all...); err != nil || answers.Error() != nil {
		t.Fatal(err, answers.Error())
	}
	again := func(plan *pipeline.Plan, state []byte) error {
		next, err := NewFeed(plan, f.options)
		if err != nil {
			t.Fatal(err)
		}
		defer next.Close()
		return next.Restore(t.Context(), state)
	}
	if err := again(plan, state); err == nil || !strings.Contains(err.Error(), "is gone") || !strings.Contains(err.Error(), "--state") {
		t.Error(err)
	}
	for _, topic := range all {
		if missing, err := lacks(t.Context(), admin, topic); err != nil || !missing {
			t.Errorf("%s was made: %v", topic, err)
		}
	}
	if err := again(planOf(t, "feed", own("another"), "json"), state); err != nil {
		t.Errorf("another topic: %v", err)
	}
	if err := again(plan, nil); err != nil {
		t.Errorf("from the beginning: %v", err)
	}
}

// A feed that is not there, or that nothing was written to, is an error that says so.
func feedMissing(t *testing.T, address string) {
	if _, err := OpenFeedSide(t.Context(), own("none"), kgo.SeedBrokers(address)); err == nil || !strings.Contains(err.Error(), "UNKNOWN_TOPIC") {
		t.Errorf("a missing topic: %v", err)
	}
	topic := own("empty")
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, -1, nil, topic); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFeedSide(t.Context(), topic, kgo.SeedBrokers(address)); err == nil || !strings.Contains(err.Error(), "no schema") {
		t.Errorf("an empty topic: %v", err)
	}
}

// A run announces itself before it has any row: by what earlier ones wrote,
// readers then know that its frontiers are the ones to wait for.
func feedAnnounces(t *testing.T, address, format string) {
	topic := own("announces." + format)
	flush(t, toFeed(t, address, planOf(t, "feed", topic, format), 4))
	for _, all := range consumed(t, address, topic, 2) {
		for _, r := range all {
			if len(all) != 1 || !strings.Contains(string(r.Value), "n_k0_w1m") {
				t.Errorf("%d records, %q", len(all), r.Value)
			}
		}
	}
}

// Without a broker the start fails within bounds, and says so.
func TestFeedAwayAtTheStart(t *testing.T) {
	f, err := NewFeed(planOf(t, "feed", "away", "json"), FeedOptions{Client: []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}, Shards: 1, StartWithin: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Restore(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "no Kafka broker") {
		t.Error(err)
	}
	_ = f.Close()
}

// A broker that is killed and comes back has every row in the end, and no
// checkpoint succeeds before it has them.
func TestFeedRealKilled(t *testing.T) {
	broker := testserver.NewBroker(t)
	topic, cells := "rows", gridCells(t, 900)
	plan := planOf(t, "feed", topic, "protobuf")
	f := toFeed(t, broker.Addr(), plan, 1)
	var script []step
	for i := range 3 {
		script = append(script, step{blocks: []block{simple(plan, noon+int64(i)*minute, 0, int64(i), cells[300*i:300*i+200]...)}, frontier: &stream.Frontier{Incarnation: 1, Provisional: noon + int64(i)*minute, Final: noon + int64(i)*minute}})
	}
	deliver(t, f, script[0].output(plan))
	if _, err := f.Checkpoint(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	broker.Kill()
	deliver(t, f, script[1].output(plan))
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := f.Checkpoint(soon, 2); err == nil {
		t.Error("a checkpoint succeeds without a broker")
	}
	broker.Start()
	deliver(t, f, script[2].output(plan))
	flush(t, f)
	side := openFeed(t, broker.Addr(), topic)
	defer side.Close()
	got, notFinal := read(t, side)
	same(t, "the feed", got, expected(plan, script))
	if notFinal > 0 {
		t.Errorf("%d rows are not final", notFinal)
	}
}

// Whatever a record holds is decoded or refused.
func FuzzFeedDecode(f *testing.F) {
	plan := planOf(f, "feed", "t", "json")
	r := simple(plan, noon, 1, 3, someCells(f)[20])
	for _, e := range []feedEncoder{newProtoEncoder(plan), newJSONEncoder(plan)} {
		schema, err := e.schema(1, []stream.IncompleteColumn{{Column: "share", Until: noon}})
		if err != nil {
			f.Fatal(err)
		}
		row, err := e.row(r.rows(plan), 0)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(schema, row)
	}
	f.Add([]byte(`{"schema":{"columns":[{"name":"n","kind":"x"}]}}`), []byte(`{"row":{"cell":"8928308280fffff","values":{"n":1.5}}}`))
	f.Fuzz(func(t *testing.T, schema, value []byte) {
		d := &feedDecoder{}
		_, _ = d.decode(schema)
		record, err := d.decode(value)
		if err != nil || record.row == nil || d.schema == nil {
			return
		}
		side := &feedSide{schema: d.schema}
		pane := &SidePane{}
		_ = pane.add(side.Columns(), record.row, true) // an error, never a panic
	})
}

// The order of a feed's keys is that of window ends, cells and, the last first,
// revisions.
func TestFeedKeysInOrder(t *testing.T) {
	plan := planOf(t, "feed", "t", "json")
	e := newProtoEncoder(plan)
	var keys []string
	for _, end := range []int64{noon, noon + minute} {
		for _, c := range someCells(t)[:2] {
			for _, revision := range []int32{1, 0} {
				value, err := e.row(func() *stream.Rows { b := simple(plan, end, revision, 1, c); return b.rows(plan) }(), 0)
				if err != nil {
					t.Fatal(err)
				}
				record, err := (&feedDecoder{}).decode(value)
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, string(feedKey(record.row)))
			}
		}
	}
	if !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != 8 {
		t.Errorf("%x", keys)
	}
}
