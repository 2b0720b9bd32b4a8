package materialize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/hextide/hextide/geo"
	"github.com/hextide/hextide/models"
	"github.com/hextide/hextide/pipeline"
	"github.com/hextide/hextide/stream"
)

// StateManifestName is the file that says what an export is; it is written last.
const StateManifestName = "_STATE.json"

// StateManifestVersion is the version of the export's format.
const StateManifestVersion = 1

// StateManifest says of which epoch an export is, and what is in it.
type StateManifest struct {
	Version     int            `json:"version"`
	Pipeline    string         `json:"pipeline"`
	PlanHash    string         `json:"plan_hash"`
	Epoch       int64          `json:"epoch"`
	Incarnation int64          `json:"incarnation"`
	Taken       string         `json:"taken"`
	Shards      int            `json:"shards"`
	Counts      stream.Counts  `json:"counts"`
	Source      any            `json:"source"`
	Measures    []StateMeasure `json:"measures"` // the last columns of panes and windows
	Files       []StateFile    `json:"files"`

	Incomplete []stream.IncompleteColumn `json:"incomplete,omitempty"` // columns of the definition that were added not long before
}

// StateFile is one Parquet file of an export.
type StateFile struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}

// StateMeasure is a measure of the plan and the column that holds it.
type StateMeasure struct {
	Column     string   `json:"column"`
	Kind       string   `json:"kind"`            // count, sum, min or max
	Field      string   `json:"field,omitempty"` // of it; a count has none
	Where      string   `json:"where,omitempty"` // of the events that pass it
	Aggregates []string `json:"aggregates"`      // that are made of it
}

// stateExport writes what an epoch holds as Parquet files.
type stateExport struct {
	plan      *pipeline.Plan
	sheets    []*sheet
	offsets   *offsetSheet
	frontiers *frontierSheet
	dedup     *dedupSheet
	panes     *cellSheet
	windows   *cellSheet
	models    *modelSheet
	forecasts *forecastSheet
}

var _ stream.StateVisitor = (*stateExport)(nil)

// ExportState writes what an epoch holds as Parquet files into a folder, which is
// made where it is missing and must not hold any. Where it fails nothing stays.
func ExportState(ctx context.Context, dir string, plan *pipeline.Plan, p *stream.Pointer, from stream.ObjectReader) (*StateManifest, error) {
	_, missing := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder %s: %w", dir, err)
	}
	e := &stateExport{plan: plan}
	m, err := e.export(ctx, dir, p, from)
	if err == nil {
		return m, nil
	}
	for _, s := range e.sheets {
		s.abandon()
	}
	if missing != nil {
		_ = os.Remove(dir) // it is empty, as far as this export goes
	}
	return nil, err
}

func (e *stateExport) export(ctx context.Context, dir string, p *stream.Pointer, from stream.ObjectReader) (*StateManifest, error) {
	measures := stateMeasures(e.plan)
	if err := e.open(dir, measures); err != nil {
		return nil, fmt.Errorf("beginning the export in %s: %w", dir, err)
	}
	committed := stream.Frontier{Provisional: p.Provisional, Final: p.Final}
	if err := e.frontiers.add(nil, "committed", committed); err != nil {
		return nil, err
	}
	if err := stream.VisitState(ctx, e.plan, p, from, e); err != nil {
		return nil, err
	}
	if err := closeAll(e.sheets); err != nil {
		return nil, err
	}
	m := &StateManifest{
		Version: StateManifestVersion, Pipeline: p.Pipeline, PlanHash: p.PlanHash, Epoch: p.Epoch, Incarnation: p.Incarnation,
		Taken: p.Taken, Shards: p.Shards, Counts: p.Counts, Source: p.Source, Measures: measures, Incomplete: p.Incomplete,
	}
	for _, s := range e.sheets {
		m.Files = append(m.Files, StateFile{s.name, s.total})
	}
	content, err := json.MarshalIndent(m, "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, StateManifestName), append(content, '\n'), 0o644)
	}
	if err != nil {
		_ = os.Remove(filepath.Join(dir, StateManifestName)) // half of it, if any
		return nil, fmt.Errorf("writing the manifest of %s: %w", dir, err)
	}
	return m, nil
}

