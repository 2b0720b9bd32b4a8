package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// FileError says where in a file reading ended. What lay before was read.
type FileError struct {
	Path   string
	Offset int64 // bytes of the file (as it lies on the disk) that were read
	Size   int64 // of the file, bytes
	Err    error
}

func (e *FileError) Error() string {
	if errors.Is(e.Err, io.ErrUnexpectedEOF) {
		return fmt.Sprintf("%s is cut off: its compressed data ends at byte %d of %d, in the middle; the whole records before were read",
			e.Path, e.Offset, e.Size)
	}
	return fmt.Sprintf("reading %s at byte %d of %d: %v", e.Path, e.Offset, e.Size, e.Err)
}

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// counter counts what is read of a file; others may look at it meanwhile.
type counter struct {
	from   io.Reader
	digest *digest // of what is read; nil: of no use
	n      atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	end := c.n.Add(int64(n))
	if c.digest != nil {
		c.digest.pass(end-int64(n), p[:n])
	}
	return n, err
}

// text is a file's content, inflated.
type text struct {
	path     string
	size     int64
	file     *os.File
	counter  *counter
	buffered *bufio.Reader
	inflated io.Reader
	close    func()
}

// foreign are the beginnings of files that are no text, and what they are.
var foreign = []struct {
	magic, what string
}{
	{"PK\x03\x04", "a zip archive"},
	{"BZh", "compressed with bzip2"},
	{"\xfd7zXZ\x00", "compressed with xz"},
	{"PAR1", "a Parquet file"},
	{"Obj\x01", "an Avro file"},
	{"ORC", "an ORC file"},
	{"SQLite format 3\x00", "an SQLite database"},
	{"\xff\xfe", "UTF-16 text"},
	{"\xfe\xff", "UTF-16 text"},
}

// openText opens a file and finds by its first bytes how it is compressed.
func openText(path string, read *counter) (*text, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening input: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("opening input %s: %w", path, err)
	}
	read.from = file
	read.n.Store(0) // it may have been opened before, and failed
	t := &text{path: path, size: info.Size(), file: file, counter: read, close: func() {}}
	t.buffered = bufio.NewReaderSize(read, 64<<10)
	if err := t.sniff(); err != nil {
		file.Close()
		return nil, err
	}
	return t, nil
}

// sniff sets what the text is read through.
func (t *text) sniff() error {
	magic, err := t.buffered.Peek(16)
	if err != nil && !errors.Is(err, io.EOF) {
		return t.failed(err)
	}
	switch {
	case bytes.HasPrefix(magic, []byte("\x1f\x8b")):
		inflated, err := gzip.NewReader(t.buffered)
		if err != nil {
			return t.failed(cutOff(err))
		}
		t.inflated = inflated
	case bytes.HasPrefix(magic, []byte("\x28\xb5\x2f\xfd")):
		inflated, err := zstd.NewReader(t.buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(1<<27))
		if err != nil {
			return t.failed(err)
		}
		t.inflated, t.close = inflated, inflated.Close
	default:
		for _, f := range foreign {
			if bytes.HasPrefix(magic, []byte(f.magic)) {
				return fmt.Errorf("%s is %s; csv or json lines in UTF-8 are read, plain or compressed with gzip or zstd", t.path, f.what)
			}
		}
		t.inflated = t.buffered
	}
	return nil
}

// Read reads text. Its errors are of type *FileError, or io.EOF.
func (t *text) Read(p []byte) (int, error) {
	n, err := t.inflated.Read(p)
	if err != nil && err != io.EOF {
		err = t.failed(cutOff(err))
	}
	return n, err
}

// failed places an error in the file.
func (t *text) failed(err error) error {
	return &FileError{Path: t.path, Offset: t.counter.n.Load() - int64(t.buffered.Buffered()), Size: t.size, Err: err}
}

// cutOff makes the end of a file in the middle of compressed data one error,
// however a decompressor says it.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, zstd.ErrMagicMismatch) && errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close closes the file.
func (t *text) Close() {
	t.close()
	t.file.Close()
}
