// Package ingest reads records: from files, from Kafka, and from files into
// Kafka as if they happened now (Simulate). Its drivers fill stream.Batch
// columns; a codec for each format turns one record's bytes into one row.
//
//	file ─► inflate ─► blocks of whole records ─► codec ─► columns ─► merge ─► Read
//	Kafka ─► one client ─► a queue for each partition ──► codec ─────────────► Read
//
// The package promises that the same bytes give the same rows at the same
// positions, whatever the batch size, the compression or the number of
// goroutines, and that nothing is lost silently: a record that does not decode
// is a row with a Reason and its raw bytes, input that ends where it should not
// is an error that names the place, and an offset that the broker no longer has
// is an error, never a jump. It must never judge an event by its age or place
// (that is stream's), nor retry for ever what cannot heal.
//
// # Formats
//
// csv: RFC 4180 with a header line; columns may come in any order and be more
// than the definition names. Lines end in LF or CRLF; blank lines are no
// records; a byte order mark is skipped. A record that does not parse (a bare
// quote, text after a closing quote, a quote that does not close within the
// record limit) ends at its first line end: one line becomes a dead letter, and
// reading goes on behind it. A record with more columns than the header is
// BadSyntax, with fewer MissingField. Spaces around numbers, times, booleans and
// cells do not count; strings are taken as they are.
//
// json: one object a line. Fields are plain top-level names, matched exactly;
// the last of equal names counts; other members are checked and skipped. Numbers
// may be given as strings, and a string field takes a number or a boolean as it
// is written. null and "" are as if the member were absent; an object or an
// array is BadValue.
//
// # Kafka
//
// A record's value is one csv line without a header or one json object. The
// columns of a csv value are those of Schema.Columns: the event time, the
// latitude and longitude or the cell, then the other fields in the definition's
// order; KafkaOptions.Columns names others. Simulate writes exactly those. A
// value that is null or empty is BadSyntax.
package ingest
