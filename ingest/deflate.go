package ingest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// deflate inflates a stream of RFC 1951, in half the time of the standard library. It
// reads the bytes of the stream and no more. Bits are taken from a word that is filled
// by 8 bytes at a time, codes are found in tables, and the text is made in a window
// that begins with the history that copies are made from.
type deflate struct {
	from  *bufio.Reader // its buffer has 2 * lookAhead bytes or more
	bits  uint64        // read and not used; fewer than 8 between calls
	count uint          // how many
	state deflateState
	last  bool // no block comes behind the one that is read
	left  int  // bytes of a stored block that are to come
	err   error

	window     *[windowSize + spareRoom]byte
	start, end int // what is made and not given yet
	literals   huffman
	distances  huffman
}

// deflateState is what comes next.
type deflateState uint8

const (
	betweenBlocks deflateState = iota
	inStored
	inCodes
)

const (
	historySize = 32 << 10
	windowSize  = 96 << 10
	spareRoom   = 1 + 258 + 8 // what a step of decode makes beyond windowSize at most, and what it writes behind
	lookAhead   = 16          // bytes that a step of decode looks at

	literalBits  = 11 // of the first table of literals and lengths
	distanceBits = 9  // and of that of distances
)

var errDamaged = errors.New("the compressed data is damaged")

// reset begins a stream.
func (d *deflate) reset(from *bufio.Reader) {
	if d.window == nil {
		d.window = new([windowSize + spareRoom]byte)
	}
	*d = deflate{from: from, window: d.window, literals: d.literals, distances: d.distances}
}

// Read implements io.Reader.
func (d *deflate) Read(p []byte) (int, error) {
	for d.start == d.end {
		if d.err != nil {
			return 0, d.err
		}
		if d.end >= windowSize {
			d.end = copy(d.window[:], d.window[d.end-historySize:d.end])
			d.start = d.end
		}
		if d.state == betweenBlocks && d.last {
			d.err = io.EOF
		} else {
			d.err = cutOff(d.more())
		}
	}
	n := copy(p, d.window[d.start:d.end])
	d.start += n
	return n, nil
}

// more makes some bytes of the text, perhaps none.
func (d *deflate) more() error {
	switch d.state {
	case inStored:
		n, err := d.from.Read(d.window[d.end:min(windowSize, d.end+d.left)])
		d.end += n
		if d.left -= n; d.left == 0 {
			d.state = betweenBlocks
		}
		return err
	case inCodes:
		return d.codes()
	}
	return d.header()
}

// codes decodes until a block's end, or until the window or what is at hand of the
// stream is used up.
func (d *deflate) codes() error {
	in, err := d.from.Peek(max(2*lookAhead, d.from.Buffered()))
	if len(in) >= 2*lookAhead {
		used, err := d.decode(in, len(in)-lookAhead)
		d.from.Discard(used)
		return err
	}
	if err != io.EOF {
		return err
	}
	// At the end of the input a step is made at a time, with zeros behind the input.
	var padded [3 * lookAhead]byte
	n, end := copy(padded[:], in), d.end
	used, err := d.decode(padded[:], 1)
	d.from.Discard(min(used, n))
	if used > n {
		d.end = end
		return io.ErrUnexpectedEOF
	}
	return err
}

// decode decodes until it has put limit bytes into its word, behind which in has
// lookAhead more, and returns how many bytes it has used. A step is a literal, two,
// or a copy with one before it: two literals have 30 bits at most and a copy 48, and
// the word has 56 or more.
func (d *deflate) decode(in []byte, limit int) (used int, err error) {
	word, count, at, end, window := d.bits, d.count, 0, d.end, d.window
	literals, distances := (*[1 << literalBits]uint32)(d.literals.entries), (*[1 << distanceBits]uint32)(d.distances.entries)
	for at < limit && end < windowSize {
		word, count, at = fill(word, count, in, at)
		entry := literals[word%(1<<literalBits)]
		if entry&literalFlag != 0 {
			word, count = word>>(entry&63), count-uint(entry&63)
			window[end] = byte(entry >> valueShift)
			end++
			if at >= limit {
				continue
			}
			entry = literals[word%(1<<literalBits)]
			if entry&literalFlag != 0 {
				word, count = word>>(entry&63), count-uint(entry&63)
				window[end] = byte(entry >> valueShift)
				end++
				continue
			}
			word, count, at = fill(word, count, in, at)
		}
		if entry&specialFlag != 0 {
			word, count, entry = d.literals.longer(word, count, entry)
			if entry&literalFlag != 0 {
				word, count = word>>(entry&63), count-uint(entry&63)
				window[end] = byte(entry >> valueShift)
				end++
				continue
			}
			if entry&specialFlag != 0 {
				word, count = word>>(entry&63), count-uint(entry&63)
				d.state = betweenBlocks
				if entry>>valueShift == 0 {
					err = errDamaged
				}
				break
			}
		}
		var length, distance int
		length, word, count = added(word, count, entry)
		entry = distances[word%(1<<distanceBits)]
		if entry&specialFlag != 0 {
			word, count, entry = d.distances.longer(word, count, entry)
		}
		distance, word, count = added(word, count, entry)
		if distance > end || entry&specialFlag != 0 {
			err = errDamaged
			break
		}
		repeat(window, end, distance, length)
		end += length
	}
	d.bits, d.count, d.end = word&(1<<(count&7)-1), count&7, end
	return at - int(count>>3), err
}

// fill puts bytes of in into a word with so many bits until it has 56 or more.
func fill(word uint64, count uint, in []byte, at int) (uint64, uint, int) {
	return word | binary.LittleEndian.Uint64(in[at:at+8])<<(count&63), count | 56, at + int(63-count)>>3
}

// added takes the code of an entry and the bits that are added to its value.
func added(word uint64, count uint, entry uint32) (int, uint64, uint) {
	word >>= entry & 63
	extra := entry >> extraShift & extraMask
	return int(entry>>valueShift) + int(word&(1<<(extra&63)-1)), word >> (extra & 63), count - uint(entry&63) - uint(extra)
}

// repeat copies so many bytes from a distance before a place of the window to there,
// where they may be among those that are copied; up to 7 bytes behind them change.
func repeat(window *[windowSize + spareRoom]byte, to, distance, length int) {
	from, end := to-distance, to+length
	if distance < 8 {
		for ; to < end; from, to = from+1, to+1 {
			window[to] = window[from]
		}
		return
	}
	for ; to < end; from, to = from+8, to+8 {
		binary.LittleEndian.PutUint64(window[to:to+8], binary.LittleEndian.Uint64(window[from:from+8]))
	}
}
