package stream

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"pgregory.net/rapid"
)

// contender is an event as it contends: its place in the order of winners, and what its
// key may be of.
type contender struct {
	time   int64
	null   bool // the text is
	text   string
	number int64
	more   string
	cell   geo.Cell
}

// key is the values of the key's fields: 0 the text, 1 the number.
func (c *contender) key(by []int) (key string) {
	for _, f := range by {
		key += [2]string{fmt.Sprintf("%v %q,", c.null, c.text), fmt.Sprintf("%d,", c.number)}[f]
	}
	return key
}

// compare is the order of winners.
func (c *contender) compare(d *contender) int {
	present := map[bool]int{true: 0, false: 1}
	return cmp.Or(cmp.Compare(c.time, d.time), present[c.null]-present[d.null], cmp.Compare(c.text, d.text),
		cmp.Compare(c.number, d.number), cmp.Compare(c.more, d.more), cmp.Compare(c.cell, d.cell))
}

// drawContenders draws events over three spans of 10, with keys in which all collides that
// tells keys apart: short strings and long ones, strings that fill a word and end like a
// length, numbers, null.
func drawContenders(t *rapid.T) []contender {
	all := make([]contender, rapid.SampledFrom([]int{1, 10, 300, 1500}).Draw(t, "n"))
	keys := rapid.SampledFrom([]int{1, 2 + len(all)/9, 2 + len(all)/2, 2 * len(all)}).Draw(t, "keys")
	nulls := rapid.Bool().Draw(t, "nulls")
	text := rapid.SampledFrom([]string{"%d", "%08d", "%07d\x07", "%016d"}).Draw(t, "text")
	seed := rapid.Uint64().Draw(t, "seed")
	for i := range all {
		seed = mix(seed, uint64(i))
		key, c := int(seed>>32)%keys, &all[i]
		c.time, c.number, c.cell = int64(seed%30), int64(key%2)<<62, geo.Cell(seed>>8&1)
		c.more = "xyxyxyxy"[seed>>9&1 : 1+seed>>9&7]
		switch {
		case nulls && key%5 == 0:
			c.null = true
		case key%7 == 1:
			c.text = "aaaaaaaa"[:key%3]
		default:
			c.text = fmt.Sprintf(text, key/4)
			if key%4 > 1 {
				c.text = c.text[:min(7, len(c.text))]
			}
		}
	}
	return all
}

func batchOf(all []contender) (b *Batch, picked []int32) {
	b = &Batch{Fields: []column.Vector{{Kind: column.String}, {Kind: column.Int}, {Kind: column.String}}}
	for i, c := range all {
		b.Times, b.Cells = append(b.Times, c.time), append(b.Cells, c.cell)
		b.Fields[0].Strings.Append([]byte(c.text))
		b.Fields[1].Ints = append(b.Fields[1].Ints, c.number)
		b.Fields[2].Strings.Append([]byte(c.more))
		if c.null {
			b.Fields[0].Nulls.Set(i)
		}
		picked = append(picked, int32(i))
	}
	return b, picked
}

// contend is the oracle: the winners of a span in the order in which their keys came.
func contend(all []contender, by []int, start int64) (winners []contender, duplicates int64) {
	var keys []string
	for _, c := range all {
		if c.time < start || c.time >= start+10 {
			continue
		}
		k := slices.Index(keys, c.key(by))
		if k < 0 {
			keys, winners = append(keys, c.key(by)), append(winners, c)
			continue
		}
		duplicates++
		if c.compare(&winners[k]) < 0 {
			winners[k] = c
		}
	}
	return winners, duplicates
}

// winnersOf are the winners that dedup has in a span, the brief ones among the events of
// the last batch.
func winnersOf(d *dedup, last []contender, start int64) (winners []contender) {
	for _, s := range d.brief {
		if s.start == start {
			for _, row := range d.contest.winners[s.from:s.to] {
				winners = append(winners, last[row])
			}
		}
	}
	l := &d.layout
	for _, s := range d.spans {
		if s.start != start {
			continue
		}
		for r := range s.n {
			row := s.rows[r*l.words : (r+1)*l.words]
			text := func(at int) string { return string(s.text[row[at] : row[at]+row[at+1]]) }
			winners = append(winners, contender{
				time: int64(row[wordTime]), null: row[l.nulls]&1 == 1, text: text(l.fields[0]),
				number: int64(row[l.fields[1]]), more: text(l.fields[2]), cell: geo.Cell(row[wordLat]),
			})
		}
	}
	return winners
}

// Winners are those of the oracle, whether a span is brief, is kept, or gets its events
// in two batches.
func TestWinnersAreTheOracles(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := drawContenders(rt)
		cut := rapid.SampledFrom([]int{0, 0, len(all) / 3}).Draw(rt, "cut")
		complete := rapid.SampledFrom([]int64{NoTime, 20, 30}).Draw(rt, "complete")
		for _, by := range [][]int{{0}, {1}, {0, 1}} {
			winnersAreTheOracles(rt, all, by, cut, complete)
		}
	})
}

func winnersAreTheOracles(t *rapid.T, all []contender, by []int, cut int, complete int64) {
	d := newDedup(newWinnerLayout([]column.Kind{column.String, column.Int, column.String}, by, 0, true, 7), 10)
	b, picked := batchOf(all[:cut])
	duplicates := d.offer(b, nil, picked, 1, NoTime)
	b, picked = batchOf(all[cut:])
	duplicates += d.offer(b, nil, picked, 1, complete)
	for start := int64(0); start < 30; start += 10 {
		want, n := contend(all, by, start)
		duplicates -= n
		if got := winnersOf(d, all[cut:], start); !slices.Equal(got, want) {
			t.Fatalf("span %d: %v, want %v", start, got, want)
		}
	}
	if duplicates != 0 {
		t.Fatalf("%d duplicates too many", duplicates)
	}
}
