package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/hextide/hextide/stream"
)

// FileOptions say how files are read. The zero value is good.
type FileOptions struct {
	Batch     int   // rows of a Read at most; 0: 8192
	MaxRecord int   // bytes of a record that is no dead letter; 0: MaxRecord
	NotAfter  int64 // latest event time acceptable, µs: when the run began; 0: when the source is made
	Parsers   int   // goroutines that parse a file; 0: by the number of processors
}

// inputFile is one file of the input as it was found at the start.
type inputFile struct {
	path    string
	size    int64
	changed time.Time
	columns []string // csv; nil: the file is empty
	first   int64    // key of the first record (see merge); stream.NoTime where it is not known
	empty   bool     // no record is in it
	digest  *digest  // of what was read
	hash    string   // once it was asked for
}

// Files is the source over files: all of them are partition 0, merged by (event
// time, order of arguments, position in the file). A record without an
// acceptable event time stays behind its predecessor. It is read again from the
// beginning for each Open. Its methods may be called from any goroutine.
type Files struct {
	schema  Schema
	options FileOptions
	files   []inputFile
	size    int64

	lines bool // csv records are given as canonical lines, for Simulate

	hashing sync.Mutex // guards inputFile.hash
}

// FilesDescription says what was read; equal descriptions mean equal input.
type FilesDescription struct {
	Kind   string            `json:"kind"` // "files"
	Format Format            `json:"format"`
	Files  []FileDescription `json:"files"` // in the order of merging
}

// FileDescription is one file of a FilesDescription.
type FileDescription struct {
	Name   string `json:"name"` // without its folder
	Size   int64  `json:"size"` // bytes, as it lies on the disk
	SHA256 string `json:"sha256"`
}

// NewFiles makes the source over files. Each path is a file's name or a pattern
// (path/filepath.Match), whose files are taken in the order of their names. A
// file that is not there, is no text of records, lacks a column or is named
// twice is an error here.
func NewFiles(paths []string, schema Schema, o FileOptions) (*Files, error) {
	if err := schema.check(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	names, err := expand(paths)
	if err != nil {
		return nil, err
	}
	s := &Files{schema: schema, options: o}
	for _, name := range names {
		file, err := s.examine(name)
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, file)
		s.size += file.size
	}
	return s, nil
}

func (o FileOptions) withDefaults() FileOptions {
	if o.Batch <= 0 {
		o.Batch = 8192
	}
	if o.MaxRecord <= 0 {
		o.MaxRecord = MaxRecord
	}
	o.MaxRecord = min(o.MaxRecord, longest)
	if o.NotAfter == 0 {
		o.NotAfter = time.Now().UnixMicro()
	}
	if o.Parsers <= 0 {
		// One goroutine inflates and one aggregates beside them.
		o.Parsers = max(1, min(4, runtime.GOMAXPROCS(0)-2))
	}
	return o
}

