package stream

// The crash points, at which Config.Crash is called.
const (
	CrashClaimed           = "start:claimed"      // the store is ours, nothing is read
	CrashFenced            = "transaction:fenced" // no other process commits, nothing is read
	CrashRestored          = "start:restored"     // machines and sinks are at the pointer
	CrashBeforeLeave       = "control:before-leave"
	CrashLeaveDurable      = "control:leave-durable"
	CrashLeft              = "control:left"
	CrashJoined            = "control:joined" // in the minimum, the entry not written
	CrashJoinDurable       = "control:join-durable"
	CrashBeforeBarrier     = "checkpoint:before-barrier"
	CrashPartitionSaved    = "checkpoint:partition-saved" // before it arrives
	CrashBarrierPassed     = "checkpoint:barrier-passed"  // by all partitions, to all workers
	CrashShardsSaved       = "checkpoint:shards-saved"    // of one worker
	CrashBeforeSink        = "checkpoint:before-sink"
	CrashAfterSink         = "checkpoint:after-sink"
	CrashBeforeGeneration  = "checkpoint:before-generation" // of each shard and partition
	CrashAfterGeneration   = "checkpoint:after-generation"
	CrashBeforeCommit      = "checkpoint:before-commit" // all is durable
	CrashPrepared          = "transaction:prepared"     // the pointer, for a Committer to commit
	CrashCommitted         = "transaction:committed"    // by the Committer; the pointer is not the newest yet
	CrashSettled           = "transaction:settled"      // after a Commit that failed it is known whether it came about
	CrashAfterCommit       = "checkpoint:after-commit"
	CrashBeforeEnd         = "end:before" // bounded input is read, its end not passed on
	CrashAfterEnd          = "end:after"
	CrashBeforeLastBarrier = "end:before-barrier"
)

// CrashPoints lists the crash points, so that a test can visit all.
var CrashPoints = []string{
	CrashClaimed, CrashRestored,
	CrashBeforeLeave, CrashLeaveDurable, CrashLeft, CrashJoined, CrashJoinDurable,
	CrashBeforeBarrier, CrashPartitionSaved, CrashBarrierPassed, CrashShardsSaved,
	CrashBeforeSink, CrashAfterSink, CrashBeforeGeneration, CrashAfterGeneration,
	CrashBeforeCommit, CrashAfterCommit,
	CrashBeforeEnd, CrashAfterEnd, CrashBeforeLastBarrier,
	CrashFenced, CrashPrepared, CrashCommitted, CrashSettled,
}
