package stream

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hextide/hextide/pipeline"
)

// PlanState is the part of a pointer that tells what its state was made with, so
// that the state can be read, and compared with another definition, by itself.
type PlanState struct {
	PlanHash   string             `json:"plan_hash"`
	Definition string             `json:"definition,omitempty"` // its text; none in states of before it was kept
	Incomplete []IncompleteColumn `json:"incomplete,omitempty"` // ascending by column
	Originals  []Original         `json:"copied_from,omitempty"`
}

// IncompleteColumn is a column that was added to a state: its rows with a window
// end before Until lack what came before it was added.
type IncompleteColumn struct {
	Column string `json:"column"`
	Until  int64  `json:"until_us"`
}

// Plan is the plan that the state was made with.
func (p *PlanState) Plan() (*pipeline.Plan, error) {
	if p.Definition == "" {
		return nil, fmt.Errorf("%w: it does not hold the definition %s that it was made with, as one of an older program: run it with that definition until a checkpoint is committed, then change it", ErrMismatch, p.PlanHash)
	}
	plan, err := pipeline.Load([]byte(p.Definition), "the state's definition")
	if err != nil {
		return nil, fmt.Errorf("the definition that the state was made with: %w", err)
	}
	return plan, nil
}

// Compare says what becomes of the state with another plan.
func (p *PlanState) Compare(now *pipeline.Plan) (*pipeline.Comparison, error) {
	if p.PlanHash == now.Hash {
		return pipeline.Compare(now, now), nil
	}
	old, err := p.Plan()
	if err != nil {
		return nil, err
	}
	return pipeline.Compare(old, now), nil
}

// evolution translates the entries of a state made with one plan into those of
// another. It is pure; nil leaves everything as it is.
//
// What both plans keep goes on bit by bit. A measure that is new is empty in the
// panes there are, and so are a field and a condition in the winners of open
// dedup spans. What provisional rows said is forgotten, so that they are all told
// again when final, with the columns of now.
type evolution struct {
	old, now   *pipeline.Plan
	comparison *pipeline.Comparison
	measures   []int // by measure of now: that of old; none
	levels     []int // by level of now (0: the cells): that of old; none
	fields     []int // by field of now: that of old; none
	wheres     []int // by where program of now: that of old; none
	models     []int // by model of old: that of now; none
}

// newEvolution refuses what cannot be translated.
func newEvolution(old, now *pipeline.Plan) (*evolution, error) {
	e := &evolution{old: old, now: now, comparison: pipeline.Compare(old, now)}
	if refused := e.comparison.Refused; len(refused) > 0 {
		var lines []error
		for i := range refused {
			lines = append(lines, &refused[i])
		}
		return nil, fmt.Errorf("%w: its definition has changed in what it cannot follow:\n%w", ErrMismatch, errors.Join(lines...))
	}
	texts := func(p *pipeline.Plan) []string {
		all := make([]string, len(p.Layout.Measures))
		for i := range all {
			all[i] = p.MeasureText(i)
		}
		return all
	}
	e.measures = positions(texts(now), texts(old))
	e.levels = positions(append([]int{now.Grid.Resolution}, now.Grid.Parents...), append([]int{old.Grid.Resolution}, old.Grid.Parents...))
	e.fields = positions(now.Source.Fields, old.Source.Fields)
	sources := func(p *pipeline.Plan) []string {
		all := make([]string, len(p.Wheres))
		for i, w := range p.Wheres {
			all[i] = w.Source
		}
		return all
	}
	e.wheres = positions(sources(now), sources(old))
	names := func(p *pipeline.Plan) []string {
		all := make([]string, len(p.Models))
		for i := range p.Models {
			all[i] = p.Models[i].Name
		}
		return all
	}
	e.models = positions(names(old), names(now))
	return e, nil
}

// positions finds each of some values among others; none where it is not there.
func positions[T comparable](of, among []T) []int {
	at := map[T]int{}
	for i, v := range among {
		at[v] = i
	}
	found := make([]int, len(of))
	for i, v := range of {
		found[i] = none
		if j, held := at[v]; held {
			found[i] = j
		}
	}
	return found
}

// evolve finds what a state needs to go on with a plan; nil: nothing.
func (p *Pointer) evolve(now *pipeline.Plan, bounded bool) (*evolution, error) {
	if p.PlanHash == now.Hash {
		return nil, nil
	}
	if bounded {
		return nil, p.madeWith(now) // bounded input has one definition from its beginning to its end
	}
	old, err := p.Plan()
	if err != nil {
		return nil, err
	}
	return newEvolution(old, now)
}

// summary says what changes, for a log.
func (e *evolution) summary() []any {
	var settings []string
	for _, c := range e.comparison.Changed {
		settings = append(settings, fmt.Sprintf("%s: %s, was %s", c.What, c.Is, c.Was))
	}
	return []any{
		"was", e.old.Hash, "is", e.now.Hash, "added", strings.Join(e.comparison.Added, " "), "removed", strings.Join(e.comparison.Removed, " "),
		"unchanged", len(e.comparison.Unchanged), "settings", strings.Join(settings, "; "),
	}
}
