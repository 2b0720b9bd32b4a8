// Package exact is arithmetic that gives the same bits on every machine, in
// every build and in every order in which integers may be added: 128-bit
// integers for sums, decimal text to integers and floats and back, and exp, log
// and a hash that depend on nothing but their argument.
//
// It must never use a fused multiply-add (products are written float64(x*y)
// before they are added, which forbids the compiler to fuse them), nor the
// standard library's transcendental functions, whose bits differ between
// processors.
package exact
