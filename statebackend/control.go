package statebackend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/stream"
)

// ControlFile is a control log in a synced file, one JSON object a line. A last
// line without its end was being written when the process died; it was never
// acknowledged and is cut off when the log is opened.
type ControlFile struct {
	fs      vfs.FS
	dir     string
	entries []stream.ControlEntry
	file    vfs.File // nil after a failed append, which may have left part of a line
	size    int64    // of the acknowledged lines
}

var _ stream.ControlLog = (*ControlFile)(nil)

const controlName = "control.log"

// OpenControl opens the control log of a folder that this process has claimed.
func (f *Folder) OpenControl() (*ControlFile, error) {
	if f.lock == nil {
		return nil, fmt.Errorf("opening the control log: the state folder %s is not claimed", f.dir)
	}
	fs, dir := f.fs, f.dir
	c := &ControlFile{fs: fs, dir: dir}
	content, err := readFile(fs, fs.PathJoin(dir, controlName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the control log: %w", err)
	}
	whole := bytes.LastIndexByte(content, '\n') + 1
	for i, line := range bytes.Split(content[:whole], []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var e stream.ControlEntry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("line %d of the control log in %s is damaged: %w", i+1, dir, err)
		}
		c.entries = append(c.entries, e)
	}
	if err := c.rewrite(); err != nil {
		return nil, fmt.Errorf("opening the control log: %w", err)
	}
	return c, nil
}

// rewrite leaves the file with the acknowledged entries alone, open for more.
func (c *ControlFile) rewrite() error {
	var content []byte
	for _, e := range c.entries {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		content = append(append(content, line...), '\n')
	}
	if err := writeAtomic(c.fs, c.dir, controlName, content); err != nil {
		return err
	}
	file, err := c.fs.OpenReadWrite(c.fs.PathJoin(c.dir, controlName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	c.file, c.size = file, int64(len(content))
	return nil
}

// Append writes an entry and returns once it is durable.
func (c *ControlFile) Append(ctx context.Context, e stream.ControlEntry) error {
	if err := c.append(e); err != nil {
		return fmt.Errorf("appending to the control log: %w", err)
	}
	c.entries = append(c.entries, e)
	return nil
}

func (c *ControlFile) append(e stream.ControlEntry) error {
	if c.file == nil {
		if err := c.rewrite(); err != nil {
			return err
		}
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	_, err = c.file.WriteAt(line, c.size)
	if err == nil {
		err = c.file.Sync()
	}
	if err != nil {
		err = errors.Join(err, c.file.Close())
		c.file = nil
		return err
	}
	c.size += int64(len(line))
	return nil
}

// Entries returns all entries in order.
func (c *ControlFile) Entries(ctx context.Context) ([]stream.ControlEntry, error) {
	return c.entries, nil
}

// Close closes the file.
func (c *ControlFile) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}
