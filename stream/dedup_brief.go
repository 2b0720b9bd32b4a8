package stream

import (
	"math/bits"
	"slices"

	"github.com/hextide/hextide/column"
)

// brief is a span that begins and is complete within one batch: its winners need not
// be kept, and stay rows of the batch.
type brief struct {
	start    int64 // µs
	from, to int32 // its winners among those of contest
}

// contest finds the winners of brief spans. One table of keys serves all spans of a
// batch, for most keys are in many of them.
//
// Invariant: a slot holds 0 or a key's position in keys; at most half of the slots are
// taken; every key is in keys once, from position 1 on.
type contest struct {
	slots   []uint32
	shift   uint         // 64 − log2 of the slots
	keys    []contestKey // at 0 the one that is looked for
	winners []int32      // rows of the batch, span by span; where a key has several, the last is of its newest span
	row     []uint64     // of an event that another one is compared with
	text    []byte       // of row
}

// contestKey is a key of a batch.
type contestKey struct {
	word   uint64
	winner int32 // position of the key's last one in winners; −1: it has none yet
}

const contestSlots = 64 // of a new table

func newContest() contest {
	return contest{
		slots: make([]uint32, contestSlots), shift: 64 - uint(bits.TrailingZeros(contestSlots)),
		keys: make([]contestKey, 1),
	}
}

// reset begins with another batch.
func (c *contest) reset() {
	clear(c.slots)
	c.keys, c.winners = c.keys[:1], c.winners[:0]
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
func (c *contest) enter(l *winnerLayout, e *contenders, r *heatRun, base int32) (duplicates int64) {
	const together = 256 // as many keys may be new before there is room for others
	for from := r.from; from < r.to; from += together {
		to := min(from+together, r.to)
		c.reserve(int(to - from))
		duplicates += c.run(l, e, from, to, base)
	}
	return duplicates
}

func (c *contest) run(l *winnerLayout, e *contenders, from, to, base int32) (duplicates int64) {
	slots, keys, winners := c.slots, c.keys, c.winners
	mask, shift := uint64(len(slots)-1), c.shift&63
	picked := e.picked[from:to]
	for n, word := range e.words.of[from:to] {
		keys[0].word = word // an empty slot ends the search
		i, at := picked[n], mix(hashSeed, word)>>shift
		k := slots[at&mask]
		for keys[k].word != word || !e.words.exact && k != 0 && !l.sameKeys(e.Fields, int(i), int(winners[keys[k].winner])) {
			at++
			k = slots[at&mask]
		}
		if k == 0 {
			k = uint32(len(keys))
			slots[at&mask] = k
			keys = append(keys, contestKey{word, -1})
		}
		switch key := &keys[k]; {
		case key.winner < base:
			key.winner = int32(len(winners))
			winners = append(winners, i)
		default:
			duplicates++
			if w := &winners[key.winner]; c.before(l, e, int(i), int(*w)) {
				*w = i
			}
		}
	}
	c.keys, c.winners = keys, winners
	return duplicates
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

// reserve makes room for so many keys more.
func (c *contest) reserve(more int) {
	c.keys, c.winners = slices.Grow(c.keys, more), slices.Grow(c.winners, more)
	need := len(c.keys) + more
	if 2*need <= len(c.slots) {
		return
	}
	for 2*need > len(c.slots) {
		c.slots = make([]uint32, 4*len(c.slots))
		c.shift -= 2
	}
	mask := uint64(len(c.slots) - 1)
	for k := 1; k < len(c.keys); k++ {
		at := mix(hashSeed, c.keys[k].word) >> c.shift
		for c.slots[at] != 0 {
			at = (at + 1) & mask
		}
		c.slots[at] = uint32(k)
	}
}
