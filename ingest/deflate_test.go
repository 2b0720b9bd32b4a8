package ingest

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// inflate inflates with deflate, by reads of so many bytes, and returns what is left
// of the data too.
func inflate(data []byte, size int) (text, rest []byte, err error) {
	from := bufio.NewReader(bytes.NewReader(data))
	d := &deflate{}
	d.reset(from)
	p := make([]byte, size)
	for err == nil {
		var n int
		n, err = d.Read(p)
		text = append(text, p[:n]...)
	}
	rest, _ = io.ReadAll(from)
	if err == io.EOF {
		err = nil
	}
	return text, rest, err
}

// someText is made to have codes of all lengths, copies from all distances, and blocks
// of all kinds.
func someText(random *rand.Rand, kind, length int) []byte {
	var text []byte
	for len(text) < length {
		switch kind {
		case 0: // bytes that do not repeat
			text = append(text, byte(random.Uint32()))
		case 1: // each byte half as often as the one before
			n := 0
			for n < 24 && random.IntN(8) < 5 {
				n++
			}
			text = append(text, byte(n))
		case 2: // runs
			text = append(text, bytes.Repeat([]byte{byte(random.IntN(3))}, 1+random.IntN(600))...)
		default: // words, new ones and such as were somewhere before
			if n := 1 + random.IntN(20); len(text) > n && random.IntN(4) > 0 {
				at := random.IntN(len(text) - n)
				if random.IntN(2) == 0 {
					at = len(text) - n - random.IntN(min(len(text)-n, 40))
				}
				text = append(text, text[at:at+n]...)
			} else {
				text = append(text, byte('a'+random.IntN(26)))
			}
		}
	}
	return text[:length]
}

func deflated(t rapid.TB, text []byte, level int, pieces int) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	for i := range pieces {
		w.Write(text[len(text)*i/pieces : len(text)*(i+1)/pieces])
		if i+1 < pieces {
			w.Flush()
		}
	}
	w.Close()
	return b.Bytes()
}

// What was deflated is inflated to what it was, and of a beginning the beginning.
func TestDeflate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		text := someText(random, rapid.IntRange(0, 3).Draw(t, "kind"), rapid.SampledFrom([]int{0, 1, 10, 1000, 40_000, 150_000}).Draw(t, "length"))
		level := rapid.SampledFrom([]int{flate.HuffmanOnly, 0, 1, 6, 9}).Draw(t, "level")
		data := deflated(t, text, level, rapid.IntRange(1, 3).Draw(t, "pieces"))
		size := rapid.SampledFrom([]int{1 << 20, 4096, 100}).Draw(t, "size")
		tail := someText(random, 0, rapid.SampledFrom([]int{0, 1, 8, 15, 40}).Draw(t, "tail"))
		got, rest, err := inflate(append(bytes.Clone(data), tail...), size)
		if err != nil || !bytes.Equal(got, text) || !bytes.Equal(rest, tail) {
			t.Fatalf("%d bytes become %d with %v, %d are left of %d", len(text), len(got), err, len(rest), len(tail))
		}
		cut := rapid.IntRange(0, len(data)-1).Draw(t, "cut")
		got, _, err = inflate(data[:cut], size)
		if err != io.ErrUnexpectedEOF || !bytes.HasPrefix(text, got) {
			t.Fatalf("of %d bytes cut at %d come %d with %v", len(data), cut, len(got), err)
		}
		if want, _ := io.ReadAll(flate.NewReader(bytes.NewReader(data[:cut]))); len(got) < len(want) {
			t.Fatalf("of %d bytes cut at %d come %d, not %d", len(data), cut, len(got), len(want))
		}
	})
}

// Any bytes are inflated as the standard library inflates them, or are damaged for both.
func FuzzDeflate(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for kind := range 4 {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 9} {
			f.Add(deflated(f, someText(random, kind, 500), level, 1))
		}
	}
	// A code of no symbols at the end, and codes that mean nothing, whole and cut off.
	for _, data := range []string{"$0\x00\x00", "\x1b\x03", "\x1b", "\x03\x1e", "\x4b\x04\x3e", "\x4b\x04\x1e"} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) { sameInflated(t, data) })
}

