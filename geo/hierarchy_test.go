//go:build cgo

package geo

import (
	"errors"
	"slices"
	"testing"

	h3 "github.com/uber/h3-go/v4"
)

func TestParentAndCenterChild(t *testing.T) {
	g := newCells(11)
	for range 50000 {
		c := g.draw()
		for r := range 16 {
			parent, err := c.Parent(r)
			child, childErr := c.CenterChild(r)
			count, countErr := c.ChildCount(r)
			if (err == nil) != (r <= c.Resolution()) || (childErr == nil) != (r >= c.Resolution()) || (countErr == nil) != (childErr == nil) {
				t.Fatalf("%s at %d: errors %v, %v, %v", c, r, err, childErr, countErr)
			}
			if err != nil && !errors.Is(err, ErrResolution) || childErr != nil && !errors.Is(childErr, ErrResolution) {
				t.Fatalf("%s at %d: errors %v, %v", c, r, err, childErr)
			}
			if want, _ := h3.Cell(c).Parent(r); err == nil && parent != Cell(want) {
				t.Fatalf("parent of %s at %d is %s, want %s", c, r, parent, want)
			}
			if want, _ := h3.Cell(c).CenterChild(r); childErr == nil && child != Cell(want) {
				t.Fatalf("centre child of %s at %d is %s, want %s", c, r, child, want)
			}
			if countErr == nil && c.IsPentagon() && r > c.Resolution() && count%7 == 0 {
				t.Fatalf("%s has %d children at %d", c, count, r)
			}
		}
	}
}

func TestChildren(t *testing.T) {
	g := newCells(12)
	for range 3000 {
		c := g.draw()
		r := min(c.Resolution()+g.IntN(5), 15)
		want, err := h3.Cell(c).Children(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Children([]Cell{1}, r)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got[1:], want, func(a Cell, b h3.Cell) bool { return a == Cell(b) }) || got[0] != 1 {
			t.Fatalf("children of %s at %d: %s, want %s", c, r, got[1:], want)
		}
		if count, err := c.ChildCount(r); count != len(want) || err != nil {
			t.Fatalf("%s has %d children at %d, %v; want %d", c, count, r, err, len(want))
		}
	}
}

func TestResolutionsThatCannotBe(t *testing.T) {
	g := newCells(13)
	for range 100 {
		c := g.draw()
		for _, r := range []int{-1, 16, 1 << 40, -1 << 40} {
			for what, err := range map[string]error{
				"parent":   second(c.Parent(r)),
				"center":   second(c.CenterChild(r)),
				"count":    second(c.ChildCount(r)),
				"children": second(c.Children(nil, r)),
			} {
				if !errors.Is(err, ErrResolution) {
					t.Fatalf("%s of %s at %d: error %v", what, c, r, err)
				}
			}
		}
	}
	base, _ := g.draw().Parent(0)
	if _, err := base.Children(nil, 15); !errors.Is(err, ErrResolution) {
		t.Errorf("children without end: error %v", err)
	}
}
