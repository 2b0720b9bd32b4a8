package statebackend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"sync/atomic"

	"github.com/hextide/hextide/stream"
	"github.com/zeebo/xxh3"
)

// Cached is a Store that keeps copies of its generations in a folder of this
// machine, and reads those rather than what is further away. What it keeps is made
// durable in the store first: the copies may be damaged or gone at any time, and
// no call fails because of them. Everything but generations passes through.
//
// A copy is taken for what it is by the checksum in its name, so a damaged one is
// never given out and never kept.
type Cached struct {
	Store
	local *Folder
	log   *slog.Logger
	usage localUsage
}

// localUsage counts what came of reads.
type localUsage struct{ hits, misses, damaged, failed, mended, bytes atomic.Int64 }

// LocalUsage is what the copies of a Cached store have come to.
type LocalUsage struct {
	Hits    int64 // generations that were read or checked here
	Misses  int64 // generations that came from the store
	Damaged int64 // copies that were not what was written
	Failed  int64 // copies that could not be written or removed
	Mended  int64 // objects that the store had lost, or a Mirrored one had damaged, and that were put back from their copies
	Bytes   int64 // of all copies, when garbage was last removed
}

// NewCached keeps copies in a folder that only this process uses. A nil logger is
// silent.
func NewCached(store Store, local *Folder, log *slog.Logger) *Cached {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Cached{Store: store, local: local, log: log}
}

// Usage may be called from any goroutine.
func (c *Cached) Usage() LocalUsage {
	u := &c.usage
	return LocalUsage{u.hits.Load(), u.misses.Load(), u.damaged.Load(), u.failed.Load(), u.mended.Load(), u.bytes.Load()}
}

// namedSum is the checksum that the name of a generation holds: the last part of
// <epoch>-<incarnation>-<checksum>.sst.
func namedSum(name string) (sum string, is bool) {
	stem, is := strings.CutSuffix(path.Base(name), ".sst")
	sum = stem[strings.LastIndex(stem, "-")+1:]
	return sum, is && strings.HasPrefix(name, objectsName+"/") && len(sum) == 32
}

// Get reads a generation from its copy, or from the store and keeps a copy.
func (c *Cached) Get(ctx context.Context, name string) ([]byte, error) {
	sum, is := namedSum(name)
	if !is {
		return c.Store.Get(ctx, name)
	}
	content, err := c.local.Get(ctx, name)
	if err == nil && checksum(content) != sum {
		err = ErrDamaged
	}
	if err == nil {
		c.usage.hits.Add(1)
		return content, nil
	}
	c.missed(name, err)
	return c.fetch(ctx, name, sum)
}

// missed says why a copy is not used, unless there is none.
func (c *Cached) missed(name string, err error) {
	c.usage.misses.Add(1)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	c.usage.damaged.Add(1)
	c.log.Error("the copy of a generation is damaged; it is replaced from the store",
		"copy", c.local.at(name), "store", c.Store.String(), "error", err)
}

// fetch reads a generation from the store and keeps a copy, if it is whole.
func (c *Cached) fetch(ctx context.Context, name, sum string) ([]byte, error) {
	content, err := c.Store.Get(ctx, name)
	if err == nil && checksum(content) == sum {
		c.keep(ctx, name, content)
	}
	return content, err
}

// keep writes a copy, and tells whether it could.
func (c *Cached) keep(ctx context.Context, name string, content []byte) bool {
	err := c.local.Put(ctx, name, content)
	if err != nil && ctx.Err() == nil {
		c.fails("there is no copy of a generation", err)
	}
	return err == nil
}

func (c *Cached) fails(what string, err error) {
	c.usage.failed.Add(1)
	c.log.Warn(what, "folder", c.local.String(), "error", err)
}

// Put makes an object durable in the store, and then keeps a copy of a generation.
func (c *Cached) Put(ctx context.Context, name string, content []byte) error {
	err := c.Store.Put(ctx, name, content)
	if sum, is := namedSum(name); err == nil && is && checksum(content) == sum {
		c.keep(ctx, name, content)
	}
	return err
}