// expand turns names and patterns into the names of files.
func expand(paths []string) ([]string, error) {
	if len(paths) == 0 {
		return nil, errors.New("no input file is named")
	}
	var names []string
	seen := map[string]bool{}
	for _, path := range paths {
		found := []string{path}
		if _, err := os.Stat(path); err != nil && strings.ContainsAny(path, `*?[\`) {
			if found, err = filepath.Glob(path); err != nil {
				return nil, fmt.Errorf("input pattern %q: %w", path, err)
			}
			if len(found) == 0 {
				return nil, fmt.Errorf("no file is named like %q", path)
			}
			sort.Strings(found)
		}
		for _, name := range found {
			whole, err := filepath.Abs(name)
			if err != nil {
				return nil, fmt.Errorf("input %q: %w", name, err)
			}
			if seen[whole] {
				return nil, fmt.Errorf("input %s is named twice; its events would count twice", name)
			}
			seen[whole] = true
			names = append(names, name)
		}
	}
	return names, nil
}

// examine looks at a file's beginning: its header, and when its events start.
func (s *Files) examine(path string) (inputFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return inputFile{}, fmt.Errorf("input file: %w", err)
	}
	if !info.Mode().IsRegular() {
		what := "no regular file"
		if info.IsDir() {
			what = "a folder; name its files, or a pattern such as " + filepath.Join(path, "*.gz")
		}
		return inputFile{}, fmt.Errorf("input %s is %s", path, what)
	}
	file := inputFile{path: path, size: info.Size(), changed: info.ModTime(), first: stream.NoTime, digest: newDigest()}
	t, err := openText(path, &counter{})
	if err != nil {
		return inputFile{}, err
	}
	defer t.Close()
	c := &cutter{text: t, path: path, format: s.schema.Format, limit: s.options.MaxRecord, size: 16 << 10}
	b := newPool(&s.schema, 1).block()
	if err := c.next(b); err != nil && err != io.EOF && c.columns == nil && s.schema.Format == CSV {
		return inputFile{}, err
	}
	file.columns, file.empty = c.columns, true
	if s.schema.Format == CSV && c.columns == nil {
		return file, nil
	}
	codec, err := NewCodec(&s.schema, c.columns, s.options.MaxRecord)
	if err != nil {
		var missing *MissingColumnError
		if errors.As(err, &missing) {
			missing.Path = path
			return inputFile{}, missing
		}
		return inputFile{}, fmt.Errorf("%s: %w", path, err)
	}
	p := &parser{codec: codec, csv: s.schema.Format == CSV, limit: s.options.MaxRecord, piece: 1, pool: b.home}
	first := b.home.batch()
	p.fill(first, b, 0)
	if len(first.Times) > 0 {
		file.empty = false
		file.first = s.key(first, 0, stream.NoTime)
	}
	return file, nil
}

// key is what row i is merged by: its event time, or its predecessor's key where
// it has no acceptable one.
func (s *Files) key(b *stream.Batch, i int, before int64) int64 {
	if b.Reasons != nil && b.Reasons[i] != stream.Accepted || b.Times[i] > s.options.NotAfter {
		return before
	}
	return b.Times[i]
}

// Partitions implements stream.Source: one partition, whose number of records is
// not known before it is read.
func (s *Files) Partitions(context.Context) ([]stream.Partition, error) {
	return []stream.Partition{{ID: 0, Start: 0, End: -1, Size: s.size}}, nil
}

// NotAfter is the latest event time acceptable, µs: what a resumed run must be
// given as FileOptions.NotAfter.
func (s *Files) NotAfter() int64 { return s.options.NotAfter }

// Empty are the files without a record, which is seldom meant.
func (s *Files) Empty() []string {
	var names []string
	for _, f := range s.files {
		if f.empty {
			names = append(names, f.path)
		}
	}
	return names
}

// Describe implements stream.Source; it reads of every file what no reader has read,
// and remembers what it found. The result is a FilesDescription.
func (s *Files) Describe(ctx context.Context) (any, error) {
	s.hashing.Lock()
	defer s.hashing.Unlock()
	failures := make([]error, len(s.files))
	work := make(chan int)
	var workers sync.WaitGroup
	for range min(len(s.files), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := range work {
				failures[i] = s.files[i].hashed(ctx)
			}
		})
	}
	for i := range s.files {
		if s.files[i].hash == "" {
			work <- i
		}
	}
	close(work)
	workers.Wait()
	if err := errors.Join(failures...); err != nil {
		return nil, err
	}
	d := FilesDescription{Kind: "files", Format: s.schema.Format}
	for _, f := range s.files {
		d.Files = append(d.Files, FileDescription{Name: filepath.Base(f.path), Size: f.size, SHA256: f.hash})
	}
	return d, nil
}

// Resume implements stream.Resumer: the files must be the same ones, in the same order.
func (s *Files) Resume(ctx context.Context, description []byte) error {
	var was FilesDescription
	if err := json.Unmarshal(description, &was); err != nil || was.Kind != "files" {
		return fmt.Errorf("the earlier run did not read files: %s", description)
	}
	d, err := s.Describe(ctx)
	if err != nil {
		return err
	}
	now := d.(FilesDescription)
	if len(was.Files) != len(now.Files) || was.Format != now.Format {
		return fmt.Errorf("the input has changed: there were %d %s files and there are %d %s files",
			len(was.Files), was.Format, len(now.Files), now.Format)
	}
	for i, f := range now.Files {
		if was := was.Files[i]; f != was {
			return fmt.Errorf("the input has changed: file %d was %s with %d bytes, sha256 %s, and is %s with %d bytes, sha256 %s",
				i+1, was.Name, was.Size, was.SHA256, f.Name, f.Size, f.SHA256)
		}
	}
	return nil
}

// hashed finds a file's hash.
func (f *inputFile) hashed(ctx context.Context) error {
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("hashing input: %w", err)
	}
	defer file.Close()
	if err := f.unchanged(file); err != nil {
		return err
	}
	f.hash, err = f.digest.of(ctx, file)
	return err
}

// unchanged refuses a file that is not what it was when the source was made.
func (f *inputFile) unchanged(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("input %s: %w", f.path, err)
	}
	if info.Size() != f.size || !info.ModTime().Equal(f.changed) {
		return fmt.Errorf("input %s was changed while it was read: it had %d bytes and has %d", f.path, f.size, info.Size())
	}
	return nil
}

// Open implements stream.Source. To go on at a position, the records before it
// are read again and dropped.
func (s *Files) Open(ctx context.Context, partition int32, position int64) (stream.Reader, error) {
	if partition != 0 {
		return nil, fmt.Errorf("files are partition 0; there is no partition %d", partition)
	}
	if position == stream.FromStart {
		position = 0
	}
	if position < 0 {
		return nil, fmt.Errorf("there is no position %d in the input", position)
	}
	// Many files may be open at once: their buffers together stay below some 64 MB.
	size := max(16<<10, min(blockSize, (16<<20)/len(s.files)))
	depth := 4
	if len(s.files) > 4 {
		depth = 1
	}
	parsers := s.options.Parsers
	if len(s.files) > 1 {
		parsers = 1
	}
	r := &filesReader{source: s, inputs: make([]mergeInput, len(s.files)), skip: position}
	r.stream = streamOptions{
		schema: &s.schema, limit: s.options.MaxRecord, size: size, piece: max(s.options.Batch, 1024),
		depth: depth, parsers: parsers, lines: s.lines, pool: newPool(&s.schema, 2*depth+parsers+2),
	}
	for i := range s.files {
		r.inputs[i].key = s.files[i].first
		r.heap = append(r.heap, i)
	}
	r.orderHeap()
	return r, nil
}

// Close implements stream.Source; readers are closed on their own.
func (s *Files) Close() error { return nil }
