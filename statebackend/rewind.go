package statebackend

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/hextide/hextide/stream"
)

// From is what a run is told to go on from: one of the two, or neither, which is
// the newest epoch.
type From struct {
	Epoch     int64  `json:"epoch,omitempty"` // one that is retained, or that one savepoint holds
	Savepoint string `json:"savepoint,omitempty"`
}

func (f From) String() string {
	if f.Savepoint != "" {
		return fmt.Sprintf("savepoint %q", f.Savepoint)
	}
	return fmt.Sprintf("epoch %d", f.Epoch)
}

// ErrNoEpoch is returned for an epoch that is not kept.
var ErrNoEpoch = errors.New("no epoch")

// rewind is the record of a deliberate return to an older epoch. It is made before
// anything is changed, so that a start after a crash ends what was begun, and it
// stays: the number of those that gave a course of events up tells outputs apart.
type rewind struct {
	Number      int64   `json:"number"`
	From        From    `json:"from"`
	Incarnation int64   `json:"incarnation"` // of the process that went back
	Gives       []int64 `json:"gives_up"`    // epochs
	Pointer     []byte  `json:"pointer"`     // the epoch's, as it is kept
}

func rewindName(n int64) string { return path.Join(rewindsName, fmt.Sprintf("%06d.json", n)) }

// AsideName is the name of the savepoint in which an epoch is kept that the n-th
// rewind gave up.
func AsideName(epoch, n int64) string { return fmt.Sprintf(asidePrefix+"%d-epoch-%d", n, epoch) }

// Rewinds is how many courses of events were given up for an older epoch, of which
// the state is the present one. It is known once Start has returned and may be
// asked from any goroutine.
func (s *State) Rewinds() int64 { return s.rewinds.Load() }

// rewind makes the epoch that the options name the newest, and sets those aside,
// as savepoints, that are not before it. It does so once: a start that names the
// same epoch as the last one goes on with what has come of it since. It returns the
// last record, nil where the state never went back.
func (s *State) rewind(ctx context.Context) (*rewind, error) {
	last, err := s.lastRewind(ctx)
	if err == nil && last != nil {
		err = s.giveUp(ctx, last) // ends what a crash may have left
	}
	if err != nil || s.options.From == (From{}) {
		return last, err
	}
	from := s.options.From
	if last != nil && last.From == from {
		s.options.Logger.Info("the run has gone back there before, and goes on with what came of it", "state", s.store.String(), "from", from.String())
		return last, nil
	}
	next, err := s.newRewind(ctx, from, last)
	if err != nil {
		return nil, fmt.Errorf("going back to %s: %w", from, err)
	}
	s.count(next)
	said := []any{"state", s.store.String(), "to", from.String()}
	if len(next.Gives) > 0 {
		said = append(said, "gives_up", next.Gives, "kept_as", fmt.Sprintf("savepoints %s%d-epoch-...", asidePrefix, next.Number))
	}
	s.options.Logger.Warn("the run goes back", said...)
	return next, s.giveUp(ctx, next)
}

