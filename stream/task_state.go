package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hextide/hextide/column"
)

// The tables of a task's state. Keys are the table's name, and for a span its
// start as 8 bytes, big-endian with the sign bit turned, so that keys order by
// time. All integers of the values are little-endian.
//
//	"task"          version | watermark | passed provisional, final, idle | accepted | counts | dead by reason
//	"dedup|" start  version | rows | words | per row: the words before the fields, then field by field
//	                8 bytes, or a string's length (4) and bytes
const (
	taskTable  = "task"
	dedupTable = "dedup|"
)

// taskStateVersion is the version of both formats.
const taskStateVersion = 1

// ErrState marks stored state that cannot be what was saved.
var ErrState = errors.New("damaged or foreign state")

// Save appends the task's state. Partials must have been flushed before: they
// are in the shards' state.
func (t *Task) Save(dst []Entry) []Entry {
	v := []byte{taskStateVersion}
	idle := int64(0)
	if t.passed.Idle {
		idle = 1
	}
	c := &t.counts
	for _, x := range []int64{
		t.lateness.watermark, t.passed.Provisional, t.passed.Final, idle, t.accepted,
		c.Read, c.Dead, c.Outside, c.Filtered, c.Late, c.Duplicates, c.Aggregated,
	} {
		v = binary.LittleEndian.AppendUint64(v, uint64(x))
	}
	for _, x := range t.dead {
		v = binary.LittleEndian.AppendUint64(v, uint64(x))
	}
	dst = append(dst, Entry{Key: []byte(taskTable), Value: v})
	if t.dedup != nil {
		for _, s := range t.dedup.spans {
			dst = append(dst, Entry{Key: spanKey(s.start), Value: t.dedup.saved(s)})
		}
	}
	return dst
}

// Restore brings a new task to a saved state.
func (t *Task) Restore(entries []Entry) error {
	for _, e := range entries {
		var err error
		switch {
		case string(e.Key) == taskTable:
			err = t.restoreTask(e.Value)
		case bytes.HasPrefix(e.Key, []byte(dedupTable)):
			err = t.restoreSpan(e)
		default:
			err = fmt.Errorf("%w: unknown table", ErrState)
		}
		if err != nil {
			return fmt.Errorf("restoring %q of partition %d: %w", e.Key, t.partition, err)
		}
	}
	return nil
}

func (t *Task) restoreTask(value []byte) error {
	r := stateReader{rest: value}
	r.version(taskStateVersion)
	t.lateness.raise(r.int())
	t.passed = Watermark{Provisional: r.int(), Final: r.int(), Idle: r.int() != 0}
	t.accepted = r.int()
	c := &t.counts
	for _, x := range []*int64{&c.Read, &c.Dead, &c.Outside, &c.Filtered, &c.Late, &c.Duplicates, &c.Aggregated} {
		*x = r.int()
	}
	for i := range t.dead {
		t.dead[i] = r.int()
	}
	return r.end()
}

func (t *Task) restoreSpan(e Entry) error {
	key := e.Key[len(dedupTable):]
	if t.dedup == nil || len(key) != 8 {
		return fmt.Errorf("%w: a dedup span", ErrState)
	}
	s := newSpan(int64(binary.BigEndian.Uint64(key) ^ 1<<63))
	if n := len(t.dedup.spans); n > 0 && t.dedup.spans[n-1].start >= s.start {
		return fmt.Errorf("%w: dedup spans do not ascend", ErrState)
	}
	if err := s.restore(&t.dedup.layout, e.Value); err != nil {
		return err
	}
	t.dedup.spans = append(t.dedup.spans, s)
	t.dedup.changed()
	return t.options.memory.failed()
}

func spanKey(start int64) []byte {
	return binary.BigEndian.AppendUint64([]byte(dedupTable), uint64(start)^1<<63)
}

func (s *span) save(l *winnerLayout) []byte {
	v := []byte{taskStateVersion}
	v = binary.LittleEndian.AppendUint64(v, uint64(s.n))
	v = binary.LittleEndian.AppendUint64(v, uint64(l.words))
	for r := 0; r < len(s.rows); r += l.words {
		row := s.rows[r : r+l.words]
		for _, w := range row[:l.fieldsStart()] {
			v = binary.LittleEndian.AppendUint64(v, w)
		}
		for f, k := range l.kinds {
			at := l.fields[f]
			if k != column.String {
				v = binary.LittleEndian.AppendUint64(v, row[at])
				continue
			}
			v = binary.LittleEndian.AppendUint32(v, uint32(row[at+1]))
			v = append(v, s.text[row[at]:row[at]+row[at+1]]...)
		}
	}
	return v
}

func (s *span) restore(l *winnerLayout, value []byte) error {
	r := stateReader{rest: value}
	r.version(taskStateVersion)
	n, words := r.int(), r.int()
	if words != int64(l.words) || n < 1 || n > int64(len(value)) {
		return fmt.Errorf("%w: %d rows of %d words", ErrState, n, words)
	}
	for range n {
		if r.err != nil {
			break // n may be damaged too
		}
		row := s.grow(l)
		for w := range l.fieldsStart() {
			row[w] = uint64(r.int())
		}
		for f, k := range l.kinds {
			at := l.fields[f]
			if k != column.String {
				row[at] = uint64(r.int())
				continue
			}
			text := r.text()
			row[at], row[at+1] = uint64(len(s.text)), uint64(len(text))
			s.text = append(s.text, text...)
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	s.index(l)
	return nil
}

// stateReader reads a value from its front; after the first thing that does not
// fit, everything reads as zero.
type stateReader struct {
	rest []byte
	err  error
}

func (r *stateReader) take(n int) []byte {
	if r.err == nil && n > len(r.rest) {
		r.err = fmt.Errorf("%w: it ends too early", ErrState)
	}
	if r.err != nil {
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *stateReader) version(want byte) {
	if err := hasVersion(r.rest, want); err != nil && r.err == nil {
		r.err = err
	}
	r.take(1)
}

// hasVersion refuses a value that does not begin with the version that this
// program reads.
func hasVersion(value []byte, want byte) error {
	switch {
	case len(value) == 0:
		return fmt.Errorf("%w: it is empty", ErrState)
	case value[0] > want:
		return fmt.Errorf("%w: its format is version %d, this program reads up to %d: use the program that wrote it, or a newer one", ErrState, value[0], want)
	case value[0] != want:
		return fmt.Errorf("%w: its format is version %d, which never was", ErrState, value[0])
	}
	return nil
}

func (r *stateReader) int() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (r *stateReader) text() []byte {
	b := r.take(4)
	if b == nil {
		return nil
	}
	n := binary.LittleEndian.Uint32(b)
	if n > math.MaxInt32 {
		r.err = fmt.Errorf("%w: a string of %d bytes", ErrState, n)
		return nil
	}
	return r.take(int(n))
}

// end reports what did not fit, or bytes that are left.
func (r *stateReader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		r.err = fmt.Errorf("%w: %d bytes too many", ErrState, len(r.rest))
	}
	return r.err
}
