// Package stream is the checkpointed, keyed core: what happens to an event
// between the source that read it and the row that leaves for the sinks.
//
//	Source ─► Reader ─► Task ─► exchange ─► Shard ─► Output ─► Sinks
//	          Batch             Partials              Rows
//	                            Watermark             Frontier
//
// A Task (one per source partition) and a Shard are state machines: they are
// handed a batch, a watermark or a barrier and leave what follows from it in an
// output value. They own their state outright, run on one goroutine at a time, never
// read a clock and never do I/O. The Runner feeds them; live running, backfill,
// tests and benchmarks are the same machines and the same Runner with other
// drivers behind the interfaces of driver.go.
//
// The package promises that final rows are a function of the set of accepted
// events: neither their order, nor batching, nor the number of partitions,
// shards or workers changes a bit. It must never let a clock, a map's order or
// a goroutine's turn reach a row.
//
// All times are int64 microseconds of unix time.
package stream
