// Package serving answers questions about the rows of one pipeline: a store of
// the newest rows in process, a gRPC service over it (proto/hextide/v1), and
// the same calls as HTTP with JSON.
//
//	Runner ─► Store (a sink) ─► Service ─► gRPC, HTTP, page
//	  ▲                            │
//	  └──── open windows ◄─────────┘
//
// The store keeps the blocks of rows as the core made them, newest window ends
// first to be looked up and oldest first to go. It promises that a reader never
// sees a row go back: of each entity the greatest (window end, revision) wins,
// whatever arrives later. It never makes the core wait for a reader.
package serving
