package statebackend

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/hextide/hextide/stream"
)

// cursor goes over records in key order.
type cursor struct {
	at    record // valid until the next
	more  bool
	move  func() (r record, more bool, err error)
	close func() error
}

func (c *cursor) next() (err error) {
	c.at, c.more, err = c.move()
	return err
}

// overRecords goes over records in memory.
func overRecords(records []record) *cursor {
	move := func() (record, bool, error) {
		if len(records) == 0 {
			return record{}, false, nil
		}
		r := records[0]
		records = records[1:]
		return r, true, nil
	}
	return &cursor{move: move, close: func() error { return nil }}
}

// overFile goes over an SST.
func overFile(content []byte) (*cursor, error) {
	file, err := sstable.NewMemReader(content, sstable.ReaderOptions{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	rows, err := file.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	step := rows.First
	move := func() (record, bool, error) {
		kv := step()
		step = rows.Next
		if kv == nil {
			return record{}, false, rows.Error()
		}
		r := record{Entry: stream.Entry{Key: kv.K.UserKey}, removed: kv.K.Kind() == sstable.InternalKeyKindDelete}
		var err error
		if !r.removed {
			r.Value, _, err = kv.Value(nil)
		}
		return r, true, err
	}
	return &cursor{move: move, close: func() error { return errors.Join(rows.Close(), file.Close()) }}, nil
}

// merged gives the records of cursors, the oldest first, in key order: of each key
// the newest.
func merged(cursors []*cursor, each func(*record) error) error {
	for _, c := range cursors {
		if err := c.next(); err != nil {
			return err
		}
	}
	for {
		var newest *cursor
		for _, c := range cursors {
			if c.more && (newest == nil || bytes.Compare(c.at.Key, newest.at.Key) <= 0) {
				newest = c
			}
		}
		if newest == nil {
			return nil
		}
		if err := each(&newest.at); err != nil {
			return err
		}
		key := newest.at.Key
		for _, c := range cursors {
			if c == newest || !c.more || !bytes.Equal(c.at.Key, key) {
				continue
			}
			if err := c.next(); err != nil {
				return err
			}
		}
		if err := newest.next(); err != nil {
			return err
		}
	}
}
