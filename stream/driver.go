package stream

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
)

// ErrFenced is returned by Generations and ControlLog once another process has
// taken the state over. It ends the run: nothing that this one does counts any more.
var ErrFenced = errors.New("another process has taken the state over")

// ErrDisagree is returned by Generations where a Committer has committed something
// else than the state holds: to go on would lose rows or tell them twice.
var ErrDisagree = errors.New("the state and what was committed disagree")

// ErrAway is wrapped by errors of a Committer whose servers cannot be reached, and may
// be back at any moment.
var ErrAway = errors.New("its servers are away")

// FromStart is the position of the first record that a partition has, whichever it
// is. No position is below 0.
const FromStart int64 = -1

// Source is where records come from: Kafka, files, the simulator.
type Source interface {
	// Partitions lists the partitions, from 0 on, with the bounds known at the start.
	Partitions(ctx context.Context) ([]Partition, error)
	// Open starts reading one partition at a position, or FromStart. A position whose
	// records are gone is an error.
	Open(ctx context.Context, partition int32, position int64) (Reader, error)
	// Describe says what is read, for manifests and resumed runs: topic and end
	// offsets, or files with size and sha256. Equal descriptions mean equal input.
	Describe(ctx context.Context) (any, error)
	Close() error
}

// Partition is one ordered sequence of records.
type Partition struct {
	ID    int32
	Start int64 // first position available
	End   int64 // bounded input: one past the last; -1 where it is not known or there is none
	Size  int64 // bytes, for progress; 0 unknown
}

// Reader reads one partition. It is used by one goroutine, may decode on others
// that it owns, and ends them in Close.
type Reader interface {
	// Read fills b with the next records: at least one, at most the batch size it
	// was made with. It blocks until there is one, the partition has ended
	// (io.EOF, on bounded input only) or ctx is done.
	Read(ctx context.Context, b *Batch) error
	// Progress is the number of bytes read so far, of Partition.Size.
	Progress() int64
	Close() error
}

// Sink takes what leaves the core. Calls come from one goroutine per sink.
type Sink interface {
	Name() string
	// Write takes an output; it may retain rows (Rows.Retain). An error ends the
	// run: what may heal is retried inside, within the sink's own bounds.
	Write(ctx context.Context, o *Output) error
	// Checkpoint makes everything written so far durable and returns what the sink
	// must know to go on from there; it becomes part of the epoch's pointer.
	Checkpoint(ctx context.Context, epoch int64) ([]byte, error)
	// Restore tells the sink, before the first Write, the state of the epoch that
	// the run goes on from; nil at the first start.
	Restore(ctx context.Context, state []byte) error
	// Close ends the sink after a last Checkpoint, or at once when the run failed.
	Close() error
}

// Committer is a Sink whose readers see nothing of an epoch before they see all of
// it: what it is written it keeps to itself until the epoch is committed. What it
// has committed is the truth of where a run goes on. At most one sink of a run is
// one; Fence and Commit are called from one goroutine, beside Write.
type Committer interface {
	Sink
	// Fence sees to it that no other process commits any more until it fences in its
	// turn, and then tells what was committed last. The first call comes before
	// Restore; each further one after a Commit that failed. ErrAway where it cannot now.
	Fence(ctx context.Context) (*Committed, error)
	// Commit makes visible, all at once: what was written before the barriers of p's
	// epoch and those before it, p's positions, and which pointer p is. It needs
	// nothing of the goroutine that calls Write. Where it fails, Fence tells whether it
	// came about; if not, what was written waits for the next Commit.
	Commit(ctx context.Context, p *Pointer) error
	// GoBack commits, before Restore, that p is where the run goes on. Quiet: p is of
	// the course of events that led to what was committed, and what was told since is
	// not to be told again.
	GoBack(ctx context.Context, p *Pointer, quiet bool) error
	// Silent tells, from Restore on, up to where rows of a shard were told that its
	// state knows nothing of; empty without a GoBack.
	Silent() map[int32]Frontiers
}

// Committed is what a Committer committed last.
type Committed struct {
	Epoch       int64 // 0: nothing yet
	Incarnation int64
	Checksum    string // Pointer.Checksum
	Partitions  []PartitionState
}

// Entry is one piece of a machine's state. Keys order the entries of a
// generation: table | entity | time.
type Entry struct {
	Key   []byte
	Value []byte
}

// Generation is what an epoch adds to the state of its owner, a machine.
type Generation struct {
	Owner   string   // "shard/3", "partition/0"
	Entries []Entry  // new, or in place of earlier ones; in any order, keys once each
	Removed [][]byte // keys of entries that are no more; none of Entries
	Chain   Chain    // that it is added to; nil: the entries are the whole state
}

// Object names an immutable generation file.
type Object struct {
	Name     string `json:"name"`
	Epoch    int64  `json:"epoch"` // that it was written for
	Size     int64  `json:"size"`
	Checksum string `json:"checksum"` // XXH3-128 of the file, hex
	Bytes    int64  `json:"bytes"`    // of its keys and values
	Live     int64  `json:"live"`     // bytes of keys and values that a reader of the chain up to it gets
}

// Chain is an owner's state: a base, and what changed since, the oldest first.
type Chain []Object

// Size is the size of the objects, bytes.
func (c Chain) Size() int64 {
	size := int64(0)
	for _, o := range c {
		size += o.Size
	}
	return size
}

// UnmarshalJSON reads a list of objects, or one alone: so chains were written
// while every generation was a base.
func (c *Chain) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '{' {
		var alone Object
		err := json.Unmarshal(text, &alone)
		alone.Bytes, alone.Live = alone.Size, alone.Size // near enough
		*c = Chain{alone}
		return err
	}
	return json.Unmarshal(text, (*[]Object)(c))
}

