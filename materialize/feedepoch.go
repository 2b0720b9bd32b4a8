package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hextide/hextide/stream"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// feedEpoch is the record of `<topic>.epochs` with which a transaction ends: what it
// has committed. Its key is the consumer group.
type feedEpoch struct {
	Pipeline    string                  `json:"pipeline"`
	PlanHash    string                  `json:"plan_hash"`
	Epoch       int64                   `json:"epoch"`
	Incarnation int64                   `json:"incarnation"`
	Pointer     string                  `json:"pointer"` // its checksum
	Partitions  []stream.PartitionState `json:"partitions"`
	Provisional int64                   `json:"provisional_us"`
	Final       int64                   `json:"final_us"`
	Taken       string                  `json:"taken"`
	feedState
}

// feedState is what an ExactFeed must know to go on from an epoch.
type feedState struct {
	Told   []told     `json:"told,omitempty"`   // by shard, in the course of events that led to the epoch
	Silent *feedQuiet `json:"silent,omitempty"` // what an abandoned course told beyond that
}

// feedQuiet is what must not be told again.
type feedQuiet struct {
	Told       []told                  `json:"told,omitempty"`
	Partitions []stream.PartitionState `json:"partitions"` // dead letters and late records before these positions
}

func (e *feedEpoch) metadata() string {
	return fmt.Sprintf("epoch %d of incarnation %d, pointer %s", e.Epoch, e.Incarnation, e.Pointer)
}

// lastEpoch reads what was committed last under a group: the record, nil where there
// is none, and the group's offsets.
func lastEpoch(ctx context.Context, options []kgo.Opt, topic, group, source string) (*feedEpoch, kadm.OffsetResponses, error) {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords()}, options...)...)
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	offsets, err := groupOffsets(ctx, admin, group, source)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the offsets of the group %s: %w", group, err)
	}
	for {
		epoch, err := lastRecord(ctx, client, admin, topic, group)
		if err == nil {
			return epoch, offsets, nil
		}
		young := errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.LeaderNotAvailable) // it was made just now
		if !young || sleep(ctx, retryAfter) != nil {
			return nil, nil, fmt.Errorf("reading the last epoch from %s: %w", topic, err)
		}
	}
}

// groupOffsets are a group's offsets of a topic, once no transaction is about to
// change them.
func groupOffsets(ctx context.Context, admin *kadm.Client, group, source string) (kadm.OffsetResponses, error) {
	for {
		offsets, err := admin.FetchOffsets(kadm.RequireStable(ctx), group)
		if err == nil {
			offsets.KeepFunc(func(o kadm.OffsetResponse) bool { return o.Topic == source })
			err = offsets.Error()
		}
		if errors.Is(err, kerr.GroupIDNotFound) {
			return nil, nil
		}
		if !passing(err) {
			return offsets, err
		}
		if err := sleep(ctx, retryAfter); err != nil {
			return nil, err
		}
	}
}

// lastRecord finds the last record of a group in the one partition of a topic. It
// begins near the end, since the topic holds one for each epoch until it is compacted.
func lastRecord(ctx context.Context, client *kgo.Client, admin *kadm.Client, topic, group string) (*feedEpoch, error) {
	ends, err := admin.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	end, _ := ends.Lookup(topic, 0)
	start, _ := starts.Lookup(topic, 0)
	for back := int64(100); ; back *= 10 {
		from := max(start.Offset, end.Offset-back)
		found, err := lastBetween(ctx, client, topic, group, from, end.Offset)
		if err != nil || found != nil || from == start.Offset {
			return found, err
		}
	}
}

// lastBetween reads part of a topic; the last record before its committed end is one
// that ends a transaction.
func lastBetween(ctx context.Context, client *kgo.Client, topic, group string, from, end int64) (*feedEpoch, error) {
	if from >= end {
		return nil, nil
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(from)}})
	defer client.RemoveConsumePartitions(map[string][]int32{topic: {0}})
	var last []byte
	for done := false; !done; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() && string(r.Key) == group && r.Offset < end {
				last = r.Value
			}
			done = done || r.Offset >= end-1
		})
	}
	if last == nil {
		return nil, nil
	}
	e := &feedEpoch{}
	if err := json.Unmarshal(last, e); err != nil {
		return nil, fmt.Errorf("the record of an epoch does not parse: %w", err)
	}
	return e, nil
}

// committed is the epoch with the positions that the group has now: whoever has
// changed them finds out.
func (e *feedEpoch) committed(offsets kadm.OffsetResponses, source string) *stream.Committed {
	c := &stream.Committed{}
	known := map[int32]bool{}
	if e != nil {
		c.Epoch, c.Incarnation, c.Checksum = e.Epoch, e.Incarnation, e.Pointer
		for _, s := range e.Partitions {
			o, there := offsets.Lookup(source, s.ID)
			if known[s.ID] = true; there && o.At >= 0 {
				s.Position = o.At
			} else if s.Position >= 0 {
				continue // the group has lost it
			}
			c.Partitions = append(c.Partitions, s)
		}
	}
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Topic == source && !known[o.Partition] && o.At >= 0 {
			c.Partitions = append(c.Partitions, stream.PartitionState{ID: o.Partition, Position: o.At})
		}
	})
	return c
}
