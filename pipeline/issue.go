package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hextide/hextide/features"
)

// Position is a place in a definition's file; both count from 1.
type Position struct{ Line, Column int }

// Issue is one mistake of a definition.
type Issue struct {
	Position
	What string
}

// Errors are all mistakes of a definition, by their places.
type Errors struct {
	File   string
	Issues []Issue
}

// Error has a line for each mistake: file:line:column: what.
func (e *Errors) Error() string {
	lines := make([]string, 0, len(e.Issues)+1)
	if len(e.Issues) != 1 {
		lines = append(lines, fmt.Sprintf("%s has %d errors", e.File, len(e.Issues)))
	}
	for _, issue := range e.Issues {
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s", e.File, issue.Line, issue.Column, issue.What))
	}
	return strings.Join(lines, "\n")
}

// issues gathers mistakes; positions are those of the definition's nodes by
// their paths: "aggregates[2].where".
type issues struct {
	list      []Issue
	positions map[string]Position
	broken    map[Position]bool // of values of the wrong type: one word about them will do
}

func (s *issues) at(p Position, format string, arguments ...any) {
	s.list = append(s.list, Issue{p, fmt.Sprintf(format, arguments...)})
}

// on notes a mistake at a path, or at the nearest part of it that is there.
func (s *issues) on(path, format string, arguments ...any) {
	if p := s.find(path); !s.broken[p] {
		s.at(p, format, arguments...)
	}
}

func (s *issues) find(path string) Position {
	for {
		if p, known := s.positions[path]; known {
			return p
		}
		end := strings.LastIndexAny(path, ".[")
		if end < 0 {
			return Position{1, 1}
		}
		path = path[:end]
	}
}

// err is all mistakes, each once, in the order of their places; nil: none.
func (s *issues) err(file string) error {
	if len(s.list) == 0 {
		return nil
	}
	slices.SortStableFunc(s.list, func(a, b Issue) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Errors{File: file, Issues: slices.Compact(s.list)}
}

// Nearest returns the candidate that a misspelt name was most likely meant to
// be, or "".
func Nearest(name string, candidates []string) string { return features.Nearest(name, candidates) }

// meant is the hint at a near match, or "".
func meant(name string, candidates []string) string {
	if near := Nearest(name, candidates); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}
