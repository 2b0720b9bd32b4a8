package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
)

// digest is the SHA-256 of a file, made of its bytes as they pass, so that one who
// asks for it when the file was read has it at once. Its methods may be called from
// any goroutine.
type digest struct {
	mu   sync.Mutex
	sum  hash.Hash // of the bytes before upto
	upto int64
}

func newDigest() *digest { return &digest{sum: sha256.New()} }

// pass takes in what was read at a place of the file, unless others do so or are
// further already, or bytes before it are missing.
func (d *digest) pass(at int64, data []byte) {
	if !d.mu.TryLock() {
		return
	}
	defer d.mu.Unlock()
	if end := at + int64(len(data)); at <= d.upto && d.upto < end {
		d.sum.Write(data[d.upto-at:])
		d.upto = end
	}
}

// of reads what did not pass and returns the digest of the whole file, in hexadecimal.
func (d *digest) of(ctx context.Context, file *os.File) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	buffer := make([]byte, blockSize)
	for {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("hashing %s: %w", file.Name(), err)
		}
		n, err := file.ReadAt(buffer, d.upto)
		d.sum.Write(buffer[:n])
		d.upto += int64(n)
		if err == io.EOF {
			return hex.EncodeToString(d.sum.Sum(nil)), nil
		}
		if err != nil {
			return "", fmt.Errorf("hashing %s: %w", file.Name(), err)
		}
	}
}
