package stream

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/hextide/hextide/column"
)

// partition translates a partition's entries: the winners of its open dedup spans,
// where another definition keeps other words of them.
func (e *evolution) partition(entries []Entry) ([]Entry, error) {
	if e == nil || e.sameWinners() {
		return entries, nil
	}
	from, err := newIntake(e.old)
	if err != nil {
		return nil, fmt.Errorf("the definition %s that the state was made with: %w", e.old.Hash, err)
	}
	to, err := newIntake(e.now)
	if err != nil {
		return nil, err
	}
	old, now := from.winners(), to.winners()
	out := make([]Entry, 0, len(entries))
	for _, entry := range entries {
		if bytes.HasPrefix(entry.Key, []byte(dedupTable)) {
			s := newSpan(0, 0)
			if err := s.append(&old, entry.Value); err != nil {
				return nil, fmt.Errorf("translating %q from the definition %s: %w", entry.Key, e.old.Hash, err)
			}
			entry.Value = e.span(&old, &now, s).encode(&now)
		}
		out = append(out, entry)
	}
	return out, nil
}

// sameWinners tells whether winners are kept in the same words by both plans.
func (e *evolution) sameWinners() bool {
	inOrder := func(positions []int, n int) bool {
		return len(positions) == n && !slices.ContainsFunc(positions, func(i int) bool { return i == none }) && slices.IsSorted(positions)
	}
	return e.now.Source.Dedup == nil ||
		inOrder(e.fields, len(e.old.Source.Fields)) && inOrder(e.wheres, len(e.old.Wheres))
}

// span puts the winners of a span into the words of now.
func (e *evolution) span(old, now *winnerLayout, s *span) *span {
	to := newSpan(s.start, 0)
	bit := func(row []uint64, first, i int) bool { return i != none && row[first+i>>6]>>(i&63)&1 == 1 }
	for n := range s.n {
		was := s.rows[n*old.words : (n+1)*old.words]
		row := to.grow(now)
		copy(row[:wordMarks], was)
		for w, from := range e.wheres {
			if bit(was, old.wheres, from) {
				row[now.wheres+w>>6] |= 1 << (w & 63)
			}
		}
		for f, from := range e.fields {
			if from == none || bit(was, old.nulls, from) {
				row[now.nulls+f>>6] |= 1 << (f & 63)
			}
			if from == none {
				continue
			}
			at, v := now.fields[f], was[old.fields[from]:]
			row[at] = v[0]
			if now.kinds[f] == column.String {
				row[at], row[at+1] = uint64(len(to.text)), v[1]
				to.text = append(to.text, s.text[v[0]:v[0]+v[1]]...)
			}
		}
	}
	return to
}

// acceptedOf is the greatest event time that a partition had accepted, by its
// entries; NoTime: none.
func acceptedOf(entries []Entry) (int64, error) {
	for _, e := range entries {
		if string(e.Key) == taskTable {
			t := &Task{}
			err := t.restoreTask(e.Value)
			return t.accepted, err
		}
	}
	return NoTime, nil
}
