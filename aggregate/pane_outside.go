package aggregate

import (
	"encoding/binary"
	"iter"
	"slices"
)

// Outside keeps, beyond memory, values of panes and windows under numbers that it
// gives, and counts what they keep in memory. What cannot be kept or read reads as
// nothing: the error is Outside's to remember, and its owner's to ask for before
// anything that was computed is passed on.
type Outside interface {
	// Count tells that so many more bytes are kept in memory, or fewer.
	Count(bytes int64)
	// Over tells that more is kept in memory than may be.
	Over() bool
	// Relieve moves panes out that are not in use, until that is no longer so.
	Relieve()
	// Put keeps a value under a number that it returns: the one given, or for 0 a new one.
	Put(number uint64, value []byte) uint64
	// Get is a number's value, valid until the next call.
	Get(number uint64) []byte
	Delete(number uint64)
}

// outer is what a pane knows of its entries outside.
//
// Invariant: a pane in use is in memory.
type outer struct {
	number uint64 // 0: there are none
	out    bool   // they are there alone
	same   bool   // they are the same there
	gone   bool   // the pane was dropped
	listed bool   // in Panes.inside
	users  int
}

// Bound lets the panes' entries be moved outside. It is called before there are any.
func (ps *Panes) Bound(o Outside) { ps.outside = o }

// Each goes over the panes that begin in [from, to), ascending; each is in memory
// while it is shown. Meanwhile no pane may be made or dropped.
func (ps *Panes) Each(from, to int64) iter.Seq[*Pane] {
	return func(yield func(*Pane) bool) {
		for _, p := range ps.Between(from, to) {
			if !ps.show(p, yield) {
				return
			}
		}
	}
}

func (ps *Panes) show(p *Pane, yield func(*Pane) bool) bool {
	ps.use(p)
	defer ps.leave(p)
	return yield(p)
}

// use brings a pane into memory, where it stays until leave.
func (ps *Panes) use(p *Pane) {
	p.outer.users++
	if !p.outer.out {
		return
	}
	p.decode(ps.outside.Get(p.outer.number))
	p.outer.out, p.outer.same = false, true
	ps.enlist(p)
	ps.outside.Count(p.bytes())
}

func (ps *Panes) leave(p *Pane) {
	p.outer.users--
	if ps.outside != nil && ps.outside.Over() {
		ps.outside.Relieve()
	}
}

// Merge merges entries, in a version, into the pane that begins at a time, made
// where there is none. own: they are of the territory's own cells.
func (ps *Panes) Merge(start, version int64, measures []Measure, e Entries, own bool, fresh []bool) {
	p := ps.At(start, version)
	p.Changed = version
	if ps.outside == nil {
		p.Merge(measures, e, fresh)
	} else {
		ps.use(p)
		before := p.bytes()
		p.Merge(measures, e, fresh)
		p.outer.same = false
		ps.outside.Count(p.bytes() - before)
		ps.leave(p)
	}
	p.Own = p.Own || own && len(e.Slots) > 0
}

// Movable are the panes in memory that are not in use, in no order that means
// anything; valid until the panes change.
func (ps *Panes) Movable() []*Pane {
	ps.movable = ps.movable[:0]
	ps.inside = slices.DeleteFunc(ps.inside, func(p *Pane) bool {
		p.outer.listed = !p.outer.out && !p.outer.gone
		if p.outer.listed && p.outer.users == 0 && len(p.Slots) > 0 {
			ps.movable = append(ps.movable, p)
		}
		return !p.outer.listed
	})
	return ps.movable
}

// MoveOut moves the entries of a movable pane outside and returns the bytes of
// memory that this gives back.
func (ps *Panes) MoveOut(p *Pane) int64 {
	if !p.outer.same {
		ps.buffer = p.encode(ps.buffer[:0])
		p.outer.number = ps.outside.Put(p.outer.number, ps.buffer)
	}
	p.outer.out = true
	return ps.clear(p)
}

// enlist notes a pane that is in memory.
func (ps *Panes) enlist(p *Pane) {
	if len(ps.inside) > 2*len(ps.list)+16 {
		ps.Movable() // leaves out those that are no more
	}
	if !p.outer.listed {
		p.outer.listed = true
		ps.inside = append(ps.inside, p)
	}
}

// dropped gives back what a pane holds anywhere.
func (ps *Panes) dropped(p *Pane) {
	if p.outer.number != 0 {
		ps.outside.Delete(p.outer.number)
	}
	ps.clear(p)
	p.outer.gone = true
}

// clear gives back the memory of a pane's entries, and returns how much that was.
func (ps *Panes) clear(p *Pane) int64 {
	bytes := p.bytes()
	p.Slots, p.index = nil, nil
	clear(p.Measures)
	ps.outside.Count(-bytes)
	return bytes
}

// bytes is the memory of a pane's entries and their index.
func (p *Pane) bytes() int64 {
	n := 4 * (cap(p.Slots) + cap(p.index))
	for m := range p.Measures {
		n += 8 * (cap(p.Measures[m].Lo) + cap(p.Measures[m].Hi))
	}
	return int64(n)
}

// encode writes the entries in their order, which windows rely on: their number,
// the slots as differences, and each measure behind a byte that is 1 where it
// takes 128 bits. Numbers are varints.
func (p *Pane) encode(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(p.Slots)))
	before := int32(0)
	for _, s := range p.Slots {
		dst = binary.AppendVarint(dst, int64(s-before))
		before = s
	}
	for m := range p.Measures {
		c := &p.Measures[m]
		if c.Hi == nil {
			dst = append(dst, 0)
		} else {
			dst = append(dst, 1)
		}
		dst = appendInts(dst, c.Lo)
		dst = appendInts(dst, c.Hi)
	}
	return dst
}

// decode reads what encode wrote; of nothing it makes an empty pane.
func (p *Pane) decode(src []byte) {
	n, size := binary.Uvarint(src)
	if n == 0 || size <= 0 {
		return
	}
	src = src[size:]
	p.Slots = make([]int32, n)
	before := int32(0)
	for i := range p.Slots {
		d, size := binary.Varint(src)
		src = src[size:]
		before += int32(d)
		p.Slots[i] = before
	}
	for m := range p.Measures {
		c := &p.Measures[m]
		wide := src[0] == 1
		c.Lo = make([]uint64, n)
		src = readInts(c.Lo, src[1:])
		if wide {
			c.Hi = make([]int64, n)
			src = readInts(c.Hi, src)
		}
	}
}

func appendInts[T int64 | uint64](dst []byte, values []T) []byte {
	for _, v := range values {
		dst = binary.AppendVarint(dst, int64(v))
	}
	return dst
}

// readInts reads what appendInts wrote and returns what is left.
func readInts[T int64 | uint64](dst []T, src []byte) []byte {
	for i := range dst {
		v, size := binary.Varint(src)
		dst[i], src = T(v), src[size:]
	}
	return src
}
