package statebackend

import (
	"errors"
	"math"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// collect forgets all but the retained pointers, then deletes the objects that
// no retained pointer names, and archives the entries of the control log that all
// of them contain. Only the owner of the folder calls it, and never
// while objects of an epoch to come are being written.
func (f *Folder) collect() error {
	epochs, err := f.Pointers()
	if err != nil {
		return err
	}
	for len(epochs) > f.options.Retain {
		if err := f.fs.Remove(f.at("pointers", pointerName(epochs[0]))); err != nil {
			return err
		}
		epochs = epochs[1:]
	}
	reached, contained := map[string]bool{}, int64(math.MaxInt64)
	for _, epoch := range epochs {
		p, err := f.Pointer(epoch)
		if errors.Is(err, ErrDamaged) {
			return nil // it may name anything: nothing is deleted while it is retained
		}
		if err != nil {
			return err
		}
		contained = min(contained, p.Control)
		for _, object := range p.Generations {
			reached[f.at("objects", object.Name)] = true
		}
	}
	if f.control != nil && len(epochs) > 0 {
		if err := f.control.archive(contained); err != nil {
			return err
		}
	}
	return removeUnreached(f.fs, f.at("objects"), reached)
}

// removeUnreached deletes the files below dir that are not reached, and the
// folders that this leaves empty.
func removeUnreached(fs vfs.FS, dir string, reached map[string]bool) error {
	names, err := fs.List(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			if !reached[path] {
				if err := fs.Remove(path); err != nil {
					return err
				}
			}
			continue
		}
		if err := removeUnreached(fs, path, reached); err != nil {
			return err
		}
		if left, err := fs.List(path); err == nil && len(left) == 0 {
			if err := fs.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}
