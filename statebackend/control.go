package statebackend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hextide/hextide/stream"
)

// ControlFile is a control log in a synced file, one JSON object a line, each with a
// checksum. A last line without its end was being written when the process died; it
// was never acknowledged and is cut off when the log is opened.
//
// What every retained epoch contains is moved to an archive, which only grows and
// is not held in memory: a restart does not need it, a reading of the same input
// from its beginning does. The first line of the log then says how much of the
// archive comes before the lines that follow.
type ControlFile struct {
	fs    vfs.FS
	dir   string
	least int64 // entries that are archived at once

	mu       sync.Mutex
	archived archived
	entries  []stream.ControlEntry // after those that are archived
	file     vfs.File              // nil after a failure that may have left it as it should not be
	size     int64                 // of the acknowledged lines
}

// archived is the first line of a log of which a part is archived. As an entry it
// stands for the last one of that part, and tells of the newest start in it.
type archived struct {
	stream.ControlEntry
	Entries int64 `json:"archived"`      // in the archive
	Bytes   int64 `json:"archive_bytes"` // what is beyond in the archive is in the log too
}

var _ stream.ControlLog = (*ControlFile)(nil)

const (
	controlName = "control.log"
	archiveName = "control.archive.log"
)

// archiveAt is ControlFile.least, but in tests.
const archiveAt = 1024

// openControl opens the control log of a folder that this process has claimed.
func openControl(fs vfs.FS, dir string) (*ControlFile, error) {
	c := &ControlFile{fs: fs, dir: dir, least: archiveAt}
	var err error
	if c.archived, c.entries, err = readLog(fs, dir); err != nil {
		return nil, err
	}
	if err := c.rewrite(); err != nil {
		return nil, fmt.Errorf("opening the control log: %w", err)
	}
	return c, nil
}

