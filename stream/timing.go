package stream

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

// Seconds is a duration that is written as a number of seconds.
type Seconds time.Duration

// MarshalJSON writes 0.25 for a quarter of a second.
func (s Seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }

// Seconds is the duration as a number.
func (s Seconds) Seconds() float64 { return time.Duration(s).Seconds() }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	var f float64
	err := json.Unmarshal(text, &f)
	*s = Seconds(math.Round(f * 1e9))
	return err
}

// CheckpointTiming is where a checkpoint's time went. The durations of all are
// those of the slowest. It is part of the epoch's pointer, all but Commit, which
// comes after that is written, and is in the next one's Before.
type CheckpointTiming struct {
	StartDelay Seconds           `json:"start_delay"`      // from the request to a partition's turn to it
	Alignment  Seconds           `json:"alignment"`        // a partition's wait for the others
	Saving     Seconds           `json:"saving"`           // the synchronous part: a partition or a worker stands still and copies its state
	Async      Seconds           `json:"async"`            // the asynchronous part: from there until a generation is durable
	Upload     Seconds           `json:"upload"`           // of which a generation's writing, without its wait for a turn
	Sinks      Seconds           `json:"sinks"`            // a sink's own part
	Commit     Seconds           `json:"commit,omitempty"` // preparing and committing the pointer
	Partitions []PartitionTiming `json:"partitions"`       // ascending
	Workers    []Seconds         `json:"workers"`          // Saving of each
	Slowest    ShardTiming       `json:"slowest_shard"`
	Before     *CommitTiming     `json:"before,omitempty"` // of the last epoch that the run committed; nil: of none
}

// CommitTiming is what of an epoch's timing was not known when its pointer was written.
type CommitTiming struct {
	Epoch  int64   `json:"epoch"`
	Commit Seconds `json:"commit"`
	All    Seconds `json:"all"`
}

// PartitionTiming is how long a partition took at the barrier.
type PartitionTiming struct {
	ID         int32   `json:"id"`
	StartDelay Seconds `json:"start_delay"`
	Alignment  Seconds `json:"alignment"`
	Saving     Seconds `json:"saving"`
}

// ShardTiming is how long a shard took; the slowest is that with the largest sum.
type ShardTiming struct {
	ID     int32   `json:"id"`
	Saving Seconds `json:"saving"`
	Async  Seconds `json:"async"`
}

// Failure is a checkpoint that failed.
type Failure struct {
	Epoch int64
	At    time.Time
	Error string
}

// CheckpointParts are the names of the parts of a checkpoint's time, in their order.
var CheckpointParts = []string{"start_delay", "alignment", "saving", "async", "upload", "sinks", "commit", "all"}

// Parts are the durations of CheckpointParts.
func (s *CheckpointStats) Parts() []Seconds {
	return []Seconds{s.StartDelay, s.Alignment, s.Saving, s.Async, s.Upload, s.Sinks, s.Commit, Seconds(s.Duration)}
}

// align enters what the partitions took.
func (t *CheckpointTiming) align(marks []partitionMark) {
	t.Partitions = t.Partitions[:0]
	for _, m := range marks {
		t.StartDelay, t.Alignment = max(t.StartDelay, Seconds(m.delay)), max(t.Alignment, Seconds(m.alignment))
		t.Saving = max(t.Saving, Seconds(m.saving))
		t.Partitions = append(t.Partitions, PartitionTiming{m.state.ID, Seconds(m.delay), Seconds(m.alignment), Seconds(m.saving)})
	}
}

// shard enters what a shard took before its generation was handed on.
func (t *CheckpointTiming) shard(m *shardMark, workers int) {
	if t.Workers == nil {
		t.Workers = make([]Seconds, workers)
	}
	w := &t.Workers[int(m.shard)%workers]
	*w += Seconds(m.saving)
	t.Saving = max(t.Saving, *w)
}

// recent is how many checkpoints a run remembers.
const recent = 20

// remember keeps a checkpoint among the recent ones, the newest first.
func (c *checkpoints) remember(s *CheckpointStats) {
	c.status.Store(s)
	var all []CheckpointStats
	if before := c.recent.Load(); before != nil {
		all = *before
	}
	all = slices.Insert(slices.Clone(all[:min(len(all), recent-1)]), 0, *s)
	c.recent.Store(&all)
	if c.run.cfg.Checkpointed != nil {
		c.run.cfg.Checkpointed(*s)
	}
}
