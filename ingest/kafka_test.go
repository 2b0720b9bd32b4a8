package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/ingest/ingesttest"
	"github.com/hextide/hextide/stream"
)

// fake starts a broker in this process, with topics of so many partitions.
func fake(t *testing.T, partitions int32, topics []string, options ...kfake.Opt) (*kfake.Cluster, ingest.Cluster) {
	t.Helper()
	options = append([]kfake.Opt{kfake.NumBrokers(1)}, options...)
	if len(topics) > 0 {
		options = append(options, kfake.SeedTopics(partitions, topics...))
	}
	c, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, ingest.Cluster{Brokers: c.ListenAddrs()}
}

// client is a client of a cluster.
func client(t *testing.T, c ingest.Cluster, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	more, err := c.Options()
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(more, append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produce sends values to a partition and waits for them.
func produce(t *testing.T, cl *kgo.Client, topic string, partition int32, values ...string) {
	t.Helper()
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v), Timestamp: time.UnixMilli(5_000)})
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// kafka makes a source that must be good.
func kafka(t *testing.T, schema ingest.Schema, o ingest.KafkaOptions) *ingest.Kafka {
	t.Helper()
	s, err := ingest.NewKafka(t.Context(), schema, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// conform runs the suite of sources against a cluster.
func conform(t *testing.T, cluster ingest.Cluster, topic string) {
	ingesttest.Source(t, ingesttest.Driver{Partitions: 3,
		Prepare: func(t *testing.T, schema ingest.Schema, partitions [][]string) func(int) stream.Source {
			cl := client(t, cluster, kgo.ProducerBatchCompression(kgo.ZstdCompression()))
			if err := ingest.MakeTopic(t.Context(), cl, topic, len(partitions), slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			for p, values := range partitions {
				produce(t, cl, topic, int32(p), values...)
			}
			return func(batch int) stream.Source {
				s, err := ingest.NewKafka(t.Context(), schema, ingest.KafkaOptions{Cluster: cluster, Topic: topic, Bounded: true, Batch: batch})
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
		}})
}

func TestKafkaConforms(t *testing.T) {
	_, cluster := fake(t, 0, nil)
	conform(t, cluster, "conform")
}

func TestKafkaRecords(t *testing.T) {
	_, cluster := fake(t, 1, []string{"pings"})
	cl := client(t, cluster)
	produce(t, cl, "pings", 0, "100,37.5,-122.5,a", "", strings.Repeat("x", 900_000))
	tombstone := &kgo.Record{Topic: "pings", Key: []byte("k"), Timestamp: time.UnixMilli(6_000)}
	if err := cl.ProduceSync(t.Context(), tombstone).FirstErr(); err != nil {
		t.Fatal(err)
	}
	s := kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings", Bounded: true, MaxAhead: time.Hour, MaxRecord: 1000})
	rows := ingesttest.ReadAll(t, s, 0, 0)
	if rows[0].Time != 100e6 || rows[0].NotAfter != 3605e6 || rows[0].Raw != "100,37.5,-122.5,a" {
		t.Errorf("the record is %+v", rows[0])
	}
	for _, r := range rows[1:] {
		if r.Reason != stream.BadSyntax {
			t.Errorf("an empty, long or null value is %.100v", r)
		}
	}
	if rows[3].NotAfter != 3606e6 || len(rows[2].Raw) != 900_000 {
		t.Errorf("limit %d, %d bytes kept", rows[3].NotAfter, len(rows[2].Raw))
	}
	named := kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings", Bounded: true, Columns: []string{"lat", "ts", "lng", "id"}})
	if r := ingesttest.ReadAll(t, named, 0, 0)[0]; r.Where != "100 -122.5" {
		t.Errorf("with other columns the record is %+v", r)
	}
	if d, _ := s.Describe(t.Context()); !slices.Equal(d.(ingest.KafkaDescription).Ends, []int64{4}) {
		t.Errorf("described as %+v", d)
	}
}

// A resumed bounded run ends where the run that it goes on with ended, and a topic
// that was made anew is no topic to go on with.
func TestKafkaResumeDescription(t *testing.T) {
	broker, cluster := fake(t, 1, []string{"pings"})
	cl := client(t, cluster)
	bounded := func() *ingest.Kafka {
		return kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings", Bounded: true})
	}
	produce(t, cl, "pings", 0, "1,1,1,a")
	d, _ := bounded().Describe(t.Context())
	was, _ := json.Marshal(d)
	produce(t, cl, "pings", 0, "2,1,1,b")
	s := bounded()
	if err := s.Resume(t.Context(), was); err != nil {
		t.Fatal(err)
	}
	if got := raws(ingesttest.ReadAll(t, s, 0, 0)); !slices.Equal(got, []string{"1,1,1,a"}) {
		t.Errorf("the resumed run reads %v", got)
	}
	if again, _ := s.Describe(t.Context()); !reflect.DeepEqual(again, d) {
		t.Errorf("described as %v, then as %v", d, again)
	}
	if err := s.Resume(t.Context(), []byte(`{"kind":"files"}`)); err == nil {
		t.Error("a topic is resumed as files")
	}
	if err := broker.DeleteTopic("pings"); err != nil {
		t.Fatal(err)
	}
	if err := broker.CreateTopic("pings", 1, nil); err != nil {
		t.Fatal(err)
	}
	if err := bounded().Resume(t.Context(), was); err == nil || !strings.Contains(err.Error(), "the earlier run read topic") {
		t.Errorf("a topic that was made anew is resumed: %v", err)
	}
}

// Bounded input ends at its end also where the last records before it are those
// of a transaction that was given up and whose end lies behind it.
func TestKafkaTransactions(t *testing.T) {
	_, cluster := fake(t, 1, []string{"pings"})
	transact := func(id string) *kgo.Client {
		cl := client(t, cluster, kgo.TransactionalID(id))
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		return cl
	}
	end := func(cl *kgo.Client, how kgo.TransactionEndTry) {
		if err := cl.EndTransaction(t.Context(), how); err != nil {
			t.Fatal(err)
		}
	}
	committed, aborted, open := transact("a"), transact("b"), transact("c")
	produce(t, committed, "pings", 0, "1,1,1,a")
	end(committed, kgo.TryCommit)
	produce(t, aborted, "pings", 0, "2,1,1,b", "3,1,1,b")
	produce(t, open, "pings", 0, "4,1,1,c")
	end(aborted, kgo.TryAbort)
	s := kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings", Bounded: true})
	if got := raws(ingesttest.ReadAll(t, s, 0, 0)); !slices.Equal(got, []string{"1,1,1,a"}) {
		t.Errorf("before the open transaction there are %v", got)
	}
	end(open, kgo.TryCommit)
	s = kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings", Bounded: true})
	if got := raws(ingesttest.ReadAll(t, s, 0, 0)); !slices.Equal(got, []string{"1,1,1,a", "4,1,1,c"}) {
		t.Errorf("behind it there are %v", got)
	}
}

func TestKafkaRefused(t *testing.T) {
	_, cluster := fake(t, 1, []string{"sf-taxi.pings"})
	_, err := ingest.NewKafka(t.Context(), ping, ingest.KafkaOptions{Cluster: cluster, Topic: "sf-taxi.ping"})
	var missing *ingest.TopicMissingError
	if !errors.As(err, &missing) || missing.Near != "sf-taxi.pings" {
		t.Errorf("a missing topic is %v", err)
	}
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nobody.Addr().String()
	nobody.Close()
	for says, o := range map[string]ingest.KafkaOptions{
		"reaching Kafka at " + address: {Cluster: ingest.Cluster{Brokers: []string{address}}, Topic: "t", Connect: time.Second, Log: slog.New(slog.DiscardHandler)},
		"no Kafka broker is named":     {Topic: "t"},
		"no topic is named":            {Cluster: cluster},
		`mechanism "magic" is not`:     {Cluster: ingest.Cluster{Brokers: cluster.Brokers, SASL: ingest.SASL{Mechanism: "magic"}}, Topic: "t"},
		"certificate authority":        {Cluster: ingest.Cluster{Brokers: cluster.Brokers, TLS: ingest.TLS{Enabled: true, CAFile: "/nowhere"}}, Topic: "t"},
		`has no column "lat"`:          {Cluster: cluster, Topic: "t", Columns: []string{"ts"}},
	} {
		if _, err := ingest.NewKafka(t.Context(), ping, o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error is %v, not %q", err, says)
		}
	}
}

func TestKafkaAuthentication(t *testing.T) {
	_, cluster := fake(t, 1, []string{"pings"}, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "ann", "secret"), kfake.Superuser("PLAIN", "bob", "word"))
	for _, good := range []ingest.SASL{{Mechanism: "scram-sha-256", User: "ann", Password: "secret"}, {Mechanism: "plain", User: "bob", Password: "word"}} {
		cluster.SASL = good
		s := kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings", Bounded: true})
		if rows := ingesttest.ReadAll(t, s, 0, 0); len(rows) != 0 {
			t.Errorf("an empty topic holds %v", rows)
		}
	}
	cluster.SASL = ingest.SASL{Mechanism: "plain", User: "bob", Password: "wrong"}
	_, err := ingest.NewKafka(t.Context(), ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings", Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "or other credentials?") && !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("a wrong password is %v", err)
	}
}

// Records that retention removed before they were read are an error with both
// offsets, at the start and while reading.
func TestKafkaOffsetGone(t *testing.T) {
	broker, cluster := fake(t, 1, []string{"pings"})
	cl := client(t, cluster)
	var values []string
	for i := range 50 {
		values = append(values, fmt.Sprintf("%d,1,1,a", i))
	}
	produce(t, cl, "pings", 0, values...)
	before := kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings"})
	if err := broker.DeleteRecords("pings", 0, 20); err != nil {
		t.Fatal(err)
	}
	want := ingest.OffsetError{Topic: "pings", Partition: 0, Offset: 5, Start: 20, End: 50}
	var gone *ingest.OffsetError
	if _, err := ingesttest.ReadUntil(t, before, 0, 5); !errors.As(err, &gone) || *gone != want {
		t.Errorf("reading on from an offset that is gone ends with %v", err)
	}
	after := kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings", Bounded: true})
	if _, err := after.Open(t.Context(), 0, 5); !errors.As(err, &gone) || *gone != want {
		t.Errorf("opening at an offset that is gone ends with %v", err)
	}
	want = ingest.OffsetError{Topic: "pings", Partition: 0, Offset: 70, Start: 20, End: 50}
	if _, err := ingesttest.ReadUntil(t, before, 0, 70); !errors.As(err, &gone) || *gone != want {
		t.Errorf("reading on from an offset that is not there yet ends with %v", err)
	}
	// A run that had read nothing yet was to read the first record.
	want.Offset = 0
	if _, err := after.Open(t.Context(), 0, 0); !errors.As(err, &gone) || *gone != want {
		t.Errorf("opening at the first offset, which is gone, ends with %v", err)
	}
	if rows := ingesttest.ReadAll(t, after, 0, stream.FromStart); len(rows) != 30 || rows[0].Position != 20 {
		t.Errorf("from the beginning there are %d rows", len(rows))
	}
}

// lines is a log that tests can look at.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// gate is the way to a broker, which can be shut: nothing listens then.
type gate struct {
	t        *testing.T
	address  string
	to       string
	listener net.Listener
	mu       sync.Mutex // guards passing
	passing  map[net.Conn]bool
	running  sync.WaitGroup
}

// open lets connections through; a gate that was open before has the same address.
func (g *gate) open() {
	l, err := net.Listen("tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	g.listener, g.address, g.passing = l, l.Addr().String(), map[net.Conn]bool{}
	g.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", g.to)
			if err != nil {
				c.Close()
				continue
			}
			g.mu.Lock()
			g.passing[c], g.passing[far] = true, true
			g.mu.Unlock()
			for from, to := range map[net.Conn]net.Conn{c: far, far: c} {
				g.running.Go(func() {
					io.Copy(to, from)
					to.Close()
				})
			}
		}
	})
}

// shut breaks all connections and takes no more.
func (g *gate) shut() {
	g.listener.Close()
	g.mu.Lock()
	for c := range g.passing {
		c.Close()
	}
	g.mu.Unlock()
	g.running.Wait()
}

// elsewhere is a listener that says it is at another address.
type elsewhere struct {
	net.Listener
	at net.Addr
}

func (e elsewhere) Addr() net.Addr { return e.at }

// A broker that goes away is waited for: reading goes on where it was, and the
// log says once that it went and once that it is back.
func TestKafkaBrokerGone(t *testing.T) {
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	way := &gate{t: t, address: "127.0.0.1:0", to: behind.Addr().String()}
	way.open()
	defer func() { way.shut() }()
	// The broker tells clients the gate's address, so that all their ways lead through it.
	told := elsewhere{behind, way.listener.Addr()}
	_, direct := fake(t, 1, []string{"pings"}, kfake.ListenFn(func(string, string) (net.Listener, error) { return told, nil }))
	direct.Brokers = []string{way.address}
	cl := client(t, direct)
	produce(t, cl, "pings", 0, "1,1,1,a")
	log := &lines{}
	s := kafka(t, ping, ingest.KafkaOptions{Cluster: direct, Topic: "pings", Log: log.logger()})
	r, err := s.Open(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b stream.Batch
	if err := r.Read(t.Context(), &b); err != nil || string(b.Raw.At(0)) != "1,1,1,a" {
		t.Fatalf("%v", err)
	}
	way.shut()
	for log.count("cannot be reached") == 0 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := r.Read(ctx, &b); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("without a broker Read returns %v", err)
		}
		cancel()
	}
	way.open()
	produce(t, cl, "pings", 0, "2,1,1,b")
	if err := r.Read(t.Context(), &b); err != nil || string(b.Raw.At(0)) != "2,1,1,b" {
		t.Fatalf("%v", err)
	}
	if gone, back := log.count("cannot be reached"), log.count("reached again"); gone != 1 || back != 1 {
		t.Errorf("the log says %d times that the broker went and %d times that it is back:\n%s", gone, back, log.text.String())
	}
}

