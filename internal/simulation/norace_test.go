//go:build !race

package simulation

// fewer divides the numbers of seeds.
const fewer = 1
