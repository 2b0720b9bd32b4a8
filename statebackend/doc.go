// Package statebackend keeps what must outlive a process: the generations of
// every machine's state, the pointers that name them, and the control log.
//
//	DIR/LOCK                                   held by the process that owns the store
//	DIR/incarnation                            how often a process claimed it
//	DIR/objects/<xx>/<pipeline>/<owner>/<epoch>-<checksum>.sst
//	DIR/pointers/<epoch>.json                  the newest few; the greatest number is the truth
//	DIR/pointers/<epoch>.json.damaged          one that the run went back behind
//	DIR/control.log                            partitions leaving and coming back
//	DIR/control.archive.log                    the same, of before all retained epochs
//
// An object is a sorted table (a Pebble SST) that is written once under a
// temporary name, synced, and renamed; <xx>, the first digits of its checksum,
// spreads names. A pointer is written after everything that it names is
// durable, in the same way: after a crash at any moment the newest readable
// pointer names only whole objects. The package never changes an object and
// never deletes one that a retained pointer reaches.
//
// Pointers and objects have checksums. Where a disk has lost or changed some of
// the newest epoch, a start goes back, as a whole, to the newest epoch of which
// everything is as it was written.
package statebackend