// Pointer names everything that makes up an epoch. It is the one truth about
// what has been processed: written atomically, after all it names is durable.
type Pointer struct {
	Version  int    `json:"version"`
	Pipeline string `json:"pipeline"`
	PlanState
	Epoch       int64            `json:"epoch"`
	Incarnation int64            `json:"incarnation"`
	Shards      int              `json:"shards"`
	Partitions  []PartitionState `json:"partitions"`
	Generations map[string]Chain `json:"generations"` // by owner
	Frontiers
	Control int64             `json:"control"` // so many entries of the control log, from the first on, does the epoch contain
	Sinks   map[string][]byte `json:"sinks"`
	Counts  Counts            `json:"counts"`
	Source  any               `json:"source"`
	Taking
	Visibility
}

// Taking is when and how an epoch's checkpoint was taken.
type Taking struct {
	Taken  string            `json:"taken"`            // RFC 3339
	Timing *CheckpointTiming `json:"timing,omitempty"` // in seconds; nothing goes by it
}

// Objects are all objects that the epoch names, by owner and then the oldest first.
func (p *Pointer) Objects() []Object {
	var all []Object
	for _, owner := range slices.Sorted(maps.Keys(p.Generations)) {
		all = append(all, p.Generations[owner]...)
	}
	return all
}

// Frontiers are how far event time was complete.
type Frontiers struct {
	Provisional int64 `json:"provisional_us"`
	Final       int64 `json:"final_us"`
}

// Visibility says of a pointer how its epoch became visible.
type Visibility struct {
	Transactional bool   `json:"transactional,omitempty"` // a Committer committed it
	Checksum      string `json:"-"`                       // of the pointer as it is kept; set by Generations
	Rewound       bool   `json:"-"`                       // gone back to on purpose, behind what was committed; set by GoOn
}

// PartitionState is where a partition was read up to.
type PartitionState struct {
	ID       int32 `json:"id"`
	Position int64 `json:"position"`
}

// Generations keeps generations and pointers.
type Generations interface {
	// Start claims the store for this process and returns the number of its
	// incarnation, raised durably. A store that another live process holds is refused.
	Start(ctx context.Context) (int64, error)
	// GoOn finds the pointer that the run goes on from; nil: there is none yet. Where
	// no Committer says what was committed (nil) it is the newest of which everything
	// is whole. Else it is the one that was, prepared or committed; ErrDisagree where
	// there is none such.
	GoOn(ctx context.Context, committed *Committed) (*Pointer, error)
	// Write makes a generation durable, as an immutable object added to its chain, or
	// as one that stands for some of the chain too, and returns the new chain.
	Write(ctx context.Context, epoch int64, g *Generation) (Chain, error)
	// Read gives the entries of an owner's chain in key order; a damaged one is an error.
	Read(ctx context.Context, owner string, chain Chain, each func(key, value []byte) error) error
	// Prepare makes a pointer durable that is not committed yet, and sets its Checksum.
	// ErrFenced where another process has claimed the store since.
	Prepare(ctx context.Context, p *Pointer) error
	// Commit makes the pointer the newest, atomically, and then drops what only
	// older pointers than the retained ones reach. ErrFenced where another process
	// has claimed the store since.
	Commit(ctx context.Context, p *Pointer) error
	Close() error
}

// ControlEntry is a partition leaving or coming back to the minimum.
type ControlEntry struct {
	Partition   int32       `json:"partition"`
	Next        int64       `json:"next"` // the position of the next record it had not read
	Watermark   int64       `json:"watermark_us"`
	Incarnation int64       `json:"incarnation"`
	Kind        ControlKind `json:"kind"`
}

// ControlKind is what a control entry says.
type ControlKind string

// The kinds of control entries.
const (
	ControlStart ControlKind = "start" // a new incarnation began
	ControlLeave ControlKind = "leave"
	ControlJoin  ControlKind = "join"
)

// ControlLog is the durable log of partitions leaving and coming back.
type ControlLog interface {
	// Append returns once the entry is durable.
	Append(ctx context.Context, e ControlEntry) error
	// Entries returns the entries that a restart may need, in order, and how many
	// came before them. Those are of epochs (Pointer.Control) before all that can be
	// gone on from; the first entry returned tells of the newest start among them.
	Entries(ctx context.Context) (before int64, entries []ControlEntry, err error)
	Close() error
}

// Counts is what happened to the records of a run. Read = Dead (all reasons) +
// Outside + Filtered + Late + Duplicates + Aggregated, once dedup spans are closed.
type Counts struct {
	Read       int64 `json:"read"`
	Dead       int64 `json:"dead"`
	Outside    int64 `json:"outside"` // outside --from/--to
	Filtered   int64 `json:"filtered"`
	Late       int64 `json:"late"`
	Duplicates int64 `json:"duplicates"`
	Aggregated int64 `json:"aggregated"`
	Rows       int64 `json:"rows"`      // final rows
	Overflows  int64 `json:"overflows"` // values null because they do not fit their column
}

// Resumer is a Source that can go on with the bounds that an earlier run found:
// it is told, before Partitions, what Describe returned then.
type Resumer interface {
	Resume(ctx context.Context, description []byte) error
}

// CaughtUp is a Reader that can tell whether it would have something to read if
// there were something. While it answers false (its source cannot be reached,
// say) the partition does not become idle; without it, every wait in Read counts
// as having nothing to read. It may be called from any goroutine.
type CaughtUp interface{ CaughtUp() bool }

// Lagging is a Reader that knows how many records it is behind its partition's
// end. It may be called from any goroutine.
type Lagging interface{ Lag() int64 }