// open makes the files.
func (e *stateExport) open(dir string, measures []StateMeasure) error {
	begin := func(name string) *sheet {
		s := newSheet(dir, name)
		e.sheets = append(e.sheets, s)
		return s
	}
	e.offsets = newOffsetSheet(begin("offsets.parquet"))
	e.frontiers = newFrontierSheet(begin("frontiers.parquet"))
	e.dedup = newDedupSheet(begin("dedup.parquet"), e.plan)
	e.panes = newCellSheet(begin("panes.parquet"), e.plan, measures, false)
	e.windows = newCellSheet(begin("windows.parquet"), e.plan, measures, true)
	e.models = newModelSheet(begin("models.parquet"))
	e.forecasts = newForecastSheet(begin("forecasts.parquet"))
	var errs error
	for _, s := range e.sheets {
		errs = errors.Join(errs, s.open())
	}
	return errs
}

// Partition writes where a partition stands.
func (e *stateExport) Partition(p stream.HeldPartition) error { return e.offsets.add(p) }

// Winners writes an open dedup span's events.
func (e *stateExport) Winners(w *stream.HeldWinners) error { return e.dedup.add(w) }

// Pane writes a pane's cells.
func (e *stateExport) Pane(p *stream.HeldCells) error {
	return e.panes.add(&stream.HeldWindow{HeldCells: *p})
}

// Window writes a window's cells.
func (e *stateExport) Window(w *stream.HeldWindow) error { return e.windows.add(w) }

// Shard writes how far a shard is.
func (e *stateExport) Shard(s stream.HeldShard) error {
	return errors.Join(e.frontiers.add(&s.ID, "asked", s.Asked), e.frontiers.add(&s.ID, "closed", s.Closed), e.frontiers.add(&s.ID, "told", s.Told))
}

// Model writes what a model has learnt, and its forecasts.
func (e *stateExport) Model(m *stream.HeldModel) error {
	for i := range m.Forecasts {
		if err := e.forecasts.add(m, &m.Forecasts[i]); err != nil {
			return err
		}
	}
	return m.Demand.EachParameter(func(cell geo.Cell, p models.Parameter) error { return e.models.add(m, cell, p) })
}

// offsetSheet is offsets.parquet: a row a partition.
type offsetSheet struct {
	*sheet
	partition                             *field[int32]
	position                              *field[int64]
	watermark, provisional, final, newest moment
	idle                                  *field[bool]
	control                               *field[int64]
	counts                                []*field[int64]
}

func newOffsetSheet(s *sheet) *offsetSheet {
	o := &offsetSheet{
		sheet: s, partition: s.int32("partition"), position: s.int64("position"), watermark: s.time("watermark"),
		provisional: s.time("provisional"), final: s.time("final"), newest: s.time("newest_event"),
		idle: s.bool("idle"), control: s.int64("control"),
	}
	for _, name := range []string{"read", "dead", "outside", "filtered", "late", "duplicates", "aggregated"} {
		o.counts = append(o.counts, s.int64(name))
	}
	return o
}

func (o *offsetSheet) add(p stream.HeldPartition) error {
	o.partition.add(p.ID)
	o.position.addIf(p.Position >= 0, p.Position)
	o.watermark.at(p.Watermark)
	o.provisional.at(p.Passed.Provisional)
	o.final.at(p.Passed.Final)
	o.newest.at(p.Accepted)
	o.idle.add(p.Passed.Idle)
	o.control.add(p.Control)
	c := &p.Counts
	for i, n := range []int64{c.Read, c.Dead, c.Outside, c.Filtered, c.Late, c.Duplicates, c.Aggregated} {
		o.counts[i].add(n)
	}
	return o.next()
}

// frontierSheet is frontiers.parquet: how far the pipeline and each shard are.
type frontierSheet struct {
	*sheet
	shard              *field[int32]
	kind               *field[parquet.ByteArray]
	provisional, final moment
}

func newFrontierSheet(s *sheet) *frontierSheet {
	return &frontierSheet{sheet: s, shard: s.int32("shard"), kind: s.text("kind"), provisional: s.time("provisional"), final: s.time("final")}
}

// add writes a frontier; nil: the whole pipeline's.
func (s *frontierSheet) add(shard *int32, kind string, f stream.Frontier) error {
	if shard == nil {
		s.shard.null()
	} else {
		s.shard.add(*shard)
	}
	s.kind.add(parquet.ByteArray(kind))
	s.provisional.at(f.Provisional)
	s.final.at(f.Final)
	return s.next()
}
