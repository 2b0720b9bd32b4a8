package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hextide/hextide/stream"
)

// mergeInput is one file on its way through the merge. It is opened when the
// merge first comes to it, so files that follow each other in time are not open
// together.
type mergeInput struct {
	stream *fileStream
	read   counter
	piece  *stream.Batch // where its next row is; nil: take another
	row    int
	key    int64 // of the next row
}

// filesReader merges files. Invariant: heap orders the inputs that are not at
// their end by (key, number), and the key of each is that of its next row, or,
// while it is not open, of its first.
type filesReader struct {
	source   *Files
	stream   streamOptions
	inputs   []mergeInput
	heap     []int
	skip     int64 // rows still to drop
	position int64
	err      error // what every Read from now on returns
	closed   bool
}

// Read implements stream.Reader.
func (r *filesReader) Read(ctx context.Context, b *stream.Batch) error {
	if r.closed {
		return errors.New("reading files: the reader is closed")
	}
	for r.err == nil {
		if err := r.read(ctx, b); err != nil {
			return err
		}
		n := len(b.Times)
		if n == 0 {
			continue
		}
		b.Positions = slices.Grow(b.Positions[:0], n)[:n]
		for i := range b.Positions {
			b.Positions[i] = r.position + int64(i)
		}
		r.position += int64(n)
		b.Next, b.Limit = r.position, r.source.options.NotAfter
		return nil
	}
	release(b)
	r.source.schema.Reset(b)
	return r.err
}

// read fills b with rows, none where the end or an error was met or rows were
// skipped. What it returns is the context's error.
func (r *filesReader) read(ctx context.Context, b *stream.Batch) error {
	release(b)
	r.source.schema.Reset(b)
	copying := false
	for len(b.Times) < r.source.options.Batch {
		if len(r.heap) == 0 {
			if len(b.Times) == 0 {
				r.finish(io.EOF)
			}
			return nil
		}
		in := &r.inputs[r.heap[0]]
		if in.piece == nil {
			switch err := r.take(ctx, in); {
			case err == nil:
				continue
			case ctx.Err() != nil && errors.Is(err, ctx.Err()):
				return err
			case len(b.Times) == 0:
				r.finish(err)
			}
			return nil // with rows, the next Read meets the error again
		}
		from, whole := in.row, len(in.piece.Times)
		to := r.run(in, r.source.options.Batch-len(b.Times))
		switch {
		case r.skip > 0:
			r.skip -= int64(to - from)
			r.position += int64(to - from)
		case !copying && from == 0 && to == whole:
			*b, *in.piece = *in.piece, *b
			r.advance(in, to, whole)
			return nil
		default:
			if !copying {
				copying = true
				ownRaw(b)
			}
			copyRows(b, in.piece, from, to)
		}
		r.advance(in, to, whole)
	}
	return nil
}

// take gets the next piece of the input at the top of the heap, opening it where
// that was not done, or takes it off the heap at its end.
func (r *filesReader) take(ctx context.Context, in *mergeInput) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("reading files: %w", err)
	}
	if in.stream == nil {
		if err := r.open(in, &r.source.files[r.heap[0]]); err != nil {
			return err
		}
	}
	piece, err := in.stream.next(ctx.Done())
	switch {
	case err == io.EOF:
		in.stream.close()
		r.heap[0] = r.heap[len(r.heap)-1]
		r.heap = r.heap[:len(r.heap)-1]
	case err != nil:
		return err
	case piece == nil:
		return fmt.Errorf("reading files: %w", ctx.Err())
	default:
		in.piece, in.row = piece, 0
		in.key = r.source.key(piece, 0, in.key)
	}
	r.sink(0)
	return nil
}

// open starts reading a file.
func (r *filesReader) open(in *mergeInput, file *inputFile) error {
	o := r.stream
	o.columns = file.columns
	if !o.lines { // who replays does not ask
		in.read.digest = file.digest
	}
	s, err := startStream(file.path, &in.read, o)
	if err != nil {
		return err
	}
	in.stream = s
	return file.unchanged(s.text.file)
}

// run is the end of the run of rows of the input at the top of the heap, from its
// next row on, that come before all rows of other inputs: one at least, room at
// most. The input's key becomes that of the row behind, or of the last one.
func (r *filesReader) run(in *mergeInput, room int) int {
	end := min(len(in.piece.Times), in.row+room)
	if r.skip > 0 && r.skip < int64(end-in.row) {
		end = in.row + int(r.skip)
	}
	if len(r.heap) == 1 {
		return end
	}
	top, second := r.heap[0], r.heap[1]
	if len(r.heap) > 2 && r.before(r.heap[2], second) {
		second = r.heap[2]
	}
	limit := r.inputs[second].key
	to := in.row + 1
	for to < len(in.piece.Times) {
		in.key = r.source.key(in.piece, to, in.key)
		if to == end || in.key > limit || in.key == limit && top > second {
			break
		}
		to++
	}
	return to
}

// advance moves an input behind the rows that were taken of its piece.
func (r *filesReader) advance(in *mergeInput, to, whole int) {
	in.row = to
	if to == whole {
		r.stream.pool.putBatch(in.piece)
		in.piece = nil
	}
	r.sink(0)
}

// before tells whether input i's next row comes before input j's.
func (r *filesReader) before(i, j int) bool {
	a, b := r.inputs[i].key, r.inputs[j].key
	return a < b || a == b && i < j
}

// orderHeap makes the heap one.
func (r *filesReader) orderHeap() {
	for at := len(r.heap)/2 - 1; at >= 0; at-- {
		r.sink(at)
	}
}

// sink moves the input at a place of the heap down to where it belongs.
func (r *filesReader) sink(at int) {
	for {
		least := at
		for child := 2*at + 1; child <= 2*at+2 && child < len(r.heap); child++ {
			if r.before(r.heap[child], r.heap[least]) {
				least = child
			}
		}
		if least == at {
			return
		}
		r.heap[at], r.heap[least] = r.heap[least], r.heap[at]
		at = least
	}
}

// finish makes err what every Read returns, and ends all goroutines.
func (r *filesReader) finish(err error) {
	if err == io.EOF && r.skip > 0 {
		err = fmt.Errorf("the input has %d records; it cannot be read on from record %d: it is not the input it was",
			r.position, r.position+r.skip)
	}
	r.err = err
	for i := range r.inputs {
		if s := r.inputs[i].stream; s != nil {
			s.close()
		}
	}
}

// Progress implements stream.Reader: bytes of the files as they lie on the disk.
// It may be called from any goroutine.
func (r *filesReader) Progress() int64 {
	n := int64(0)
	for i := range r.inputs {
		n += r.inputs[i].read.n.Load()
	}
	return n
}

// Close implements stream.Reader.
func (r *filesReader) Close() error {
	if !r.closed {
		r.closed = true
		if r.err == nil {
			r.finish(errStopped)
		}
	}
	return nil
}
