package stream

import (
	"sync/atomic"
	"time"
)

// Phase is what a run is doing.
type Phase int32

// The phases, in their order.
const (
	PhaseStarting Phase = iota
	PhaseRestoring
	PhaseRunning
	PhaseEnding // the last checkpoint
	PhaseEnded
)

// String is the phase's name in metrics and status.
func (p Phase) String() string {
	return [...]string{"starting", "restoring", "running", "ending", "ended"}[p]
}

// Stats is how a run is at a moment. Counters count from the beginning of the
// pipeline, over restarts, where they are state, and from the run's start where
// they are time.
type Stats struct {
	Phase       Phase
	Incarnation int64
	Counts      Counts
	Dead        [reasons]int64 // by Reason
	Provisional int64          // µs; NoTime: none yet
	Final       int64          // µs
	Partitions  []PartitionStats
	Workers     []WorkerStats
	Sinks       []SinkStats
	Checkpoint  CheckpointStats
	Checkpoints []CheckpointStats // the last ones of this run, the newest first
	Memory      MemoryStats
	Control     int64 // entries of the control log
	Beyond      int64 // cells' partials that came behind the final frontier and were dropped, since the run's start: a defect
}

// PartitionStats is how a source partition is.
type PartitionStats struct {
	ID        int32
	Position  int64
	Lag       int64 // records behind the partition's end; −1: not known
	Watermark int64 // µs; NoTime: none yet
	Idle      bool
	Held      bool // waiting for slower partitions
	Bytes     int64
	Size      int64 // bytes; 0: not known
	Busy      time.Duration
	Blocked   time.Duration // by full channels
}

// WorkerStats is how a worker is.
type WorkerStats struct {
	Rows    int64         // of its own shards, whoever made them
	Busy    time.Duration // with its own shards or others'
	Blocked time.Duration // by full channels
	Queue   int           // messages that wait
}

// SinkStats is how a sink is.
type SinkStats struct {
	Name       string
	Rows       int64
	Busy       time.Duration
	Queue      int           // outputs that wait
	Checkpoint time.Duration // the last one
}

// MemoryStats is how much of the memory of panes and winners is used. It is all 0
// where there is no bound.
type MemoryStats struct {
	Used     int64 // bytes
	Budget   int64 // bytes
	MovedOut int64 // values, since the run's start
	ReadBack int64
}

// CheckpointStats is how a checkpoint went, and how those before it did.
type CheckpointStats struct {
	Epoch     int64
	Committed int64 // the newest epoch that is
	CheckpointSize
	CheckpointTiming
	Duration  time.Duration
	Ended     time.Time // the last one, committed or failed
	Succeeded time.Time // the last one that was committed in this run
	Completed int64
	Failed    int64
	LastError string   // of the last one; empty: it was committed
	Failure   *Failure // the last one that failed in this run; nil: none
	Degraded  bool     // so many failed in a row that somebody should look
}

// CheckpointSize is how large the state of an epoch is, and what was written for it.
type CheckpointSize struct {
	Size    int64 `json:"bytes"`         // of all objects that the epoch names
	Written int64 `json:"new_bytes"`     // of those that were written for it
	Objects int   `json:"objects"`       // that it names
	Longest int   `json:"longest_chain"` // objects that one machine's state consists of, at most
	Entries int64 `json:"entry_bytes"`   // keys and values in all objects
	Live    int64 `json:"live_bytes"`    // of which a restart gets so many, before they are compressed
}

// Sizes are those of the epoch.
func (p *Pointer) Sizes() CheckpointSize {
	var s CheckpointSize
	for _, chain := range p.Generations {
		s.Size += chain.Size()
		s.Objects += len(chain)
		s.Longest = max(s.Longest, len(chain))
		for _, o := range chain {
			s.Entries += o.Bytes
			if o.Epoch == p.Epoch {
				s.Written += o.Size
			}
		}
		if len(chain) > 0 {
			s.Live += chain[len(chain)-1].Live
		}
	}
	return s
}

