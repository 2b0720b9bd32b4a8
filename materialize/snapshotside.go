package materialize

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// snapshotSide reads a snapshot's files side by side, one row group of each in
// memory, and gives their rows window end by window end.
type snapshotSide struct {
	dir      string
	manifest *Manifest
	waiting  []Part              // not opened yet, in order of their folders
	open     []*partReader       // those that may hold the next window end
	hash     *stream.ContentHash // of the rows that Next has returned
}

// OpenSnapshotSide opens a snapshot's folder.
func OpenSnapshotSide(dir string) (Side, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	return &snapshotSide{dir: dir, manifest: m, waiting: inOrder(m.Parts), hash: hashOf(m.Columns)}, nil
}

func (s *snapshotSide) Name() string              { return s.dir }
func (s *snapshotSide) Columns() []ManifestColumn { return s.manifest.Columns }

// Whole is always true: a snapshot holds final rows, all of its range.
func (s *snapshotSide) Whole(int64) bool { return true }

// Facts come from the manifest.
func (s *snapshotSide) Facts() map[string]string {
	m := s.manifest
	return map[string]string{
		"plan": m.PlanHash, "source": fmt.Sprint(m.Source), "late records": strconv.FormatInt(m.Counts.Late, 10),
		"accepted events": strconv.FormatInt(m.Counts.Aggregated, 10), "version": m.Code.Version,
		"time zone data": m.Code.TimeZoneData, "range": strings.Join(m.Range[:], " to "),
	}
}

// Next merges the rows of the files that hold the least window end.
func (s *snapshotSide) Next(ctx context.Context) (*SidePane, error) {
	if err := s.advance(); err != nil {
		return nil, err
	}
	if len(s.open) == 0 {
		return nil, io.EOF
	}
	pane := &SidePane{End: s.end(), Whole: true}
	waiting := pending{}
	for _, r := range s.open {
		for !r.ended && r.end() == pane.End {
			rows, err := r.take()
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", r.path, err)
			}
			waiting.add(rows)
		}
	}
	pane.Rows = waiting.take(0, pane.End)
	for _, rows := range pane.Rows {
		s.hash.Add(rows)
	}
	return pane, ctx.Err()
}

// end is the least window end of the files that are open.
func (s *snapshotSide) end() int64 {
	end := s.open[0].end()
	for _, r := range s.open {
		end = min(end, r.end())
	}
	return end
}

// advance closes files that have ended and opens those that may hold the next
// window end: the next of all when none is open, and others of its hour that do
// not begin later.
func (s *snapshotSide) advance() error {
	kept := s.open[:0]
	for _, r := range s.open {
		if !r.ended {
			kept = append(kept, r)
			continue
		}
		if err := r.close(); err != nil {
			return err
		}
	}
	s.open = kept
	for len(s.waiting) > 0 && (len(s.open) == 0 || sameHour(s.open[0].path, s.waiting[0].Path) && s.waiting[0].First <= s.end()) {
		r, err := openPart(s.dir, s.waiting[0].Path, s.manifest.Columns)
		if err != nil {
			return fmt.Errorf("opening %s: %w", filepath.Join(s.dir, s.waiting[0].Path), err)
		}
		s.waiting = s.waiting[1:]
		if !r.ended {
			s.open = append(s.open, r)
		}
	}
	return nil
}

// inOrder sorts files by their folders, which sort by time, and by what they begin with.
func inOrder(parts []Part) []Part {
	sorted := slices.Clone(parts)
	slices.SortStableFunc(sorted, func(a, b Part) int {
		return cmp.Or(strings.Compare(path.Dir(a.Path), path.Dir(b.Path)), cmp.Compare(a.First, b.First))
	})
	return sorted
}

func sameHour(a, b string) bool { return path.Dir(a) == path.Dir(b) }

func (s *snapshotSide) Close() error {
	for _, r := range s.open {
		if err := r.close(); err != nil {
			return err
		}
	}
	return nil
}

// partReader reads one Parquet file row group by row group.
type partReader struct {
	path    string
	columns []ManifestColumn
	file    *file.Reader
	group   int // the next to load
	row     int // the next of the group loaded
	rows    int // in the group loaded
	ended   bool

	cells, ends []int64
	resolutions []int32
	revisions   []int32
	values      *stream.Rows // its columns hold the group's values
}

func openPart(dir, path string, columns []ManifestColumn) (*partReader, error) {
	f, err := file.OpenParquetFile(filepath.Join(dir, path), false)
	if err != nil {
		return nil, err
	}
	r := &partReader{path: path, columns: columns, file: f}
	return r, r.load()
}

// end is the window end of the next row.
func (r *partReader) end() int64 { return r.ends[r.row] }

