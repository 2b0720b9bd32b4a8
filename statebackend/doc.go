// Package statebackend keeps what must outlive a process: the generations of
// every machine's state, the pointers that name them, and the control log. They are
// objects in a Store: a local folder, or a bucket of a server that speaks S3.
//
//	LOCK                                   in a folder: held by the process that owns it
//	incarnations/<n>                       made by the n-th process that claimed the state
//	objects/<xx>/<pipeline>/<owner>/<epoch>-<incarnation>-<checksum>.sst
//	pointers/<epoch>.json                  the newest few; the greatest number is the truth
//	pointers/<epoch>.json.damaged          one that the run went back behind
//	prepared/<epoch>-<incarnation>.json    pointers that a transaction is to commit
//	savepoints/<name>.json                 pointers that are kept until they are removed
//	rewinds/<n>.json                       deliberate returns to an older epoch
//	control.log, control.archive.log       in a folder: partitions leaving and coming back
//	control/<entries>.log                  in a bucket: the same, an object a segment
//	temp/                                  in a folder: files that are being written
//	scratch/                               in a folder: what a run holds outside memory (Tables); no part of the state
//
// An object is a sorted table (a Pebble SST) that is written once, as a whole; <xx>,
// the first digits of its checksum, spreads names, so that no part of a bucket has
// to bear all requests. A pointer is written after everything that it names is
// durable, in the same way: after a crash at any moment the newest readable pointer
// names only whole objects. The package never changes an object and never deletes
// one that a retained pointer reaches.
//
// Pointers and incarnations are created where there is none. A process looks before
// each pointer whether a newer incarnation is there; if so it is fenced. Should it
// be held up between the look and the pointer, the pointer comes to nothing: a newer
// incarnation finds it in the place of its own and replaces it, or has committed a
// pointer before it, and one of an older incarnation than an earlier epoch's is void.
// Only where the newer one ends before it commits anything is it gone on from, as the
// epoch that it is.
//
// Where a transaction elsewhere commits an epoch, its pointer is prepared first: it
// becomes a pointer when the transaction is committed, by this process or by the next
// one, which learns from there what was, and is void if it was not.
//
// A savepoint is a copy of a pointer. It is made of one that is there and holds only
// if that is still there afterwards; whoever removes garbage forgets pointers first
// and then looks for savepoints. A deliberate return to an older epoch is written
// down before anything is changed; what it gives up becomes savepoints.
//
// Beside a bucket, copies of the objects of retained epochs are kept in a folder of
// the machine and read first (Cached). They are of no consequence: damaged or gone,
// the bucket is read.
//
// Pointers and objects have checksums. Where a disk has lost or changed some of
// the newest epoch, a start goes back, as a whole, to the newest epoch of which
// everything is as it was written.
package statebackend
