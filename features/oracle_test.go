package features

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/hextide/hextide/column"
	"github.com/hextide/hextide/exact"
	"pgregory.net/rapid"
)

// cellValue is a value as the row-by-row interpreter has it.
type cellValue struct {
	null bool
	i    int64 // integers and conditions
	f    float64
	s    string
}

var nothing = cellValue{null: true}

// expression is a random expression: its text, and what it is for a row.
type expression struct {
	text string
	kind column.Kind
	of   func(row []cellValue) cellValue
}

var oracleVariables = []Variable{
	{Name: "i", Kind: column.Int}, {Name: "j", Kind: column.Int},
	{Name: "x", Kind: column.Float}, {Name: "y", Kind: column.Float},
	{Name: "p", Kind: column.Bool}, {Name: "q", Kind: column.Bool},
	{Name: "s", Kind: column.String}, {Name: "t", Kind: column.String},
	{Name: "price", Kind: column.Decimal, Scale: 2},
}

func finiteOrNull(f float64) cellValue {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nothing
	}
	return cellValue{f: f}
}

func fitsOrNull(b *big.Int) cellValue {
	if !b.IsInt64() {
		return nothing
	}
	return cellValue{i: b.Int64()}
}

// strict is null where an argument is, else f.
func strict(f func(a []cellValue) cellValue, of ...expression) func(row []cellValue) cellValue {
	return func(row []cellValue) cellValue {
		a := make([]cellValue, len(of))
		for n := range of {
			if a[n] = of[n].of(row); a[n].null {
				return nothing
			}
		}
		return f(a)
	}
}

func asFloat(e expression) expression {
	if e.kind == column.Float {
		return e
	}
	return expression{e.text, column.Float, strict(func(a []cellValue) cellValue { return cellValue{f: float64(a[0].i)} }, e)}
}

// drawing makes random expressions of a kind.
type drawing struct{ t *rapid.T }

func (d drawing) one(depth int, kind column.Kind) expression {
	if depth <= 0 || rapid.IntRange(0, 5).Draw(d.t, "leaf") == 0 {
		return d.leaf(kind)
	}
	if pick := rapid.IntRange(0, 7).Draw(d.t, "shape"); pick == 0 {
		return d.choice(depth, kind)
	} else if pick == 1 {
		a, b := d.one(depth-1, kind), d.one(depth-1, kind)
		return expression{fmt.Sprintf("(%s ?? %s)", a.text, b.text), kind, func(row []cellValue) cellValue {
			if v := a.of(row); !v.null {
				return v
			}
			return b.of(row)
		}}
	}
	switch kind {
	case column.Int:
		return d.integer(depth)
	case column.Float:
		return d.float(depth)
	case column.Bool:
		return d.condition(depth)
	}
	return d.leaf(kind)
}

func (d drawing) leaf(kind column.Kind) expression {
	var names []int
	for v, variable := range oracleVariables {
		if variable.Kind == kind || kind == column.Float && variable.Kind == column.Decimal {
			names = append(names, v)
		}
	}
	if rapid.Bool().Draw(d.t, "variable") {
		v := rapid.SampledFrom(names).Draw(d.t, "which")
		return expression{oracleVariables[v].Name, kind, func(row []cellValue) cellValue { return row[v] }}
	}
	var text string
	var value cellValue
	switch kind {
	case column.Int:
		value.i = rapid.SampledFrom([]int64{0, 1, 2, 3, 7, 1000, math.MaxInt64}).Draw(d.t, "integer")
		text = strconv.FormatInt(value.i, 10)
	case column.Float:
		value.f = rapid.SampledFrom([]float64{0, .5, 1, 1.25, 3.7, 1e6, 1e300}).Draw(d.t, "float")
		if text = strconv.FormatFloat(value.f, 'f', -1, 64); !strings.Contains(text, ".") {
			text += ".0"
		}
	case column.Bool:
		value.i = int64(rapid.IntRange(0, 1).Draw(d.t, "truth"))
		text = strconv.FormatBool(value.i == 1)
	default:
		value.s = rapid.SampledFrom([]string{"", "a", "ab", "é", "b"}).Draw(d.t, "text")
		text = `"` + value.s + `"`
	}
	return expression{text, kind, func([]cellValue) cellValue { return value }}
}

