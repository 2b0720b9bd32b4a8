package materialize

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
	"golang.org/x/sync/errgroup"
)

// batch is final rows of one hour that become one file.
type batch struct {
	path   string         // relative to the snapshot; empty: the rows are hashed alone
	blocks []*stream.Rows // each owned once; any order
	rows   int            // in blocks
	info   Part           // once written
	out    *os.File       // once written, until it is durable; nil where it is already
}

func (b *batch) release() {
	for _, r := range b.blocks {
		r.Release()
	}
	b.blocks = nil
}

// abandon gives up a file that no checkpoint lists: whatever it holds does not count.
func (b *batch) abandon() {
	if b.out != nil {
		_ = b.out.Close()
		b.out = nil
	}
}

// crew orders, hashes, encodes and writes batches, as many at a time as there
// are cores; who hands over more waits, so that memory stays bounded.
type crew struct {
	dir  string
	plan *pipeline.Plan
	idle chan *encoder
	work sync.WaitGroup

	mu   sync.Mutex
	hash *stream.ContentHash
	rows int64
	open int   // files that are written and not yet durable
	err  error // the first
}

// maxOpen is how many written files stay open for the checkpoint to make them
// durable together, which costs a disk less than one at a time. Far below what
// a process may have open.
const maxOpen = 256

// syncers is how many files are made durable at a time: they wait for one disk.
const syncers = 16

func newCrew(dir string, l *layout, plan *pipeline.Plan) (*crew, error) {
	c := &crew{dir: dir, plan: plan, hash: stream.NewContentHash(plan), idle: make(chan *encoder, runtime.GOMAXPROCS(0))}
	for range cap(c.idle) {
		e, err := newEncoder(l)
		if err != nil {
			return nil, err
		}
		c.idle <- e
	}
	return c, nil
}

// hand gives a batch to the next idle encoder. Its outcome is there after wait.
func (c *crew) hand(b *batch) {
	e := <-c.idle
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		if err := c.do(e, b); err != nil {
			c.mu.Lock()
			if c.err == nil {
				c.err = err
			}
			c.mu.Unlock()
		}
		c.idle <- e
	}()
}

// failed returns the first error so far.
func (c *crew) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// wait returns when all batches are written, with the first error.
func (c *crew) wait() error {
	c.work.Wait()
	return c.failed()
}

func (c *crew) do(e *encoder, b *batch) error {
	b.blocks = byEndAndCell(b.blocks)
	defer b.release()
	rows, hash := int64(0), stream.NewContentHash(c.plan)
	for _, r := range b.blocks {
		hash.Add(r)
		rows += int64(len(r.Cells))
	}
	if b.path != "" {
		if err := c.write(e, b); err != nil {
			return fmt.Errorf("writing %s: %w", filepath.Join(c.dir, b.path), err)
		}
		b.info.Rows = rows
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows += rows
	c.hash.Merge(hash)
	return nil
}

// write makes a batch's file. Its folder is made where it is missing.
func (c *crew) write(e *encoder, b *batch) error {
	content, err := e.encode(b.blocks)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	b.info = Part{Path: filepath.ToSlash(b.path), Bytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	b.info.First, b.info.Last = b.blocks[0].WindowEnd, b.blocks[len(b.blocks)-1].WindowEnd
	full := filepath.Join(c.dir, b.path)
	if err := makeFolder(filepath.Dir(full)); err != nil {
		return err
	}
	out, err := os.Create(full)
	if err != nil {
		return err
	}
	if _, err := out.Write(content); err != nil {
		return errors.Join(err, out.Close())
	}
	writeBack(out)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open < maxOpen {
		c.open++
		b.out = out
		return nil
	}
	c.mu.Unlock()
	err = errors.Join(out.Sync(), out.Close())
	c.mu.Lock()
	return err
}

// makeFolder makes a folder where it is missing, which is taken for the rule, as most
// hours are one file.
func makeFolder(path string) error {
	err := os.Mkdir(path, 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if errors.Is(err, os.ErrNotExist) { // nor is the one above it there
		return os.MkdirAll(path, 0o755)
	}
	return err
}

// sync makes files that were written, and the entries of their folders, durable.
func (c *crew) sync(done []*batch) error {
	folders := map[string]bool{}
	var files errgroup.Group
	files.SetLimit(syncers)
	for _, b := range done {
		for folder := b.path; folder != "."; {
			folder = filepath.Dir(folder)
			folders[folder] = true
		}
		if out := b.out; out != nil {
			b.out = nil
			c.open--
			files.Go(func() error { return errors.Join(out.Sync(), out.Close()) })
		}
	}
	for folder := range folders {
		files.Go(func() error { return syncDir(filepath.Join(c.dir, folder)) })
	}
	return files.Wait()
}

// byEndAndCell orders blocks by window end and cell, and puts those that
// interleave together, each row once in its last revision.
func byEndAndCell(blocks []*stream.Rows) []*stream.Rows {
	slices.SortStableFunc(blocks, func(a, b *stream.Rows) int { return cmp.Compare(a.WindowEnd, b.WindowEnd) })
	ordered := make([]*stream.Rows, 0, len(blocks))
	for len(blocks) > 0 {
		n := 1
		for n < len(blocks) && blocks[n].WindowEnd == blocks[0].WindowEnd {
			n++
		}
		ordered = append(ordered, byCell(blocks[:n])...)
		blocks = blocks[n:]
	}
	return ordered
}
