// Package features compiles expressions over columns: filters over an event's
// fields, features over a row's columns.
//
// expr-lang/expr parses the text; this package types the tree and turns it into
// a list of steps, each of which computes a whole column. A step never allocates
// once its column has grown to the size of the batches.
//
// Values are int64, float64, bool or text, or null:
//
//   - + - * of integers are integers, null on overflow; / is always of floats; a
//     mixture of integer and float is float; a decimal is the nearest float.
//   - null in, null out; division by zero, NaN and infinity are null. `and` and
//     `or` follow SQL: false and null is false, true or null is true.
//   - x ?? y is y where x is null; x == nil asks.
//
// The package promises the same bits everywhere: no fused multiply-add, and exp
// and log are those of package exact. It must never read a clock or keep
// anything from one batch to the next.
package features
