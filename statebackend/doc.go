// Package statebackend keeps what must outlive a process: the generations of
// every machine's state, the pointers that name them, and the control log.
//
//	DIR/LOCK                                   held by the process that owns the store
//	DIR/incarnation                            how often a process claimed it
//	DIR/objects/<xx>/<pipeline>/<owner>/<epoch>-<checksum>.sst
//	DIR/pointers/<epoch>.json                  the newest few; the greatest number is the truth
//	DIR/control.log                            partitions leaving and coming back
//
// An object is a sorted table (a Pebble SST) that is written once under a
// temporary name, synced, and renamed; <xx>, the first digits of its checksum,
// spreads names. A pointer is written after everything that it names is
// durable, in the same way: after a crash at any moment the newest readable
// pointer names only whole objects. The package never changes an object and
// never deletes one that a retained pointer reaches.
package statebackend