// Delete removes objects and their copies.
func (c *Cached) Delete(ctx context.Context, names ...string) error {
	var copies []string
	for _, name := range names {
		if _, is := namedSum(name); is {
			copies = append(copies, name)
		}
	}
	if err := c.local.Delete(ctx, copies...); err != nil {
		c.fails("copies on this machine's disk cannot be removed", err)
	}
	return c.Store.Delete(ctx, names...)
}

// Check holds a copy against its checksum; where it does not match, the object in
// the store, of which it keeps a copy.
func (c *Cached) Check(ctx context.Context, object stream.Object) error {
	name := objectPath(object)
	err := c.local.Check(ctx, object)
	if err == nil {
		c.usage.hits.Add(1)
		return nil
	}
	c.missed(name, err)
	content, err := c.fetch(ctx, name, object.Checksum)
	if err != nil {
		return err
	}
	return verify(content, object)
}

// settler is a Store that keeps copies. It is told what the retained pointers name,
// and what there is.
type settler interface {
	settle(ctx context.Context, reached map[string]bool, listed []Listed)
}

// settle removes the copies that no retained pointer names. What one names and the
// store has lost is put there again, where the copy is whole: other epochs to come
// may build on it.
func (c *Cached) settle(ctx context.Context, reached map[string]bool, listed []Listed) {
	there := map[string]bool{}
	for _, l := range listed {
		there[l.Name] = true
	}
	copies, err := c.local.List(ctx, objectsName)
	if err != nil {
		c.fails("the copies on this machine's disk cannot be listed", err)
		return
	}
	var old []string
	bytes := int64(0)
	for _, l := range copies {
		if !reached[l.Name] {
			old = append(old, l.Name)
			continue
		}
		bytes += l.Size
		if !there[l.Name] {
			c.mend(ctx, l.Name)
		}
	}
	c.usage.bytes.Store(bytes)
	if err := c.local.Delete(ctx, old...); err != nil {
		c.fails("copies on this machine's disk cannot be removed", err)
	}
}

// mend puts a generation that the store has lost there again.
func (c *Cached) mend(ctx context.Context, name string) {
	said := "the store has lost a generation of a retained epoch; it is put there again from this machine's disk"
	content, err := c.local.Get(ctx, name)
	if sum, is := namedSum(name); err == nil && (!is || checksum(content) != sum) {
		err = ErrDamaged
	}
	if err == nil {
		err = c.Store.Put(ctx, name, content)
	}
	if err == nil {
		c.usage.mended.Add(1)
	} else {
		said = "the store has lost a generation of a retained epoch; it cannot be put there again from this machine's disk"
	}
	c.log.Error(said, "store", c.Store.String(), "object", name, "error", err)
}

// checker is a Store that can hold an object against its checksum and size without
// giving its content. What does not match, or is not there, is an error as of
// Store.Get or ErrDamaged.
type checker interface {
	Check(ctx context.Context, object stream.Object) error
}

var (
	_ checker = (*Folder)(nil)
	_ checker = (*Cached)(nil)
)

// Check reads a file in pieces.
func (f *Folder) Check(_ context.Context, object stream.Object) error {
	file, err := f.fs.Open(f.at(objectPath(object)))
	if err != nil {
		return err
	}
	hash := xxh3.New128()
	size, err := io.CopyBuffer(hash, struct{ io.Reader }{file}, make([]byte, writeSize))
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return verifySum(size, hash.Sum128(), object)
}

// check holds an object against its checksum, as load does.
func (s *State) check(ctx context.Context, object stream.Object) error {
	store, is := s.store.(checker)
	if !is {
		_, err := s.load(ctx, object)
		return err
	}
	if name := objectPath(object); !strings.HasPrefix(name, objectsName+"/") {
		return fmt.Errorf("%w: %q names no object", ErrDamaged, object.Name)
	}
	return lost(store.Check(ctx, object))
}
