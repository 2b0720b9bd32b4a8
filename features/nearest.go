package features

// Nearest returns the candidate that a misspelt name was most likely meant to
// be: the first of those with the fewest edits (insert, delete, replace, swap of
// neighbours), where these are few for its length; else "".
func Nearest(name string, candidates []string) string {
	best, fewest := "", min(max(1, len(name)/3)+1, len(name)) // a name of which nothing is left is not near
	for _, c := range candidates {
		if d := edits(name, c); d < fewest || d == fewest && best != "" && c < best {
			best, fewest = c, d
		}
	}
	return best
}

// edits is the restricted Damerau-Levenshtein distance of two names.
func edits(a, b string) int {
	two, one, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, one[j+1]+1, one[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], two[j-1]+1)
			}
		}
		two, one, row = one, row, two
	}
	return one[len(b)]
}