// newRewind makes the record of a return, if there is a whole epoch to return to.
func (s *State) newRewind(ctx context.Context, from From, last *rewind) (*rewind, error) {
	next := &rewind{Number: 1, From: from, Incarnation: s.incarnation}
	if last != nil {
		next.Number += last.Number
	}
	p, content, err := s.target(ctx, from)
	if err == nil {
		err = s.whole(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	next.Pointer = content
	given, err := s.given(ctx, next, p)
	if err != nil {
		return nil, err
	}
	for _, r := range given {
		next.Gives = append(next.Gives, r.epoch)
	}
	text, err := json.Marshal(next)
	if err == nil {
		err = s.create(ctx, rewindName(next.Number), fmt.Appendf(nil, "%s\n%s\n", checksum(text), text))
	}
	return next, err
}

// lastRewind reads the newest record, and counts those that gave a course up.
func (s *State) lastRewind(ctx context.Context) (*rewind, error) {
	listed, err := s.store.List(ctx, rewindsName)
	if err != nil {
		return nil, fmt.Errorf("listing the rewinds of %s: %w", s.store, err)
	}
	s.rewinds.Store(0)
	var last *rewind
	for _, l := range listed {
		content, err := s.store.Get(ctx, l.Name)
		if err != nil {
			return nil, fmt.Errorf("reading the rewind %s: %w", l.Name, lost(err))
		}
		sum, text, _ := bytes.Cut(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
		last = &rewind{}
		if string(sum) != checksum(text) || json.Unmarshal(text, last) != nil || rewindName(last.Number) != l.Name {
			return nil, fmt.Errorf("the rewind %s: %w; put it back from a backup, or go on from a copy ('hextide savepoint create' and 'hextide savepoint export'), which has none", l.Name, ErrDamaged)
		}
		s.count(last)
	}
	return last, nil
}

func (s *State) count(r *rewind) {
	if len(r.Gives) > 0 {
		s.rewinds.Add(1)
	}
}

// Find reads the pointer of an epoch that is retained, or that savepoints hold.
func (s *State) Find(ctx context.Context, epoch int64) (*stream.Pointer, error) {
	p, _, err := s.target(ctx, From{Epoch: epoch})
	return p, err
}

// target finds the pointer to go back to.
func (s *State) target(ctx context.Context, from From) (*stream.Pointer, []byte, error) {
	if from.Savepoint != "" {
		return s.savepoint(ctx, from.Savepoint)
	}
	epochs, err := s.Pointers(ctx)
	if err != nil {
		return nil, nil, err
	}
	if slices.Contains(epochs, from.Epoch) {
		p, err := s.Pointer(ctx, from.Epoch)
		if err != nil {
			return nil, nil, err
		}
		content, err := s.store.Get(ctx, pointerName(from.Epoch))
		return p, content, err
	}
	all, err := s.Savepoints(ctx)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	incarnations := map[int64]bool{}
	for _, p := range all {
		if p.Err == nil && p.Pointer.Epoch == from.Epoch && !incarnations[p.Pointer.Incarnation] {
			incarnations[p.Pointer.Incarnation] = true
			names = append(names, p.Name)
		}
	}
	switch len(names) {
	case 0:
		return nil, nil, fmt.Errorf("%s keeps %w %d; it keeps %v ('hextide checkpoint ls' lists them, and savepoints)", s.store, ErrNoEpoch, from.Epoch, epochs)
	case 1:
		return s.savepoint(ctx, names[0])
	}
	return nil, nil, fmt.Errorf("%s has savepoints of several epochs %d, %q: name one", s.store, from.Epoch, names)
}

// given are the retained epochs that are not what came before the one that is gone
// back to, the newest first: none, once an epoch has come of that.
func (s *State) given(ctx context.Context, r *rewind, p *stream.Pointer) ([]read, error) {
	all, err := s.pointers(ctx)
	if err != nil {
		return nil, err
	}
	var given []read
	for _, o := range all {
		if o.pointer != nil && o.pointer.Incarnation >= r.Incarnation {
			return nil, nil
		}
		same := o.pointer != nil && o.epoch == p.Epoch && o.pointer.Incarnation == p.Incarnation
		if !same && (o.epoch >= p.Epoch || o.pointer != nil && o.pointer.Incarnation > p.Incarnation) {
			given = append(given, o)
		}
	}
	slices.SortFunc(given, func(a, b read) int { return cmp.Compare(b.epoch, a.epoch) })
	return given, nil
}

// giveUp does what a record says. To do it again changes nothing.
func (s *State) giveUp(ctx context.Context, r *rewind) error {
	p, err := unseal(rewindName(r.Number), r.Pointer)
	if err != nil {
		return err
	}
	given, err := s.given(ctx, r, p)
	if err != nil {
		return err
	}
	for _, o := range given {
		if err := s.aside(ctx, o, r.Number); err != nil {
			return fmt.Errorf("setting epoch %d aside: %w", o.epoch, err)
		}
	}
	epochs, err := s.Pointers(ctx)
	if err != nil || len(epochs) > 0 && epochs[len(epochs)-1] >= p.Epoch {
		return err // it is there, or something has come of it
	}
	if err := s.create(ctx, pointerName(p.Epoch), r.Pointer); err != nil {
		return fmt.Errorf("going back to epoch %d: %w", p.Epoch, err)
	}
	return nil
}

// aside makes a savepoint of a retained epoch; of one that cannot be read only what
// is left of its pointer stays.
func (s *State) aside(ctx context.Context, o read, n int64) error {
	if o.pointer == nil {
		return s.setAside(ctx, o.epoch)
	}
	content, err := s.store.Get(ctx, pointerName(o.epoch))
	if err == nil {
		err = s.store.Put(ctx, savepointName(AsideName(o.epoch, n)), content)
	}
	if err == nil {
		err = s.store.Delete(ctx, pointerName(o.epoch))
	}
	return err
}
