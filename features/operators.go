package features

import (
	"maps"
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/hextide/hextide/column"
)

// binary compiles an operator with two operands.
func (c *compiler) binary(n *ast.BinaryNode) (value, error) {
	if n.Operator == "in" {
		return c.in(n)
	}
	a, err := c.compile(n.Left)
	if err != nil {
		return a, err
	}
	b, err := c.compile(n.Right)
	if err != nil {
		return b, err
	}
	switch n.Operator {
	case "+", "-", "*", "/", "%":
		return c.arithmetic(n, a, b)
	case "==", "!=", "<", "<=", ">", ">=":
		return c.comparison(n, a, b)
	case "and", "&&", "or", "||":
		return c.logic(n, a, b)
	case "contains", "startsWith", "endsWith":
		if a.kind != column.String || b.kind != column.String {
			return a, c.wrong(n, "%q wants text on both sides", n.Operator)
		}
		return c.emit(step{run: textOperators[n.Operator], kind: column.Bool}, a, b), nil
	case "??":
		if a.kind == 0 {
			return b, nil
		}
		if a, b, err = c.branches(n, a, b); err != nil {
			return a, err
		}
		return c.emit(step{run: otherwise, kind: a.kind}, a, b), nil
	}
	return a, c.wrong(n, "there is no operator %q", n.Operator)
}

func (c *compiler) arithmetic(n *ast.BinaryNode, a, b value) (value, error) {
	if !isNumber(a.kind) || !isNumber(b.kind) {
		return a, c.wrong(n, "%q wants numbers on both sides, not %s and %s", n.Operator, kindText(a.kind), kindText(b.kind))
	}
	if n.Operator == "%" {
		if a.kind != column.Int || b.kind != column.Int {
			return a, c.wrong(n, "%% wants integers on both sides")
		}
		return c.emit(step{run: remainder, kind: column.Int}, a, b), nil
	}
	if a.kind == column.Int && b.kind == column.Int && n.Operator != "/" {
		return c.emit(step{run: integerOperators[n.Operator], kind: column.Int}, a, b), nil
	}
	return c.emit(step{run: floatOperators[n.Operator], kind: column.Float}, c.float(a), c.float(b)), nil
}

func (c *compiler) comparison(n *ast.BinaryNode, a, b value) (value, error) {
	equality := n.Operator == "==" || n.Operator == "!="
	if a.kind == 0 || b.kind == 0 {
		return c.isNull(n, a, b, equality)
	}
	x, y, ok := c.alike(a, b)
	if !ok || x.kind == column.Bool && !equality {
		return a, c.wrong(n, "%q cannot compare %s with %s", n.Operator, kindText(a.kind), kindText(b.kind))
	}
	s := step{kind: column.Bool}
	switch x.kind {
	case column.Float:
		s.run = compareFloats[n.Operator]
	case column.String:
		s.run = compareTexts[n.Operator]
	default:
		s.run = compareIntegers[n.Operator]
	}
	return c.emit(s, x, y), nil
}

// isNull compiles x == nil and x != nil.
func (c *compiler) isNull(n *ast.BinaryNode, a, b value, equality bool) (value, error) {
	if !equality || a.kind == b.kind {
		return a, c.wrong(n, "nil can be compared with a value by == and != only")
	}
	if a.kind == 0 {
		a = b
	}
	v := c.emit(step{run: isNull, kind: column.Bool}, a)
	if n.Operator == "!=" {
		v = c.emit(step{run: not, kind: column.Bool}, v)
	}
	return v, nil
}

func (c *compiler) logic(n *ast.BinaryNode, a, b value) (value, error) {
	if a.kind != column.Bool || b.kind != column.Bool {
		return a, c.wrong(n, "%q wants conditions on both sides, not %s and %s", n.Operator, kindText(a.kind), kindText(b.kind))
	}
	run := and
	if n.Operator == "or" || n.Operator == "||" {
		run = or
	}
	return c.emit(step{run: run, kind: column.Bool}, a, b), nil
}

// in compiles x in [a, b, c] as x == a or x == b or x == c.
func (c *compiler) in(n *ast.BinaryNode) (value, error) {
	list, is := n.Right.(*ast.ArrayNode)
	if !is || len(list.Nodes) == 0 {
		return value{}, c.wrong(n.Right, "\"in\" wants a list of values in brackets")
	}
	x, err := c.compile(n.Left)
	if err != nil {
		return x, err
	}
	var found value
	for i, node := range list.Nodes {
		y, err := c.compile(node)
		if err != nil {
			return y, err
		}
		same := &ast.BinaryNode{Operator: "=="}
		same.SetLocation(node.Location())
		v, err := c.comparison(same, x, y)
		if err != nil {
			return v, err
		}
		if i == 0 {
			found = v
			continue
		}
		found = c.emit(step{run: or, kind: column.Bool}, found, v)
	}
	return found, nil
}

// call compiles a function.
func (c *compiler) call(n ast.Node, name string, arguments []ast.Node) (value, error) {
	f, is := functions[name]
	if !is {
		if near := Nearest(name, slices.Sorted(maps.Keys(functions))); near != "" {
			return value{}, c.wrong(n, "there is no function %q (did you mean %q?)", name, near)
		}
		return value{}, c.wrong(n, "there is no function %q", name)
	}
	if len(arguments) < f.least || f.most > 0 && len(arguments) > f.most {
		return value{}, c.wrong(n, "%s takes %s", name, f.takes)
	}
	values := make([]value, len(arguments))
	integers := true
	for i, node := range arguments {
		v, err := c.compile(node)
		if err != nil {
			return v, err
		}
		if !isNumber(v.kind) {
			return v, c.wrong(node, "%s wants numbers, not %s", name, kindText(v.kind))
		}
		values[i] = v
		integers = integers && v.kind == column.Int
	}
	return f.compile(c, values, integers), nil
}
