package main

import (
	"strconv"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/hextide/hextide/stream"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func checkpoint(send figure, c stream.CheckpointStats) {
	send(prometheus.CounterValue, "checkpoints_completed_total", "Checkpoints committed.", float64(c.Completed))
	send(prometheus.CounterValue, "checkpoints_failed_total", "Checkpoints that failed.", float64(c.Failed))
	send(prometheus.GaugeValue, "checkpoint_epoch", "Newest committed epoch.", float64(c.Committed))
	send(prometheus.GaugeValue, "checkpoint_bytes", "Size of the last checkpoint, with what it shares with earlier ones.", float64(c.Size))
	send(prometheus.GaugeValue, "checkpoint_new_bytes", "Bytes written for the last checkpoint.", float64(c.Written))
	send(prometheus.GaugeValue, "checkpoint_objects", "Objects that the last checkpoint consists of.", float64(c.Objects))
	send(prometheus.GaugeValue, "checkpoint_longest_chain", "Objects that one shard's or partition's state in the last checkpoint consists of, at most.", float64(c.Longest))
	send(prometheus.GaugeValue, "checkpoint_degraded", "1 where so many checkpoints failed in a row that somebody should look.", truth(c.Degraded))
	if !c.Ended.IsZero() {
		send(prometheus.GaugeValue, "checkpoint_ended_seconds", "When the last checkpoint ended, seconds of unix time.", float64(c.Ended.UnixMilli())/1e3)
	}
	if !c.Succeeded.IsZero() {
		send(prometheus.GaugeValue, "checkpoint_committed_seconds", "When the last checkpoint was committed, seconds of unix time.", float64(c.Succeeded.UnixMilli())/1e3)
	}
	for i, took := range c.Parts() {
		send(prometheus.GaugeValue, "checkpoint_duration_seconds", "How long a part of the last checkpoint took.", took.Seconds(), "part", stream.CheckpointParts[i])
	}
	for _, p := range c.Partitions {
		id := strconv.Itoa(int(p.ID))
		send(prometheus.GaugeValue, "checkpoint_start_delay_seconds", "Time until a partition came to the last barrier.", p.StartDelay.Seconds(), "partition", id)
		send(prometheus.GaugeValue, "checkpoint_alignment_seconds", "Time that a partition waited for the others at the last barrier.", p.Alignment.Seconds(), "partition", id)
	}
	for i, took := range c.Workers {
		send(prometheus.GaugeValue, "checkpoint_stopped_seconds", "Time that a worker stood still for the last checkpoint.", took.Seconds(), "worker", strconv.Itoa(i))
	}
	send(prometheus.GaugeValue, "checkpoint_slowest_shard", "Number of the shard that took longest in the last checkpoint.", float64(c.Slowest.ID))
	send(prometheus.GaugeValue, "checkpoint_slowest_shard_seconds", "Time that it took.", (c.Slowest.Saving + c.Slowest.Async).Seconds())
}

// newCheckpointParts are histograms of where checkpoints spend their time.
func newCheckpointParts() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "hextide_checkpoint_seconds", Help: "How long the parts of checkpoints took.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 18),
	}, []string{"part"})
}

// checkpointed notes a checkpoint in the histograms.
func (a *assembly) checkpointed(c stream.CheckpointStats) {
	for i, took := range c.Parts() {
		a.parts.WithLabelValues(stream.CheckpointParts[i]).Observe(took.Seconds())
	}
}

// checkpointTold is a checkpoint as the service tells it.
func checkpointTold(c *stream.CheckpointStats) *pb.Checkpoint {
	told := &pb.Checkpoint{
		Epoch: c.Epoch, Ended: timestamppb.New(c.Ended), Error: c.LastError,
		Bytes: uint64(c.Size), NewBytes: uint64(c.Written), Objects: uint32(c.Objects), LongestChain: uint32(c.Longest),
		SlowestShard: c.Slowest.ID, SlowestShardSeconds: (c.Slowest.Saving + c.Slowest.Async).Seconds(),
	}
	for i, took := range c.Parts() {
		told.Parts = append(told.Parts, &pb.CheckpointPart{Name: stream.CheckpointParts[i], Seconds: took.Seconds()})
	}
	for _, p := range c.Partitions {
		told.Partitions = append(told.Partitions, &pb.PartitionCheckpoint{Partition: p.ID, StartDelaySeconds: p.StartDelay.Seconds(), AlignmentSeconds: p.Alignment.Seconds(), SavingSeconds: p.Saving.Seconds()})
	}
	for _, took := range c.Workers {
		told.WorkerSavingSeconds = append(told.WorkerSavingSeconds, took.Seconds())
	}
	return told
}

// checkpointsTold enters the recent checkpoints into the status.
func checkpointsTold(r *pb.StatusResponse, s *stream.Stats) {
	for i := range s.Checkpoints {
		r.Checkpoints = append(r.Checkpoints, checkpointTold(&s.Checkpoints[i]))
	}
	r.Degraded = s.Checkpoint.Degraded
	if f := s.Checkpoint.Failure; f != nil {
		r.LastFailure = &pb.CheckpointFailure{Epoch: f.Epoch, At: timestamppb.New(f.At), Error: f.Error}
	}
}