// readLog reads a control log without its archive; none is an empty one.
func readLog(fs vfs.FS, dir string) (before archived, entries []stream.ControlEntry, err error) {
	content, err := readFile(fs, fs.PathJoin(dir, controlName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return before, nil, fmt.Errorf("reading the control log: %w", err)
	}
	lines, err := parseLog(content)
	if err != nil {
		return before, nil, fmt.Errorf("the control log in %s: %w", dir, err)
	}
	if len(lines) > 0 && lines[0].Entries > 0 {
		before, lines = lines[0], lines[1:]
	}
	for _, e := range lines {
		entries = append(entries, e.ControlEntry)
	}
	return before, entries, nil
}

// parseLog reads the whole lines of a log or of an archive.
func parseLog(content []byte) (entries []archived, err error) {
	whole := bytes.LastIndexByte(content, '\n') + 1
	for i, line := range bytes.Split(content[:whole], []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var e archived
		text, err := unsealLine(line)
		if err == nil {
			err = json.Unmarshal(text, &e)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d is damaged: %w; put the file back from a backup, or begin anew with an empty --state", i+1, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// lineSum stands before the checksum of a line, which is its object's last member.
const lineSum = `,"sum":"`

// sealLine is a line of what encodes as a JSON object, with the object's checksum.
func sealLine(e any) ([]byte, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s%s%s\"}\n", text[:len(text)-1], lineSum, checksum(text)), nil
}

// unsealLine is the object of a line, held against its checksum. Lines of older
// programs have none.
func unsealLine(line []byte) ([]byte, error) {
	at := bytes.LastIndex(line, []byte(lineSum))
	if at < 0 {
		return line, nil
	}
	text := append(bytes.Clone(line[:at]), '}')
	if sum := strings.TrimSuffix(string(line[at+len(lineSum):]), `"}`); sum != checksum(text) {
		return nil, fmt.Errorf("its checksum is %s, written was %q", checksum(text), sum)
	}
	return text, nil
}

// readControl reads the whole control log of a folder, its archive first, and
// changes nothing. A process may be using the folder.
func readControl(fs vfs.FS, dir string) ([]stream.ControlEntry, error) {
	if _, err := fs.Stat(fs.PathJoin(dir, controlName)); err != nil {
		return nil, fmt.Errorf("there is no control log in %s: %w", dir, err)
	}
	before, entries, err := readLog(fs, dir)
	if err != nil || before.Entries == 0 {
		return entries, err
	}
	content, err := readFile(fs, fs.PathJoin(dir, archiveName))
	if err != nil {
		return nil, fmt.Errorf("reading the archive of the control log, which has %d entries: %w", before.Entries, err)
	}
	lines, err := parseLog(content[:min(before.Bytes, int64(len(content)))])
	if err != nil {
		return nil, fmt.Errorf("the archive of the control log in %s: %w", dir, err)
	}
	if int64(len(lines)) != before.Entries {
		return nil, fmt.Errorf("the archive of the control log in %s has %d entries of %d", dir, len(lines), before.Entries)
	}
	var all []stream.ControlEntry
	for _, e := range lines {
		all = append(all, e.ControlEntry)
	}
	return append(all, entries...), nil
}

// rewrite leaves the file with what is held in memory, open for more.
func (c *ControlFile) rewrite() error {
	var content []byte
	if c.archived.Entries > 0 {
		line, err := sealLine(c.archived)
		if err != nil {
			return err
		}
		content = line
	}
	text, err := linesOf(c.entries)
	if err != nil {
		return err
	}
	content = append(content, text...)
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

func linesOf(entries []stream.ControlEntry) ([]byte, error) {
	var content []byte
	for _, e := range entries {
		line, err := sealLine(e)
		if err != nil {
			return nil, err
		}
		content = append(content, line...)
	}
	return content, nil
}

// Append writes an entry and returns once it is durable.
func (c *ControlFile) Append(ctx context.Context, e stream.ControlEntry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
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
	line, err := linesOf([]stream.ControlEntry{e})
	if err != nil {
		return err
	}
	if err := writeSynced(c.file, line, c.size); err != nil {
		return errors.Join(err, c.shut())
	}
	c.size += int64(len(line))
	return nil
}

func writeSynced(file vfs.File, content []byte, at int64) error {
	if _, err := file.WriteAt(content, at); err != nil {
		return err
	}
	return file.Sync()
}

// shut closes the file; the next entry writes it anew.
func (c *ControlFile) shut() error {
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return err
}

// Entries returns the entries that are not archived, in order, behind one that
// stands for those that are.
func (c *ControlFile) Entries(ctx context.Context) (before int64, entries []stream.ControlEntry, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.archived.Entries > 0 {
		before, entries = c.archived.Entries-1, append(entries, c.archived.ControlEntry)
	}
	return before, append(entries, c.entries...), nil
}

// archive moves the entries that are among the first so many of the whole log to
// the archive, where they are worth it: first durably there, then out of here.
func (c *ControlFile) archive(first int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(first-c.archived.Entries, int64(len(c.entries)))
	if n < c.least {
		return nil
	}
	text, err := linesOf(c.entries[:n])
	if err != nil {
		return err
	}
	next := archived{Entries: c.archived.Entries + n, ControlEntry: stream.ControlEntry{
		Partition: -1, Kind: stream.ControlStart, Watermark: stream.NoTime, Incarnation: c.archived.Incarnation,
	}}
	for _, e := range c.entries[:n] {
		if e.Kind == stream.ControlStart {
			next.Incarnation = max(next.Incarnation, e.Incarnation)
		}
	}
	if next.Bytes, err = c.extend(text); err != nil {
		return fmt.Errorf("archiving the control log: %w", err)
	}
	if err := c.shut(); err != nil {
		return err
	}
	c.archived, c.entries = next, append([]stream.ControlEntry(nil), c.entries[n:]...)
	return c.rewrite()
}

// has tells whether a restart from a pointer finds here what it needs.
func (c *ControlFile) has(p *stream.Pointer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return p.Control >= c.archived.Entries
}

// extend writes lines behind those of the archive that the log knows of, and
// returns the archive's length with them.
func (c *ControlFile) extend(text []byte) (int64, error) {
	name := c.fs.PathJoin(c.dir, archiveName)
	file, err := c.fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return 0, err
	}
	at := c.archived.Bytes
	info, err := file.Stat()
	if err == nil {
		at = min(at, info.Size()) // it may have been moved away
		err = writeSynced(file, text, at)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, err
	}
	return at + int64(len(text)), syncDir(c.fs, c.dir)
}

// Close closes the file.
func (c *ControlFile) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shut()
}
