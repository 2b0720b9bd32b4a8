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
	for start := 0; start < len(lat); start += chunkRows {
		end := min(start+chunkRows, len(lat))
		lats, lngs := lat[start:end], lng[start:end]
		for i, here := range lats {
			if !onEarth(here, lngs[i]) {
				return &InvalidError{start + i, here, lngs[i]}
			}
			points[i&(chunkRows-1)], regions[i&(chunkRows-1)] = place(here, lngs[i])
		}
		l.cells(dst[start:end], &points, &regions)
	}
	return nil
}

// cells indexes points.
func (l *level) cells(dst []Cell, points *[chunkRows]vector, regions *[chunkRows]uint8) {
	var spots [chunkRows]Spot
	for i := range min(len(dst), chunkRows) {
		face := regions[i]
		if face >= onEdge {
			face = faceMap.face(face, points[i])
			regions[i] = face
		}
		spots[i].X, spots[i].Y = l.nearest(face, &points[i])
	}
	for i := range min(len(dst), chunkRows) {
		dst[i] = l.cell(regions[i], spots[i].X, spots[i].Y)
	}
}
