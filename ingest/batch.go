package ingest

import (
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

// span is where a record lies in its block.
type span struct{ start, end uint32 }

// blockRaw gives the records of a batch back out of the block that they were
// decoded from; it holds the block until its batch is handed back.
type blockRaw struct {
	block *block
	spans []span
}

// At implements stream.Raw.
func (r *blockRaw) At(i int) []byte {
	s := r.spans[i]
	return r.block.data[s.start:s.end]
}

// release hands back the block that a batch refers to, if any.
func release(b *stream.Batch) {
	raw, ok := b.Raw.(*blockRaw)
	if !ok || raw.block == nil {
		return
	}
	raw.block.drop()
	raw.block = nil
}

// copyRows appends rows [from, to) of src to dst, whose Raw is its own copy of
// the records. Positions are left to the caller.
func copyRows(dst, src *stream.Batch, from, to int) {
	have := len(dst.Times)
	dst.Times = append(dst.Times, src.Times[from:to]...)
	if src.Cells != nil {
		dst.Cells = append(dst.Cells, src.Cells[from:to]...)
	}
	if src.Lats != nil {
		dst.Lats = append(dst.Lats, src.Lats[from:to]...)
		dst.Lngs = append(dst.Lngs, src.Lngs[from:to]...)
	}
	for i := range dst.Fields {
		d, s := &dst.Fields[i], &src.Fields[i]
		switch d.Kind {
		case column.Float:
			d.Floats = append(d.Floats, s.Floats[from:to]...)
		case column.String:
			for row := from; row < to; row++ {
				d.Strings.Append(s.Strings.At(row))
			}
		default:
			d.Ints = append(d.Ints, s.Ints[from:to]...)
		}
	}
	raw := dst.Raw.(*column.Strings)
	for row := from; row < to; row++ {
		raw.Append(src.Raw.At(row))
	}
	switch {
	case src.Reasons != nil:
		for len(dst.Reasons) < have {
			dst.Reasons = append(dst.Reasons, stream.Accepted)
		}
		dst.Reasons = append(dst.Reasons, src.Reasons[from:to]...)
	case dst.Reasons != nil:
		for range to - from {
			dst.Reasons = append(dst.Reasons, stream.Accepted)
		}
	}
}

// ownRaw gives an emptied batch a copy of its records to fill.
func ownRaw(b *stream.Batch) {
	if raw, ok := b.Raw.(*column.Strings); ok {
		raw.Reset()
		return
	}
	b.Raw = &column.Strings{}
}
