package statebackend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/hextide/hextide/stream"
)

func preparedPointer(p *stream.Pointer) string {
	return path.Join(preparedName, fmt.Sprintf("%d-%d.json", p.Epoch, p.Incarnation))
}

// Prepare makes a pointer durable that a transaction is to commit. To prepare it
// again changes nothing.
func (s *State) Prepare(ctx context.Context, p *stream.Pointer) error {
	content, err := seal(p)
	if err != nil {
		return err
	}
	if err := s.fenced(ctx); err != nil {
		return err
	}
	if err := s.create(ctx, preparedPointer(p), content); err != nil {
		return fmt.Errorf("preparing the pointer of epoch %d: %w", p.Epoch, err)
	}
	return nil
}

// prepared reads the pointers that are prepared, or what is wrong with them.
func (s *State) prepared(ctx context.Context) ([]read, error) {
	listed, err := s.store.List(ctx, preparedName)
	if err != nil {
		return nil, fmt.Errorf("listing the prepared pointers of %s: %w", s.store, err)
	}
	var all []read
	for _, l := range listed {
		content, err := s.store.Get(ctx, l.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is a pointer by now
		}
		r := read{name: l.Name}
		if err == nil {
			r.pointer, r.err = unseal(l.Name, content)
		} else {
			r.err = lost(err)
		}
		if r.err != nil && !errors.Is(r.err, ErrDamaged) {
			return nil, fmt.Errorf("reading the prepared pointer %s: %w", l.Name, r.err)
		}
		all = append(all, r)
	}
	return all, nil
}

// agree brings the pointers to what was committed: one that is prepared, and was, is
// made the newest.
func (s *State) agree(ctx context.Context, committed *stream.Committed) error {
	all, err := s.pointers(ctx)
	if err != nil {
		return err
	}
	var newest *stream.Pointer
	for _, r := range all {
		if r.err == nil {
			newest = r.pointer
		}
	}
	switch {
	case newest != nil && newest.Is(committed):
		return nil
	case committed.Epoch == 0 && (newest == nil || !newest.Transactional):
		return nil // the first transaction is yet to come
	}
	prepared, err := s.prepared(ctx)
	if err != nil {
		return err
	}
	for _, r := range prepared {
		if r.err != nil || !r.pointer.Is(committed) || newest != nil && newest.Epoch >= committed.Epoch {
			continue
		}
		content, err := s.store.Get(ctx, r.name)
		if err == nil {
			err = s.point(ctx, r.pointer, content)
		}
		if err != nil {
			return fmt.Errorf("writing the pointer of epoch %d, which is committed: %w", committed.Epoch, s.missing(ctx, lost(err)))
		}
		return nil
	}
	if err := s.fenced(ctx); err != nil {
		return err // whoever replaced this process has brought them on meanwhile
	}
	if newest == nil || newest.Epoch < committed.Epoch {
		if damaged, err := s.committedDamaged(ctx, committed); damaged || err != nil {
			return err // the run goes back behind it
		}
	}
	return s.disagree(newest, committed)
}

// committedDamaged tells whether the pointer that was committed is there, though
// damaged, or was set aside for what it names.
func (s *State) committedDamaged(ctx context.Context, committed *stream.Committed) (bool, error) {
	aside := pointerName(committed.Epoch) + damagedSuffix
	prepared := preparedPointer(&stream.Pointer{Epoch: committed.Epoch, Incarnation: committed.Incarnation})
	for _, name := range []string{pointerName(committed.Epoch), aside, prepared} {
		content, err := s.store.Get(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil && !errors.Is(lost(err), ErrDamaged) {
			return false, err
		}
		p, failed := unseal(name, content)
		if err == nil && !errors.Is(failed, ErrDamaged) && (failed != nil || !p.Is(committed)) {
			continue
		}
		if name == prepared { // where the next start looks too, should this one go no further
			return true, s.store.Put(ctx, aside, content)
		}
		return true, nil
	}
	return false, nil
}

func (s *State) disagree(newest *stream.Pointer, committed *stream.Committed) error {
	holds := "nothing"
	if newest != nil {
		holds = newest.Commits().String()
	}
	return fmt.Errorf("%w: the state %s holds %s; committed was %s", stream.ErrDisagree, s.store, holds, committed)
}

// void removes what older incarnations prepared and nobody committed.
func (s *State) void(ctx context.Context) error {
	prepared, err := s.prepared(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, r := range prepared {
		if r.err != nil || r.pointer.Incarnation < s.incarnation {
			names = append(names, r.name)
		}
	}
	return s.store.Delete(ctx, names...)
}

// unprepare removes what was prepared before a pointer that is committed.
func (s *State) unprepare(ctx context.Context, p *stream.Pointer) error {
	if !p.Transactional {
		return nil
	}
	prepared, err := s.prepared(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, r := range prepared {
		if r.err == nil && r.pointer.Incarnation <= p.Incarnation && r.pointer.Epoch <= p.Epoch {
			names = append(names, r.name)
		}
	}
	return s.store.Delete(ctx, names...)
}
