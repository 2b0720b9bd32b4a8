package statebackend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/hextide/hextide/stream"
)

// Mirrored is a Folder that keeps second copies of its generations in another one,
// best on another disk: epochs share what they consist of, so that one bit can
// damage all of them. What is damaged or gone in the one folder is read from the
// other and put back, and said loudly; a copy that cannot be written is counted,
// and no call fails because of it. Everything but generations passes through.
type Mirrored struct {
	*Cached
	first *Folder
}

var (
	_ checker   = (*Mirrored)(nil)
	_ exclusive = (*Mirrored)(nil)
)

// NewMirrored keeps copies in a folder that only this process uses. A nil logger
// is silent.
func NewMirrored(first, second *Folder, log *slog.Logger) *Mirrored {
	return &Mirrored{Cached: NewCached(first, second, log), first: first}
}

// Lock holds the first folder.
func (m *Mirrored) Lock() (Lock, error) { return m.first.Lock() }

// Get reads a generation, or where it is not what was written, its copy, and puts
// it back.
func (m *Mirrored) Get(ctx context.Context, name string) ([]byte, error) {
	content, err := m.first.Get(ctx, name)
	sum, is := namedSum(name)
	if !is || err == nil && checksum(content) == sum {
		return content, err
	}
	copied, failed := m.local.Get(ctx, name)
	if failed != nil || checksum(copied) != sum {
		return content, err // whoever reads it finds out
	}
	m.putBack(ctx, name, copied, err)
	return copied, nil
}

// putBack writes an object from its copy.
func (m *Mirrored) putBack(ctx context.Context, name string, content []byte, was error) {
	if was == nil {
		was = ErrDamaged
	}
	said := "an object of the state is damaged: it is read from its second copy and put back; look at the disk"
	err := m.first.Put(ctx, name, content)
	if err == nil {
		m.usage.mended.Add(1)
	} else {
		said = "an object of the state is damaged: it is read from its second copy and cannot be put back; look at the disk"
	}
	m.log.Error(said, "object", m.first.at(name), "copy", m.local.at(name), "damage", was, "error", err)
}

// Check holds an object and its copy against the checksum. What is not as it was
// written is written again from the other.
func (m *Mirrored) Check(ctx context.Context, object stream.Object) error {
	name := objectPath(object)
	err, copied := m.first.Check(ctx, object), m.local.Check(ctx, object)
	switch {
	case err == nil && copied == nil:
		m.usage.hits.Add(1)
		return nil
	case err == nil:
		m.missed(name, copied)
		if content, err := m.first.Get(ctx, name); err == nil && verify(content, object) == nil {
			m.keep(ctx, name, content)
		}
		return nil
	case copied == nil:
		content, failed := m.local.Get(ctx, name)
		if failed == nil {
			failed = verify(content, object)
		}
		if failed != nil {
			return errors.Join(err, failed)
		}
		m.putBack(ctx, name, content, err)
		return nil
	}
	if errors.Is(copied, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w; its copy: %w", err, copied)
}

// settle does as Cached does, and keeps copies of what has none: of the time before
// there were any, or of a disk that was full.
func (m *Mirrored) settle(ctx context.Context, reached map[string]bool, listed []Listed) {
	m.Cached.settle(ctx, reached, listed)
	copies, err := m.local.List(ctx, objectsName)
	if err != nil {
		return // said already
	}
	copied := map[string]bool{}
	for _, l := range copies {
		copied[l.Name] = true
	}
	for _, l := range listed {
		if !reached[l.Name] || copied[l.Name] {
			continue
		}
		content, err := m.first.Get(ctx, l.Name)
		if sum, is := namedSum(l.Name); err == nil && is && checksum(content) == sum && !m.keep(ctx, l.Name, content) {
			return // the next will fare no better
		}
	}
}
