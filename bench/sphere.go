package main

import "math"

// vector is a direction from the centre of the earth.
type vector [3]float64

func onSphere(lat, lng float64) vector {
	lat, lng = lat*math.Pi/180, lng*math.Pi/180
	return vector{math.Cos(lat) * math.Cos(lng), math.Cos(lat) * math.Sin(lng), math.Sin(lat)}
}

func (v vector) place() (lat, lng float64) {
	return math.Atan2(v[2], math.Hypot(v[0], v[1])) * 180 / math.Pi, math.Atan2(v[1], v[0]) * 180 / math.Pi
}

func (v vector) plus(o vector) vector { return vector{v[0] + o[0], v[1] + o[1], v[2] + o[2]} }

func (v vector) times(x float64) vector { return vector{v[0] * x, v[1] * x, v[2] * x} }

func (v vector) dot(o vector) float64 { return v[0]*o[0] + v[1]*o[1] + v[2]*o[2] }

func (v vector) cross(o vector) vector {
	return vector{v[1]*o[2] - v[2]*o[1], v[2]*o[0] - v[0]*o[2], v[0]*o[1] - v[1]*o[0]}
}

// turned moves places as the shortest turn of the sphere that takes one direction
// to another (Rodrigues' formula).
func turned(from, to vector) func(lat, lng float64) (float64, float64) {
	axis, cos := from.cross(to), from.dot(to)
	sin := math.Sqrt(axis.dot(axis))
	axis = axis.times(1 / sin)
	return func(lat, lng float64) (float64, float64) {
		p := onSphere(lat, lng)
		return p.times(cos).plus(axis.cross(p).times(sin)).plus(axis.times(axis.dot(p) * (1 - cos))).place()
	}
}
