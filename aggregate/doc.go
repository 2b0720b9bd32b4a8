// Package aggregate holds what is counted, summed and compared: the measures that
// a plan's aggregates are made of, one aggregator a file, and the state in which
// they are kept: panes, and windows that slide over them.
//
//	aggregates ──► measures ──► panes ──► windows ──► columns
//	count, mean    Sum, Min,    a cell    running     finished
//	...            Max          once      per cell    once a row
//
// A measure of a set of events is a fold with an associative and commutative
// merge, so the order and the splitting of events mean nothing:
//
//	Sum   a + b in 128 bits, modulo 2^128; 0; inverse: subtraction
//	Min   the smaller key; the greatest key stands for nothing; no inverse
//	Max   the larger key; the least key stands for nothing; no inverse
//
// A window is the last W of event time. Where there is an inverse, sliding by a
// pane costs the entries that come and those that go, whatever W is:
//
//	S(end) = S(end − pane) + pane [end − pane, end) − pane [end − pane − W, end − W)
//
// Integers lose nothing by it. Where there is none, two stacks make a queue that
// knows its extremum (window_extremum.go), at constant work an entry too.
//
// The package promises exact results and the laws above; floating point begins
// only in a finished column. It must never read a clock or let the order of
// arrivals, or of a map, reach a value.
package aggregate
