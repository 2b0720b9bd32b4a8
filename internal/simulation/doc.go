// Package simulation runs whole lives of a pipeline, deterministically: the real
// core and runner over the real state, in virtual time, one goroutine at a time in
// an order that a seed decides, above a world that fails wherever it is called.
// Processes are killed, frozen and doubled; requests get lost, or come late. What
// readers see in the end is held against the brute force of internal/oracle. A
// seed that fails does the same each time it is run.
package simulation
