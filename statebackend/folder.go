package statebackend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/stream"
)

// ErrHeld is returned by Start where another process owns the store.
var ErrHeld = errors.New("the state folder is in use by another process")

// ErrNoneWhole is returned by Start where there are epochs, all of them damaged.
var ErrNoneWhole = errors.New("no epoch of the state is whole")

// Options of a Folder.
type Options struct {
	Pipeline string       // named in pointers and objects
	Retain   int          // pointers kept; default 3
	Logger   *slog.Logger // nil: silent
}

// Folder is a store of generations in a local folder. Write may be called from
// several goroutines at once; the other methods from one.
type Folder struct {
	fs      vfs.FS
	dir     string
	options Options
	lock    io.Closer
	control *ControlFile // nil: not opened
	temp    atomic.Int64
	damaged atomic.Int64 // epochs that Start found damaged
}

var _ stream.Generations = (*Folder)(nil)

// Open names a folder. It neither makes nor changes anything: Claim does, and
// without it the folder can be looked at.
func Open(fs vfs.FS, dir string, o Options) *Folder {
	if o.Retain == 0 {
		o.Retain = 3
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Folder{fs: fs, dir: dir, options: o}
}

func (f *Folder) at(elements ...string) string {
	return f.fs.PathJoin(append([]string{f.dir}, elements...)...)
}

// Claim makes the folder where it is missing and locks it for this process, until
// Close. What another process holds is refused, and nothing of it is touched.
func (f *Folder) Claim() error {
	if f.lock != nil {
		return nil
	}
	if err := makeDir(f.fs, f.dir); err != nil {
		return fmt.Errorf("making the state folder %s: %w", f.dir, err)
	}
	lock, err := f.fs.Lock(f.at("LOCK"))
	if err != nil {
		return fmt.Errorf("%w: %s (%w)", ErrHeld, f.dir, err)
	}
	f.lock = lock
	return nil
}

// Start claims the folder, raises the incarnation and finds the pointer of the
// newest epoch that is whole.
func (f *Folder) Start(ctx context.Context) (int64, *stream.Pointer, error) {
	if err := f.Claim(); err != nil {
		return 0, nil, err
	}
	for _, sub := range []string{"objects", "pointers"} {
		if err := makeDir(f.fs, f.at(sub)); err != nil {
			return 0, nil, fmt.Errorf("making the state folder %s: %w", f.dir, err)
		}
	}
	n, err := f.raiseIncarnation()
	if err != nil {
		return 0, nil, fmt.Errorf("claiming the state folder %s: %w", f.dir, err)
	}
	p, err := f.goOn(ctx)
	if err != nil {
		return 0, nil, err
	}
	if err := f.collect(); err != nil {
		return 0, nil, fmt.Errorf("clearing what no pointer of %s reaches: %w", f.dir, err)
	}
	return n, p, nil
}

func (f *Folder) raiseIncarnation() (int64, error) {
	name := f.at("incarnation")
	text, err := readFile(f.fs, name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	n := int64(0)
	if err == nil {
		if n, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err != nil {
			return 0, fmt.Errorf("%s does not hold a number: %w", name, err)
		}
	}
	n++
	return n, writeAtomic(f.fs, f.dir, "incarnation", []byte(strconv.FormatInt(n, 10)+"\n"))
}

// Write makes a machine's entries durable as one immutable object.
func (f *Folder) Write(ctx context.Context, epoch int64, owner string, entries []stream.Entry) (stream.Object, error) {
	temp := f.at("objects", fmt.Sprintf("temp-%d-%d", epoch, f.temp.Add(1)))
	object, err := f.write(temp, epoch, owner, entries)
	if err != nil {
		_ = f.fs.Remove(temp) // best effort; collect removes it later
		return stream.Object{}, fmt.Errorf("writing generation %d of %s: %w", epoch, owner, err)
	}
	return object, nil
}

func (f *Folder) write(temp string, epoch int64, owner string, entries []stream.Entry) (stream.Object, error) {
	size, sum, err := writeTable(f.fs, temp, entries)
	if err != nil {
		return stream.Object{}, err
	}
	name := path.Join(sum[:2], f.options.Pipeline, owner, fmt.Sprintf("%d-%s.sst", epoch, sum))
	target := f.at("objects", name)
	dir := f.fs.PathDir(target)
	if err := makeDir(f.fs, dir); err != nil {
		return stream.Object{}, err
	}
	if err := f.fs.Rename(temp, target); err != nil {
		return stream.Object{}, err
	}
	return stream.Object{Name: name, Size: size, Checksum: sum}, syncDir(f.fs, dir)
}

// Read gives an object's entries in key order.
func (f *Folder) Read(ctx context.Context, object stream.Object, each func(key, value []byte) error) error {
	if err := readTable(ctx, f.fs, f.at("objects", object.Name), object, each); err != nil {
		return fmt.Errorf("reading %s: %w", object.Name, err)
	}
	return nil
}

// Close gives the folder up.
func (f *Folder) Close() error {
	if f.lock == nil {
		return nil
	}
	err := f.lock.Close()
	f.lock = nil
	return err
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

// writeAtomic replaces a file as a whole: old or new content, never a part.
func writeAtomic(fs vfs.FS, dir, name string, content []byte) error {
	temp, target := fs.PathJoin(dir, name+".temp"), fs.PathJoin(dir, name)
	file, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
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
	content, err := io.ReadAll(file)
	return content, errors.Join(err, file.Close())
}
