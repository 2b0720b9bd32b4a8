package materialize

import "encoding/binary"

// record writes a struct in Thrift's compact protocol, in which Parquet describes pages
// and files. Fields come in the order of their numbers.
type record struct {
	out  []byte
	last int // number of the field before
}

// Types of fields.
const (
	thriftShort  = 4
	thriftNumber = 5
	thriftLong   = 6
	thriftBytes  = 8
	thriftList   = 9
	thriftStruct = 12
)

func (r *record) field(id, kind int) {
	r.out = append(r.out, byte((id-r.last)<<4|kind))
	r.last = id
}

// integer writes a number of one of the three lengths.
func (r *record) integer(id, kind int, v int64) {
	r.field(id, kind)
	r.out = binary.AppendVarint(r.out, v)
}

func (r *record) number(id, v int)       { r.integer(id, thriftNumber, int64(v)) }
func (r *record) long(id int, v int64)   { r.integer(id, thriftLong, v) }
func (r *record) bytes(id int, b []byte) { r.field(id, thriftBytes); r.text(string(b)) }

// text writes an element of a list.
func (r *record) text(s string) {
	r.out = append(binary.AppendUvarint(r.out, uint64(len(s))), s...)
}

// list begins a list of so many elements, which follow.
func (r *record) list(id, kind, n int) {
	r.field(id, thriftList)
	if n < 15 {
		r.out = append(r.out, byte(n<<4|kind))
		return
	}
	r.out = binary.AppendUvarint(append(r.out, byte(15<<4|kind)), uint64(n))
}

// open begins a struct within, a field or the next element of a list; close ends it.
func (r *record) open(id int) {
	r.field(id, thriftStruct)
	r.last = 0
}

func (r *record) close(id int) {
	r.out = append(r.out, 0)
	r.last = id
}
