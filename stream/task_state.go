package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hextide/hextide/column"
)

// The tables of a task's state. Keys are the table's name, and for a span its
// start as 8 bytes, big-endian with the sign bit turned, so that keys order by
// time, and the chunk of its rows, 4 bytes, big-endian. All integers of the values
// are little-endian.
//
//	"task"                version | watermark | passed provisional, final, idle | accepted | counts | dead by reason
//	"dedup|" start chunk  version | rows | words | per row: the words before the fields, then field by field
//	                      8 bytes, or a string's length (4) and bytes
//
// A span whose key has no chunk is whole: so spans were kept once.
const (
	taskTable  = "task"
	dedupTable = "dedup|"
)

// taskStateVersion is the version of both formats.
const taskStateVersion = 1

// ErrState marks stored state that cannot be what was saved.
var ErrState = errors.New("damaged or foreign state")

// Save freezes what of the task's state changed since a version, the number of the
// last committed epoch's barrier; Everything: the whole state. Partials must have
// been flushed before: they are in the shards' state.
func (t *Task) Save(since int64) *Delta {
	d := t.versions.begin(since)
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
	d.head(&t.head, []byte(taskTable), v)
	if t.dedup == nil {
		return d
	}
	for _, s := range t.dedup.spans {
		for c, changed := range s.versions.changed {
			if d.lacks(changed) {
				t.dedup.use(s)
				d.add(chunkKey(s.start, c), s.freeze(&t.dedup.layout, c).save)
			}
		}
	}
	return d
}

// Restore brings a new task to a saved state.
func (t *Task) Restore(entries []Entry) error {
	for _, e := range entries {
		var err error
		switch {
		case string(e.Key) == taskTable:
			err, t.head = t.restoreTask(e.Value), restored(e.Value)
		case bytes.HasPrefix(e.Key, []byte(dedupTable)):
			err = t.restoreSpan(e)
		default:
			err = fmt.Errorf("%w: unknown table", ErrState)
		}
		if err != nil {
			return fmt.Errorf("restoring %q of partition %d: %w", e.Key, t.partition, err)
		}
	}
	if t.dedup != nil {
		for _, s := range t.dedup.spans {
			if !s.outer.out { // else when it comes back
				s.index(&t.dedup.layout)
			}
		}
		t.dedup.changed()
	}
	return t.options.memory.failed()
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

// restoreSpan appends a chunk to its span, or takes a span that is whole.
func (t *Task) restoreSpan(e Entry) error {
	key := e.Key[len(dedupTable):]
	whole := len(key) == spanKeyBytes
	if t.dedup == nil || !whole && len(key) != spanKeyBytes+chunkKeyBytes {
		return fmt.Errorf("%w: a dedup span", ErrState)
	}
	start := int64(binary.BigEndian.Uint64(key) ^ 1<<63)
	var s *span
	if n := len(t.dedup.spans); n > 0 {
		s = t.dedup.spans[n-1]
	}
	if s != nil && s.start > start {
		return fmt.Errorf("%w: dedup spans do not ascend", ErrState)
	}
	chunk, first := 0, s == nil || s.start < start
	if !whole {
		chunk = int(binary.BigEndian.Uint32(key[spanKeyBytes:]))
	}
	if first {
		s = newSpan(start, 0)
		t.dedup.spans = append(t.dedup.spans, s)
	}
	if s.n != chunk*spanChunk {
		return fmt.Errorf("%w: chunk %d of a dedup span comes after %d rows", ErrState, chunk, s.n)
	}
	version := int64(0)
	if whole { // it is kept in chunks from now on
		version = t.versions.now
		t.versions.remove(0, func() []byte { return e.Key })
	}
	t.dedup.use(s)
	from := s.n
	if err := s.append(&t.dedup.layout, e.Value); err != nil {
		return err
	}
	for n := from; n < s.n; n++ {
		s.versions.change(n, version)
	}
	if !whole && s.n-chunk*spanChunk > spanChunk {
		return fmt.Errorf("%w: a chunk of %d rows", ErrState, s.n-chunk*spanChunk)
	}
	t.dedup.changed()
	return t.options.memory.failed()
}

// Bytes of the parts of a chunk's key.
const (
	spanKeyBytes  = 8
	chunkKeyBytes = 4
)

func chunkKey(start int64, chunk int) []byte {
	k := binary.BigEndian.AppendUint64([]byte(dedupTable), uint64(start)^1<<63)
	return binary.BigEndian.AppendUint32(k, uint32(chunk))
}

// frozenChunk is some of a span's rows as they were.
type frozenChunk struct {
	layout *winnerLayout
	rows   []uint64
	text   []byte // of the span, which only adds to it
}

func (s *span) freeze(l *winnerLayout, chunk int) *frozenChunk {
	s.shared = true
	from, to := chunk*spanChunk*l.words, min((chunk+1)*spanChunk, s.n)*l.words
	return &frozenChunk{layout: l, rows: slices.Clone(s.rows[from:to]), text: s.text[:len(s.text):len(s.text)]}
}

func (f *frozenChunk) save() []byte {
	l := f.layout
	v := make([]byte, 1, 17+8*len(f.rows))
	v[0] = taskStateVersion
	v = binary.LittleEndian.AppendUint64(v, uint64(len(f.rows)/l.words))
	v = binary.LittleEndian.AppendUint64(v, uint64(l.words))
	for r := 0; r < len(f.rows); r += l.words {
		row := f.rows[r : r+l.words]
		for _, w := range row[:l.fieldsStart()] {
			v = binary.LittleEndian.AppendUint64(v, w)
		}
		for i, k := range l.kinds {
			at := l.fields[i]
			if k != column.String {
				v = binary.LittleEndian.AppendUint64(v, row[at])
				continue
			}
			v = binary.LittleEndian.AppendUint32(v, uint32(row[at+1]))
			v = append(v, f.text[row[at]:row[at]+row[at+1]]...)
		}
	}
	return v
}

// encode writes all rows.
func (s *span) encode(l *winnerLayout) []byte {
	return (&frozenChunk{layout: l, rows: s.rows, text: s.text}).save()
}

// append appends the rows of a chunk, or of all; the slots are left to index.
func (s *span) append(l *winnerLayout, value []byte) error {
	r := stateReader{rest: value}
	r.version(taskStateVersion)
	n, words := r.int(), r.int()
	if r.err != nil {
		return r.err
	}
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
	return r.end()
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
	case value[0] == 0:
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
