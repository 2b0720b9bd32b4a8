package materialize

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// Cells that come again and again are written once a row group, others by their
// differences; either way every row of every row group has its cell and its name.
func TestCellsOfFiles(t *testing.T) {
	plan := planOf(t, "cells", "none", "json")
	home, err := geo.Index(37.77, -122.42, 9)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		radius  int
		minutes int64
		indexed bool
	}{
		{"again and again", 20, 50, true}, // 1,261 cells
		{"seldom", 130, 2, false},         // 51,091 cells
	} {
		t.Run(c.name, func(t *testing.T) {
			cells := geo.Disk(nil, home, c.radius)
			slices.Sort(cells)
			var blocks []block
			for i := range c.minutes {
				blocks = append(blocks, simple(plan, noon+i*minute, int32(i%2), i, cells...))
			}
			script := step{blocks: blocks, frontier: &stream.Frontier{Provisional: noon + c.minutes*minute, Final: noon + c.minutes*minute}}
			dir := t.TempDir()
			s := snap(t, dir, plan, SnapshotOptions{}, nil)
			deliver(t, s, script.output(plan))
			if _, err := s.Checkpoint(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			m := finish(t, s, dir, expected(plan, []step{script}))
			if len(m.Parts) != 1 {
				t.Fatalf("%d files", len(m.Parts))
			}
			namesAgree(t, filepath.Join(dir, m.Parts[0].Path), c.indexed)
		})
	}
}

// namesAgree checks the two columns of cells of a file with several row groups.
func namesAgree(t *testing.T, path string, indexed bool) {
	t.Helper()
	f, err := file.OpenParquetFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.NumRowGroups() < 2 {
		t.Fatalf("%d row groups", f.NumRowGroups())
	}
	for i := range f.NumRowGroups() {
		group := f.RowGroup(i)
		n := int(group.NumRows())
		cells, err := required[int64](group, columnCell, n, nil)
		if err != nil {
			t.Fatal(err)
		}
		names, _, err := readColumn[parquet.ByteArray](group, columnH3, n, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for row, c := range cells {
			if geo.Cell(c).String() != string(names[row]) {
				t.Fatalf("row %d of group %d: cell %x, h3 %s", row, i, c, names[row])
			}
		}
		chunk, err := group.MetaData().ColumnChunk(columnCell)
		if err != nil {
			t.Fatal(err)
		}
		least, most := int64(slices.Min(cells)), int64(slices.Max(cells))
		stats, err := chunk.Statistics()
		if err != nil || chunk.HasDictionaryPage() != indexed || !stats.HasMinMax() {
			t.Fatalf("a dictionary: %t, %v", chunk.HasDictionaryPage(), err)
		}
		if s := stats.(interface {
			Min() int64
			Max() int64
		}); s.Min() != least || s.Max() != most {
			t.Errorf("cells from %x to %x, not %x to %x", s.Min(), s.Max(), least, most)
		}
	}
}
