// Package pages encodes what stands on the pages of Parquet files (its
// Encodings.md): hybrids of runs and packed bits, differences, split bytes; and
// frames of Zstandard for pages whose shape is known beforehand.
//
// Every function appends to out and returns it. None can fail: what a caller hands
// in is there already, and its bounds are told.
package pages
