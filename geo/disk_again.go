package geo

import "slices"

// question is what a Sum or SumAt was asked, in memory of its own: the caller's may be used again before
// Fold asks for the sources.
type question struct {
	asked  bool
	at     []Spot
	values []uint64
	words  int
	shown  int
	exists Exists
	own    []Cell
}

// atGiven is the Exists of a SumAt, which asks for none.
var atGiven = Exists{Word: -1}

// again reports whether the same was asked last, and takes this for the last question.
func (q *question) again(s Sources, e Exists, own []Cell) bool {
	if q.asked && q.words == s.Words && q.shown == s.Shown && q.exists == e &&
		slices.Equal(q.at, s.At) && slices.Equal(q.values, s.Values) && slices.Equal(q.own, own) {
		return true
	}
	q.asked, q.words, q.shown, q.exists = true, s.Words, s.Shown, e
	q.at = append(q.at[:0], s.At...)
	q.values = append(q.values[:0], s.Values...)
	q.own = append(q.own[:0], own...)
	return false
}

// sources are those of the question.
func (q *question) sources() Sources {
	return Sources{At: q.at, Words: q.words, Values: q.values, Shown: q.shown}
}