// partitionCounters are read by other goroutines than the partition's.
type partitionCounters struct {
	state   atomic.Pointer[partitionState]
	held    atomic.Bool
	busy    atomic.Int64 // ns
	blocked atomic.Int64 // ns
}

// partitionState is what a partition publishes after each batch.
type partitionState struct {
	position  int64
	watermark int64
	idle      bool
	counts    Counts
	dead      [reasons]int64
}

// workerCounters are read by other goroutines than the worker's.
type workerCounters struct {
	rows      atomic.Int64
	overflows atomic.Int64 // since the run's start, like beyond
	beyond    atomic.Int64
	busy      atomic.Int64 // ns
	blocked   atomic.Int64 // ns
}

// note adds what a shard did since before.
func (c *workerCounters) note(before, now *ShardStats) {
	c.overflows.Add(now.Overflows - before.Overflows)
	c.beyond.Add(now.Beyond - before.Beyond)
}

// publish lets others see how the partition is.
func (p *partition) publish() {
	p.stats.state.Store(&partitionState{
		position: p.position, watermark: p.task.Watermark(), idle: p.task.Passed().Idle,
		counts: p.task.Counts(), dead: p.task.Dead(),
	})
}

// Stats is how the run is. It may be called from any goroutine.
func (r *Runner) Stats() Stats {
	s := Stats{
		Phase: Phase(r.life.phase.Load()), Provisional: NoTime, Final: NoTime,
		Checkpoint: *r.checkpoints.status.Load(),
	}
	if all := r.checkpoints.recent.Load(); all != nil {
		s.Checkpoints = *all
	}
	select {
	case <-r.life.ready:
	default:
		return s // the machines are being made
	}
	s.Incarnation, s.Control = r.incarnation, r.control.count()
	s.Provisional, s.Final = r.exchange.frontier()
	s.Counts.Overflows = r.before.overflows
	s.Memory = r.memory.stats()
	for _, p := range r.partitions {
		s.partition(p)
	}
	for _, w := range r.workers {
		rows := w.stats.rows.Load()
		s.Counts.Rows += rows
		s.Counts.Overflows += w.stats.overflows.Load()
		s.Beyond += w.stats.beyond.Load()
		s.Workers = append(s.Workers, WorkerStats{
			Rows: rows, Busy: time.Duration(w.stats.busy.Load()), Blocked: time.Duration(w.stats.blocked.Load()), Queue: len(w.in),
		})
	}
	for _, d := range r.sinks {
		s.Sinks = append(s.Sinks, SinkStats{
			Name: d.sink.Name(), Rows: d.written.Load(), Busy: time.Duration(d.busy.Load()),
			Queue: len(d.in), Checkpoint: time.Duration(d.last.Load()),
		})
	}
	return s
}

func (s *Stats) partition(p *partition) {
	at := p.stats.state.Load()
	s.Partitions = append(s.Partitions, PartitionStats{
		ID: p.id, Position: at.position, Lag: p.input.behind.Load(), Watermark: at.watermark,
		Idle: at.idle, Held: p.stats.held.Load(), Bytes: p.input.read.Load(), Size: p.input.size,
		Busy: time.Duration(p.stats.busy.Load()), Blocked: time.Duration(p.stats.blocked.Load()),
	})
	s.Counts.add(at.counts)
	for i, n := range at.dead {
		s.Dead[i] += n
	}
}

// add adds counts.
func (c *Counts) add(d Counts) {
	c.Read += d.Read
	c.Dead += d.Dead
	c.Outside += d.Outside
	c.Filtered += d.Filtered
	c.Late += d.Late
	c.Duplicates += d.Duplicates
	c.Aggregated += d.Aggregated
	c.Rows += d.Rows
	c.Overflows += d.Overflows
}

func (r *Runner) setPhase(p Phase) { r.life.phase.Store(int32(p)) }
