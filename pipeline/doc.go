// Package pipeline reads definitions and turns them into plans.
//
//	YAML ─► read (types, unknown keys) ─► Definition ─► check ─► Plan
//
// A definition is what a person writes; a plan is what is computed: every
// default filled in, every name resolved, every expression compiled, the columns
// in order. All mistakes of a definition are reported at once, each with its
// place in the file.
//
// The package promises that a plan's Hash covers the whole definition but its sinks,
// however it is written down. It must never read a clock or do I/O.
package pipeline
