package statebackend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/hextide/hextide/stream"
	"golang.org/x/sync/errgroup"
)

// PointerVersion is the version of the pointer format that this code writes.
const PointerVersion = 3

// oldestPointer is the oldest version that is read: in it every generation is a
// base.
const oldestPointer = 2

// sealed is the object of a pointer: the pointer, and the XXH3-128 of its text, hex.
type sealed struct {
	Checksum string          `json:"checksum"`
	Pointer  json.RawMessage `json:"pointer"`
}

func pointerName(epoch int64) string {
	return path.Join(pointersName, strconv.FormatInt(epoch, 10)+".json")
}

// Commit creates the pointer and then drops what only forgotten pointers reach. It
// never replaces a pointer: of two processes that believe to own the state, one at
// most commits an epoch. One that is not of the newest incarnation gets
// stream.ErrFenced.
func (s *State) Commit(ctx context.Context, p *stream.Pointer) error {
	content, err := seal(p)
	if err != nil {
		return err
	}
	if err := s.fenced(ctx); err != nil {
		return err
	}
	if err := s.point(ctx, p, content); err != nil {
		return fmt.Errorf("writing the pointer of epoch %d: %w", p.Epoch, err)
	}
	// The epoch is committed; what cannot be deleted now is found again next time.
	if s.unprepare(ctx, p) == nil {
		_ = s.collect(ctx)
	}
	return nil
}

// seal encodes a pointer and sets its checksum. It is the same at each call.
func seal(p *stream.Pointer) ([]byte, error) {
	p.Version = PointerVersion
	text, err := json.Marshal(p)
	if err == nil {
		p.Checksum = checksum(text)
		text, err = json.Marshal(sealed{Checksum: p.Checksum, Pointer: text})
	}
	if err != nil {
		return nil, fmt.Errorf("encoding the pointer of epoch %d: %w", p.Epoch, err)
	}
	return append(text, '\n'), nil
}

// point writes a pointer. Where an older incarnation's is there, which was on its
// way when this one took over, it is replaced: nobody goes on from it.
func (s *State) point(ctx context.Context, p *stream.Pointer, content []byte) error {
	name := pointerName(p.Epoch)
	err := s.create(ctx, name, content)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	there, err := s.Pointer(ctx, p.Epoch)
	if err == nil && there.Incarnation >= p.Incarnation {
		return fmt.Errorf("%w: it is there already, of incarnation %d", stream.ErrFenced, there.Incarnation)
	}
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	if err := s.fenced(ctx); err != nil {
		return err
	}
	return s.store.Put(ctx, name, content)
}

// Pointers lists the epochs whose pointers are kept, ascending.
func (s *State) Pointers(ctx context.Context) ([]int64, error) {
	listed, err := s.store.List(ctx, pointersName)
	if err != nil {
		return nil, fmt.Errorf("listing the pointers of %s: %w", s.store, err)
	}
	var epochs []int64
	for _, l := range listed {
		if text, is := strings.CutSuffix(path.Base(l.Name), ".json"); is {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil && pointerName(n) == l.Name {
				epochs = append(epochs, n)
			}
		}
	}
	slices.Sort(epochs)
	return epochs, nil
}

// Pointer reads the pointer of one epoch and holds it against its checksum.
func (s *State) Pointer(ctx context.Context, epoch int64) (*stream.Pointer, error) {
	name := pointerName(epoch)
	content, err := s.store.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("reading the pointer of epoch %d: %w", epoch, lost(err))
	}
	p, err := unseal(name, content)
	if err == nil && p.Epoch != epoch {
		return nil, fmt.Errorf("the pointer %s: %w: it is that of epoch %d", name, ErrDamaged, p.Epoch)
	}
	return p, err
}

