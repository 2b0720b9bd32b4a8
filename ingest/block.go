package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/stream"
)

const (
	// blockSize is how much text is handed to a parser at once, bytes; more where
	// a record is longer.
	blockSize = 256 << 10
	// longest is how long a record is followed for its raw bytes, bytes. Text
	// without a line end for so long is no text of records.
	longest = 32 << 20
)

// block is a run of whole records of one file, and what they decode to.
type block struct {
	data     []byte
	unquoted bool            // data is known to have no quote
	pieces   []*stream.Batch // Raw of each is a *blockRaw
	refs     int             // pieces that are not handed back, and one of the stream while it takes pieces
	parsed   chan struct{}   // one token when pieces are there
	err      error           // what follows the block: nil, io.EOF, or why reading ended
	home     *pool
}

// drop gives up one reference.
func (b *block) drop() {
	b.refs--
	if b.refs == 0 {
		b.home.put(b)
	}
}

// pool keeps what a reader uses again. Its channels never block.
type pool struct {
	schema  *Schema
	blocks  chan *block
	batches chan *stream.Batch
}

func newPool(s *Schema, depth int) *pool {
	return &pool{schema: s, blocks: make(chan *block, depth), batches: make(chan *stream.Batch, 2*depth)}
}

// block is an empty block.
func (p *pool) block() *block {
	select {
	case b := <-p.blocks:
		b.data, b.unquoted, b.pieces, b.refs, b.err = b.data[:0], false, b.pieces[:0], 0, nil
		return b
	default:
		return &block{parsed: make(chan struct{}, 1), home: p}
	}
}

// put takes a block back, unless one long record made it big.
func (p *pool) put(b *block) {
	if cap(b.data) > 4*blockSize {
		return
	}
	select {
	case p.blocks <- b:
	default:
	}
}

// batch is an empty batch.
func (p *pool) batch() *stream.Batch {
	var b *stream.Batch
	select {
	case b = <-p.batches:
	default:
		b = &stream.Batch{}
	}
	p.schema.Reset(b)
	return b
}

// putBatch takes a batch back, and the block that it refers to.
func (p *pool) putBatch(b *stream.Batch) {
	release(b)
	select {
	case p.batches <- b:
	default:
	}
}

// cutter cuts a file's text into blocks of whole records.
type cutter struct {
	text    io.Reader
	path    string
	format  Format
	limit   int // the longest record that may be good, bytes
	size    int // of a block, bytes
	started bool
	columns []string // of a csv file: its header, once it was read; nil: there is none
	rest    []byte   // text behind the last block
	ended   error    // nil: there is more to read
}

// next fills a block with the next records and returns what follows it. An
// error other than io.EOF means that text behind the last whole record is lost.
func (c *cutter) next(to *block) error {
	data := append(to.data[:0], c.rest...)
	c.rest = c.rest[:0]
	want := c.size
	for {
		data = c.fill(data, want)
		final := c.ended == io.EOF
		if !c.started && (len(data) >= 3 || c.ended != nil) {
			data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
			c.started = true
		}
		if c.format == CSV && c.columns == nil {
			found, err := c.takeHeader(&data, final)
			if err != nil {
				to.data = data[:0]
				return err
			}
			if !found && c.ended == nil {
				want = 2*len(data) + c.size
				continue
			}
		}
		to.unquoted = bytes.IndexByte(data, '"') < 0
		cut := c.cut(data, final, to.unquoted)
		if cut == 0 && c.ended == nil {
			if len(data) > longest {
				to.data = data[:0]
				return fmt.Errorf("%s has no line end in %d bytes: it is no %s file", c.path, len(data), c.format)
			}
			want = min(2*len(data), longest+1)
			continue
		}
		if c.ended == nil {
			c.rest = append(c.rest, data[cut:]...)
		}
		to.data = data[:cut]
		return c.ended
	}
}

// fill reads on until data holds want bytes or reading ends.
func (c *cutter) fill(data []byte, want int) []byte {
	if cap(data) < want {
		data = append(make([]byte, 0, want+want/8), data...)
	}
	for len(data) < want && c.ended == nil {
		n, err := c.text.Read(data[len(data):want])
		data = data[:len(data)+n]
		c.ended = err
	}
	return data
}

