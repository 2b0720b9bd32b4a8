//go:build race

package simulation

// fewer divides the numbers of seeds: the race detector takes many times as long.
const fewer = 20
