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
	out    *os.File
	buffer *bufio.Writer
}

func newLines(dir, folder string) *lines { return &lines{dir: dir, folder: folder} }

func (l *lines) name() string {
	return filepath.ToSlash(filepath.Join(l.folder, fmt.Sprintf("part-%05d.jsonl", len(l.files))))
}

func (l *lines) write(line any) error {
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

// finish makes the lines so far durable.
func (l *lines) finish() error {
	if l.out == nil {
		return nil
	}
	if err := errors.Join(l.buffer.Flush(), l.out.Sync(), l.out.Close()); err != nil {
		return err
	}
	l.files = append(l.files, l.name())
	l.out, l.buffer = nil, nil
	return syncDir(filepath.Join(l.dir, l.folder))
}

func (l *lines) abandon() error {
	if l.out == nil {
		return nil
	}
	return l.out.Close()
}

// deadRecord is a dead letter as a line of JSON. Raw is base64.
type deadRecord struct {
	Reason    string `json:"reason"`
	Partition int32  `json:"partition"`
	Position  int64  `json:"position"`
	Raw       []byte `json:"raw"`
}

func deadLine(d *stream.DeadLetter) deadRecord {
	return deadRecord{Reason: d.Reason.String(), Partition: d.Partition, Position: d.Position, Raw: d.Raw}
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
}

func lateLine(l *stream.LateRecord) lateRecord {
	return lateRecord{
		Partition: l.Partition, Position: l.Position, Time: stampText(l.Time), PaneEnd: stampText(l.PaneEnd),
		Watermark: stampText(l.Watermark), Lateness: (time.Duration(l.Watermark-l.Time) * time.Microsecond).String(), Raw: l.Raw,
	}
}

// stampText is a time as RFC 3339 with microseconds where it has any.
func stampText(us int64) string { return time.UnixMicro(us).UTC().Format(time.RFC3339Nano) }
