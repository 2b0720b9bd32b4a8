package statebackend

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hextide/hextide/stream"
	"github.com/zeebo/xxh3"
)

// PointerVersion is the version of the pointer format that this code writes.
const PointerVersion = 2

// sealed is the file of a pointer: the pointer, and the XXH3-128 of its text, hex.
type sealed struct {
	Checksum string          `json:"checksum"`
	Pointer  json.RawMessage `json:"pointer"`
}

func pointerName(epoch int64) string { return strconv.FormatInt(epoch, 10) + ".json" }

// Commit writes the pointer and then drops what only forgotten pointers reach.
func (f *Folder) Commit(ctx context.Context, p *stream.Pointer) error {
	p.Version = PointerVersion
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding the pointer of epoch %d: %w", p.Epoch, err)
	}
	content, err := json.Marshal(sealed{Checksum: checksum(text), Pointer: text})
	if err != nil {
		return fmt.Errorf("encoding the pointer of epoch %d: %w", p.Epoch, err)
	}
	if err := writeAtomic(f.fs, f.at("pointers"), pointerName(p.Epoch), append(content, '\n')); err != nil {
		return fmt.Errorf("writing the pointer of epoch %d: %w", p.Epoch, err)
	}
	// The epoch is committed; what cannot be deleted now is found again next time.
	_ = f.collect()
	return nil
}

func checksum(text []byte) string {
	sum := xxh3.Hash128(text).Bytes()
	return hex.EncodeToString(sum[:])
}

// Pointers lists the epochs whose pointers are kept, ascending.
func (f *Folder) Pointers() ([]int64, error) {
	names, err := f.fs.List(f.at("pointers"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listing the pointers of %s: %w", f.dir, err)
	}
	var epochs []int64
	for _, name := range names {
		if text, is := strings.CutSuffix(name, ".json"); is {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil && pointerName(n) == name {
				epochs = append(epochs, n)
			}
		}
	}
	slices.Sort(epochs)
	return epochs, nil
}

// Pointer reads the pointer of one epoch and holds it against its checksum.
func (f *Folder) Pointer(epoch int64) (*stream.Pointer, error) {
	name := f.at("pointers", pointerName(epoch))
	content, err := readFile(f.fs, name)
	if err != nil {
		return nil, fmt.Errorf("reading the pointer of epoch %d: %w", epoch, lost(err))
	}
	var s sealed
	p := &stream.Pointer{}
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, fmt.Errorf("the pointer %s: %w: %w", name, ErrDamaged, err)
	}
	if sum := checksum(s.Pointer); sum != s.Checksum {
		return nil, fmt.Errorf("the pointer %s: %w: its checksum is %s, written was %q", name, ErrDamaged, sum, s.Checksum)
	}
	if err := json.Unmarshal(s.Pointer, p); err != nil {
		return nil, fmt.Errorf("the pointer %s: %w: %w", name, ErrDamaged, err)
	}
	if p.Version != PointerVersion {
		return nil, fmt.Errorf("the pointer %s has version %d; this program reads version %d: use the program that wrote it, or a newer one", name, p.Version, PointerVersion)
	}
	if p.Epoch != epoch {
		return nil, fmt.Errorf("the pointer %s: %w: it is that of epoch %d", name, ErrDamaged, p.Epoch)
	}
	return p, nil
}

// whole reads the pointer of an epoch and holds all that it names against its
// checksums.
func (f *Folder) whole(ctx context.Context, epoch int64) (*stream.Pointer, error) {
	p, err := f.Pointer(epoch)
	if err != nil {
		return nil, err
	}
	if f.control != nil && !f.control.has(p) {
		return nil, fmt.Errorf("epoch %d: %w: it was given up, and the control log no longer holds what came after it", epoch, ErrDamaged)
	}
	for _, owner := range slices.Sorted(maps.Keys(p.Generations)) {
		object := p.Generations[owner]
		if err := verify(f.fs, f.at("objects", object.Name), object); err != nil {
			return nil, fmt.Errorf("the state of %s in epoch %d, %s: %w", owner, epoch, object.Name, err)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return p, nil
}

// damage is what is wrong with an epoch.
type damage struct {
	epoch int64
	err   error
}

// newest finds the newest epoch that is whole (nil: there is none), and what is
// wrong with those after it.
func (f *Folder) newest(ctx context.Context) (*stream.Pointer, []damage, error) {
	epochs, err := f.Pointers()
	if err != nil {
		return nil, nil, err
	}
	var after []damage
	for _, epoch := range slices.Backward(epochs) {
		p, err := f.whole(ctx, epoch)
		if err == nil {
			return p, after, nil
		}
		if !errors.Is(err, ErrDamaged) {
			return nil, nil, err
		}
		after = append(after, damage{epoch, err})
	}
	return nil, after, nil
}

// goOn finds the epoch that a run goes on from: the newest that is whole. The
// pointers of damaged ones after it are set aside, as <epoch>.json.damaged, before
// anything comes of the older one: what follows on it is another course of events,
// in which they must not take part again.
func (f *Folder) goOn(ctx context.Context) (*stream.Pointer, error) {
	p, after, err := f.newest(ctx)
	if err != nil || len(after) == 0 {
		return p, err
	}
	if p == nil {
		var all []error
		for _, d := range after {
			all = append(all, d.err)
		}
		return nil, fmt.Errorf("%w: %s; nothing in it was changed:\n%w", ErrNoneWhole, f.dir, errors.Join(all...))
	}
	for _, d := range after {
		f.options.Logger.Error("an epoch of the state is damaged; the run goes back to the one before it that is whole",
			"state", f.dir, "damaged", d.epoch, "goes_back_to", p.Epoch, "taken", p.Taken, "error", d.err)
		name := f.at("pointers", pointerName(d.epoch))
		if err := f.fs.Rename(name, name+".damaged"); err != nil {
			return nil, fmt.Errorf("setting the damaged epoch %d aside: %w", d.epoch, err)
		}
	}
	f.damaged.Store(int64(len(after)))
	return p, syncDir(f.fs, f.at("pointers"))
}

// Damaged is the number of epochs that were damaged when Start looked for the
// newest. It may be called from any goroutine.
func (f *Folder) Damaged() int64 { return f.damaged.Load() }

// Remove forgets an epoch's pointer; its objects go with the next collection. The
// newest epoch that is whole cannot be removed.
func (f *Folder) Remove(ctx context.Context, epoch int64) error {
	epochs, err := f.Pointers()
	if err != nil {
		return err
	}
	if !slices.Contains(epochs, epoch) {
		return fmt.Errorf("%s keeps no epoch %d; it keeps %v", f.dir, epoch, epochs)
	}
	p, _, err := f.newest(ctx)
	if err != nil {
		return err
	}
	if p != nil && p.Epoch == epoch {
		return fmt.Errorf("epoch %d is the newest: removing it would lose what it covers", epoch)
	}
	if err := f.fs.Remove(f.at("pointers", pointerName(epoch))); err != nil {
		return fmt.Errorf("removing epoch %d: %w", epoch, err)
	}
	return f.collect()
}
