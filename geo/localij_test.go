//go:build cgo

package geo

import (
	"errors"
	"testing"

	h3 "github.com/uber/h3-go/v4"
)

func TestLocalIJAndDistance(t *testing.T) {
	g := newCells(51)
	known, unknown := 0, 0
	for n := range 300000 {
		origin := g.drawNear(g.draw(), 3)
		c := g.drawNear(origin, 12)
		if n%8 == 0 {
			c = g.drawAt(origin.Resolution())
		}
		want, wantErr := h3.CellToLocalIJ(h3.Cell(origin), h3.Cell(c))
		i, j, err := LocalIJ(origin, c)
		if (err == nil) != (wantErr == nil) || err == nil && (i != want.I || j != want.J) {
			t.Fatalf("%s around %s is at (%d, %d), %v; want %v, %v", c, origin, i, j, err, want, wantErr)
		}
		steps, wantErr := h3.GridDistance(h3.Cell(origin), h3.Cell(c))
		distance, err2 := Distance(origin, c)
		if (err2 == nil) != (wantErr == nil) || err2 == nil && distance != steps {
			t.Fatalf("%s is %d from %s, %v; want %d, %v", c, distance, origin, err2, steps, wantErr)
		}
		if err != nil {
			unknown++
			if !errors.Is(err, ErrDistance) || !errors.Is(err2, ErrDistance) {
				t.Fatalf("errors %v, %v", err, err2)
			}
			continue
		}
		known++
		i, j = i+g.IntN(15)-7, j+g.IntN(15)-7
		wantBack, wantErr := h3.LocalIJToCell(h3.Cell(origin), h3.CoordIJ{I: i, J: j})
		back, err := FromLocalIJ(origin, i, j)
		if wantErr == nil && !wantBack.IsValid() {
			wantBack, wantErr = 0, errors.New("invalid")
		}
		if (err == nil) != (wantErr == nil) || err == nil && back != Cell(wantBack) {
			t.Fatalf("(%d, %d) around %s is %s, %v; want %s, %v", i, j, origin, back, err, wantBack, wantErr)
		}
	}
	if known < 10000 || unknown < 1000 {
		t.Errorf("%d known, %d unknown", known, unknown)
	}
}

func TestLocalIJRefuses(t *testing.T) {
	g := newCells(52)
	a, b := g.drawAt(5), g.drawAt(6)
	for what, c := range map[string]struct {
		err, want error
	}{
		"other resolution": {second(Distance(a, b)), ErrResolution},
		"no cell":          {second(Distance(a, 5)), ErrCell},
		"no origin":        {second(Distance(5, a)), ErrCell},
		"from no origin":   {second(FromLocalIJ(5, 0, 0)), ErrCell},
		"far":              {second(FromLocalIJ(a, 1<<20, 0)), ErrDistance},
		"very far":         {second(FromLocalIJ(a, 1<<40, -1<<62)), ErrDistance},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: error %v", what, c.err)
		}
	}
}
