package stream

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/hextide/hextide/column"
	"github.com/zeebo/xxh3"
)

// keyWords are the keys of some events of a batch, a word each. Equal keys have
// equal words.
type keyWords struct {
	of    []uint64
	exact bool     // different keys have different words
	next  []uint64 // of one field of several
}

// hashSeed is the hash of nothing.
const hashSeed = uint64(0x9e3779b97f4a7c15)

// mix folds x into a hash.
func mix(h, x uint64) uint64 {
	hi, lo := bits.Mul64(h^x, 0xd6e8feb86659fd93)
	return hi ^ lo ^ 0xa0761d6478bd642f
}

// keyWords makes the words of events' keys: of a key of one field that of its value,
// of several a hash of theirs.
func (l *winnerLayout) keyWords(k *keyWords, fields []column.Vector, events []int32) {
	k.of = resize(k.of, len(events))
	if len(l.keys) == 1 {
		k.exact = valueWords(k.of, &fields[l.keys[0]], events)
		return
	}
	k.exact, k.next = false, resize(k.next, len(events))
	for n := range k.of {
		k.of[n] = hashSeed
	}
	for _, f := range l.keys {
		valueWords(k.next, &fields[f], events)
		for n, w := range k.next {
			k.of[n] = mix(k.of[n], w)
		}
	}
}

// rowWord is the word of a row's key.
func (l *winnerLayout) rowWord(row []uint64, text []byte) uint64 {
	h := hashSeed
	for _, f := range l.keys {
		at, w := l.fields[f], uint64(0)
		switch {
		case row[l.nulls+f>>6]>>(f&63)&1 == 1:
		case l.kinds[f] == column.String:
			w = textWord(text[row[at] : row[at]+row[at+1]])
		default:
			w = row[at]
		}
		if len(l.keys) == 1 {
			return w
		}
		h = mix(h, w)
	}
	return h
}

// valueWords makes the words of a field's values, 0 of null, and tells whether
// different values have different ones.
func valueWords(dst []uint64, v *column.Vector, events []int32) (exact bool) {
	switch {
	case v.Kind == column.String:
		exact = textWords(dst, &v.Strings, events)
	default:
		exact = true
		for n, i := range events {
			dst[n] = v.Bits(int(i))
		}
	}
	if !v.Nulls.Any() {
		return exact
	}
	for n, i := range events {
		if v.Null(int(i)) {
			dst[n] = 0
		}
	}
	return false
}

// wordBytes is how much of a string fits a word.
const wordBytes = 8

// textMasks and textLengths make a string's word out of eight bytes that begin with
// it: what comes behind it is cut off, and where there is room its length put into
// the uppermost byte.
var textMasks, textLengths = func() (masks, lengths [2 * wordBytes]uint64) {
	for n := range wordBytes + 1 {
		masks[n] = 1<<(8*n) - 1
		lengths[n] = uint64(n%wordBytes) << 56
	}
	return masks, lengths
}()

// textWord is the word of a string: the string itself, or a hash of a longer one.
func textWord(s []byte) uint64 {
	if len(s) > wordBytes {
		return xxh3.Hash(s)
	}
	var w [wordBytes]byte
	copy(w[:], s)
	return binary.LittleEndian.Uint64(w[:]) | textLengths[len(s)]
}

// textWords makes the words of strings. They are exact unless a string is longer than
// a word, or fills it and ends like a length.
func textWords(dst []uint64, s *column.Strings, events []int32) (exact bool) {
	inexact := int64(0) // its sign
	for n, i := range events {
		text := s.At(int(i))
		size := len(text)
		if size > wordBytes || cap(text) < wordBytes {
			dst[n], inexact = textWord(text), -1
			continue
		}
		w := binary.LittleEndian.Uint64(text[:wordBytes]) & textMasks[size]
		inexact |= (int64(w>>56) - wordBytes) & -int64(size/wordBytes)
		dst[n] = w | textLengths[size]
	}
	return inexact >= 0
}

// sameKeys tells whether two events of a batch have one key.
func (l *winnerLayout) sameKeys(fields []column.Vector, i, j int) bool {
	for _, f := range l.keys {
		v := &fields[f]
		switch {
		case v.Null(i) != v.Null(j):
			return false
		case l.kinds[f] != column.String:
			if v.Bits(i) != v.Bits(j) {
				return false
			}
		case !bytes.Equal(v.Strings.At(i), v.Strings.At(j)):
			return false
		}
	}
	return true
}
