package features

import (
	"fmt"
	"math"
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/hextide/hextide/column"
)

// value is what a node of the tree came to: the step that computes it. Kind 0
// is the literal nil.
type value struct {
	step int
	kind column.Kind
}

// positioned is a node with a place in the source.
type positioned interface{ Location() file.Location }

// maxSteps bounds the size of a program.
const maxSteps = 2000

// compiler turns a tree into steps.
type compiler struct {
	source string
	vars   []Variable
	steps  []step
	used   []int
	loaded map[int]value // by variable
}

func (c *compiler) wrong(node positioned, format string, arguments ...any) error {
	return wrongAt(c.source, node.Location().From, fmt.Sprintf(format, arguments...))
}

func (c *compiler) emit(s step, args ...value) value {
	for i, a := range args {
		s.args[i] = a.step
	}
	c.steps = append(c.steps, s)
	return value{len(c.steps) - 1, s.kind}
}

func (c *compiler) compile(node ast.Node) (value, error) {
	if len(c.steps) > maxSteps {
		return value{}, c.wrong(node, "the expression is too large")
	}
	switch n := node.(type) {
	case *ast.NilNode:
		return value{step: -1}, nil
	case *ast.IntegerNode:
		return c.emit(step{run: constant, kind: column.Int, integer: int64(n.Value)}), nil
	case *ast.FloatNode:
		if math.IsInf(n.Value, 0) || math.IsNaN(n.Value) {
			return value{}, c.wrong(n, "the number is too large")
		}
		return c.emit(step{run: constant, kind: column.Float, float: n.Value}), nil
	case *ast.BoolNode:
		return c.emit(step{run: constant, kind: column.Bool, integer: truth(n.Value)}), nil
	case *ast.StringNode:
		return c.emit(step{run: constant, kind: column.String, text: n.Value}), nil
	case *ast.IdentifierNode:
		return c.variable(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.conditional(n)
	case *ast.BuiltinNode:
		return c.call(n, n.Name, n.Arguments)
	case *ast.CallNode:
		if name, is := n.Callee.(*ast.IdentifierNode); is {
			return c.call(n, name.Value, n.Arguments)
		}
	}
	return value{}, c.wrong(node, "%s is not something that an expression over columns can have", node)
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// variable loads a column, once however often it is named.
func (c *compiler) variable(n *ast.IdentifierNode) (value, error) {
	i := slices.IndexFunc(c.vars, func(v Variable) bool { return v.Name == n.Value })
	if i < 0 {
		names := make([]string, len(c.vars))
		for j, v := range c.vars {
			names[j] = v.Name
		}
		if near := Nearest(n.Value, names); near != "" {
			return value{}, c.wrong(n, "there is no %q (did you mean %q?)", n.Value, near)
		}
		return value{}, c.wrong(n, "there is no %q", n.Value)
	}
	if v, is := c.loaded[i]; is {
		return v, nil
	}
	s := step{run: load, kind: c.vars[i].Kind, variable: i}
	if s.kind == column.Decimal {
		s.run, s.kind, s.integer = loadDecimal, column.Float, int64(c.vars[i].Scale)
	}
	v := c.emit(s)
	c.loaded[i] = v
	at, _ := slices.BinarySearch(c.used, i)
	c.used = slices.Insert(c.used, at, i)
	return v, nil
}

func isNumber(k column.Kind) bool { return k == column.Int || k == column.Float }

// float converts an integer to a float.
func (c *compiler) float(v value) value {
	if v.kind == column.Float {
		return v
	}
	return c.emit(step{run: toFloat, kind: column.Float}, v)
}

// alike converts two values to a common kind; ok is false where there is none.
func (c *compiler) alike(a, b value) (value, value, bool) {
	if a.kind == b.kind {
		return a, b, true
	}
	if isNumber(a.kind) && isNumber(b.kind) {
		return c.float(a), c.float(b), true
	}
	return a, b, false
}

func (c *compiler) unary(n *ast.UnaryNode) (value, error) {
	v, err := c.compile(n.Node)
	if err != nil {
		return v, err
	}
	switch n.Operator {
	case "!", "not":
		if v.kind != column.Bool {
			return v, c.wrong(n.Node, "%q wants a condition, not %s", n.Operator, kindText(v.kind))
		}
		return c.emit(step{run: not, kind: column.Bool}, v), nil
	case "-", "+":
		if !isNumber(v.kind) {
			return v, c.wrong(n.Node, "%q wants a number, not %s", n.Operator, kindText(v.kind))
		}
		if n.Operator == "+" {
			return v, nil
		}
		return c.emit(step{run: negate, kind: v.kind}, v), nil
	}
	return v, c.wrong(n, "there is no operator %q here", n.Operator)
}

func (c *compiler) conditional(n *ast.ConditionalNode) (value, error) {
	when, err := c.compile(n.Cond)
	if err != nil {
		return when, err
	}
	if when.kind != column.Bool {
		return when, c.wrong(n.Cond, "expected a condition, found %s", kindText(when.kind))
	}
	a, err := c.compile(n.Exp1)
	if err != nil {
		return a, err
	}
	b, err := c.compile(n.Exp2)
	if err != nil {
		return b, err
	}
	if a, b, err = c.branches(n, a, b); err != nil {
		return a, err
	}
	return c.emit(step{run: choose, kind: a.kind}, when, a, b), nil
}

// branches makes two results alike; nil takes the other's kind.
func (c *compiler) branches(n ast.Node, a, b value) (value, value, error) {
	if a.kind == 0 && b.kind == 0 {
		return a, b, c.wrong(n, "both results are nil")
	}
	if a.kind == 0 {
		a = c.emit(step{run: null, kind: b.kind})
	}
	if b.kind == 0 {
		b = c.emit(step{run: null, kind: a.kind})
	}
	x, y, ok := c.alike(a, b)
	if !ok {
		return a, b, c.wrong(n, "one result is %s, the other %s", kindText(a.kind), kindText(b.kind))
	}
	return x, y, nil
}
