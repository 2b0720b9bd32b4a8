package materialize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/stream"
)

// Difference is what a diff found.
type Difference struct {
	Compared int64            // rows final on both sides, present on at least one
	Differ   int64            // of them: those whose values differ or that one side lacks
	OnlyA    int64            // of them: rows that only A has
	OnlyB    int64            // of them: rows that only B has
	NotFinal int64            // rows not final on one of the sides yet, or that it may still get: not compared
	Outside  int64            // rows at window ends that the other side does not cover
	Columns  map[string]int64 // differing values by column
	Examples []string         // the first few differences
	HashA    string           // content_hash over the rows compared
	HashB    string
	Hashes   bool     // the manifests' hashes were compared alone: a side was written without files
	Damaged  []string // snapshots whose rows are not those that their manifests tell of
}

// Same tells whether no row differs and no side is damaged.
func (d *Difference) Same() bool {
	return d.Differ == 0 && d.HashA == d.HashB && len(d.Damaged) == 0
}

// ErrNoFiles is returned where a side holds no rows and the other no hash.
var ErrNoFiles = errors.New("was written with --no-files and can be compared with another snapshot alone, by content_hash")

// ErrColumns is returned where two sides cannot be compared row by row.
var ErrColumns = errors.New("the columns differ")

const maxExamples = 10

// Diff compares the rows of two sides bit for bit. Only window ends that both
// sides cover are compared: a live server or a feed may begin later or end
// sooner. Two snapshots of one range cover the same.
func Diff(ctx context.Context, a, b Side) (*Difference, error) {
	if !slices.Equal(a.Columns(), b.Columns()) {
		return nil, fmt.Errorf("%w: %s has %v, %s has %v", ErrColumns, a.Name(), a.Columns(), b.Name(), b.Columns())
	}
	if bare(a) || bare(b) {
		return byHash(ctx, a, b)
	}
	d := &comparison{a: a, b: b, hashA: hashOf(a.Columns()), hashB: hashOf(b.Columns())}
	d.found.Columns = map[string]int64{}
	d.whole = bothWhole(a, b)
	if err := d.run(ctx); err != nil {
		return nil, err
	}
	d.found.HashA, d.found.HashB, d.found.Damaged = d.hashA.String(), d.hashB.String(), damaged(a, b)
	return &d.found, nil
}

// bare tells whether a side is a snapshot that was written without files.
func bare(s Side) bool {
	snapshot, is := s.(*snapshotSide)
	return is && snapshot.manifest.NoFiles()
}

// byHash compares two snapshots, one of which has no files, by their manifests.
func byHash(ctx context.Context, a, b Side) (*Difference, error) {
	var sides [2]*snapshotSide
	for i, s := range []Side{a, b} {
		snapshot, is := s.(*snapshotSide)
		if !is {
			other := [2]Side{b, a}[i]
			return nil, fmt.Errorf("%s %w", other.Name(), ErrNoFiles)
		}
		for p, err := next(ctx, s); p != nil || err != nil; p, err = next(ctx, s) {
			if err != nil {
				return nil, err
			}
		}
		sides[i] = snapshot
	}
	ma, mb := sides[0].manifest, sides[1].manifest
	return &Difference{
		Compared: max(ma.Counts.Rows, mb.Counts.Rows), HashA: ma.ContentHash, HashB: mb.ContentHash,
		Hashes: true, Damaged: damaged(a, b),
	}, nil
}

// damaged tells of sides, read to their ends, whose rows do not add up to their
// manifests' hashes.
func damaged(sides ...Side) []string {
	var texts []string
	for _, s := range sides {
		if snapshot, is := s.(*snapshotSide); is && !bare(s) {
			if got, want := snapshot.hash.String(), snapshot.manifest.ContentHash; got != want {
				texts = append(texts, fmt.Sprintf("%s is damaged: the rows in its files have content_hash %s, its manifest says %s", s.Name(), got, want))
			}
		}
	}
	return texts
}

// hashOf begins a content hash over a side's columns.
func hashOf(columns []ManifestColumn) *stream.ContentHash {
	names, kinds := make([]string, len(columns)), make([]column.Kind, len(columns))
	for i, c := range columns {
		names[i], kinds[i] = c.Name, column.Int
		if c.Kind == "float64" {
			kinds[i] = column.Float
		}
	}
	return stream.HashColumns(names, kinds)
}

type comparison struct {
	a, b         Side
	hashA, hashB *stream.ContentHash
	found        Difference
	begunA       bool // A has had a pane: from there on it covers every window end
	begunB       bool
	whole        bool // both sides cover every window end of the same range
}

