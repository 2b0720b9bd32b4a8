package statebackend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hextide/hextide/stream"
)

// PointerVersion is the version of the pointer format that this code writes.
const PointerVersion = 1

// Commit writes the pointer and then drops what only forgotten pointers reach.
func (f *Folder) Commit(ctx context.Context, p *stream.Pointer) error {
	p.Version = PointerVersion
	content, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return fmt.Errorf("encoding the pointer of epoch %d: %w", p.Epoch, err)
	}
	name := strconv.FormatInt(p.Epoch, 10) + ".json"
	if err := writeAtomic(f.fs, f.at("pointers"), name, append(content, '\n')); err != nil {
		return fmt.Errorf("writing the pointer of epoch %d: %w", p.Epoch, err)
	}
	// The epoch is committed; what cannot be deleted now is found again next time.
	_ = f.collect()
	return nil
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
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				epochs = append(epochs, n)
			}
		}
	}
	slices.Sort(epochs)
	return epochs, nil
}

// Pointer reads the pointer of one epoch.
func (f *Folder) Pointer(epoch int64) (*stream.Pointer, error) {
	name := f.at("pointers", strconv.FormatInt(epoch, 10)+".json")
	content, err := readFile(f.fs, name)
	if err != nil {
		return nil, fmt.Errorf("reading the pointer of epoch %d: %w", epoch, err)
	}
	p := &stream.Pointer{}
	if err := json.Unmarshal(content, p); err != nil {
		return nil, fmt.Errorf("the pointer %s is damaged: %w", name, err)
	}
	if p.Version != PointerVersion {
		return nil, fmt.Errorf("the pointer %s has version %d; this program reads version %d: use the program that wrote it, or a newer one", name, p.Version, PointerVersion)
	}
	return p, nil
}

func (f *Folder) newest() (*stream.Pointer, error) {
	epochs, err := f.Pointers()
	if err != nil || len(epochs) == 0 {
		return nil, err
	}
	return f.Pointer(epochs[len(epochs)-1])
}

// Remove forgets an epoch's pointer; its objects go with the next collection.
// The newest epoch cannot be removed.
func (f *Folder) Remove(epoch int64) error {
	epochs, err := f.Pointers()
	if err != nil {
		return err
	}
	i := slices.Index(epochs, epoch)
	switch {
	case i < 0:
		return fmt.Errorf("%s keeps no epoch %d; it keeps %v", f.dir, epoch, epochs)
	case i == len(epochs)-1:
		return fmt.Errorf("epoch %d is the newest: removing it would lose what it covers", epoch)
	}
	if err := f.fs.Remove(f.at("pointers", strconv.FormatInt(epoch, 10)+".json")); err != nil {
		return fmt.Errorf("removing epoch %d: %w", epoch, err)
	}
	return f.collect()
}
