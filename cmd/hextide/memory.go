package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/statebackend"
	"github.com/hextide/hextide/stream"
	"github.com/spf13/pflag"
)

// memorySettings bound the memory of state. What is over the bound lies in a folder.
type memorySettings struct {
	bytes  byteSize
	tables *statebackend.Tables // nil: there is no bound
}

// leastMemory is what a bound must be for the tables' own memory to fit in it.
const leastMemory = 2 << 20

// boundedGC is by how many percent the heap may grow over what lives before it is
// collected, where memory is bounded: there is little to follow in panes, so often
// is cheap.
const boundedGC = 20

func (s *memorySettings) add(f *pflag.FlagSet) {
	f.Var(&s.bytes, "memory", "memory of panes and of dedup's winners; what is over it lies in a folder of the state and is read back, slower (0B: no bound); changes no result")
}

func (s *memorySettings) check() error {
	if s.bytes > 0 && s.bytes < leastMemory {
		return usagef("--memory %s is too little: at least 2MiB", s.bytes.String())
	}
	return nil
}

// open opens the tables in a folder of a state that this process has claimed.
func (s *memorySettings) open(state string) (m stream.Memory, err error) {
	if s.bytes == 0 {
		return m, nil
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(boundedGC)
	}
	dir := filepath.Join(state, statebackend.ScratchName)
	if s.tables, err = statebackend.OpenTables(vfs.Default, dir, int64(s.bytes), slog.Default()); err != nil {
		return m, err
	}
	return stream.Memory{Bytes: int64(s.bytes) - s.tables.Memory(), Table: s.tables.Table}, nil
}

// close removes what lay outside memory. It may be called twice.
func (s *memorySettings) close() error {
	if s.tables == nil {
		return nil
	}
	tables := s.tables
	s.tables = nil
	return tables.Close()
}
