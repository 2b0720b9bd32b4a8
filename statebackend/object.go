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

// encodeTable makes an SST of entries, sorted by key.
func encodeTable(entries []stream.Entry) ([]byte, error) {
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b stream.Entry) int { return bytes.Compare(a.Key, b.Key) })
	for i := 1; i < len(sorted); i++ {
		if bytes.Equal(sorted[i-1].Key, sorted[i].Key) {
			return nil, fmt.Errorf("key %x is there twice", sorted[i].Key)
		}
	}
	out := &memory{}
	w := sstable.NewWriter(out, sstable.WriterOptions{BlockSize: 64 << 10, TableFormat: sstable.TableFormatPebblev4})
	for _, e := range sorted {
		if err := w.Set(e.Key, e.Value); err != nil {
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

// decodeTable gives the entries of an SST in key order.
func decodeTable(content []byte, each func(key, value []byte) error) error {
	r, err := sstable.NewMemReader(content, sstable.ReaderOptions{})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return errors.Join(eachEntry(r, each), r.Close())
}

func eachEntry(r *sstable.Reader, each func(key, value []byte) error) error {
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	for kv := it.First(); kv != nil; kv = it.Next() {
		value, _, err := kv.Value(nil)
		if err == nil {
			err = each(kv.K.UserKey, value)
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}
