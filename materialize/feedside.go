package materialize

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
)

// feedSide reads a feed up to the end that it has when the reading begins,
// sorts its rows in a temporary table on disk, and gives the last revision of
// each.
type feedSide struct {
	name      string
	folder    string
	db        *pebble.DB
	schema    *pb.FeedSchema
	frontiers map[int32]*pb.FeedFrontier // the last of the newest incarnation that has one, by shard
	newest    int64                      // incarnation
	shards    map[int32]bool             // that rows or frontiers are of
	rows      *pebble.Iterator
}

// OpenFeedSide reads the feed in a topic. Options name the brokers.
func OpenFeedSide(ctx context.Context, topic string, options ...kgo.Opt) (Side, error) {
	s := &feedSide{name: "kafka://" + topic, frontiers: map[int32]*pb.FeedFrontier{}, shards: map[int32]bool{}}
	if err := s.open(ctx, topic, options); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the feed %s: %w", topic, err), s.Close())
	}
	return s, nil
}

func (s *feedSide) open(ctx context.Context, topic string, options []kgo.Opt) (err error) {
	if s.folder, err = os.MkdirTemp("", "hextide-diff-"); err != nil {
		return err
	}
	if s.db, err = pebble.Open(s.folder, &pebble.Options{Logger: quiet{}}); err != nil {
		return err
	}
	// Control records are kept: the last record before a partition's end may be one.
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords()}, options...)...)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := s.read(ctx, client, topic); err != nil {
		return err
	}
	if s.schema == nil {
		return fmt.Errorf("it holds no schema: no run has written to it")
	}
	s.rows, err = s.db.NewIter(nil)
	if err == nil {
		s.rows.First()
	}
	return err
}

// quiet drops what the temporary table would log.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, arguments ...any) {
	panic(fmt.Sprintf(format, arguments...))
}

// read consumes every partition up to the end it has now.
func (s *feedSide) read(ctx context.Context, client *kgo.Client, topic string) error {
	admin := kadm.NewClient(client)
	asking, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	ends, err := admin.ListCommittedOffsets(asking, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	starts, err := admin.ListStartOffsets(asking, topic)
	if err != nil {
		return err
	}
	left := map[int32]int64{} // the offset to reach, by partition
	consume := map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		if start, _ := starts.Lookup(topic, o.Partition); o.Offset > start.Offset {
			left[o.Partition] = o.Offset
			consume[o.Partition] = kgo.NewOffset().At(start.Offset)
		}
	})
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: consume})
	return s.consume(ctx, client, left)
}

func (s *feedSide) consume(ctx context.Context, client *kgo.Client, left map[int32]int64) error {
	decoders := map[int32]*feedDecoder{}
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		batch := s.db.NewBatch()
		var failed error
		fetches.EachRecord(func(r *kgo.Record) {
			end, wanted := left[r.Partition]
			if !wanted || failed != nil {
				return
			}
			if decoders[r.Partition] == nil {
				decoders[r.Partition] = &feedDecoder{}
			}
			if r.Offset < end && !r.Attrs.IsControl() {
				failed = s.record(batch, decoders[r.Partition], r)
			}
			if r.Offset >= end-1 {
				delete(left, r.Partition)
			}
		})
		if err := errors.Join(failed, batch.Commit(pebble.NoSync)); err != nil {
			return err
		}
	}
	return nil
}

func (s *feedSide) record(batch *pebble.Batch, d *feedDecoder, r *kgo.Record) error {
	record, err := d.decode(r.Value)
	if err != nil {
		return fmt.Errorf("partition %d, offset %d: %w", r.Partition, r.Offset, err)
	}
	switch {
	case record.schema != nil:
		if s.schema != nil && s.schema.PlanHash != record.schema.PlanHash {
			return fmt.Errorf("it holds rows of two plans, %s and %s: give each plan a topic of its own", s.schema.PlanHash, record.schema.PlanHash)
		}
		s.schema, s.newest = record.schema, max(s.newest, record.schema.Incarnation)
	case record.frontier != nil:
		s.newest = max(s.newest, record.frontier.Incarnation)
		s.shards[record.frontier.Shard] = true
		if old := s.frontiers[record.frontier.Shard]; old == nil || old.Incarnation <= record.frontier.Incarnation {
			s.frontiers[record.frontier.Shard] = record.frontier
		}
	case !record.row.Empty:
		s.shards[record.row.Shard] = true
		value, err := proto.Marshal(record.row)
		if err != nil {
			return err
		}
		return batch.Set(feedKey(record.row), value, nil)
	}
	return nil
}