// cut is the length of the whole records in data.
func (c *cutter) cut(data []byte, final, unquoted bool) int {
	if c.format == JSON || unquoted {
		if final {
			return len(data)
		}
		return bytes.LastIndexByte(data, '\n') + 1
	}
	at := 0
	for at < len(data) {
		f := csvFrame(data[at:], c.limit, final)
		if f.more {
			break
		}
		at += f.next
	}
	return at
}

// takeHeader takes the first record that is not blank off data.
func (c *cutter) takeHeader(data *[]byte, final bool) (bool, error) {
	for len(*data) > 0 {
		f := csvFrame(*data, c.limit, final)
		if f.more {
			if len(*data) > c.limit {
				return false, fmt.Errorf("%s has no header within its first %d bytes", c.path, c.limit)
			}
			return false, nil
		}
		record := (*data)[:f.end]
		*data = (*data)[f.next:]
		if len(record) == 0 {
			continue
		}
		names, err := csvHeader(record)
		if err != nil {
			return false, fmt.Errorf("%s: %w", c.path, err)
		}
		c.columns = names
		return true, nil
	}
	return false, nil
}

// parser decodes blocks into pieces of at most piece rows.
type parser struct {
	codec Codec
	csv   bool
	limit int
	piece int
	pool  *pool
	line  *canonical // not nil: Raw is each record as a canonical csv line
	plain *plainCSV  // what decodes most csv records; nil: the codec decodes all
}

// parse decodes a block.
func (p *parser) parse(b *block) {
	data := b.data
	for at := 0; at < len(data); {
		piece := p.pool.batch()
		at = p.fill(piece, b, at)
		if len(piece.Times) == 0 {
			if raw, ok := piece.Raw.(*blockRaw); ok {
				raw.block = nil
				b.refs-- // the block is still the stream's: it is not to be used again yet
			}
			p.pool.putBatch(piece)
			break
		}
		b.pieces = append(b.pieces, piece)
	}
	b.parsed <- struct{}{}
}

// fill decodes records of a block from a place on until a piece is full or the
// block at its end, and returns where it stopped.
func (p *parser) fill(piece *stream.Batch, b *block, at int) int {
	data := b.data
	keep := p.keeper(piece, b)
	// After misses in a row, so many records are decoded before another is tried
	// as a plain one: where none is, trying costs next to nothing.
	misses, wait, quote := 0, 0, -1
	if b.unquoted {
		quote = len(data)
	}
	for at < len(data) && len(piece.Times) < p.piece {
		if p.plain != nil && wait == 0 {
			from := at
			if quote < at {
				quote = nextQuote(data, at)
			}
			at = p.plain.decode(piece, &keep.raw.spans, data, quote, at, p.piece-len(piece.Times))
			if at > from {
				misses = 0
				continue
			}
			wait = misses + 1
			misses = min(2*misses+1, 63)
		}
		wait--
		f := p.frame(data[at:])
		record := data[at : at+f.end]
		if !p.blank(record) {
			p.codec.Append(piece, record)
			keep.add(record, at)
		}
		at += f.next
	}
	return at
}

// keeper is where the raw records of a piece go: into the block that they lie in
// already, or, as canonical lines, into text of the piece's own.
type keeper struct {
	raw  *blockRaw
	own  *column.Strings
	line *canonical
}

// keeper gives an empty piece of a block its Raw.
func (p *parser) keeper(piece *stream.Batch, b *block) keeper {
	if p.line != nil {
		ownRaw(piece)
		return keeper{own: piece.Raw.(*column.Strings), line: p.line}
	}
	raw, ok := piece.Raw.(*blockRaw)
	if !ok {
		raw = &blockRaw{}
		piece.Raw = raw
	}
	raw.block, raw.spans = b, raw.spans[:0]
	b.refs++
	return keeper{raw: raw}
}

// add keeps a record, which lies at a place of the block.
func (k keeper) add(record []byte, at int) {
	if k.own != nil {
		k.own.Append(k.line.of(record))
		return
	}
	k.raw.spans = append(k.raw.spans, span{uint32(at), uint32(at + len(record))})
}

