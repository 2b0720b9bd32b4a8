package geo

import "math"

// vector is a point or a direction in space; z goes through the north pole, x through (0°, 0°).
type vector struct{ x, y, z float64 }

func (a vector) dot(b *vector) float64 {
	return float64(float64(a.x*b.x)+float64(a.y*b.y)) + float64(a.z*b.z)
}

// plus is a·s + b·t.
func plus(a vector, s float64, b vector, t float64) vector {
	return vector{float64(a.x*s) + float64(b.x*t), float64(a.y*s) + float64(b.y*t), float64(a.z*s) + float64(b.z*t)}
}

const radian = 0.017453292519943295769 // of a degree: π/180

// angle is the sine and cosine of an angle.
type angle struct{ sin, cos float64 }

// wholeDegrees are the angles from −180° to 180°, exact to the last bit.
var wholeDegrees = func() (table [361]angle) {
	sine := func(degrees int) float64 {
		switch degrees %= 360; {
		case degrees <= 90:
			return sines[degrees]
		case degrees <= 180:
			return sines[180-degrees]
		case degrees <= 270:
			return -sines[degrees-180]
		}
		return -sines[360-degrees]
	}
	for i := range table {
		table[i] = angle{sine(i + 180), sine(i + 180 + 90)}
	}
	return table
}()

// sum is the sine and cosine of the angle a and some more degrees, at most about 0.6 either way: a few terms of the series of
// sine and cosine less 1, and the angle addition formulas.
func (a *angle) sum(degrees float64) (sin, cos float64) {
	x := degrees * radian
	q := x * x
	s := x * (1 - float64(q*(1.0/6-float64(q*(1.0/120)))))
	c := q * (float64(q*(1.0/24-float64(q*(1.0/720)))) - 0.5)
	return a.sin + (float64(a.sin*c) + float64(a.cos*s)), a.cos + (float64(a.cos*c) - float64(a.sin*s))
}

// OnEarth tells whether a latitude and longitude are those of a place: within ±90° and ±180°, and numbers.
func OnEarth(lat, lng float64) bool { return math.Abs(lat) <= 90 && math.Abs(lng) <= 180 }

// place is the point of the unit sphere at a latitude and longitude, and the region of the faces' map
// that it lies in.
//
// Both are split into the nearest whole degree, whose sine and cosine are known, and the rest, which is
// exact.
func place(lat, lng float64) (p vector, region uint8) {
	north, east := int(lat+90.5), int(lng+180.5)
	sinLat, cosLat := wholeDegrees[north+90].sum(lat - float64(north-90))
	sinLng, cosLng := wholeDegrees[east].sum(lng - float64(east-180))
	return vector{cosLat * cosLng, cosLat * sinLng, sinLat}, faceMap.regions[north*361+east]
}

// atlas says, for each square of one degree about a whole degree of latitude and longitude, which face
// of the icosahedron it lies on.
type atlas struct {
	regions [181 * 361]uint8
	pairs   [30][2]uint8
}

// What regions holds: a face; or onEdge and more, where an edge may pass and the nearer of two faces
// must be found; or onVertex, where it is the nearest of all.
const (
	onEdge   = 20
	onVertex = 50
)

// faceMap is made once, in less than a millisecond. Its own rounding does not matter: what is near an
// edge is looked at again for each place.
var faceMap = newAtlas()

func newAtlas() *atlas {
	const inside = 0.9388 // cosine of 20.1°: surely less than an edge's distance from a centre and a square's radius
	m := &atlas{}
	gaps := edgeGaps()
	edges := uint8(0)
	face := uint8(0)
	for i := range m.regions {
		lat, lng := &wholeDegrees[i/361+90], &wholeDegrees[i%361]
		p := vector{lat.cos * lng.cos, lat.cos * lng.sin, lat.sin}
		if m.regions[i] = face; p.dot(&faces[face].centre) >= inside {
			continue
		}
		var along [len(faces)]float64
		for f := range faces {
			if along[f] = p.dot(&faces[f].centre); along[f] > along[face] {
				face = uint8(f)
			}
		}
		m.regions[i] = face
		near, other := 0, uint8(0)
		for f := range faces {
			if uint8(f) != face && along[face]-along[f] <= gaps[face][f] {
				near++
				other = uint8(f)
			}
		}
		switch near {
		case 0:
		case 1:
			m.regions[i], edges = m.edge(edges, min(face, other), max(face, other))
		default:
			m.regions[i] = onVertex
		}
	}
	return m
}

// edgeGaps are, for each two faces, by how much a place of a square that reaches what is halfway between
// them can be farther along the one's centre than along the other's.
func edgeGaps() (gaps [len(faces)][len(faces)]float64) {
	const radius = 0.0125 // sine of 0.716°, a little more than half a square's diagonal
	for a := range faces {
		for b := range faces {
			away := plus(faces[a].centre, 1, faces[b].centre, -1)
			gaps[a][b] = radius * math.Sqrt(away.dot(&away))
		}
	}
	return gaps
}

// edge is the region of the edge between two faces; edges counts those known.
func (m *atlas) edge(edges, a, b uint8) (region, known uint8) {
	for e, pair := range m.pairs[:edges] {
		if pair == [2]uint8{a, b} {
			return onEdge + uint8(e), edges
		}
	}
	m.pairs[edges] = [2]uint8{a, b}
	return onEdge + edges, edges + 1
}

// face is the face that a point of a region lies on.
func (m *atlas) face(region uint8, p vector) uint8 {
	if region < onEdge {
		return region
	}
	if region == onVertex {
		return nearestFace(p)
	}
	pair := &m.pairs[region-onEdge]
	if p.dot(&faces[pair[1]].centre) > p.dot(&faces[pair[0]].centre) {
		return pair[1]
	}
	return pair[0]
}

func nearestFace(p vector) uint8 {
	nearest, most := 0, math.Inf(-1)
	for f := range faces {
		if d := p.dot(&faces[f].centre); d > most {
			nearest, most = f, d
		}
	}
	return uint8(nearest)
}

// degreesOf is the angle, −180° to 180°, of a direction in the plane; 0 of none.
//
// A rough value, within 0.1°, picks the whole degree; what is left is so small that a few terms of the
// series of the arc tangent are enough.
func degreesOf(y, x float64) float64 {
	across, along := math.Abs(y), math.Abs(x)
	if across == 0 && along == 0 {
		return 0
	}
	slope := min(across, along) / max(across, along)
	rough := float64(slope * (45 - float64((slope-1)*(14.02+float64(3.8*slope)))))
	if across > along {
		rough = 90 - rough
	}
	if x < 0 {
		rough = 180 - rough
	}
	if y < 0 {
		rough = -rough
	}
	whole := int(rough+180.5) - 180
	at := &wholeDegrees[whole+180]
	t := (float64(y*at.cos) - float64(x*at.sin)) / (float64(x*at.cos) + float64(y*at.sin))
	q := float64(t * t)
	t *= 1 - float64(q*(1.0/3-float64(q*(1.0/5-float64(q*(1.0/7-float64(q*(1.0/9))))))))
	degrees := float64(whole) + float64(t*(1/radian))
	return max(-180, min(180, degrees))
}

// latLng is where a direction from the middle of the earth meets its surface.
func (a vector) latLng() LatLng {
	level := math.Sqrt(float64(a.x*a.x) + float64(a.y*a.y))
	return LatLng{degreesOf(a.z, level), degreesOf(a.y, a.x)}
}