// feedKey orders rows by window end, cell and, the last first, revision.
func feedKey(r *pb.FeedRow) []byte {
	k := binary.BigEndian.AppendUint64(nil, uint64(r.WindowEndUs))
	k = binary.BigEndian.AppendUint64(k, r.Cell)
	return binary.BigEndian.AppendUint32(k, ^uint32(r.Revision))
}

func (s *feedSide) Name() string { return s.name }

func (s *feedSide) Columns() []ManifestColumn {
	columns := make([]ManifestColumn, len(s.schema.Columns))
	for i, c := range s.schema.Columns {
		columns[i] = ManifestColumn{Name: c.Name, Kind: c.Kind}
	}
	return columns
}

// Facts come from the schema records.
func (s *feedSide) Facts() map[string]string { return map[string]string{"plan": s.schema.PlanHash} }

// Next gathers the sorted rows of one window end.
func (s *feedSide) Next(ctx context.Context) (*SidePane, error) {
	if !s.rows.Valid() {
		return nil, errors.Join(s.rows.Error(), endOf(s.rows.Error()))
	}
	end := int64(binary.BigEndian.Uint64(s.rows.Key()))
	pane := &SidePane{End: end, Whole: s.Whole(end)}
	columns := s.Columns()
	var before uint64
	for ; s.rows.Valid() && int64(binary.BigEndian.Uint64(s.rows.Key())) == end; s.rows.Next() {
		row := &pb.FeedRow{}
		if err := proto.Unmarshal(s.rows.Value(), row); err != nil {
			return nil, err
		}
		if row.Cell == before {
			continue // an earlier revision
		}
		before = row.Cell
		if err := pane.add(columns, row, row.Final || s.final(row.Shard, end)); err != nil {
			return nil, err
		}
	}
	return pane, ctx.Err()
}

// final tells whether the newest incarnation has said that a shard's rows of a
// window end cannot change any more. What older ones said does not count.
func (s *feedSide) final(shard int32, end int64) bool {
	f := s.frontiers[shard]
	return f != nil && f.Incarnation == s.newest && end <= f.FinalUs
}

// Whole tells whether every shard that the feed knows of has closed a window end
// for good.
func (s *feedSide) Whole(end int64) bool {
	for shard := range s.shards {
		if !s.final(shard, end) {
			return false
		}
	}
	return true
}

func endOf(err error) error {
	if err == nil {
		return io.EOF
	}
	return nil
}

// add appends a row to the pane's last block, or to a new one where it is of
// another resolution or state.
func (p *SidePane) add(columns []ManifestColumn, row *pb.FeedRow, final bool) error {
	var block *stream.Rows
	if n := len(p.Rows); n > 0 {
		block = p.Rows[n-1]
	}
	if block == nil || block.Final != final || block.Resolution != int(row.Resolution) {
		var err error
		if block, err = newBlock(columns); err != nil {
			return err
		}
		block.WindowEnd, block.Resolution, block.Final = p.End, int(row.Resolution), final
		p.Rows = append(p.Rows, block)
	}
	block.Cells = append(block.Cells, geo.Cell(row.Cell))
	integers, floats := row.Integers, row.Floats
	for c := range block.Columns {
		v := &block.Columns[c]
		switch {
		case v.Kind == column.Float && len(floats) > 0:
			v.Floats, floats = append(v.Floats, floats[0]), floats[1:]
		case v.Kind == column.Int && len(integers) > 0:
			v.Ints, integers = append(v.Ints, integers[0]), integers[1:]
		default:
			return fmt.Errorf("the row of %x at %s has fewer values than the schema has columns", row.Cell, stampText(p.End))
		}
	}
	for _, c := range row.Nulls {
		if int(c) >= len(block.Columns) {
			return fmt.Errorf("the row of %x at %s has a null in column %d of %d", row.Cell, stampText(p.End), c, len(block.Columns))
		}
		block.Columns[c].Nulls.Set(len(block.Cells) - 1)
	}
	return nil
}

// Close removes the temporary table.
func (s *feedSide) Close() error {
	var err error
	if s.rows != nil {
		err = s.rows.Close()
	}
	if s.db != nil {
		err = errors.Join(err, s.db.Close())
	}
	if s.folder != "" {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	return err
}