// frame is the first record of data, which ends with a whole one.
func (p *parser) frame(data []byte) frame {
	if p.csv {
		return csvFrame(data, p.limit, true)
	}
	line := bytes.IndexByte(data, '\n')
	if line < 0 {
		return frame{end: withoutCR(data), next: len(data)}
	}
	return frame{end: withoutCR(data[:line]), next: line + 1}
}

// blank tells whether a line is no record.
func (p *parser) blank(record []byte) bool {
	return len(record) == 0 || !p.csv && skipSpace(record, 0) == len(record)
}

// fileStream reads one file on goroutines of its own: one inflates and cuts, the
// others parse, and blocks come out in the file's order.
type fileStream struct {
	text  *text
	queue chan *block // in order; parsed or about to be
	stop  chan struct{}
	done  sync.WaitGroup
	once  sync.Once
	block *block // the one that pieces are taken from
	taken int    // pieces of it that are taken
	err   error
}

// streamOptions are what a fileStream needs to know of its reader.
type streamOptions struct {
	schema  *Schema
	columns []string // csv: the file's header as it was found before
	limit   int
	size    int // of a block
	piece   int // rows of a piece
	depth   int // blocks in flight
	parsers int
	pool    *pool
	lines   bool // csv: Raw is canonical lines
}

// newParsers makes a stream's parsers.
func (o streamOptions) newParsers() ([]*parser, error) {
	var parsers []*parser
	for range o.parsers {
		codec, err := NewCodec(o.schema, o.columns, o.limit)
		if err != nil {
			return nil, err
		}
		p := &parser{codec: codec, csv: o.schema.Format == CSV, limit: o.limit, piece: o.piece, pool: o.pool}
		if c, ok := codec.(*csvCodec); ok && !o.lines {
			p.plain = newPlainCSV(c)
		}
		if o.lines {
			if p.line, err = newCanonical(o.schema, o.columns, o.limit); err != nil {
				return nil, err
			}
		}
		parsers = append(parsers, p)
	}
	return parsers, nil
}

// startStream opens a file and starts reading it.
func startStream(path string, read *counter, o streamOptions) (*fileStream, error) {
	parsers, err := o.newParsers()
	if err != nil {
		return nil, err
	}
	t, err := openText(path, read)
	if err != nil {
		return nil, err
	}
	s := &fileStream{text: t, queue: make(chan *block, o.depth), stop: make(chan struct{})}
	jobs := make(chan *block, o.depth)
	s.done.Go(func() {
		defer close(s.queue)
		defer close(jobs)
		c := &cutter{text: t, path: path, format: o.schema.Format, limit: o.limit, size: o.size}
		s.cut(c, o.pool, jobs)
	})
	for _, p := range parsers {
		s.done.Go(func() {
			for b := range jobs {
				p.parse(b)
			}
		})
	}
	return s, nil
}

// cut hands blocks to the parsers and to the queue until the text or the stream ends.
func (s *fileStream) cut(c *cutter, pool *pool, jobs chan<- *block) {
	for {
		b := pool.block()
		b.err = c.next(b)
		end := b.err != nil
		select {
		case jobs <- b:
		case <-s.stop:
			return
		}
		select {
		case s.queue <- b:
		case <-s.stop:
			return
		}
		if end {
			return
		}
	}
}

// errStopped says that a stream was closed while it was read.
var errStopped = errors.New("closed")

// next is the next piece, which the caller hands back to the pool; nil without
// an error where done was closed first.
func (s *fileStream) next(done <-chan struct{}) (*stream.Batch, error) {
	for {
		if s.block != nil && s.taken < len(s.block.pieces) {
			s.taken++
			return s.block.pieces[s.taken-1], nil
		}
		if s.block != nil {
			s.err = s.block.err
			s.block.drop()
			s.block = nil
		}
		if s.err != nil {
			return nil, s.err
		}
		select {
		case b, ok := <-s.queue:
			if !ok {
				s.err = errStopped
				return nil, s.err
			}
			<-b.parsed
			b.refs++
			s.block, s.taken = b, 0
		case <-done:
			return nil, nil
		}
	}
}

// close ends the stream's goroutines and closes its file. A second call does nothing.
func (s *fileStream) close() {
	s.once.Do(func() {
		close(s.stop)
		s.done.Wait()
		s.text.Close()
	})
}
