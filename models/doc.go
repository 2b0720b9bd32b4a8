// Package models holds the online learners: what a model knows of a city, how it
// forecasts the next window, and what it learns when the window has closed.
//
// The demand model is the equations of docs/demand.md, one file a noun: clock,
// rates and forecast, ratio, interval, hour, weights, dispersion, score, state.
//
// The package promises that a model is a function of the windows it was stepped
// through, bit for bit: the same on every processor and in every build, live,
// replayed, or restored from its state half way. Every sum runs over cells in
// ascending order, no product is fused with a sum, and exp and log are those of
// package exact. It must never look at a clock, at randomness, at the machine's
// time-zone files, or at anything that has not closed for good.
//
// A model belongs to one goroutine at a time.
package models
