package stream

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/pipeline"
)

const examples = "../examples"

// csvOf reads a compressed file's records, without the first line.
func csvOf(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(examples, path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return records[1:]
}

// pings are two hours of taxis in San Francisco, as one batch.
func pings(t *testing.T) *Batch {
	b := &Batch{Limit: math.MaxInt64, Fields: []column.Vector{{Kind: column.String}, {Kind: column.Int}}}
	for i, r := range csvOf(t, "data/sf-taxi-2008-05-21T00-02Z.csv.gz") {
		b.Positions = append(b.Positions, int64(i))
		b.Times = append(b.Times, number(t, r[0])*1e6)
		b.Lats, b.Lngs = append(b.Lats, decimal(t, r[2])), append(b.Lngs, decimal(t, r[3]))
		b.Fields[0].Strings.Append([]byte(r[1]))
		b.Fields[1].Ints = append(b.Fields[1].Ints, number(t, r[4]))
	}
	b.Next = int64(len(b.Positions))
	return b
}

func number(t *testing.T, text string) int64 {
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func decimal(t *testing.T, text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// goldenRows runs one of the checks over the pings and gives the rows of window
// ends in (from, to], in seconds, as "cell end values".
func goldenRows(t *testing.T, check string, from, to int64) map[string]string {
	text, err := os.ReadFile(filepath.Join(examples, "checks", check))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pipeline.Load(text, check)
	if err != nil {
		t.Fatal(err)
	}
	task, err := NewTask(plan, 0, TaskOptions{From: NoTime})
	if err != nil {
		t.Fatal(err)
	}
	shard, err := NewShard(plan, 0, ShardOptions{FinalOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var in Ingested
	task.Batch(pings(t), &in)
	task.End(math.MaxInt64, &in)
	for _, p := range in.Partials {
		if err := shard.Merge(p); err != nil {
			t.Fatal(err)
		}
	}
	rows := map[string]string{}
	shard.End(to * 1e6)
	for more := true; more; {
		var out Output
		if more, err = shard.Step(&out, nil); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Rows {
			if r.WindowEnd > from*1e6 {
				collect(rows, r)
			}
			r.Release()
		}
	}
	return rows
}

func collect(rows map[string]string, r *Rows) {
	for i, c := range r.Cells {
		var values []string
		for k := range r.Columns {
			values = append(values, strconv.FormatInt(r.Columns[k].Ints[i], 10))
		}
		rows[fmt.Sprint(c, " ", r.WindowEnd/1e6)] = strings.Join(values, " ")
	}
}

// The two programs that made the golden files share nothing with this one.
func TestShardGolden(t *testing.T) {
	const midnight, minute = 1_211_328_000, 60
	t.Run("J1", func(t *testing.T) {
		rows := goldenRows(t, "j1.yaml", midnight, midnight+60*minute)
		want := csvOf(t, "data/golden/j1-2008-05-21T00-01Z.csv.gz")
		if len(rows) != len(want) {
			t.Errorf("%d rows, want %d", len(rows), len(want))
		}
		for _, r := range want {
			key := fmt.Sprint(r[0], " ", number(t, r[1])+minute)
			if got := rows[key]; got != strings.Join(r[2:], " ") {
				t.Fatalf("row %s is %q, want %q", key, got, r[2:])
			}
		}
	})
	t.Run("J3", func(t *testing.T) {
		rows := goldenRows(t, "j3.yaml", midnight+45*minute, midnight+55*minute)
		want := csvOf(t, "data/golden/j3-2008-05-21T00Z-10min.csv.gz")
		for key := range rows {
			cell, err := strconv.ParseUint(key[:15], 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			if cell%97 != 0 {
				delete(rows, key)
			}
		}
		if len(rows) != len(want) {
			t.Errorf("%d rows, want %d", len(rows), len(want))
		}
		for _, r := range want {
			key := fmt.Sprint(r[0], " ", r[1])
			if got := rows[key]; got != strings.Join(r[2:], " ") {
				t.Fatalf("row %s is %q, want %q", key, got, r[2:])
			}
		}
	})
}
