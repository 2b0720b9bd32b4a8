package features

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/hextide/hextide/column"
	"pgregory.net/rapid"
)

func truthValue(b bool) cellValue { return cellValue{i: truth(b)} }

func holds(operator string, order int) bool {
	return map[string]bool{
		"==": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0,
	}[operator]
}

func (d drawing) condition(depth int) expression {
	switch rapid.IntRange(0, 5).Draw(d.t, "condition") {
	case 0:
		return d.connective(depth)
	case 1:
		a := d.one(depth-1, column.Bool)
		return expression{"(not (" + a.text + "))", column.Bool, strict(func(v []cellValue) cellValue { return cellValue{i: 1 - v[0].i} }, a)}
	case 2:
		a, b := d.one(depth-1, column.String), d.one(depth-1, column.String)
		operator := rapid.SampledFrom([]string{"contains", "startsWith", "endsWith"}).Draw(d.t, "operator")
		f := map[string]func(a, b string) bool{"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix}[operator]
		return expression{fmt.Sprintf("(%s %s %s)", a.text, operator, b.text), column.Bool, strict(func(v []cellValue) cellValue { return truthValue(f(v[0].s, v[1].s)) }, a, b)}
	case 3:
		a := d.one(depth-1, rapid.SampledFrom([]column.Kind{column.Int, column.Float, column.Bool, column.String}).Draw(d.t, "kind"))
		return expression{"(" + a.text + " == nil)", column.Bool, func(row []cellValue) cellValue { return truthValue(a.of(row).null) }}
	case 4:
		a, b, c := d.one(depth-1, column.String), d.one(depth-1, column.String), d.one(depth-1, column.String)
		return expression{fmt.Sprintf("(%s in [%s, %s])", a.text, b.text, c.text), column.Bool, func(row []cellValue) cellValue {
			x, y, z := a.of(row), b.of(row), c.of(row)
			switch {
			case !x.null && (!y.null && x.s == y.s || !z.null && x.s == z.s):
				return truthValue(true)
			case x.null || y.null || z.null:
				return nothing
			}
			return truthValue(false)
		}}
	}
	return d.comparison(depth)
}

func (d drawing) comparison(depth int) expression {
	operator := rapid.SampledFrom([]string{"==", "!=", "<", "<=", ">", ">="}).Draw(d.t, "operator")
	kind := rapid.SampledFrom([]column.Kind{column.Int, column.Float, column.String}).Draw(d.t, "kind")
	a, b := d.one(depth-1, kind), d.one(depth-1, kind)
	text := fmt.Sprintf("(%s %s %s)", a.text, operator, b.text)
	return expression{text, column.Bool, strict(func(v []cellValue) cellValue {
		order := cmp.Compare(v[0].i, v[1].i)
		switch kind {
		case column.Float:
			order = cmp.Compare(v[0].f, v[1].f)
		case column.String:
			order = cmp.Compare(v[0].s, v[1].s)
		}
		return truthValue(holds(operator, order))
	}, a, b)}
}

// connective is SQL's: false and null is false, true or null is true.
func (d drawing) connective(depth int) expression {
	a, b := d.one(depth-1, column.Bool), d.one(depth-1, column.Bool)
	operator := rapid.SampledFrom([]string{"and", "or", "&&", "||"}).Draw(d.t, "operator")
	decides := truth(operator == "or" || operator == "||") // the value that decides alone
	return expression{fmt.Sprintf("(%s %s %s)", a.text, operator, b.text), column.Bool, func(row []cellValue) cellValue {
		x, y := a.of(row), b.of(row)
		switch {
		case !x.null && x.i == decides || !y.null && y.i == decides:
			return cellValue{i: decides}
		case x.null || y.null:
			return nothing
		}
		return cellValue{i: 1 - decides}
	}}
}

// drawRow is a row of values; a decimal's i is its scaled integer, its f what an
// expression sees.
func drawRow(t *rapid.T) []cellValue {
	row := make([]cellValue, len(oracleVariables))
	for v, variable := range oracleVariables {
		if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
			row[v] = nothing
			continue
		}
		switch variable.Kind {
		case column.Int:
			row[v].i = rapid.OneOf(rapid.Int64Range(-3, 3), rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64})).Draw(t, "integer")
		case column.Float:
			row[v].f = rapid.OneOf(rapid.Float64Range(-3, 3), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.MaxFloat64, 5e-324})).Draw(t, "float")
		case column.Decimal:
			row[v].i = rapid.Int64Range(-1e6, 1e6).Draw(t, "decimal")
			row[v].f = float64(row[v].i) / 100
		case column.Bool:
			row[v].i = int64(rapid.IntRange(0, 1).Draw(t, "truth"))
		default:
			row[v].s = rapid.SampledFrom([]string{"", "a", "ab", "ba", "é"}).Draw(t, "text")
		}
	}
	return row
}

func columnsOf(rows [][]cellValue) []*column.Vector {
	in := make([]*column.Vector, len(oracleVariables))
	for v, variable := range oracleVariables {
		in[v] = &column.Vector{Kind: variable.Kind, Scale: variable.Scale}
		for r, row := range rows {
			switch variable.Kind {
			case column.Float:
				in[v].Floats = append(in[v].Floats, row[v].f)
			case column.String:
				in[v].Strings.Append([]byte(row[v].s))
			default:
				in[v].Ints = append(in[v].Ints, row[v].i)
			}
			if row[v].null {
				in[v].Nulls.Set(r)
			}
		}
	}
	return in
}

// Whatever the expression and the values, columns at a time and rows at a time
// come to the same bits, batch after batch of the same evaluator.
func TestColumnsAgreeWithRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]column.Kind{column.Int, column.Float, column.Bool, column.String}).Draw(t, "kind")
		e := drawing{t}.one(4, kind)
		program, err := Compile(e.text, oracleVariables, 0)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if program.Kind != kind {
			t.Fatalf("%s is of kind %v, expected %v", e.text, program.Kind, kind)
		}
		evaluator := NewEvaluator(program)
		for range 3 {
			rows := make([][]cellValue, rapid.IntRange(0, 5).Draw(t, "rows"))
			for r := range rows {
				rows[r] = drawRow(t)
			}
			got := evaluator.Eval(columnsOf(rows), len(rows))
			if got.Len() != len(rows) {
				t.Fatalf("%s: %d values of %d rows", e.text, got.Len(), len(rows))
			}
			for r, row := range rows {
				sameValue(t, e, got, r, e.of(row))
			}
		}
	})
}

func sameValue(t *rapid.T, e expression, got *column.Vector, r int, want cellValue) {
	if got.Null(r) != want.null {
		t.Fatalf("%s, row %d: null is %v, expected %v", e.text, r, got.Null(r), want.null)
	}
	if e.kind == column.String {
		if text := string(got.Strings.At(r)); text != want.s {
			t.Fatalf("%s, row %d: %q, expected %q", e.text, r, text, want.s)
		}
		return
	}
	bits := uint64(want.i)
	if e.kind == column.Float {
		bits = math.Float64bits(want.f)
	}
	if want.null {
		bits = 0 // what a vector promises of a null's slot
	}
	if got.Bits(r) != bits {
		t.Fatalf("%s, row %d: bits %x, expected %x", e.text, r, got.Bits(r), bits)
	}
}
