package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/hextide/hextide/ingest"
	"github.com/hextide/hextide/ingest/ingesttest"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// simulated replays files into a topic and reads every partition of it.
func simulated(t *testing.T, o ingest.SimulateOptions) (ingest.SimulateProgress, [][]ingesttest.Row) {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	done, err := ingest.Simulate(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s := kafka(t, o.Schema, ingest.KafkaOptions{Cluster: o.Cluster, Topic: o.Topic, Bounded: true})
	partitions, err := s.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]ingesttest.Row
	for _, p := range partitions {
		rows = append(rows, ingesttest.ReadAll(t, s, p.ID, 0))
	}
	return done, rows
}

// texts are rows without where they were read, sorted.
func texts(partitions ...[]ingesttest.Row) []string {
	var all []string
	for _, rows := range partitions {
		for _, r := range rows {
			all = append(all, fmt.Sprint(r.Time, "|", r.Where, "|", r.Fields, "|", r.Reason))
		}
	}
	slices.Sort(all)
	return all
}

// What is read from the topic is what is read from the files: the same events
// and the same dead letters, those of a key in one partition and in their order.
func TestSimulate(t *testing.T) {
	csv := write(t,
		"id,lat,lng,ts,extra\na,37.5,-122.5,100,\"1\n2\"\nb,37,-122,100,\n\"c,d\",1,2,103,x\na,1,2,104\nb,1,2,105,x,y\na,38,-122,106,z\n",
		"ts,lat,lng,id\n101,1,1,a\nsoon,1,1,a\n102,2,2,\"b\"\n103,1,\"2\",b\"\n104,1,1,\n")
	json := write(t, `{"ts":100,"lat":37.5,"lng":-122.5,"id":"a","more":{"x":[1]}}`+"\n"+`{"ts":101,"lat":1,"lng":2,"id":"b"}`+"\n\n{\"ts\":\n"+`{"ts":102,"lat":1,"lng":2,"id":"a"}`)
	for format, paths := range map[ingest.Format][]string{ingest.CSV: csv, ingest.JSON: json} {
		for _, key := range [][]string{nil, {"id"}} {
			t.Run(fmt.Sprint(format, " ", key), func(t *testing.T) {
				_, cluster := fake(t, 0, nil)
				schema := ping
				schema.Format = format
				files := ingesttest.ReadAll(t, open(t, paths, schema, ingest.FileOptions{}), 0, 0)
				done, rows := simulated(t, ingest.SimulateOptions{Schema: schema, Inputs: paths, Key: key,
					Cluster: cluster, Topic: "pings", Partitions: 3, Speed: 1000})
				if len(rows) != 3 || int(done.Records) != len(files) || done.Read != done.Size {
					t.Errorf("%d partitions; %+v", len(rows), done)
				}
				if got, want := texts(rows...), texts(files); !slices.Equal(got, want) {
					t.Errorf("the topic holds\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				at := map[string]int{}
				for p, partition := range rows {
					if key == nil && len(partition) == 0 {
						t.Errorf("partition %d is empty", p)
					}
					last := int64(stream.NoTime)
					for _, r := range partition {
						if r.Reason != stream.Accepted {
							continue
						}
						if was, ok := at[r.Fields]; ok && was != p && key != nil {
							t.Errorf("key %q is in partitions %d and %d", r.Fields, was, p)
						}
						at[r.Fields] = p
						if r.Time < last {
							t.Errorf("partition %d goes back from %d to %d", p, last, r.Time)
						}
						last = r.Time
						if r.NotAfter < time.Now().Add(-time.Hour).UnixMicro() {
							t.Errorf("a record's timestamp is %d, not when it was produced", r.NotAfter)
						}
					}
				}
				if format == ingest.JSON {
					if got, want := raws(rows[at["a"]]), raws(files); len(got) > 0 && !slices.Contains(want, got[0]) {
						t.Errorf("%q is no record of the file", got[0])
					}
				}
			})
		}
	}
}

// A topic that Simulate makes keeps old records; one that is there stays as it is.
func TestSimulateTopic(t *testing.T) {
	_, cluster := fake(t, 2, []string{"there"})
	paths := write(t, "ts,lat,lng,id\n100,1,1,a\n")
	for topic, want := range map[string]int{"made": 5, "there": 2} {
		if _, rows := simulated(t, ingest.SimulateOptions{Schema: ping, Inputs: paths, Cluster: cluster, Topic: topic, Partitions: 5}); len(rows) != want {
			t.Errorf("topic %s has %d partitions, not %d", topic, len(rows), want)
		}
	}
	configs, err := kadm.NewClient(client(t, cluster)).DescribeTopicConfigs(t.Context(), "made")
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for _, c := range configs[0].Configs {
		if c.Key == "retention.ms" {
			found = c.MaybeValue()
		}
	}
	if found != "-1" {
		t.Errorf("the topic's retention is %q", found)
	}
}

func TestSimulateRefused(t *testing.T) {
	_, cluster := fake(t, 1, []string{"pings"})
	paths := write(t, "ts,lat,lng,id\n100,1,1,a\n200,1,1,a\n")
	good := ingest.SimulateOptions{Schema: ping, Inputs: paths, Cluster: cluster, Topic: "pings"}
	for says, change := range map[string]func(*ingest.SimulateOptions){
		"is no field of the source": func(o *ingest.SimulateOptions) { o.Key = []string{"taxi"} },
		"is no speed":               func(o *ingest.SimulateOptions) { o.Speed = -1 },
		"no topic is named":         func(o *ingest.SimulateOptions) { o.Topic = "" },
		"no such file":              func(o *ingest.SimulateOptions) { o.Inputs = []string{"/nowhere.csv"} },
		"no Kafka broker is named":  func(o *ingest.SimulateOptions) { o.Cluster.Brokers = nil },
	} {
		o := good
		change(&o)
		if _, err := ingest.Simulate(t.Context(), o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error is %v, not %q", err, says)
		}
	}
	// At a thousandth of its speed the second record is due in a day.
	ctx, cancel := context.WithCancel(t.Context())
	good.Speed = 0.001
	good.Progress = func(p ingest.SimulateProgress) { cancel() }
	if p, err := ingest.Simulate(ctx, good); !errors.Is(err, context.Canceled) || p.Records > 1 {
		t.Errorf("a replay that is ended returns %+v, %v", p, err)
	}
}

// A record that no topic would take is left out and counted.
func TestSimulateTooLong(t *testing.T) {
	_, cluster := fake(t, 1, []string{"pings"})
	paths := write(t, "ts,lat,lng,id\n100,1,1,a\n100,1,1,"+strings.Repeat("x", 3<<20)+"\n101,1,1,b\n")
	done, rows := simulated(t, ingest.SimulateOptions{Schema: ping, Inputs: paths, Cluster: cluster, Topic: "pings"})
	if done.TooLong != 1 || done.Records != 3 || len(rows[0]) != 2 {
		t.Errorf("%+v, %d rows", done, len(rows[0]))
	}
}

// The schema of the demo's definition is that of its data.
func TestSchemaOfPlan(t *testing.T) {
	text, err := os.ReadFile("../examples/sf-taxi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pipeline.Load(text, "sf-taxi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	schema := ingest.SchemaOf(&plan.Source)
	if got := strings.Join(schema.Columns(), ","); got != "ts,lat,lng,taxi_id,occupied" {
		t.Errorf("columns are %s", got)
	}
	if got := ingest.KeyOf(&plan.Source); plan.Source.Dedup != nil && !slices.Equal(got, []string{"taxi_id"}) {
		t.Errorf("the key is %v", got)
	}
	if r := one(t, schema, "1211068800,37.74356,-122.4012,eadectio,0"); r.Reason != stream.Accepted {
		t.Errorf("a ping is %+v", r)
	}
}
