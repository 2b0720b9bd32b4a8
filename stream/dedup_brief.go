package stream

import (
	"slices"

	"github.com/hextide/hextide/column"
)

// brief is a span that begins and is complete within one batch: its winners need not
// be kept, and stay rows of the batch.
type brief struct {
	start    int64 // µs
	from, to int   // its winners among those of contest
}

// contest finds the winners of brief spans. The keys of a batch have numbers in all of
// its spans, for most keys are in many of them.
type contest struct {
	numbers numbers[uint64] // of keys, by their words
	first   []int32         // of each key, where words do not tell them apart: the row that came first; −1: none yet
	last    []int32         // of each key: the position of its last winner; −1: it has none
	winners []int32         // rows of the batch, span by span
	keys    []int32         // numbers of the keys of a run
	row     []uint64        // of an event that another one is compared with
	text    []byte          // of row
}

func newContest() contest { return contest{numbers: newNumbers[uint64]()} }

// reset begins with another batch.
func (c *contest) reset() {
	c.numbers.reset()
	c.first, c.last, c.winners = c.first[:0], c.last[:0], c.winners[:0]
}

// contenders are picked events of a batch with the words of their keys.
type contenders struct {
	*Batch
	wheres []column.Bitmap
	picked []int32
	words  keyWords
}

// enter lets a run of events contend in the span whose first winner is at base, and
// counts the duplicates.
func (c *contest) enter(l *winnerLayout, e *contenders, r *heatRun, base int) (duplicates int64) {
	picked, words := e.picked[r.from:r.to], e.words.of[r.from:r.to]
	c.keys = resize(c.keys, len(words))
	c.numbers.of(c.keys, words)
	if !e.words.exact {
		c.tell(l, e, picked, words)
	}
	c.last = lengthen(c.last, len(c.numbers.words()))
	keys, last, times := c.keys[:len(picked)], c.last, e.Times
	winners := slices.Grow(c.winners, len(picked))
	next := len(winners)
	winners = winners[:next+len(picked)]
	for n, i := range picked {
		// Whether the key is there already is a matter of chance. One test that is hardly
		// ever met serves both: an event that is its key's winner, or comes after that,
		// changes nothing.
		at := &last[keys[n]]
		k := int(*at)
		if k < base {
			k = next
		}
		*at = int32(k)
		winners[next] = i
		w := winners[k]
		if ((times[i]-times[w]-1)>>63)&int64(i^w) != 0 && c.before(l, e, int(i), int(w)) {
			winners[k] = i
		}
		if k == next {
			next++
		}
	}
	duplicates = int64(len(winners) - next)
	c.winners = winners[:next]
	return duplicates
}

// tell tells keys apart that have one word but are not the same: of those, the first to
// come has the word to itself.
func (c *contest) tell(l *winnerLayout, e *contenders, picked []int32, words []uint64) {
	for n, i := range picked {
		for {
			c.first = lengthen(c.first, len(c.numbers.words()))
			first := &c.first[c.keys[n]]
			if *first < 0 {
				*first = i
			}
			if l.sameKeys(e.Fields, int(i), int(*first)) {
				break
			}
			words[n] = mix(words[n], 1)
			c.numbers.of(c.keys[n:n+1], words[n:n+1])
		}
	}
}

// lengthen is s with n values, of which the new ones are −1.
func lengthen(s []int32, n int) []int32 {
	for len(s) < n {
		s = append(s, -1)
	}
	return s
}

// before tells whether event i of a batch comes before event j in the order of winners.
func (c *contest) before(l *winnerLayout, e *contenders, i, j int) bool {
	if a, b := e.Times[i], e.Times[j]; a != b {
		return a < b
	}
	c.row = resize(c.row, l.words)
	clear(c.row)
	c.text = l.store(e.Batch, e.wheres, j, c.row, c.text[:0])
	return l.before(e.Batch, i, c.row, c.text)
}
