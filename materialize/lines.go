package materialize

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hextide/hextide/stream"
)

// lines writes JSON lines into numbered files of a folder. A file is begun by
// the first line after a checkpoint and finished by the next checkpoint.
type lines struct {
	dir    string
	folder string
	files  []string // finished, relative to dir
	bytes  []int64  // of each
	out    *os.File
	buffer *bufio.Writer
	broken error // a file could not be finished: lines of it are nowhere else
}

func newLines(dir, folder string) *lines { return &lines{dir: dir, folder: folder} }

// none tells whether there are files of which none is there: they are in another place.
func (l *lines) none(files []string) bool {
	for _, name := range files {
		if _, err := os.Stat(filepath.Join(l.dir, name)); !errors.Is(err, os.ErrNotExist) {
			return false
		}
	}
	return len(files) > 0
}

// resume goes on from the files of a checkpoint, which must be there as they were
// written. Checkpoints of older programs do not have the sizes.
func (l *lines) resume(files []string, bytes []int64) error {
	known := len(bytes) == len(files)
	for i, name := range files {
		path := filepath.Join(l.dir, filepath.FromSlash(name))
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("%s is missing, which was written before: put it back", path)
		case err != nil:
			return fmt.Errorf("looking at a file that was written before: %w", err)
		case known && info.Size() != bytes[i]:
			return fmt.Errorf("%s has %d bytes, not the %d that were written: put it back as it was", path, info.Size(), bytes[i])
		}
		l.files, l.bytes = append(l.files, name), append(l.bytes, info.Size())
	}
	return nil
}

func (l *lines) name() string {
	return filepath.ToSlash(filepath.Join(l.folder, fmt.Sprintf("part-%05d.jsonl", len(l.files))))
}

func (l *lines) write(line any) error {
	if l.broken != nil {
		return l.broken
	}
	if l.out == nil {
		if err := os.MkdirAll(filepath.Join(l.dir, l.folder), 0o755); err != nil {
			return err
		}
		out, err := os.Create(filepath.Join(l.dir, l.name()))
		if err != nil {
			return err
		}
		l.out, l.buffer = out, bufio.NewWriter(out)
	}
	content, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = l.buffer.Write(append(content, '\n'))
	return err
}

// finish makes the lines so far durable. After an error it never succeeds again.
func (l *lines) finish() error {
	if l.out == nil || l.broken != nil {
		return l.broken
	}
	name := l.name()
	size := int64(0)
	err := l.buffer.Flush()
	if info, failed := l.out.Stat(); failed == nil {
		size = info.Size()
	} else {
		err = errors.Join(err, failed)
	}
	err = errors.Join(err, l.out.Sync(), l.out.Close())
	l.out, l.buffer = nil, nil
	if err == nil {
		err = syncFolders(l.dir, l.folder)
	}
	if err != nil {
		l.broken = fmt.Errorf("finishing %s: %w", filepath.Join(l.dir, name), err)
		return l.broken
	}
	l.files, l.bytes = append(l.files, name), append(l.bytes, size)
	return nil
}

func (l *lines) abandon() error {
	if l.out == nil {
		return nil
	}
	return l.out.Close()
}

// maxRaw is how much of a record's raw bytes a line keeps: with base64 and the
// rest of the line below the 1 MB that Kafka's brokers take by default.
const maxRaw = 512 << 10

// cut shortens raw bytes to maxRaw; size is how many there were, 0 where all are
// kept.
func cut(raw []byte) (kept []byte, size int) {
	if len(raw) <= maxRaw {
		return raw, 0
	}
	return raw[:maxRaw], len(raw)
}

// deadRecord is a dead letter as a line of JSON. Raw is base64.
type deadRecord struct {
	Reason    string `json:"reason"`
	Partition int32  `json:"partition"`
	Position  int64  `json:"position"`
	Raw       []byte `json:"raw"`
	RawSize   int    `json:"raw_size,omitempty"` // bytes, where raw is only their beginning
}

func deadLine(d *stream.DeadLetter) deadRecord {
	raw, size := cut(d.Raw)
	return deadRecord{Reason: d.Reason.String(), Partition: d.Partition, Position: d.Position, Raw: raw, RawSize: size}
}

// lateRecord is a late event as a line of JSON. Raw is base64.
type lateRecord struct {
	Partition int32  `json:"partition"`
	Position  int64  `json:"position"`
	Time      string `json:"event_time"`
	PaneEnd   string `json:"pane_end"`
	Watermark string `json:"watermark"`
	Lateness  string `json:"lateness"` // of the watermark beyond the event time
	Raw       []byte `json:"raw"`
	RawSize   int    `json:"raw_size,omitempty"` // bytes, where raw is only their beginning
}

func lateLine(l *stream.LateRecord) lateRecord {
	raw, size := cut(l.Raw)
	return lateRecord{
		Partition: l.Partition, Position: l.Position, Time: stampText(l.Time), PaneEnd: stampText(l.PaneEnd),
		Watermark: stampText(l.Watermark), Lateness: (time.Duration(l.Watermark-l.Time) * time.Microsecond).String(),
		Raw: raw, RawSize: size,
	}
}

// stampText is a time as RFC 3339 with microseconds where it has any.
func stampText(us int64) string { return time.UnixMicro(us).UTC().Format(time.RFC3339Nano) }
