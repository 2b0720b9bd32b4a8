package ingest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// gunzip inflates a file of RFC 1952: any number of members, one behind the other.
type gunzip struct {
	from     *bufio.Reader
	inflated deflate
	sum      uint32 // CRC-32 of the member's text
	size     uint32 // and its length
	err      error
}

var (
	errNoGzip   = errors.New("no member of gzip begins here")
	errChecksum = errors.New("the checksum of gzip is not that of the text")
)

// newGunzip reads the first member's header.
func newGunzip(from *bufio.Reader) (*gunzip, error) {
	z := &gunzip{from: from}
	z.err = z.header()
	return z, z.err
}

// Read implements io.Reader.
func (z *gunzip) Read(p []byte) (int, error) {
	for z.err == nil {
		n, err := z.inflated.Read(p)
		z.sum = crc32.Update(z.sum, crc32.IEEETable, p[:n])
		z.size += uint32(n)
		if err == io.EOF {
			err = z.next()
		}
		z.err = err
		if n > 0 {
			return n, nil
		}
	}
	return 0, z.err
}

// next reads what ends a member, and what begins the next. io.EOF: there is none.
func (z *gunzip) next() error {
	var trailer [8]byte
	if _, err := io.ReadFull(z.from, trailer[:]); err != nil {
		return cutOff(err)
	}
	if binary.LittleEndian.Uint32(trailer[:]) != z.sum || binary.LittleEndian.Uint32(trailer[4:]) != z.size {
		return errChecksum
	}
	return z.header()
}

// The flags of a member's header.
const (
	headerSum  = 1 << 1
	headerMore = 1 << 2
	headerName = 1 << 3
	headerNote = 1 << 4
)

// header reads what begins a member. io.EOF: nothing does.
func (z *gunzip) header() error {
	sum := crc32.NewIEEE()
	from := io.TeeReader(z.from, sum)
	var fixed [10]byte
	if _, err := io.ReadFull(from, fixed[:]); err != nil {
		return err
	}
	if fixed[0] != 0x1f || fixed[1] != 0x8b || fixed[2] != 8 {
		return errNoGzip
	}
	flags := fixed[3]
	if flags&headerMore != 0 {
		var length [2]byte
		if _, err := io.ReadFull(from, length[:]); err != nil {
			return cutOff(err)
		}
		if _, err := io.CopyN(io.Discard, from, int64(binary.LittleEndian.Uint16(length[:]))); err != nil {
			return cutOff(err)
		}
	}
	for _, text := range []byte{headerName, headerNote} {
		for end := [1]byte{1}; flags&text != 0 && end[0] != 0; {
			if _, err := io.ReadFull(from, end[:]); err != nil {
				return cutOff(err)
			}
		}
	}
	if flags&headerSum != 0 {
		want := uint16(sum.Sum32())
		var is [2]byte
		if _, err := io.ReadFull(from, is[:]); err != nil {
			return cutOff(err)
		}
		if binary.LittleEndian.Uint16(is[:]) != want {
			return errNoGzip
		}
	}
	z.sum, z.size = 0, 0
	z.inflated.reset(z.from)
	return nil
}
