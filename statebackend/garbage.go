package statebackend

import (
	"errors"
	"math"
	"os"
	"slices"
	"time"

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
	reached, contained, err := f.reached(epochs)
	if errors.Is(err, ErrDamaged) {
		return nil // it may name anything: nothing is deleted while it is retained
	}
	if err != nil {
		return err
	}
	if f.control != nil && len(epochs) > 0 {
		if err := f.control.archive(contained); err != nil {
			return err
		}
	}
	garbage, err := unreached(f.fs, f.at("objects"), reached)
	if err != nil {
		return err
	}
	return f.remove(garbage)
}

// reached are the objects that pointers name, by path, and how many entries of
// the control log all of them contain.
func (f *Folder) reached(epochs []int64) (objects map[string]bool, contained int64, err error) {
	objects, contained = map[string]bool{}, math.MaxInt64
	for _, epoch := range epochs {
		p, err := f.Pointer(epoch)
		if err != nil {
			return nil, 0, err
		}
		contained = min(contained, p.Control)
		for _, object := range p.Generations {
			objects[f.at("objects", object.Name)] = true
		}
	}
	return objects, contained, nil
}

// Garbage is a file below objects that no retained pointer names.
type Garbage struct {
	Path    string
	Size    int64 // bytes
	Written time.Time
}

// Garbage lists what no retained pointer names, and changes nothing. In a folder
// that a process is using, the objects of an epoch to come are among it. It is
// ErrDamaged where a retained pointer is: that may name anything.
func (f *Folder) Garbage() ([]Garbage, error) {
	epochs, err := f.Pointers()
	if err != nil {
		return nil, err
	}
	reached, _, err := f.reached(epochs)
	if err != nil {
		return nil, err
	}
	return unreached(f.fs, f.at("objects"), reached)
}

// RemoveGarbage deletes what no retained pointer names and was written before a
// time, and returns it. The folder must be claimed, and no epoch being written.
func (f *Folder) RemoveGarbage(before time.Time) ([]Garbage, error) {
	garbage, err := f.Garbage()
	if err != nil {
		return nil, err
	}
	garbage = slices.DeleteFunc(garbage, func(g Garbage) bool { return !g.Written.Before(before) })
	return garbage, f.remove(garbage)
}

// remove deletes files, and the folders that this leaves empty.
func (f *Folder) remove(garbage []Garbage) error {
	for _, g := range garbage {
		if err := f.fs.Remove(g.Path); err != nil {
			return err
		}
		for dir := f.fs.PathDir(g.Path); dir != f.at("objects"); dir = f.fs.PathDir(dir) {
			if left, err := f.fs.List(dir); err != nil || len(left) > 0 {
				break
			}
			if err := f.fs.Remove(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// unreached lists the files below dir that are not reached.
func unreached(fs vfs.FS, dir string, reached map[string]bool) (garbage []Garbage, err error) {
	names, err := fs.List(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			return nil, err
		}
		switch {
		case info.IsDir():
			below, err := unreached(fs, path, reached)
			if err != nil {
				return nil, err
			}
			garbage = append(garbage, below...)
		case !reached[path]:
			garbage = append(garbage, Garbage{Path: path, Size: info.Size(), Written: info.ModTime()})
		}
	}
	return garbage, nil
}
