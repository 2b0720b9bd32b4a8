package pages

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/huff0"
)

// Frames of Zstandard (RFC 8878) that need no search for what comes again, for pages of
// a shape that is known: numbers packed so tightly that nothing is to be gained, bytes of
// which some are more frequent, and entries that differ in the same few bytes.

// A block of a frame.
const (
	frameBlock      = 128 << 10 // bytes that it may hold
	blockStored     = 0
	blockCompressed = 2
)

// appendFrame begins a frame of so many bytes.
func appendFrame(out []byte, size int) []byte {
	out = append(out, 0x28, 0xb5, 0x2f, 0xfd, 2<<6|1<<5) // the size in 4 bytes, and all of it in memory
	return binary.LittleEndian.AppendUint32(out, uint32(size))
}

// appendBlock begins a block: the bytes that follow.
func appendBlock(out []byte, last bool, kind, size int) []byte {
	header := kind<<1 | size<<3
	if last {
		header |= 1
	}
	return append(out, byte(header), byte(header>>8), byte(header>>16))
}

// AppendStored appends a frame that holds data as it is.
func AppendStored(out, data []byte) []byte {
	out = appendFrame(out, len(data))
	for {
		n := min(frameBlock, len(data))
		out = append(appendBlock(out, n == len(data), blockStored, n), data[:n]...)
		if data = data[n:]; len(data) == 0 {
			return out
		}
	}
}

// NewCodes makes what one frame after another may find its codes with: each block tells
// its own, and saves a sixteenth or is not coded.
func NewCodes() *huff0.Scratch { return &huff0.Scratch{Reuse: huff0.ReusePolicyNone, WantLogLess: 4} }

// AppendCoded appends a frame that holds data by Huffman codes of its bytes, or as it is
// where those are not shorter: no block may be longer than all that the frame holds.
func AppendCoded(out, data []byte, codes *huff0.Scratch) []byte {
	out = appendFrame(out, len(data))
	for {
		n := min(frameBlock, len(data))
		block, last := data[:n], n == len(data)
		start := len(out)
		if coded, shorter := appendCodes(append(out, 0, 0, 0), block, codes); shorter {
			out = append(coded, 0) // no copies
			appendBlock(out[:start], last, blockCompressed, len(out)-start-3)
		} else {
			out = append(appendBlock(out, last, blockStored, n), block...)
		}
		if data = data[n:]; last {
			return out
		}
	}
}

// The section of a block that has the bytes which are no copies begins with its kind and
// with how many bits its lengths have.
const (
	literalsStored = 3 << 2     // 20 bits
	literalsCoded  = 3<<2 | 0x2 // 18 bits each
	literalsWorth  = 256        // bytes that are worth a table of codes
)

// appendLiterals appends the section, by Huffman codes where that is shorter.
func appendLiterals(out, literals []byte, codes *huff0.Scratch) []byte {
	if coded, shorter := appendCodes(out, literals, codes); shorter {
		return coded
	}
	n := len(literals)
	return append(append(out, byte(literalsStored|n<<4), byte(n>>4), byte(n>>12)), literals...)
}

// appendCodes appends the section by Huffman codes, or nothing where that is not shorter.
func appendCodes(out, literals []byte, codes *huff0.Scratch) ([]byte, bool) {
	if len(literals) < literalsWorth {
		return out, false
	}
	c, _, err := huff0.Compress4X(literals, codes)
	if err != nil {
		return out, false // too even, or all the same
	}
	header := literalsCoded | uint64(len(literals))<<4 | uint64(len(c))<<22
	out = append(out, byte(header), byte(header>>8), byte(header>>16), byte(header>>24), byte(header>>32))
	return append(out, c...), true
}

// Entries are a row of entries of one length that differ at most in the bytes from one to
// another.
type Entries struct {
	Entry    []byte // the first
	From, To int
	Varying  []byte // those bytes of all entries, one entry after another; AppendFrame writes behind them
}

// Fits tells whether a frame can hold the entries as copies: one has 3 to 34 bytes, and
// of what stands before it up to 15, where their numbers are to take no bits. With 8
// bytes each, no block is longer than all of them.
func (a *Entries) Fits() bool {
	own, copied := a.To-a.From, len(a.Entry)-(a.To-a.From)
	return len(a.Entry) >= 8 && own >= 1 && own <= 15 && copied >= 3 && copied <= 34
}

// AppendPlain appends the entries as they are.
func (a *Entries) AppendPlain(out []byte) []byte {
	for own := range slices.Chunk(a.Varying, a.To-a.From) {
		out = append(append(append(out, a.Entry[:a.From]...), own...), a.Entry[a.To:]...)
	}
	return out
}

// AppendFrame appends a frame of the entries. After the first, which is stored, each is its
// own bytes and a copy of what lies an entry's length before: the rest of an entry and
// the beginning of the next. As all copies are alike, a block tells once how long they
// are. How far back they reach is told in a block of a single copy; later ones refer
// to it.
func (a *Entries) AppendFrame(out []byte, codes *huff0.Scratch) []byte {
	own, size := a.To-a.From, len(a.Entry)
	n := len(a.Varying) / own
	out = appendFrame(out, n*size)
	if n == 1 {
		return append(appendBlock(out, true, blockStored, size), a.Entry...)
	}
	out = appendBlock(out, false, blockStored, size+a.From)
	out = append(append(out, a.Entry...), a.Entry[:a.From]...)
	literals, copies := a.Varying[own:], n-2
	for distance, most := size+3, 1; ; distance, most = 1, frameBlock/size-1 {
		if copies <= most { // there is none behind the last entry
			return a.appendCopies(out, copies, distance, append(literals, a.Entry[a.To:]...), true, codes)
		}
		out = a.appendCopies(out, most, distance, literals[:most*own], false, codes)
		literals, copies = literals[most*own:], copies-most
	}
}

// appendCopies appends a block of copies, each behind its share of the literals; of
// entries of 8 bytes or more there are fewer than 2^14, whose number two bytes hold. The
// distance is 1 for that of the copy before, else 3 more than the bytes.
func (a *Entries) appendCopies(out []byte, copies, distance int, literals []byte, last bool, codes *huff0.Scratch) []byte {
	start := len(out)
	out = appendLiterals(append(out, 0, 0, 0), literals, codes)
	if copies < 128 {
		out = append(out, byte(copies))
	} else {
		out = append(out, byte(128|copies>>8), byte(copies))
	}
	if copies > 0 {
		own := a.To - a.From
		const oneEach = 1<<6 | 1<<4 | 1<<2 // of the three codes that a copy has
		out = append(out, oneEach, byte(own), byte(bits.Len(uint(distance))-1), byte(len(a.Entry)-own-3))
		out = append(out, byte(distance)) // the bits that its code leaves open, behind a 1
	}
	appendBlock(out[:start], last, blockCompressed, len(out)-start-3)
	return out
}
