package features

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/hextide/hextide/column"
)

// Variable is a name that an expression may use.
type Variable struct {
	Name  string
	Kind  column.Kind
	Scale int // Decimal only
}

// Program is a compiled expression. It does not change and may be shared by
// goroutines, each with an Evaluator of its own.
type Program struct {
	Source string
	Kind   column.Kind // of the result: Int, Float, Bool or String
	steps  []step
	used   []int
}

// Error is what is wrong with an expression, and where.
type Error struct {
	Source string
	Offset int // bytes, 0 to len(Source)
	What   string
}

// Error is one sentence.
func (e *Error) Error() string {
	return fmt.Sprintf("%s at character %d of %q", e.What, utf8.RuneCountInString(e.Source[:e.Offset])+1, e.Source)
}

// wrongAt is an error at the parser's position, which counts characters.
func wrongAt(source string, characters int, what string) *Error {
	offset := len(source)
	for at := range source {
		if characters <= 0 {
			offset = at
			break
		}
		characters--
	}
	return &Error{Source: source, Offset: offset, What: what}
}

// MaxSource bounds the length of an expression, in bytes.
const MaxSource = 4096

// Compile parses and types an expression. want is the kind that the result must
// have: Bool, Float (an integer result is converted), or 0 for any.
func Compile(source string, vars []Variable, want column.Kind) (*Program, error) {
	if len(source) > MaxSource {
		return nil, &Error{Source: source[:40] + "...", What: fmt.Sprintf("an expression has at most %d characters", MaxSource)}
	}
	tree, err := parser.Parse(source)
	if err != nil {
		return nil, syntaxError(source, err)
	}
	c := &compiler{source: source, vars: vars, loaded: map[int]value{}}
	result, err := c.compile(tree.Node)
	if err != nil {
		return nil, err
	}
	if result, err = c.coerce(tree.Node, result, want); err != nil {
		return nil, err
	}
	c.steps = append(c.steps, step{run: move, kind: result.kind, args: [3]int{result.step}})
	return &Program{Source: source, Kind: result.kind, steps: c.steps, used: c.used}, nil
}

// coerce makes the result what is wanted.
func (c *compiler) coerce(node positioned, v value, want column.Kind) (value, error) {
	switch {
	case v.kind == 0:
		return v, c.wrong(node, "an expression that is always null")
	case want == 0 || v.kind == want:
		return v, nil
	case want == column.Float && v.kind == column.Int:
		return c.float(v), nil
	}
	return v, c.wrong(node, "expected %s, found %s", kindText(want), kindText(v.kind))
}

// Variables are the positions of the variables that are used, ascending.
func (p *Program) Variables() []int { return p.used }

// syntaxError turns the parser's error into ours.
func syntaxError(source string, err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return &Error{Source: source, What: err.Error()}
	}
	return wrongAt(source, at.From, strings.TrimSuffix(at.Message, "\n"))
}

func kindText(k column.Kind) string {
	switch k {
	case column.Bool:
		return "a condition (true or false)"
	case column.Float:
		return "a number"
	case column.Int:
		return "an integer"
	case column.String:
		return "text"
	}
	return "null"
}
