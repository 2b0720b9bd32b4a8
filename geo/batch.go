package geo

import "fmt"

// InvalidError is a place that IndexBatch could not index; it matches ErrLatLng.
type InvalidError struct {
	Row      int
	Lat, Lng float64
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("row %d: latitude %v, longitude %v: %v", e.Row, e.Lat, e.Lng, ErrLatLng)
}

func (e *InvalidError) Unwrap() error { return ErrLatLng }

// chunkRows is how many places go through the steps of indexing together: few enough to stay in the
// nearest cache.
const chunkRows = 128

// IndexBatch is Index over columns: dst[i] becomes the cell of the place (lat[i], lng[i]). dst and lng
// must be as long as lat. The error is an *InvalidError for the first place that is none, and then what
// dst holds from its row on is not defined; or it matches ErrResolution.
//
// A place alone waits for each step's result. Three loops over a chunk, each doing one step for many
// places, keep the processor at work meanwhile.
func IndexBatch(dst []Cell, lat, lng []float64, resolution int) error {
	if uint(resolution) > MaxResolution {
		return errResolution(resolution)
	}
	if len(dst) != len(lat) || len(lng) != len(lat) {
		return fmt.Errorf("indexing %d latitudes: %d longitudes, room for %d cells", len(lat), len(lng), len(dst))
	}
	l := &levels[resolution]
	var points [chunkRows]vector
	var regions [chunkRows]uint8
	var seen areas
	few := l.steps > 0
	for start := 0; start < len(lat); start += chunkRows {
		end := min(start+chunkRows, len(lat))
		lats, lngs := lat[start:end], lng[start:end]
		for i, here := range lats {
			if !OnEarth(here, lngs[i]) {
				return &InvalidError{start + i, here, lngs[i]}
			}
			points[i&(chunkRows-1)], regions[i&(chunkRows-1)] = place(here, lngs[i])
		}
		var spots [chunkRows]Spot
		l.spots(&spots, points[:end-start], &regions)
		if few {
			few = l.cellsNear(dst[start:end], &spots, &regions, &seen) <= chunkRows/4
			continue
		}
		l.cells(dst[start:end], &spots, &regions)
	}
	return nil
}

// spots finds the spots where points fall, and what regions are of their faces.
func (l *level) spots(dst *[chunkRows]Spot, points []vector, regions *[chunkRows]uint8) {
	for i := range points {
		face := regions[i&(chunkRows-1)]
		if face >= onEdge {
			face = faceMap.face(face, points[i])
			regions[i&(chunkRows-1)] = face
		}
		dst[i&(chunkRows-1)].X, dst[i&(chunkRows-1)].Y = l.nearest(face, &points[i])
	}
}

// cells is cell over spots.
func (l *level) cells(dst []Cell, spots *[chunkRows]Spot, faces *[chunkRows]uint8) {
	for i := range min(len(dst), chunkRows) {
		dst[i] = l.cell(faces[i], spots[i].X, spots[i].Y)
	}
}

// area is where cells differ in the digits of their first step alone, the four finest: 2,401 cells.
type area struct {
	key   uint64           // face and spot; 0: none, for no spot there is at (0, 0)
	rest  Cell             // the cells without those digits
	fours *[49 * 49]uint16 // turned as they are there; nil: at a pentagon, where not all are turned alike
}

// areas are those seen last, by their spots.
type areas [16]area

// cellsNear is cell over spots that lie in few areas. It returns how many were not where the ones
// before were.
func (l *level) cellsNear(dst []Cell, spots *[chunkRows]Spot, faces *[chunkRows]uint8, seen *areas) (strange int) {
	for i := range min(len(dst), chunkRows) {
		x, y := l.first(spots[i].X, spots[i].Y)
		at, x, y := l.fourUp(x, y)
		a, key := &seen[(x+4*y)%uint64(len(seen))], uint64(faces[i])<<56|x<<28|y
		if a.key == key && a.fours != nil {
			dst[i] = a.rest | Cell(a.fours[at]&0xfff)<<(l.lowest&63)>>3
			continue
		}
		dst[i] = l.cell(faces[i], spots[i].X, spots[i].Y)
		for range l.steps - 1 {
			_, x, y = l.fourUp(x, y)
		}
		*a = area{key: key}
		if base := l.base(faces[i], x, y); !base.pentagon {
			a.rest, a.fours = dst[i]&^(0xfff<<(l.lowest&63)>>3)|l.rest, &l.fours[base.turns]
		}
		strange++
	}
	return strange
}