func sameInflated(t rapid.TB, data []byte) {
	left := bytes.NewReader(data)
	want, failed := io.ReadAll(flate.NewReader(left))
	got, rest, err := inflate(data, 1000)
	if (err == nil) != (failed == nil) || (err == io.ErrUnexpectedEOF) != (failed == io.ErrUnexpectedEOF) {
		t.Fatalf("%x ends with %v, not %v", data, err, failed)
	}
	if err == nil && len(rest) != left.Len() {
		t.Fatalf("of %x %d bytes are left, not %d", data, len(rest), left.Len())
	}
	if err == nil && len(got) != len(want) || !bytes.HasPrefix(got, want) {
		t.Fatalf("%x becomes %x, not %x", data, got, want)
	}
}

// Damaged data is damaged for the standard library too, wherever the damage is.
func TestDeflateDamaged(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 1_500 {
		data := deflated(t, someText(random, random.IntN(4), random.IntN(400)), []int{flate.HuffmanOnly, 0, 1, 9}[random.IntN(4)], 1+random.IntN(2))
		for range 1 + random.IntN(3) {
			data[random.IntN(min(len(data), 60))] ^= 1 << random.IntN(8)
		}
		sameInflated(t, data)
	}
}

// A header's own checksum is looked at.
func TestGzipHeaderSum(t *testing.T) {
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	w.Write([]byte("text"))
	w.Close()
	header := bytes.Clone(member.Bytes()[:10])
	header[3] = headerSum
	sum := crc32.ChecksumIEEE(header)
	for wrong, want := range []error{nil, errNoGzip} {
		data := append(append(bytes.Clone(header), byte(sum)^byte(wrong), byte(sum>>8)), member.Bytes()[10:]...)
		z, err := newGunzip(bufio.NewReader(bytes.NewReader(data)))
		if err != want {
			t.Fatalf("the header ends with %v", err)
		}
		if text, err := io.ReadAll(z); err != want || err == nil && string(text) != "text" {
			t.Errorf("the text is %q, then comes %v", text, err)
		}
	}
}

// Members of gzip, with all that their headers may have, are one text.
func TestGzipMembers(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var whole bytes.Buffer
	var text []byte
	for i := range 8 {
		w := gzip.NewWriter(&whole)
		if i&1 != 0 {
			w.Name = "a name"
		}
		if i&2 != 0 {
			w.Comment = "a comment"
		}
		if i&4 != 0 {
			w.Extra = []byte("more")
		}
		member := someText(random, 3, i*70)
		text = append(text, member...)
		w.Write(member)
		w.Close()
	}
	read := func(data []byte) ([]byte, error) {
		z, err := newGunzip(bufio.NewReader(iotest.HalfReader(bytes.NewReader(data))))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	}
	if got, err := read(whole.Bytes()); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%d bytes become %d with %v", len(text), len(got), err)
	}
	for cut := 1; cut < whole.Len(); cut++ {
		z, failed := gzip.NewReader(bytes.NewReader(whole.Bytes()[:cut]))
		if failed == nil {
			_, failed = io.ReadAll(z)
		}
		if got, err := read(whole.Bytes()[:cut]); err != failed || !bytes.HasPrefix(text, got) {
			t.Fatalf("cut at %d it ends with %v, not %v", cut, err, failed)
		}
		damaged := bytes.Clone(whole.Bytes())
		damaged[random.IntN(len(damaged))] ^= 1 << random.IntN(8)
		want, failed := []byte(nil), error(nil)
		if z, failed = gzip.NewReader(bytes.NewReader(damaged)); failed == nil {
			want, failed = io.ReadAll(z)
		}
		if got, err := read(damaged); (err == nil) != (failed == nil) || errors.Is(failed, gzip.ErrChecksum) != (err == errChecksum) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("damaged it ends with %v, not %v", err, failed)
		}
	}
}