func (r *partReader) close() error { return r.file.Close() }

// load reads the next row group.
func (r *partReader) load() error {
	r.row, r.rows = 0, 0
	for r.rows == 0 {
		if r.group == r.file.NumRowGroups() {
			r.ended = true
			return nil
		}
		group := r.file.RowGroup(r.group)
		r.group++
		r.rows = int(group.NumRows())
		if err := r.loadColumns(group); err != nil {
			return err
		}
	}
	return nil
}

func (r *partReader) loadColumns(group *file.RowGroupReader) (err error) {
	if r.cells, err = required[int64](group, columnCell, r.rows, r.cells); err != nil {
		return err
	}
	if r.ends, err = required[int64](group, columnEnd, r.rows, r.ends); err != nil {
		return err
	}
	if r.resolutions, err = required[int32](group, columnResolution, r.rows, r.resolutions); err != nil {
		return err
	}
	if r.revisions, err = required[int32](group, columnRevision, r.rows, r.revisions); err != nil {
		return err
	}
	if r.values, err = newBlock(r.columns); err != nil {
		return err
	}
	for c := range r.columns {
		if err := loadOptional(group, fixedColumns+c, r.rows, &r.values.Columns[c]); err != nil {
			return fmt.Errorf("column %s: %w", r.columns[c].Name, err)
		}
	}
	return nil
}

// batchReader is what the typed column readers have in common.
type batchReader[T any] interface {
	ReadBatch(n int64, values []T, definitions, repetitions []int16) (int64, int, error)
}

// required reads a column without nulls.
func required[T any](group *file.RowGroupReader, i, n int, dst []T) ([]T, error) {
	values, _, err := readColumn(group, i, n, dst, nil)
	if err == nil && len(values) != n {
		err = fmt.Errorf("column %d has %d values for %d rows", i, len(values), n)
	}
	return values, err
}

func readColumn[T any](group *file.RowGroupReader, i, n int, dst []T, levels []int16) ([]T, []int16, error) {
	chunk, err := group.Column(i)
	if err != nil {
		return nil, nil, err
	}
	reader, is := chunk.(batchReader[T])
	if !is {
		return nil, nil, fmt.Errorf("column %d is not of the type that a snapshot has there (%T)", i, chunk)
	}
	if cap(dst) < n {
		dst = make([]T, n)
	}
	dst = dst[:n]
	rows, present := 0, 0
	for rows < n {
		var at []int16
		if levels != nil {
			at = levels[rows:]
		}
		total, values, err := reader.ReadBatch(int64(n-rows), dst[present:], at, nil)
		if err != nil {
			return nil, nil, err
		}
		if total == 0 {
			return nil, nil, io.ErrUnexpectedEOF
		}
		rows, present = rows+int(total), present+values
	}
	return dst[:present], levels, nil
}

// loadOptional reads a column with nulls into a vector.
func loadOptional(group *file.RowGroupReader, i, n int, v *column.Vector) (err error) {
	levels := make([]int16, n)
	if v.Kind == column.Float {
		var values []float64
		if values, levels, err = readColumn[float64](group, i, n, nil, levels); err == nil {
			v.Floats = spread(values, levels, &v.Nulls)
		}
		return err
	}
	var values []int64
	if values, levels, err = readColumn[int64](group, i, n, nil, levels); err == nil {
		v.Ints = spread(values, levels, &v.Nulls)
	}
	return err
}

// spread puts the values of a column at their rows.
func spread[T any](values []T, levels []int16, nulls *column.Bitmap) []T {
	out := make([]T, len(levels))
	next := 0
	for i, level := range levels {
		if level == 0 {
			nulls.Set(i)
			continue
		}
		out[i] = values[next]
		next++
	}
	return out
}

// take copies the next rows of one window end, resolution and revision.
func (r *partReader) take() (*stream.Rows, error) {
	rows, err := newBlock(r.columns)
	if err != nil {
		return nil, err
	}
	first := r.row
	rows.WindowEnd, rows.Resolution, rows.Revision, rows.Final = r.ends[first], int(r.resolutions[first]), r.revisions[first], true
	for ; r.row < r.rows && r.ends[r.row] == rows.WindowEnd && int(r.resolutions[r.row]) == rows.Resolution && r.revisions[r.row] == rows.Revision; r.row++ {
		rows.Cells = append(rows.Cells, geo.Cell(r.cells[r.row]))
		for c := range rows.Columns {
			from := &r.values.Columns[c]
			rows.Columns[c].AppendBits(from.Bits(r.row))
			if from.Null(r.row) {
				rows.Columns[c].Nulls.Set(len(rows.Cells) - 1)
			}
		}
	}
	if r.row == r.rows {
		return rows, r.load()
	}
	return rows, nil
}
