package statebackend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/hextide/hextide/stream"
)

// Savepoint is an epoch that is kept under a name until it is removed.
type Savepoint struct {
	Name    string
	Pointer *stream.Pointer // nil where Err is not
	Err     error           // an ErrDamaged
}

var (
	// ErrNoSavepoint is returned where no savepoint has the name that is asked for.
	ErrNoSavepoint = errors.New("there is no such savepoint")
	// ErrTaken is returned by Save for the name of a savepoint of another epoch.
	ErrTaken = errors.New("the name is taken")
)

// ErrForgotten is returned by Save for an epoch that the process which uses the
// state forgot at the same time.
var ErrForgotten = errors.New("the epoch was just forgotten by the run that uses the state")

var savepointNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// SavepointName refuses what cannot be the name of a savepoint.
func SavepointName(name string) error {
	if !savepointNames.MatchString(name) {
		return fmt.Errorf("%q cannot name a savepoint: up to 100 letters, digits, '.', '_' and '-', a letter or digit first", name)
	}
	return nil
}

// asidePrefix begins the names of savepoints that a rewind makes.
const asidePrefix = "aside-"

func savepointName(name string) string { return path.Join(savepointsName, name+".json") }

// Savepoints reads all savepoints, ascending by name.
func (s *State) Savepoints(ctx context.Context) ([]Savepoint, error) {
	listed, err := s.store.List(ctx, savepointsName)
	if err != nil {
		return nil, fmt.Errorf("listing the savepoints of %s: %w", s.store, err)
	}
	var all []Savepoint
	for _, l := range listed {
		name := strings.TrimSuffix(path.Base(l.Name), ".json")
		if SavepointName(name) != nil || savepointName(name) != l.Name {
			continue
		}
		p, _, err := s.savepoint(ctx, name)
		if errors.Is(err, ErrNoSavepoint) {
			continue // removed meanwhile
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, err
		}
		all = append(all, Savepoint{name, p, err})
	}
	return all, nil
}

// savepoint reads one savepoint, or returns ErrNoSavepoint: what cannot be a name,
// such as one that leads elsewhere in the state, is none either.
func (s *State) savepoint(ctx context.Context, name string) (*stream.Pointer, []byte, error) {
	none := fmt.Errorf("%w in %s: %q ('hextide savepoint ls' lists them)", ErrNoSavepoint, s.store, name)
	if SavepointName(name) != nil {
		return nil, nil, none
	}
	content, err := s.store.Get(ctx, savepointName(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, none
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the savepoint %q: %w", name, lost(err))
	}
	p, err := unseal(savepointName(name), content)
	return p, content, err
}

// saved are the savepoints as what is kept.
func (s *State) saved(ctx context.Context) ([]read, error) {
	all, err := s.Savepoints(ctx)
	var kept []read
	for _, p := range all {
		r := read{err: p.Err}
		if p.Pointer != nil {
			r.epoch, r.pointer = p.Pointer.Epoch, p.Pointer
		}
		kept = append(kept, r)
	}
	return kept, err
}

// Save makes a savepoint of an epoch whose pointer is kept. Another process may be
// using the state and forget that epoch at the same time: the savepoint then is
// not made, which is ErrForgotten. What it names is whole otherwise, since whoever
// removes garbage looks for savepoints after it has forgotten pointers. One of which an
// object is gone already is ErrDamaged.
func (s *State) Save(ctx context.Context, name string, epoch int64) error {
	if err := SavepointName(name); err != nil {
		return err
	}
	if strings.HasPrefix(name, asidePrefix) {
		return fmt.Errorf("%w: %s... are savepoints that going back makes", ErrTaken, asidePrefix)
	}
	content, err := s.store.Get(ctx, pointerName(epoch))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("epoch %d: %w", epoch, ErrForgotten)
	}
	var p *stream.Pointer
	if err == nil {
		p, err = unseal(pointerName(epoch), content)
	}
	if err != nil {
		return fmt.Errorf("reading the pointer of epoch %d: %w", epoch, lost(err))
	}
	if err := s.complete(ctx, p); err != nil {
		if _, gone := s.store.Get(ctx, pointerName(epoch)); errors.Is(gone, fs.ErrNotExist) {
			err = fmt.Errorf("epoch %d: %w", epoch, ErrForgotten)
		}
		return err
	}
	err = s.create(ctx, savepointName(name), content)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: there is a savepoint %q of another epoch; give this one another name, or 'hextide savepoint rm' that one", ErrTaken, name)
	}
	if err != nil {
		return fmt.Errorf("making the savepoint %q: %w", name, err)
	}
	_, err = s.store.Get(ctx, pointerName(epoch))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("epoch %d: %w", epoch, ErrForgotten)
	}
	if err != nil {
		return errors.Join(err, s.store.Delete(ctx, savepointName(name)))
	}
	return nil
}

// complete is ErrDamaged for an epoch of which an object is gone or has another size.
// What they hold is not read.
func (s *State) complete(ctx context.Context, p *stream.Pointer) error {
	listed, err := s.store.List(ctx, objectsName)
	if err != nil {
		return fmt.Errorf("looking for the objects of epoch %d: %w", p.Epoch, err)
	}
	sizes := map[string]int64{}
	for _, l := range listed {
		sizes[l.Name] = l.Size
	}
	for _, object := range p.Objects() {
		size, is := sizes[objectPath(object)]
		if !is || size != object.Size {
			return fmt.Errorf("%w: epoch %d lacks %s, or it has another size; a run that is started finds which epochs are whole", ErrDamaged, p.Epoch, object.Name)
		}
	}
	return nil
}

// RemoveSavepoint forgets a savepoint. What it alone names is removed with the
// garbage.
func (s *State) RemoveSavepoint(ctx context.Context, name string) error {
	if _, _, err := s.savepoint(ctx, name); err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	return s.store.Delete(ctx, savepointName(name))
}

// NewestPointer reads the newest pointer that can be read; nil where there is none.
// What it names is not looked at.
func (s *State) NewestPointer(ctx context.Context) (*stream.Pointer, error) {
	all, err := s.pointers(ctx)
	for _, r := range slices.Backward(all) {
		if r.err == nil {
			return r.pointer, err
		}
	}
	return nil, err
}
