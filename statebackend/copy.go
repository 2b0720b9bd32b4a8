package statebackend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/hextide/hextide/stream"
	"golang.org/x/sync/errgroup"
)

// ErrNotEmpty is returned by Export for a store that holds a state.
var ErrNotEmpty = errors.New("it holds a state already")

// ErrOthers is returned by Export for a folder that holds other files.
var ErrOthers = errors.New("it holds what is of no state: name a folder that is empty, or not there yet")

// Export copies an epoch that a savepoint keeps, with all that it names and the
// control log, into a store without a state, from which a run then goes on. The
// pointer comes last: an export that failed leaves no state, and may be tried
// again. Given another name the copy is another pipeline's: what the sinks knew of
// the original's outputs is left out, so that they begin with outputs of their own.
func (s *State) Export(ctx context.Context, savepoint string, to Store, as string) (*stream.Pointer, error) {
	p, content, err := s.savepoint(ctx, savepoint)
	if err != nil {
		return nil, err
	}
	if as != "" && as != p.Pipeline {
		if err = p.Rename(as); err == nil {
			content, err = seal(p)
		}
		if err != nil {
			return nil, err
		}
	}
	copied := Open(to, Options{})
	if err = copied.vacant(ctx); err == nil {
		err = copied.Claim()
	}
	if err != nil {
		return nil, fmt.Errorf("copying the savepoint %q to %s: %w", savepoint, to, err)
	}
	if err := s.exportTo(ctx, copied, p, content); err != nil {
		return nil, errors.Join(fmt.Errorf("copying the savepoint %q to %s: %w", savepoint, to, err), copied.Close())
	}
	return p, copied.Close()
}

func (s *State) exportTo(ctx context.Context, to *State, p *stream.Pointer, content []byte) error {
	if err := to.vacant(ctx); err != nil {
		return err
	}
	if err := s.copyObjects(ctx, to, p); err != nil {
		return err
	}
	log, err := s.ReadControl(ctx)
	if errors.Is(err, fs.ErrNotExist) && p.Control == 0 {
		err = nil // a run without one
	}
	if n := int64(len(log)); err == nil && n < p.Control {
		err = fmt.Errorf("it has lost entries: it has %d, epoch %d contains %d; put it back from a backup", n, p.Epoch, p.Control)
	}
	if err == nil {
		err = to.seedControl(ctx, log)
	}
	if err != nil {
		return fmt.Errorf("the control log: %w", err)
	}
	newest, _, err := s.incarnations(ctx) // older than a start's in the log, one would be void
	if err == nil {
		err = to.store.Put(ctx, incarnationName(max(newest, p.Incarnation)), fmt.Appendf(nil, "%s%s\n", copyOf, s.store))
	}
	if err == nil {
		err = to.store.Create(ctx, pointerName(p.Epoch), content)
	}
	return err
}

// copyOf begins what a copy says instead of a claim.
const copyOf = "a copy of "

// vacant refuses a store that holds a state, or that a process has claimed for one.
// What an export left that failed is in nobody's way.
func (s *State) vacant(ctx context.Context) error {
	epochs, err := s.Pointers(ctx)
	if err != nil {
		return err
	}
	_, claims, err := s.incarnations(ctx)
	for _, name := range claims {
		content, failed := s.store.Get(ctx, name)
		if err = errors.Join(err, failed); failed == nil && !strings.HasPrefix(string(content), copyOf) {
			return ErrNotEmpty
		}
	}
	if err == nil && len(epochs) > 0 {
		err = ErrNotEmpty
	}
	if folder, is := s.store.(*Folder); is && err == nil {
		err = folder.alone()
	}
	return err
}

// alone refuses a folder that holds anything but what an export makes: it is not clear
// whose the rest is.
func (f *Folder) alone() error {
	names, err := f.fs.List(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	slices.Sort(names)
	for _, name := range names {
		switch name {
		case lockName, tempName, objectsName, pointersName, incarnationsName, controlName, archiveName:
		default:
			return fmt.Errorf("%w: %s", ErrOthers, name)
		}
	}
	return err
}

// copyObjects copies what a pointer names, several objects at once.
func (s *State) copyObjects(ctx context.Context, to *State, p *stream.Pointer) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(verifiers)
	for _, object := range p.Objects() {
		group.Go(func() error {
			content, err := s.load(ctx, object)
			if err != nil {
				return fmt.Errorf("reading %s: %w", object.Name, err)
			}
			return to.store.Put(ctx, objectPath(object), content)
		})
	}
	return group.Wait()
}

// seedControl makes a control log of entries in a store without one.
func (s *State) seedControl(ctx context.Context, entries []stream.ControlEntry) error {
	if folder := s.folder(); folder != nil {
		text, err := linesOf(entries)
		if err != nil {
			return err
		}
		return writeAtomic(folder.fs, folder.dir, controlName, text)
	}
	var g segment
	for i, e := range entries {
		g = g.with(e)
		if i+1 < len(entries) && len(g.Entries) < segmentEntries {
			continue
		}
		content, err := g.encode()
		if err == nil {
			err = s.store.Put(ctx, segmentName(g.end()), content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
