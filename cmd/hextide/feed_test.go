package main

import (
	"slices"
	"testing"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
)

// place is what a row is of.
type place struct {
	cell uint64
	end  int64 // µs
}

// feed is what a feed's topic holds, read without the code that diff reads it with.
type feed struct {
	t        *testing.T
	rows     map[int64]map[place]*pb.FeedRow // by incarnation: the latest revision of each
	frontier map[int64]map[int32]int64       // by incarnation and shard: the last final one
	newest   int64                           // incarnation
}

func readFeed(t *testing.T, brokers, topic string) *feed {
	t.Helper()
	f := &feed{t: t, rows: map[int64]map[place]*pb.FeedRow{}, frontier: map[int64]map[int32]int64{}}
	committedRecords(t, brokers, topic, func(r *kgo.Record) {
		record := &pb.FeedRecord{}
		if err := proto.Unmarshal(r.Value, record); err != nil {
			t.Fatal(err)
		}
		switch {
		case record.GetSchema() != nil:
			f.newest = max(f.newest, record.GetSchema().Incarnation)
		case record.GetFrontier() != nil:
			at := record.GetFrontier()
			if f.frontier[at.Incarnation] == nil {
				f.frontier[at.Incarnation] = map[int32]int64{}
			}
			f.frontier[at.Incarnation][at.Shard] = at.FinalUs
		default:
			f.add(record.GetRow())
		}
	})
	return f
}

func (f *feed) add(row *pb.FeedRow) {
	if f.rows[row.Incarnation] == nil {
		f.rows[row.Incarnation] = map[place]*pb.FeedRow{}
	}
	at := place{row.Cell, row.WindowEndUs}
	if was := f.rows[row.Incarnation][at]; was == nil || was.Revision <= row.Revision {
		f.rows[row.Incarnation][at] = row
	}
}

// final tells whether the row's own incarnation has said that it is final.
func (f *feed) final(row *pb.FeedRow) bool {
	last, said := f.frontier[row.Incarnation][row.Shard]
	return row.Final || said && row.WindowEndUs <= last
}

// repeats counts the rows that were final in more than one incarnation, and
// expects them to be equal.
func (f *feed) repeats() int {
	f.t.Helper()
	first := map[place]*pb.FeedRow{}
	n := 0
	for _, rows := range f.rows {
		for at, row := range rows {
			if !f.final(row) {
				continue
			}
			was := first[at]
			if was == nil {
				first[at] = row
				continue
			}
			n++
			if !slices.Equal(was.Integers, row.Integers) || !slices.Equal(was.Floats, row.Floats) || !slices.Equal(was.Nulls, row.Nulls) || was.Empty != row.Empty {
				f.t.Errorf("a final row came again and is other: %v, %v", was, row)
			}
		}
	}
	return n
}

// latest gives the row of each place that counts in the end: the greatest
// revision, whichever incarnation it is of, where the newest says that it is final.
func (f *feed) latest() map[place]*pb.FeedRow {
	all := map[place]*pb.FeedRow{}
	for _, rows := range f.rows {
		for at, row := range rows {
			last, said := f.frontier[f.newest][row.Shard]
			if was := all[at]; (was == nil || was.Revision < row.Revision) && (row.Final || said && at.end <= last) {
				all[at] = row
			}
		}
	}
	return all
}