// unseal decodes a pointer and holds it against its checksum.
func unseal(name string, content []byte) (*stream.Pointer, error) {
	var seal sealed
	p := &stream.Pointer{}
	if err := json.Unmarshal(content, &seal); err != nil {
		return nil, fmt.Errorf("the pointer %s: %w: %w", name, ErrDamaged, err)
	}
	if sum := checksum(seal.Pointer); sum != seal.Checksum {
		return nil, fmt.Errorf("the pointer %s: %w: its checksum is %s, written was %q", name, ErrDamaged, sum, seal.Checksum)
	}
	var format struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(seal.Pointer, &format); err != nil {
		return nil, fmt.Errorf("the pointer %s: %w: %w", name, ErrDamaged, err)
	}
	if format.Version < oldestPointer || format.Version > PointerVersion { // before the rest, which may be of other types there
		return nil, fmt.Errorf("the pointer %s has version %d; this program reads versions %d to %d: use the program that wrote it, or a newer one",
			name, format.Version, oldestPointer, PointerVersion)
	}
	if err := json.Unmarshal(seal.Pointer, p); err != nil {
		return nil, fmt.Errorf("the pointer %s: %w: %w", name, ErrDamaged, err)
	}
	p.Checksum = seal.Checksum
	return p, nil
}

// read is a pointer that is kept or prepared, or what is wrong with it or its epoch.
type read struct {
	name    string // of one that is prepared
	epoch   int64
	pointer *stream.Pointer
	err     error // an ErrDamaged
}

// pointers reads all that are kept, ascending. One of an older incarnation than an
// earlier epoch's is void: the process that wrote it had been replaced, and what
// is before it is not what it goes on from.
func (s *State) pointers(ctx context.Context) ([]read, error) {
	epochs, err := s.Pointers(ctx)
	if err != nil {
		return nil, err
	}
	var all []read
	newest := int64(0)
	for _, epoch := range epochs {
		p, err := s.Pointer(ctx, epoch)
		switch {
		case err != nil && !errors.Is(err, ErrDamaged):
			return nil, err
		case err == nil && p.Incarnation < newest:
			err = fmt.Errorf("epoch %d: %w: incarnation %d committed it when incarnation %d had taken the state over", epoch, ErrDamaged, p.Incarnation, newest)
		case err == nil:
			newest = p.Incarnation
		}
		all = append(all, read{epoch: epoch, pointer: p, err: err})
	}
	return all, nil
}

// verifiers is how many objects are read at once to hold them against their checksums.
const verifiers = 8

