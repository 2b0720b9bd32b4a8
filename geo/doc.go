// Package geo is H3 (https://h3geo.org) and what hextide builds upon it: the
// cell of a place (index.go), parents and children, neighbours, disks and rings,
// territories with their halos, the unfolded frame of a territory, and sums over
// disks of any radius at the cost of six loads (disk.go and its siblings).
//
//	place ─► face, lattice ─► Cell ─► Territory ─► Frame ─► Disks
//
// Its mathematics, from the bottom up; each is drawn where it is built:
//
//	lattice  the plane's hexagonal lattice with the steps X, Y and Z = X + Y (frame_lattice.go)
//	frame    a territory and its halo laid out on the lattice (frame.go); a pentagon's on five
//	         sheets, one for each 60° around it (frame_apex.go)
//	row      r, the running sum of a line of the lattice along X
//	cone     all that lies back from a spot q along two of the steps
//	prefix   the sums over cones, A(q), B(q) and C(q), grown row by row (disk_plane.go)
//	disk     the spots within a grid distance: a hexagon, and a signed sum of the cones at its
//	         six corners (disk_cone.go)
//
//	    A(q)                   B(q)                C(q)                    disk
//	                                                                    C ____ A
//	    ──────── q              q             ──────── q                 /    \        + A + A
//	     · · · · ·\            /·\             · · · ·/              B  /  p   \  B    − B − B
//	      · · · · ·\          /· ·\            · · · /                  \      /       − C − C
//	       · · · · ·\        /· · ·\           · · ·/                    \____/
//	                                                                    A      C
//
// The oracle of all of it is a plain sum over H3's grid disk (disk_test.go).
//
// The package promises the same cells as H3's C library but for places within
// 1e-10 degrees of an edge, where the last bit of a sine decides; and sums that
// are exactly those of the cells within H3's grid distance, everywhere on earth,
// around the twelve pentagons too. It has no cgo and does not allocate per place,
// cell or step. It must never return a wrong cell for wrong input: that is an
// error.
package geo
