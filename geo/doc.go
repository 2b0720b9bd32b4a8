// Package geo is H3 (https://h3geo.org) and what hextide builds upon it: the
// cell of a place (index.go), parents and children, neighbours, disks and rings,
// territories with their halos, the unfolded frame of a territory, and sums over
// disks of any radius at the cost of six loads (disk.go and its siblings).
//
//	place ─► face, lattice ─► Cell ─► Territory ─► Frame ─► Disks
//
// The package promises the same cells as H3's C library but for places within
// 1e-10 degrees of an edge, where the last bit of a sine decides; and sums that
// are exactly those of the cells within H3's grid distance, everywhere on earth,
// around the twelve pentagons too. It has no cgo and does not allocate per place,
// cell or step. It must never return a wrong cell for wrong input: that is an
// error.
package geo
