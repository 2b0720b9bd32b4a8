// Package materialize holds the sinks that rows leave hextide by, and the
// readers that bring them back: Redis (the newest value of each entity), the
// feed (a Kafka topic of all rows) and snapshots (Parquet files with a
// manifest). Diff compares any two of them bit for bit.
//
// Each format is documented beside its encoder, so that others can read it:
// packed.go (Redis), feed.go with proto/hextide/v1/feed.proto, parquet.go and
// manifest.go. A sink never shows an older row after a newer one, and never
// acknowledges a checkpoint before what it was handed is durable.
package materialize
