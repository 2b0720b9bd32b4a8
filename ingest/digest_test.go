package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hextide/hextide/stream"
)

// However a file's bytes pass, in order, again, in part or with gaps, its digest is
// the one of its content.
func TestDigest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "any")
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "content")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		d := newDigest()
		for range rapid.IntRange(0, 8).Draw(t, "passes") {
			from := rapid.IntRange(0, len(content)).Draw(t, "from")
			if rapid.Bool().Draw(t, "in order") {
				from = int(d.upto)
			}
			d.pass(int64(from), content[from:rapid.IntRange(from, len(content)).Draw(t, "to")])
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		want := sha256.Sum256(content)
		for range 2 {
			if got, err := d.of(context.Background(), file); err != nil || got != hex.EncodeToString(want[:]) {
				t.Fatalf("the digest is %s (%v), not %x", got, err, want)
			}
		}
	})
}

// A file that was read is described without being read again: as what was read.
func TestDescribedAsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "read.csv")
	content := []byte("t,c\n1,89283082803ffff\n2,89283082803ffff\n")
	at := time.Unix(1e9, 0)
	write := func(content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write(content)
	s, err := NewFiles([]string{path}, Schema{Format: CSV, Time: "t", Unit: Seconds, Cell: "c"}, FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b stream.Batch
	for err == nil {
		err = r.Read(t.Context(), &b)
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	other := append([]byte(nil), content...)
	other[len(other)-2] = 'x'
	write(other)
	d, err := s.Describe(t.Context())
	if want := sha256.Sum256(content); err != nil || d.(FilesDescription).Files[0].SHA256 != hex.EncodeToString(want[:]) {
		t.Errorf("described as %v (%v), not %x", d, err, want)
	}
}