// A topic that is deleted ends reading; partitions that are added are told of.
func TestKafkaTopicChanges(t *testing.T) {
	broker, cluster := fake(t, 1, []string{"pings"})
	log := &lines{}
	s := kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings", Refresh: 20 * time.Millisecond, Log: log.logger()})
	cl := client(t, cluster)
	if _, err := kadm.NewClient(cl).CreatePartitions(t.Context(), 2, "pings"); err != nil {
		t.Fatal(err)
	}
	for s.NewPartitions() == 0 {
		if t.Context().Err() != nil {
			t.Fatal("new partitions are not noticed")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if s.NewPartitions() != 2 || log.count("has new partitions") != 1 {
		t.Errorf("%d new partitions are told of %d times", s.NewPartitions(), log.count("has new partitions"))
	}
	r, err := s.Open(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := broker.DeleteTopic("pings"); err != nil {
		t.Fatal(err)
	}
	var b stream.Batch
	if err := r.Read(t.Context(), &b); err == nil {
		t.Error("a deleted topic is read")
	}
}

// A partition that is not read is paused when its queue is full, holds up no
// other, and is read whole when its turn comes.
func TestKafkaBackpressure(t *testing.T) {
	_, cluster := fake(t, 2, []string{"pings"})
	cl := client(t, cluster)
	made := 0
	more := func(n int) {
		var values []string
		for i := range n {
			values = append(values, fmt.Sprintf("%d,1,1,a", made+i))
		}
		made += n
		for p := range int32(2) {
			produce(t, cl, "pings", p, values...)
		}
	}
	s := kafka(t, ping, ingest.KafkaOptions{Cluster: cluster, Topic: "pings"})
	var readers [2]stream.Reader
	var at [2]int64
	for p := range readers {
		r, err := s.Open(t.Context(), int32(p), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		readers[p] = r
	}
	read := func(p int) {
		var b stream.Batch
		for at[p] < int64(made) {
			if err := readers[p].Read(t.Context(), &b); err != nil {
				t.Fatalf("after %d of %d rows of partition %d: %v", at[p], made, p, err)
			}
			for row := range b.Times {
				if b.Positions[row] != at[p] || b.Times[row] != at[p]*1e6 {
					t.Fatalf("row %d is at position %d with time %d", at[p], b.Positions[row], b.Times[row])
				}
				at[p]++
			}
		}
	}
	// 60,000 are more than a queue holds: while partition 1 waits to be read it is
	// paused, and then fetched again.
	for range 6 {
		more(10_000)
		read(0)
	}
	read(1)
	if behind := s.Behind(); behind[0] != 0 || behind[1] != 0 {
		t.Errorf("behind by %v", behind)
	}
}
