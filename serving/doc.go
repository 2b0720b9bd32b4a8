// Package serving answers questions about the rows of one pipeline: a store of
// the newest rows in process, a gRPC service over it (proto/hextide/v1), and
// the same calls as HTTP with JSON.
//
//	Runner ─► Store (a sink) ─► Service ─► gRPC, HTTP, page
//	  ▲                            │
//	  └──── open windows ◄─────────┘
//
// The store keeps the rows in packed blocks that never change; the oldest window
// ends go first. It promises that a reader never sees a row go back: of each
// entity the greatest (window end, revision) wins, whatever arrives later.
//
// The core waits for no answer: readers hold the store's lock only to note where
// some thousands of rows are, and make and send the answer without it. Watchers that do not keep up are dropped.
// Questions for open windows are answered by the core itself, in slices between
// its other work.
package serving
