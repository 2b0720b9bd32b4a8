package statebackend

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/hextide/hextide/stream"
	"github.com/zeebo/xxh3"
)

// ErrDamaged marks an object or a pointer that is gone, cannot be read, or whose
// bytes are not those that were written.
var ErrDamaged = errors.New("damaged")

// lost marks an error of reading an object as damage where no other attempt will
// fare better; a file that may not be read, say, is not damaged.
func lost(err error) error {
	for _, end := range []error{os.ErrNotExist, syscall.EIO, syscall.EISDIR} {
		if errors.Is(err, end) {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return err
}

// record is an entry of an SST, or the removal of one.
type record struct {
	stream.Entry
	removed bool
}

// bytes is how long key and value are.
func (r *record) bytes() int64 { return int64(len(r.Key) + len(r.Value)) }

// recordsOf are the records of a generation, sorted by key.
func recordsOf(g *stream.Generation) ([]record, error) {
	records := make([]record, 0, len(g.Entries)+len(g.Removed))
	for _, e := range g.Entries {
		records = append(records, record{Entry: e})
	}
	for _, key := range g.Removed {
		records = append(records, record{Entry: stream.Entry{Key: key}, removed: true})
	}
	slices.SortFunc(records, func(a, b record) int { return bytes.Compare(a.Key, b.Key) })
	for i := 1; i < len(records); i++ {
		if bytes.Equal(records[i-1].Key, records[i].Key) {
			return nil, fmt.Errorf("key %x is there twice", records[i].Key)
		}
	}
	return records, nil
}

// encodeTable makes an SST of records, sorted by key.
func encodeTable(records []record) ([]byte, error) {
	size := 0
	for i := range records {
		size += int(records[i].bytes())
	}
	out := &memory{content: make([]byte, 0, size+size/16+4096)} // nearly always enough
	w := sstable.NewWriter(out, sstable.WriterOptions{BlockSize: 64 << 10, TableFormat: sstable.TableFormatPebblev4})
	for i := range records {
		r, err := &records[i], error(nil)
		if r.removed {
			err = w.Delete(r.Key)
		} else {
			err = w.Set(r.Key, r.Value)
		}
		if err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.content, nil
}

// memory is a Writable that keeps what is written.
type memory struct{ content []byte }

var _ objstorage.Writable = (*memory)(nil)

func (m *memory) Write(p []byte) error {
	m.content = append(m.content, p...)
	return nil
}

func (m *memory) Finish() error { return nil }
func (m *memory) Abort()        {}

// verify holds content against the size and checksum of its object.
func verify(content []byte, object stream.Object) error {
	return verifySum(int64(len(content)), xxh3.Hash128(content), object)
}

func verifySum(size int64, sum xxh3.Uint128, object stream.Object) error {
	if got := hexSum(sum); size != object.Size || got != object.Checksum {
		return fmt.Errorf("%w: %d bytes with checksum %s, written were %d with %s", ErrDamaged, size, got, object.Size, object.Checksum)
	}
	return nil
}

// checksum is the XXH3-128 of content, hex.
func checksum(content []byte) string { return hexSum(xxh3.Hash128(content)) }

func hexSum(sum xxh3.Uint128) string {
	bytes := sum.Bytes()
	return hex.EncodeToString(bytes[:])
}