func (d drawing) choice(depth int, kind column.Kind) expression {
	c, a, b := d.one(depth-1, column.Bool), d.one(depth-1, kind), d.one(depth-1, kind)
	return expression{fmt.Sprintf("(%s ? %s : %s)", c.text, a.text, b.text), kind, func(row []cellValue) cellValue {
		switch v := c.of(row); {
		case v.null:
			return nothing
		case v.i == 1:
			return a.of(row)
		}
		return b.of(row)
	}}
}

func (d drawing) integer(depth int) expression {
	a, b := d.one(depth-1, column.Int), d.one(depth-1, column.Int)
	operator := rapid.SampledFrom([]string{"+", "-", "*", "%", "negate", "abs", "min", "max", "round"}).Draw(d.t, "operator")
	switch operator {
	case "negate":
		return expression{"(-" + a.text + ")", column.Int, strict(func(v []cellValue) cellValue { return fitsOrNull(new(big.Int).Neg(big.NewInt(v[0].i))) }, a)}
	case "abs":
		return expression{"abs(" + a.text + ")", column.Int, strict(func(v []cellValue) cellValue { return fitsOrNull(new(big.Int).Abs(big.NewInt(v[0].i))) }, a)}
	case "round":
		return expression{"round(" + a.text + ")", column.Int, a.of}
	case "min":
		return expression{fmt.Sprintf("min(%s, %s)", a.text, b.text), column.Int, strict(func(v []cellValue) cellValue { return cellValue{i: min(v[0].i, v[1].i)} }, a, b)}
	case "max":
		return expression{fmt.Sprintf("max(%s, %s)", a.text, b.text), column.Int, strict(func(v []cellValue) cellValue { return cellValue{i: max(v[0].i, v[1].i)} }, a, b)}
	}
	return expression{fmt.Sprintf("(%s %s %s)", a.text, operator, b.text), column.Int, strict(func(v []cellValue) cellValue {
		x, y := big.NewInt(v[0].i), big.NewInt(v[1].i)
		switch operator {
		case "+":
			return fitsOrNull(x.Add(x, y))
		case "-":
			return fitsOrNull(x.Sub(x, y))
		case "*":
			return fitsOrNull(x.Mul(x, y))
		}
		if y.Sign() == 0 {
			return nothing
		}
		return fitsOrNull(x.Rem(x, y)) // the remainder has the dividend's sign, as Go's
	}, a, b)}
}

func (d drawing) number(depth int) expression {
	return d.one(depth, rapid.SampledFrom([]column.Kind{column.Int, column.Float}).Draw(d.t, "number"))
}

func (d drawing) float(depth int) expression {
	one := map[string]func(float64) float64{"abs": math.Abs, "floor": math.Floor, "ceil": math.Ceil, "round": math.Round, "sqrt": math.Sqrt, "exp": exact.Exp, "log": exact.Log}
	operator := rapid.SampledFrom([]string{"+", "-", "*", "/", "abs", "floor", "ceil", "round", "sqrt", "exp", "log", "clamp"}).Draw(d.t, "operator")
	if f, is := one[operator]; is {
		a := d.one(depth-1, column.Float)
		return expression{operator + "(" + a.text + ")", column.Float, strict(func(v []cellValue) cellValue { return finiteOrNull(f(v[0].f)) }, a)}
	}
	if operator == "clamp" {
		a, low, high := d.one(depth-1, column.Float), d.number(depth-1), d.number(depth-1)
		return expression{fmt.Sprintf("clamp(%s, %s, %s)", a.text, low.text, high.text), column.Float, strict(func(v []cellValue) cellValue {
			f := v[0].f
			if !(f > v[1].f) {
				f = v[1].f
			}
			if !(f < v[2].f) {
				f = v[2].f
			}
			return cellValue{f: f}
		}, a, asFloat(low), asFloat(high))}
	}
	a, b := d.one(depth-1, column.Float), d.number(depth-1)
	if rapid.Bool().Draw(d.t, "swap") {
		a, b = b, a
	}
	return expression{fmt.Sprintf("(%s %s %s)", a.text, operator, b.text), column.Float, strict(func(v []cellValue) cellValue {
		switch operator {
		case "+":
			return finiteOrNull(v[0].f + v[1].f)
		case "-":
			return finiteOrNull(v[0].f - v[1].f)
		case "*":
			return finiteOrNull(v[0].f * v[1].f)
		}
		return finiteOrNull(v[0].f / v[1].f)
	}, asFloat(a), asFloat(b))}
}