// run merges the panes of both sides by window end. A window end that a side
// has begun to cover but has no pane for is one without rows.
func (d *comparison) run(ctx context.Context) error {
	pa, err := next(ctx, d.a)
	if err != nil {
		return err
	}
	pb, err := next(ctx, d.b)
	for err == nil && (pa != nil || pb != nil) {
		d.begunA = d.begunA || pa != nil && (pb == nil || pa.End <= pb.End)
		d.begunB = d.begunB || pb != nil && (pa == nil || pb.End <= pa.End)
		switch {
		case pb == nil || pa != nil && pa.End < pb.End:
			d.oneSided(pa, d.whole || d.begunB && pb != nil, true)
			pa, err = next(ctx, d.a)
		case pa == nil || pb.End < pa.End:
			d.oneSided(pb, d.whole || d.begunA && pa != nil, false)
			pb, err = next(ctx, d.b)
		default:
			d.pane(pa, pb)
			if pa, err = next(ctx, d.a); err == nil {
				pb, err = next(ctx, d.b)
			}
		}
	}
	return err
}

// bothWhole tells whether two sides are snapshots of one range: then a window
// end that one lacks is a difference, wherever it lies.
func bothWhole(a, b Side) bool {
	sa, is := a.(*snapshotSide)
	sb, too := b.(*snapshotSide)
	return is && too && sa.manifest.Range == sb.manifest.Range
}

// next returns nil at the end.
func next(ctx context.Context, s Side) (*SidePane, error) {
	p, err := s.Next(ctx)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.Name(), err)
	}
	return p, nil
}

// oneSided counts a pane that the other side has no rows in.
func (d *comparison) oneSided(p *SidePane, covered, isA bool) {
	lacks := d.b
	if !isA {
		lacks = d.a
	}
	empty := &SidePane{End: p.End, Whole: lacks.Whole(p.End)}
	switch {
	case !covered:
		for _, block := range p.Rows {
			d.found.Outside += int64(len(block.Cells))
		}
	case isA:
		d.pane(p, empty)
	default:
		d.pane(empty, p)
	}
}

// pane compares two panes row by row.
func (d *comparison) pane(a, b *SidePane) {
	ra, rb := places(a), places(b)
	for len(ra) > 0 || len(rb) > 0 {
		switch {
		case len(rb) == 0 || len(ra) > 0 && ra[0].cell() < rb[0].cell():
			d.lacks(&ra[0], nil, b.Whole)
			ra = ra[1:]
		case len(ra) == 0 || rb[0].cell() < ra[0].cell():
			d.lacks(nil, &rb[0], a.Whole)
			rb = rb[1:]
		default:
			d.row(&ra[0], &rb[0])
			ra, rb = ra[1:], rb[1:]
		}
	}
}

func (a at) cell() geo.Cell { return a.block.Cells[a.row] }

func places(p *SidePane) []at {
	var rows []at
	for _, block := range p.Rows {
		for i := range block.Cells {
			rows = append(rows, at{block, i})
		}
	}
	return rows
}

// lacks compares a row that one side lacks: no difference while it may come.
func (d *comparison) lacks(a, b *at, whole bool) {
	if !whole {
		d.found.NotFinal++
		return
	}
	d.row(a, b)
}

// row compares one row; a side that lacks it is nil.
func (d *comparison) row(a, b *at) {
	if a != nil && !a.block.Final || b != nil && !b.block.Final {
		d.found.NotFinal++
		return
	}
	d.found.Compared++
	if a != nil {
		d.hashA.AddRow(a.block, a.row)
	}
	if b != nil {
		d.hashB.AddRow(b.block, b.row)
	}
	switch {
	case a == nil:
		d.found.OnlyB++
		d.differs("%s %s only in %s", b, d.b.Name())
	case b == nil:
		d.found.OnlyA++
		d.differs("%s %s only in %s", a, d.a.Name())
	default:
		d.values(a, b)
	}
}

func (d *comparison) differs(format string, row *at, detail any) {
	d.found.Differ++
	if len(d.found.Examples) < maxExamples {
		d.found.Examples = append(d.found.Examples, fmt.Sprintf(format, row.cell(), stampText(row.block.WindowEnd), detail))
	}
}

func (d *comparison) values(a, b *at) {
	var detail []string
	for c, info := range d.a.Columns() {
		va, vb := &a.block.Columns[c], &b.block.Columns[c]
		if va.Null(a.row) == vb.Null(b.row) && (va.Null(a.row) || va.Bits(a.row) == vb.Bits(b.row)) {
			continue
		}
		d.found.Columns[info.Name]++
		detail = append(detail, fmt.Sprintf("%s %s != %s", info.Name, valueText(a, c), valueText(b, c)))
	}
	if detail != nil {
		d.differs("%s %s %v", a, detail)
	}
}

// valueText prints a value so that different bits print differently.
func valueText(r *at, c int) string {
	v := &r.block.Columns[c]
	switch {
	case v.Null(r.row):
		return "null"
	case v.Floats != nil:
		return fmt.Sprintf("%v", v.Floats[r.row])
	}
	return fmt.Sprint(v.Ints[r.row])
}
