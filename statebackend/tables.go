package statebackend

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/stream"
)

// ScratchName is the folder of Tables within a state's.
const ScratchName = "scratch"

// Tables keep what machines hold outside memory, for the time of a process: a
// Pebble store without a log, in a folder that is emptied when it is opened and
// removed when it is closed. Owners may use their tables at the same time.
type Tables struct {
	fs     vfs.FS
	dir    string
	store  *pebble.DB
	memory int64
}

// Bounds of the store's own memory: a write buffer, of which there are two, and the
// cache of blocks. Each is a thirty-second of what there is.
const (
	leastBuffer = 512 << 10
	mostBuffer  = 16 << 20
	parts       = 32
)

// OpenTables opens tables in a folder that belongs to this process. Of so many bytes
// of memory they take a part for themselves: Memory.
func OpenTables(fs vfs.FS, dir string, memory int64, logger *slog.Logger) (*Tables, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if err := fs.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("emptying %s, the folder of state outside memory: %w", dir, err)
	}
	buffer := min(max(memory/parts, leastBuffer), mostBuffer)
	cache := pebble.NewCache(buffer)
	defer cache.Unref()
	store, err := pebble.Open(dir, &pebble.Options{
		FS: fs, Cache: cache, MemTableSize: uint64(buffer), MemTableStopWritesThreshold: 2,
		DisableWAL: true, MaxOpenFiles: 256, Logger: storeLogger{logger},
		EventListener: &pebble.EventListener{BackgroundError: func(err error) {
			logger.Error("state outside memory cannot be written; it is tried again", "folder", dir, "error", err)
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("opening %s, the folder of state outside memory: %w", dir, err)
	}
	return &Tables{fs: fs, dir: dir, store: store, memory: 3 * buffer}, nil
}

// Memory is what the tables take for themselves, in bytes.
func (t *Tables) Memory() int64 { return t.memory }

// Table is an owner's table. An owner's name holds no 0.
func (t *Tables) Table(owner string) stream.Table {
	return &table{store: t.store, key: append([]byte(owner), 0), prefix: len(owner) + 1}
}

// Close closes the tables and removes what they held.
func (t *Tables) Close() error {
	err := errors.Join(t.store.Close(), t.fs.RemoveAll(t.dir))
	if err != nil {
		return fmt.Errorf("closing %s, the folder of state outside memory: %w", t.dir, err)
	}
	return nil
}

// table is one owner's keys in the store: behind the owner's name and a 0.
type table struct {
	store  *pebble.DB
	key    []byte
	prefix int
}

func (t *table) at(key []byte) []byte {
	t.key = append(t.key[:t.prefix], key...)
	return t.key
}

// Get appends a key's value to dst.
func (t *table) Get(dst, key []byte) ([]byte, error) {
	value, done, err := t.store.Get(t.at(key))
	if err != nil {
		return dst, fmt.Errorf("reading %x: %w", key, err)
	}
	dst = append(dst, value...)
	if err := done.Close(); err != nil {
		return dst, fmt.Errorf("reading %x: %w", key, err)
	}
	return dst, nil
}

// Set gives a key a value.
func (t *table) Set(key, value []byte) error {
	if err := t.store.Set(t.at(key), value, pebble.NoSync); err != nil {
		return fmt.Errorf("writing %x: %w", key, err)
	}
	return nil
}

// Delete takes a key's value away.
func (t *table) Delete(key []byte) error {
	if err := t.store.Delete(t.at(key), pebble.NoSync); err != nil {
		return fmt.Errorf("deleting %x: %w", key, err)
	}
	return nil
}

// storeLogger passes on what the store has to say of errors.
type storeLogger struct{ logger *slog.Logger }

// Infof drops what is of no use to a user.
func (storeLogger) Infof(string, ...any) {}

// Errorf passes an error on.
func (l storeLogger) Errorf(format string, args ...any) { l.logger.Error(fmt.Sprintf(format, args...)) }

// Fatalf ends the process: the store is in no state to go on with.
func (l storeLogger) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
