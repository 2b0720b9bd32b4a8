package statebackend

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"

	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/stream"
	"github.com/zeebo/xxh3"
)

// ErrDamaged marks an object or a pointer that is gone, cannot be read, or whose
// bytes are not those that were written.
var ErrDamaged = errors.New("damaged")

// lost marks an error of opening or reading a file as damage where no other
// attempt will fare better; a file that may not be read, say, is not damaged.
func lost(err error) error {
	for _, end := range []error{os.ErrNotExist, syscall.EIO, syscall.EISDIR} {
		if errors.Is(err, end) {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return err
}

// writeTable writes entries, sorted by key, as one SST and returns its size and
// checksum. The file is synced and closed when it returns without error.
func writeTable(fs vfs.FS, path string, entries []stream.Entry) (int64, string, error) {
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b stream.Entry) int { return bytes.Compare(a.Key, b.Key) })
	for i := 1; i < len(sorted); i++ {
		if bytes.Equal(sorted[i-1].Key, sorted[i].Key) {
			return 0, "", fmt.Errorf("key %x is there twice", sorted[i].Key)
		}
	}
	file, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return 0, "", err
	}
	out := &summing{Writable: objstorageprovider.NewFileWritable(file), hash: xxh3.New()}
	w := sstable.NewWriter(out, sstable.WriterOptions{BlockSize: 64 << 10, TableFormat: sstable.TableFormatPebblev4})
	for _, e := range sorted {
		if err := w.Set(e.Key, e.Value); err != nil {
			return 0, "", errors.Join(err, w.Close())
		}
	}
	if err := w.Close(); err != nil {
		return 0, "", err
	}
	sum := out.hash.Sum128().Bytes()
	return out.size, hex.EncodeToString(sum[:]), nil
}

// summing is a Writable that keeps the size and checksum of what passes.
type summing struct {
	objstorage.Writable
	hash *xxh3.Hasher
	size int64
}

func (s *summing) Write(p []byte) error {
	_, _ = s.hash.Write(p) // before: the wrapped Write may change p
	s.size += int64(len(p))
	return s.Writable.Write(p)
}

// readTable checks an object against its checksum and gives its entries in key order.
func readTable(ctx context.Context, fs vfs.FS, path string, object stream.Object, each func(key, value []byte) error) error {
	if err := verify(fs, path, object); err != nil {
		return err
	}
	file, err := fs.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	r, err := sstable.NewReader(ctx, readable, sstable.ReaderOptions{})
	if err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrDamaged, err), readable.Close())
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

// verify holds a file against the size and checksum of its object.
func verify(fs vfs.FS, path string, object stream.Object) error {
	file, err := fs.Open(path)
	if err != nil {
		return lost(err)
	}
	hash := xxh3.New()
	size, err := io.Copy(hash, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return lost(err)
	}
	sum := hash.Sum128().Bytes()
	if got := hex.EncodeToString(sum[:]); size != object.Size || got != object.Checksum {
		return fmt.Errorf("%w: %d bytes with checksum %s, written were %d with %s", ErrDamaged, size, got, object.Size, object.Checksum)
	}
	return nil
}
