package statebackend

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"time"
)

// collect forgets all but the retained pointers, deletes the objects that no
// retained pointer names, and archives the entries of the control log that all of
// them contain. Only the owner of the state calls it, and never while objects of
// an epoch to come are being written.
func (s *State) collect(ctx context.Context) error {
	all, err := s.pointers(ctx)
	if err != nil {
		return err
	}
	n := max(0, len(all)-s.options.Retain)
	return s.forget(ctx, all[:n], all[n:])
}

// forget removes pointers, and then the objects that none of those kept names. What
// a forgotten pointer named was part of an epoch and goes at once. What none ever
// named may be part of one that another process is just committing: it goes when
// it is older than the grace; never where that process is a successor of this one,
// which may not know of it yet, and whose clock may be another.
func (s *State) forget(ctx context.Context, forgotten, kept []read) error {
	var names []string
	dropped := map[string]bool{}
	for _, r := range forgotten {
		names = append(names, pointerName(r.epoch))
		r.objects(dropped)
	}
	if err := s.store.Delete(ctx, names...); err != nil {
		return err
	}
	saved, err := s.saved(ctx) // after the pointers have gone: a savepoint is made of one that is there
	if err != nil {
		return err
	}
	for _, r := range saved {
		if r.err != nil { // it will not be forgotten by itself
			s.options.Logger.Error("nothing of the state is deleted while a savepoint cannot be read: 'hextide savepoint rm' removes it", "state", s.store.String(), "error", r.err)
		}
	}
	kept = slices.Concat(saved, kept)
	reached, listed, err := s.reach(ctx, kept)
	if errors.Is(err, ErrDamaged) {
		return nil // it may name anything: nothing is deleted while it is retained
	}
	if err != nil {
		return err
	}
	if copied, is := s.store.(settler); is {
		copied.settle(ctx, reached, listed)
	}
	if s.control != nil && len(kept) > 0 {
		contained := int64(math.MaxInt64)
		for _, r := range kept {
			contained = min(contained, r.pointer.Control)
		}
		if err := s.control.archive(contained); err != nil {
			return err
		}
	}
	return s.remove(ctx, slices.DeleteFunc(listed, func(l Listed) bool {
		return reached[l.Name] || s.ofSuccessor(l.Name) || s.options.Grace > 0 && !dropped[l.Name] && time.Since(l.Modified) < s.options.Grace
	}))
}

// ofSuccessor tells whether a process wrote an object that has replaced this one.
func (s *State) ofSuccessor(name string) bool {
	var epoch, incarnation int64
	_, err := fmt.Sscanf(path.Base(name), "%d-%d-", &epoch, &incarnation)
	return err == nil && s.incarnation > 0 && incarnation > s.incarnation
}

// objects adds the names of the objects that a pointer names.
func (r *read) objects(to map[string]bool) {
	if r.pointer == nil {
		return
	}
	for _, object := range r.pointer.Objects() {
		to[objectPath(object)] = true
	}
}

// reach names the objects that pointers name, and prepared ones, and lists all that
// are there. It is ErrDamaged where a pointer is: that may name anything.
func (s *State) reach(ctx context.Context, pointers []read) (reached map[string]bool, listed []Listed, err error) {
	prepared, err := s.prepared(ctx)
	if err != nil {
		return nil, nil, err
	}
	reached = map[string]bool{}
	for _, r := range append(prepared, pointers...) {
		if r.err != nil {
			return nil, nil, r.err
		}
		r.objects(reached)
	}
	listed, err = s.store.List(ctx, objectsName)
	return reached, listed, err
}

func (s *State) remove(ctx context.Context, garbage []Listed) error {
	var names []string
	for _, l := range garbage {
		names = append(names, l.Name)
	}
	return s.store.Delete(ctx, names...)
}

// Garbage lists what no retained pointer names, and changes nothing. In a state
// that a process is using, the objects of an epoch to come are among it. It is
// ErrDamaged where a retained pointer is: that may name anything.
func (s *State) Garbage(ctx context.Context) ([]Listed, error) {
	all, err := s.pointers(ctx)
	if err != nil {
		return nil, err
	}
	saved, err := s.saved(ctx)
	if err != nil {
		return nil, err
	}
	reached, listed, err := s.reach(ctx, slices.Concat(saved, all))
	return slices.DeleteFunc(listed, func(l Listed) bool { return reached[l.Name] }), err
}

// RemoveGarbage deletes what no retained pointer names and was written before a
// time, and returns it. What is claimed by one process at a time must be claimed,
// and no epoch begun before that time still being written.
func (s *State) RemoveGarbage(ctx context.Context, before time.Time) ([]Listed, error) {
	garbage, err := s.Garbage(ctx)
	if err != nil {
		return nil, err
	}
	garbage = slices.DeleteFunc(garbage, func(l Listed) bool { return !l.Modified.Before(before) })
	return garbage, s.remove(ctx, garbage)
}