// whole holds all that a pointer names against its checksums.
func (s *State) whole(ctx context.Context, p *stream.Pointer) error {
	if s.control != nil && !s.control.has(p) {
		return fmt.Errorf("epoch %d: %w: it was given up, and the control log no longer holds what came after it", p.Epoch, ErrDamaged)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(verifiers)
	for _, owner := range slices.Sorted(maps.Keys(p.Generations)) {
		group.Go(func() error {
			for _, object := range p.Generations[owner] {
				if err := s.check(ctx, object); err != nil {
					return fmt.Errorf("the state of %s in epoch %d, %s: %w", owner, p.Epoch, object.Name, err)
				}
			}
			return context.Cause(ctx)
		})
	}
	return group.Wait()
}

// newest finds the newest epoch that is whole (nil: there is none), and what is
// wrong with those after it, the newest first.
func (s *State) newest(ctx context.Context) (*stream.Pointer, []read, error) {
	all, err := s.pointers(ctx)
	if err != nil {
		return nil, nil, err
	}
	var after []read
	for _, r := range slices.Backward(all) {
		if r.err == nil {
			r.err = s.whole(ctx, r.pointer)
		}
		if r.err == nil {
			return r.pointer, after, nil
		}
		if !errors.Is(r.err, ErrDamaged) {
			return nil, nil, r.err
		}
		after = append(after, r)
	}
	return nil, after, nil
}

// goOn finds the epoch that a run goes on from: the newest that is whole. The
// pointers of damaged ones after it are set aside, as <epoch>.json.damaged, before
// anything comes of the older one: what follows on it is another course of events,
// in which they must not take part again.
func (s *State) goOn(ctx context.Context) (*stream.Pointer, error) {
	p, after, err := s.newest(ctx)
	if err != nil || len(after) == 0 {
		return p, err
	}
	if err := s.fenced(ctx); err != nil {
		return nil, err // whoever replaced this process has deleted what it misses
	}
	if p == nil {
		var all []error
		for _, r := range after {
			all = append(all, r.err)
		}
		return nil, fmt.Errorf("%w: %s; nothing in it was changed:\n%w\n%s", ErrNoneWhole, s.store, errors.Join(all...), s.waysOut(ctx))
	}
	for _, r := range after {
		s.options.Logger.Error("an epoch of the state is damaged; the run goes back to the one before it that is whole",
			"state", s.store.String(), "damaged", r.epoch, "goes_back_to", p.Epoch, "taken", p.Taken, "error", r.err)
		if err := s.setAside(ctx, r.epoch); err != nil {
			return nil, fmt.Errorf("setting the damaged epoch %d aside: %w", r.epoch, err)
		}
	}
	s.damaged.Store(int64(len(after)))
	return p, nil
}

// damagedSuffix ends the name of a pointer that is set aside.
const damagedSuffix = ".damaged"

// waysOut says what helps where no epoch is whole.
func (s *State) waysOut(ctx context.Context) string {
	var whole []string
	saved, err := s.Savepoints(ctx)
	for _, p := range saved {
		if p.Err == nil && s.whole(ctx, p.Pointer) == nil {
			whole = append(whole, p.Name)
		}
	}
	ways := "Epochs share objects, so one that is damaged can damage all. What helps: "
	switch {
	case err != nil:
		ways += fmt.Sprintf("a savepoint, with --from-savepoint (they cannot be listed now: %v); ", err)
	case len(whole) > 0:
		ways += fmt.Sprintf("a savepoint that is whole, with --from-savepoint: %s; ", strings.Join(whole, ", "))
	}
	return ways + "the named objects, put back from a backup; or to begin anew, with an empty --state. With --local, second copies are kept from then on."
}

// setAside gives a pointer another name, with what can still be read of it.
func (s *State) setAside(ctx context.Context, epoch int64) error {
	name := pointerName(epoch)
	content, err := s.store.Get(ctx, name)
	if err != nil && !errors.Is(lost(err), ErrDamaged) {
		return err
	}
	if err := s.store.Put(ctx, name+damagedSuffix, content); err != nil {
		return err
	}
	return s.store.Delete(ctx, name)
}

// Damaged is the number of epochs that were damaged when GoOn looked for the
// newest. It may be called from any goroutine.
func (s *State) Damaged() int64 { return s.damaged.Load() }

// Remove forgets an epoch's pointer and deletes the objects that no other reaches.
// The newest epoch that is whole cannot be removed.
func (s *State) Remove(ctx context.Context, epoch int64) error {
	all, err := s.pointers(ctx)
	if err != nil {
		return err
	}
	var epochs []int64
	var forgotten, kept []read
	for _, r := range all {
		epochs = append(epochs, r.epoch)
		if r.epoch == epoch {
			forgotten = append(forgotten, r)
		} else {
			kept = append(kept, r)
		}
	}
	if len(forgotten) == 0 {
		return fmt.Errorf("%s keeps no epoch %d; it keeps %v, and what savepoints hold ('hextide savepoint rm')", s.store, epoch, epochs)
	}
	p, _, err := s.newest(ctx)
	if err != nil {
		return err
	}
	if p != nil && p.Epoch == epoch {
		return fmt.Errorf("epoch %d is the newest: removing it would lose what it covers", epoch)
	}
	if err := s.forget(ctx, forgotten, kept); err != nil {
		return fmt.Errorf("removing epoch %d: %w", epoch, err)
	}
	return nil
}
