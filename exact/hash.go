package exact

// Splitmix64 is one output of the splitmix64 generator at state z (Steele, Lea and Flood: Fast
// splittable pseudorandom number generators, OOPSLA 2014): a bijection of 64 bits that mixes well.
func Splitmix64(z uint64) uint64 {
	z += 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
