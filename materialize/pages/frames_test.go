package pages

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// unpacked is what a decompressor makes of a frame, once its blocks are as every one
// wants them: none longer than all that the frame holds.
func unpacked(t *rapid.T, frame []byte) []byte {
	t.Helper()
	size := int(binary.LittleEndian.Uint32(frame[5:]))
	for at, last := 9, false; !last; {
		header := int(frame[at]) | int(frame[at+1])<<8 | int(frame[at+2])<<16
		length := header >> 3
		if length > min(size, frameBlock) {
			t.Fatalf("a block of %d bytes in a frame of %d", length, size)
		}
		last = header&1 == 1
		if at += 3 + length; last && at != len(frame) {
			t.Fatalf("%d bytes behind the last block", len(frame)-at)
		}
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	data, err := decoder.DecodeAll(frame, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// bytesOf draws so many bytes below a bound, few of them large.
func bytesOf(t *rapid.T, n, below int) []byte {
	seed := rapid.Uint64().Draw(t, "seed")
	data := make([]byte, n)
	for i := range data {
		seed = seed*6364136223846793005 + 1442695040888963407
		data[i] = byte(int(seed>>33&0xffff) * int(seed>>49) >> 15 * below >> 16)
	}
	return data
}

// lengths are of less than a block, and of more.
var lengths = rapid.OneOf(rapid.IntRange(0, 2000), rapid.IntRange(frameBlock-2, frameBlock+2), rapid.IntRange(0, 3*frameBlock))

func TestStoredFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := bytesOf(t, lengths.Draw(t, "bytes"), 256)
		if !bytes.Equal(unpacked(t, AppendStored(nil, data)), data) {
			t.Fatal("other data")
		}
	})
}

// Data comes back whether codes make it shorter or not, and where they do it is.
func TestCodedFrames(t *testing.T) {
	codes := NewCodes()
	rapid.Check(t, func(t *rapid.T) {
		data := bytesOf(t, lengths.Draw(t, "bytes"), rapid.SampledFrom([]int{1, 2, 16, 256}).Draw(t, "below"))
		frame := AppendCoded(nil, data, codes)
		if !bytes.Equal(unpacked(t, frame), data) {
			t.Fatal("other data")
		}
		if stored := AppendStored(nil, data); len(frame) > len(stored) {
			t.Fatalf("%d bytes, %d as they are", len(frame), len(stored))
		}
	})
	few := bytes.Repeat([]byte{0, 0, 1, 0, 2, 0, 1, 3}, 500)
	if frame := AppendCoded(nil, few, codes); len(frame) > len(few)/3 {
		t.Errorf("%d bytes for %d of two bits each", len(frame), len(few))
	}
}

// Entries come back whatever their length, number and what differs in them.
func TestFramesOfEntries(t *testing.T) {
	codes := NewCodes()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(8, 49), rapid.SampledFrom([]int{8, 16, 32})).Draw(t, "size")
		own := rapid.IntRange(max(1, size-34), min(15, size-3)).Draw(t, "own")
		from := rapid.IntRange(0, size-own).Draw(t, "from")
		full := frameBlock / size // entries fill a block, more or less
		n := rapid.OneOf(rapid.IntRange(1, 10), rapid.IntRange(130, 132), rapid.IntRange(full+1, full+4), rapid.IntRange(1, 3*full)).Draw(t, "entries")
		e := Entries{From: from, To: from + own, Varying: bytesOf(t, n*own, 256)}
		e.Entry = append(append(bytesOf(t, from, 256), e.Varying[:own]...), bytesOf(t, size-own-from, 256)...)
		if !e.Fits() {
			t.Fatal("they do not fit")
		}
		all := e.AppendPlain(nil)
		for i := range n {
			if !bytes.Equal(all[i*size+from:i*size+from+own], e.Varying[i*own:(i+1)*own]) || len(all) != n*size {
				t.Fatalf("entry %d is another", i)
			}
		}
		frame := e.AppendFrame(nil, codes)
		if !bytes.Equal(unpacked(t, frame), all) {
			t.Fatal("other entries")
		}
		if n >= 20 && len(frame) >= len(all) {
			t.Fatalf("%d bytes for %d entries of %d", len(frame), n, size)
		}
	})
}
