package geo

import (
	"math/bits"
	"slices"
)

// clusters splits sources into groups so far apart that no disk meets two of them, so that sums over
// few and scattered sources do not pay for the box around all of them.
//
// The plane is cut into square tiles, wider than a disk; tiles that touch, at a corner too, and hold a
// source belong to one cluster.
//
// Invariant: all sources within `reach` of a spot lie in at most four tiles, all touching, and so in
// one cluster.
type clusters struct {
	reach  int32 // how far from a spot its sources may be
	shift  uint  // log2 of a tile's width, which is greater than 2·reach
	low    Spot  // first tile
	width  int32
	height int32
	label  []int32 // per tile: cluster + 1; 0: no source
	tiles  []int32 // those with a source
	queue  []int32
	boxes  []box
}

// box is the smallest box around a cluster's sources, its end included.
type box struct{ low, high Spot }

func (b *box) hold(s Spot) {
	b.low = Spot{min(b.low.X, s.X), min(b.low.Y, s.Y)}
	b.high = Spot{max(b.high.X, s.X), max(b.high.Y, s.Y)}
}

// widened is the box with so much more on all sides.
func (b *box) widened(by int32) box {
	return box{Spot{b.low.X - by, b.low.Y - by}, Spot{b.high.X + by, b.high.Y + by}}
}

func (b *box) holds(s Spot) bool {
	return s.X >= b.low.X && s.X <= b.high.X && s.Y >= b.low.Y && s.Y <= b.high.Y
}

// area is the number of spots in the box, widened on all sides.
func (b *box) area(widened int) int {
	return (int(b.high.X-b.low.X) + 1 + 2*widened) * (int(b.high.Y-b.low.Y) + 1 + 2*widened)
}

func newClusters(reach int) clusters {
	return clusters{reach: int32(reach), shift: uint(max(bits.Len(uint(2*reach)), 4))}
}

// split groups the sources. If the boxes of the groups, widened, are together no smaller than the one
// box around all, that becomes the only group.
func (c *clusters) split(at []Spot, widened int) {
	c.boxes = c.boxes[:0]
	if len(at) == 0 {
		c.width, c.height = 0, 0
		return
	}
	whole := box{at[0], at[0]}
	for _, s := range at {
		whole.hold(s)
	}
	c.low = Spot{whole.low.X >> c.shift, whole.low.Y >> c.shift}
	c.width = whole.high.X>>c.shift - c.low.X + 1
	c.height = whole.high.Y>>c.shift - c.low.Y + 1
	size := int(c.width) * int(c.height)
	c.label = slices.Grow(c.label[:0], size)[:size]
	clear(c.label)
	c.tiles = c.tiles[:0]
	for _, s := range at {
		tile := c.tile(s)
		if c.label[tile] == 0 {
			c.label[tile] = -1
			c.tiles = append(c.tiles, tile)
		}
	}
	c.join()
	c.bound(at)
	together := 0
	for i := range c.boxes {
		together += c.boxes[i].area(widened)
	}
	if together >= whole.area(widened) && len(c.boxes) > 1 {
		c.boxes = append(c.boxes[:0], whole)
		for _, tile := range c.tiles {
			c.label[tile] = 1
		}
	}
}

// tile is the index of the tile that holds a source.
func (c *clusters) tile(s Spot) int32 {
	return (s.Y>>c.shift-c.low.Y)*c.width + s.X>>c.shift - c.low.X
}

// of is the cluster of a source.
func (c *clusters) of(s Spot) int32 { return c.label[c.tile(s)] - 1 }

// join labels the tiles that hold a source, those that touch alike.
func (c *clusters) join() {
	label := int32(0)
	for _, first := range c.tiles {
		if c.label[first] > 0 {
			continue
		}
		label++
		c.label[first] = label
		c.queue = append(c.queue[:0], first)
		for len(c.queue) > 0 {
			tile := c.queue[len(c.queue)-1]
			c.queue = c.queue[:len(c.queue)-1]
			x, y := tile%c.width, tile/c.width
			for ny := max(y-1, 0); ny <= min(y+1, c.height-1); ny++ {
				for nx := max(x-1, 0); nx <= min(x+1, c.width-1); nx++ {
					if near := ny*c.width + nx; c.label[near] < 0 {
						c.label[near] = label
						c.queue = append(c.queue, near)
					}
				}
			}
		}
	}
	c.boxes = slices.Grow(c.boxes[:0], int(label))[:label]
}

// bound finds the boxes of the clusters.
func (c *clusters) bound(at []Spot) {
	started := slices.Grow(c.queue[:0], len(c.boxes))[:len(c.boxes)]
	clear(started)
	for _, s := range at {
		i := c.of(s)
		if started[i] == 0 {
			started[i] = 1
			c.boxes[i] = box{s, s}
		}
		c.boxes[i].hold(s)
	}
	c.queue = started
}

// near is the cluster that holds all sources within reach of a spot, -1 if there surely is none.
func (c *clusters) near(s Spot) int32 {
	x0, x1 := (s.X-c.reach)>>c.shift-c.low.X, (s.X+c.reach)>>c.shift-c.low.X
	y0, y1 := (s.Y-c.reach)>>c.shift-c.low.Y, (s.Y+c.reach)>>c.shift-c.low.Y
	x0, x1 = max(x0, 0), min(x1, c.width-1)
	y0, y1 = max(y0, 0), min(y1, c.height-1)
	for y := y0; y <= y1; y++ {
		for x := x0; x <= x1; x++ {
			if label := c.label[y*c.width+x]; label > 0 {
				return label - 1
			}
		}
	}
	return -1
}

// any reports whether a tile within a distance of a spot holds a source.
func (c *clusters) any(s Spot, distance int32) bool {
	x0, x1 := max((s.X-distance)>>c.shift-c.low.X, 0), min((s.X+distance)>>c.shift-c.low.X, c.width-1)
	y0, y1 := max((s.Y-distance)>>c.shift-c.low.Y, 0), min((s.Y+distance)>>c.shift-c.low.Y, c.height-1)
	for y := y0; y <= y1; y++ {
		for x := x0; x <= x1; x++ {
			if c.label[y*c.width+x] > 0 {
				return true
			}
		}
	}
	return false
}
