package statebackend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrHeld is returned where another process owns the folder.
var ErrHeld = errors.New("the state folder is in use by another process")

// Folder is a Store in a local folder.
type Folder struct {
	fs   vfs.FS
	dir  string
	temp atomic.Int64
	tree sync.RWMutex // held to remove folders, shared to put something into one
}

var (
	_ Store     = (*Folder)(nil)
	_ exclusive = (*Folder)(nil)
)

// tempName is the folder of files that are being written.
const tempName = "temp"

// lockName is the file that the process which owns the folder holds.
const lockName = "LOCK"

// NewFolder names a folder. It neither makes nor changes anything.
func NewFolder(fs vfs.FS, dir string) *Folder { return &Folder{fs: fs, dir: dir} }

// String is the folder's path.
func (f *Folder) String() string { return f.dir }

func (f *Folder) at(elements ...string) string {
	return f.fs.PathJoin(append([]string{f.dir}, elements...)...)
}

// Lock makes the folder where it is missing and locks it for this process, until
// the lock is closed. What another process holds is refused, and nothing of it is
// touched. What a process left half written is removed.
func (f *Folder) Lock() (Lock, error) {
	if err := makeDir(f.fs, f.dir); err != nil {
		return nil, fmt.Errorf("making the state folder %s: %w", f.dir, err)
	}
	lock, err := f.fs.Lock(f.at(lockName))
	var file *fs.PathError // the file itself cannot be made
	if errors.As(err, &file) {
		return nil, fmt.Errorf("locking the state folder %s: %w", f.dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s (%w); stop that one, or name another folder", ErrHeld, f.dir, err)
	}
	half, err := f.fs.List(f.at(tempName))
	for _, name := range half {
		err = errors.Join(err, f.fs.Remove(f.at(tempName, name)))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("clearing %s: %w", f.at(tempName), err), lock.Close())
	}
	return lock, nil
}

// Get reads a file.
func (f *Folder) Get(_ context.Context, name string) ([]byte, error) {
	return readFile(f.fs, f.at(name))
}

// Put writes a file under a temporary name, syncs and renames it.
func (f *Folder) Put(_ context.Context, name string, content []byte) error {
	return f.write(name, content, f.fs.Rename)
}

// Create writes a file under a temporary name, syncs it and links it to its own:
// a link never replaces a file.
func (f *Folder) Create(_ context.Context, name string, content []byte) error {
	return f.write(name, content, func(temp, target string) error {
		return errors.Join(f.fs.Link(temp, target), f.fs.Remove(temp))
	})
}

// write makes a file durable under a temporary name and lets place give it its own.
func (f *Folder) write(name string, content []byte, place func(temp, target string) error) error {
	if err := makeDir(f.fs, f.at(tempName)); err != nil {
		return err
	}
	temp, target := f.at(tempName, fmt.Sprint(f.temp.Add(1))), f.at(name)
	if err := writeWhole(f.fs, temp, content); err != nil {
		_ = f.fs.Remove(temp) // best effort: the next lock clears it
		return err
	}
	f.tree.RLock()
	defer f.tree.RUnlock()
	dir := f.fs.PathDir(target)
	err := makeDir(f.fs, dir)
	if err == nil {
		err = place(temp, target)
	}
	if err != nil {
		_ = f.fs.Remove(temp)
		return err
	}
	return syncDir(f.fs, dir)
}

// List walks the folder.
func (f *Folder) List(_ context.Context, folder string) ([]Listed, error) {
	var all []Listed
	if err := f.walk(folder, &all); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Listed) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func (f *Folder) walk(folder string, all *[]Listed) error {
	names, err := f.fs.List(f.at(folder))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		below := path.Join(folder, name)
		info, err := f.fs.Stat(f.at(below))
		switch {
		case errors.Is(err, os.ErrNotExist): // removed meanwhile
		case err != nil:
			return err
		case info.IsDir():
			if err := f.walk(below, all); err != nil {
				return err
			}
		default:
			*all = append(*all, Listed{Name: below, Size: info.Size(), Modified: info.ModTime()})
		}
	}
	return nil
}

// Delete removes files, and the folders that this leaves empty.
func (f *Folder) Delete(_ context.Context, names ...string) error {
	f.tree.Lock()
	defer f.tree.Unlock()
	for _, name := range names {
		if err := f.fs.Remove(f.at(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for dir := path.Dir(name); strings.Contains(dir, "/"); dir = path.Dir(dir) { // not the topmost
			left, err := f.fs.List(f.at(dir))
			if err != nil || len(left) > 0 {
				break
			}
			if err := f.fs.Remove(f.at(dir)); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeDir makes a folder and its parents durable.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	parent := fs.PathDir(dir)
	if parent != dir {
		if err := makeDir(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(fs, parent)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeSize is how many bytes are written at once.
const writeSize = 1 << 20

// writeWhole makes a file and its content durable, under a name nobody reads.
func writeWhole(fs vfs.FS, name string, content []byte) error {
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	buffer := make([]byte, 0, min(len(content), writeSize)) // a vfs.File may change what it is given
	for piece := range slices.Chunk(content, writeSize) {
		buffer = append(buffer[:0], piece...)
		if _, err = file.Write(buffer); err != nil {
			break
		}
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// writeAtomic replaces a file as a whole: old or new content, never a part.
func writeAtomic(fs vfs.FS, dir, name string, content []byte) error {
	temp, target := fs.PathJoin(dir, name+".temp"), fs.PathJoin(dir, name)
	if err := writeWhole(fs, temp, content); err != nil {
		return err
	}
	if err := fs.Rename(temp, target); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	file, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	content := make([]byte, info.Size())
	n, err := io.ReadFull(file, content)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // it has become shorter meanwhile
	}
	return content[:n], errors.Join(err, file.Close())
}
