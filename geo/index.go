package geo

import (
	"fmt"
	"math"

	h3 "github.com/uber/h3-go/v4"
)

// Index is the cell of a resolution, 0 to 15, that a place in degrees lies in.
// The error is ErrLatLng for a latitude beyond ±90 or what is not finite, and
// ErrResolution for any other resolution.
func Index(lat, lng float64, resolution int) (Cell, error) {
	if resolution < 0 || resolution > 15 {
		return 0, fmt.Errorf("%w: %d", ErrResolution, resolution)
	}
	if !(math.Abs(lat) <= 90) || math.IsNaN(lng) || math.IsInf(lng, 0) {
		return 0, fmt.Errorf("%w: latitude %v, longitude %v", ErrLatLng, lat, lng)
	}
	c, err := h3.LatLngToCell(h3.NewLatLng(lat, lng), resolution)
	if err != nil {
		return 0, fmt.Errorf("%w: latitude %v, longitude %v: %w", ErrLatLng, lat, lng, err)
	}
	return Cell(c), nil
}

// IndexBatch is Index over columns: dst[i] is the cell of place i. It ends at
// the first place that has none.
func IndexBatch(dst []Cell, lat, lng []float64, resolution int) error {
	for i := range lat {
		c, err := Index(lat[i], lng[i], resolution)
		if err != nil {
			return err
		}
		dst[i] = c
	}
	return nil
}
