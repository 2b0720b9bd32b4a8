package features

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hextide/hextide/column"
)

// What is no expression over columns is refused, with the place and what was
// expected.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		source string
		want   column.Kind
		offset int
		what   string
	}{
		{"prise > 1", column.Bool, 0, `there is no "prise" (did you mean "price"?)`},
		{"i > zzz", column.Bool, 4, `there is no "zzz"`},
		{`s == "é" and k > 0`, column.Bool, 14, `there is no "k"`},
		{"i + 1", column.Bool, 2, "expected a condition (true or false), found an integer"},
		{"p", column.Float, 0, "expected a number, found a condition (true or false)"},
		{"s + 1", 0, 2, `"+" wants numbers on both sides, not text and an integer`},
		{"p < q", 0, 2, `"<" cannot compare a condition (true or false) with a condition (true or false)`},
		{"s == 1", 0, 2, `"==" cannot compare text with an integer`},
		{"x % 2", 0, 2, "% wants integers on both sides"},
		{"i ** 2", 0, 2, `there is no operator "**"`},
		{"1..3", 0, 1, `there is no operator ".."`},
		{"now()", 0, 0, `there is no function "now"`},
		{"sqr(x)", 0, 0, `there is no function "sqr" (did you mean "sqrt"?)`},
		{"abs(i, j)", 0, 0, "abs takes one number"},
		{"clamp(i, 0)", 0, 0, "clamp takes a number and its bounds"},
		{"max(x, s)", 0, 7, "max wants numbers, not text"},
		{"i ? 1 : 2", 0, 0, "expected a condition, found an integer"},
		{"p ? 1 : s", 0, 8, "one result is an integer, the other text"},
		{"p ? nil : nil", 0, 12, "both results are nil"},
		{"nil", 0, 0, "an expression that is always null"},
		{"nil < i", 0, 4, "nil can be compared with a value by == and != only"},
		{"s in t", 0, 5, `"in" wants a list of values in brackets`},
		{"i in [1, s]", 0, 9, `"==" cannot compare an integer with text`},
		{"not i", 0, 4, `"not" wants a condition, not an integer`},
		{"all([i], # > 0)", 0, 0, `there is no function "all"`},
		{"let k = 1; k", 0, 4, "let k = 1; k is not something that an expression over columns can have"},
		{"s[0]", 0, 1, "s[0] is not something that an expression over columns can have"},
		{"{}", 0, 0, "{} is not something that an expression over columns can have"},
		{"i +", 0, 2, "unexpected token EOF"},
		{"(i", 0, 1, "unexpected token EOF"},
		{"", 0, 0, "unexpected token EOF"},
	} {
		_, err := Compile(c.source, oracleVariables, c.want)
		var wrong *Error
		if !errors.As(err, &wrong) {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		if wrong.Offset != c.offset || wrong.What != c.what {
			t.Errorf("%s: %d, %q\nexpected %d, %q", c.source, wrong.Offset, wrong.What, c.offset, c.what)
		}
	}
}

func TestErrorCountsCharacters(t *testing.T) {
	_, err := Compile(`s == "é" and k > 0`, oracleVariables, 0)
	if want := `there is no "k" at character 14 of "s == \"é\" and k > 0"`; err == nil || err.Error() != want {
		t.Errorf("%v\nexpected %s", err, want)
	}
}

func TestTooLargeIsRefused(t *testing.T) {
	for _, source := range []string{strings.Repeat("i+", MaxSource) + "i", strings.Repeat("-x+1/", 700) + "x", "i in [" + strings.Repeat("1,", 1500) + "1]"} {
		if _, err := Compile(source, oracleVariables, 0); err == nil {
			t.Errorf("%d characters that begin with %s are accepted", len(source), source[:8])
		}
	}
}

func TestVariablesThatAreUsed(t *testing.T) {
	p, err := Compile(`price > x and s == "a" or price < 2`, oracleVariables, column.Bool)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{2, 6, 8}; !slices.Equal(p.Variables(), want) {
		t.Errorf("%v, expected %v", p.Variables(), want)
	}
	in := columnsOf([][]cellValue{make([]cellValue, len(oracleVariables))})
	for v := range in {
		if !slices.Contains(p.Variables(), v) {
			in[v] = nil
		}
	}
	if got := NewEvaluator(p).Eval(in, 1); got.Ints[0] != 1 {
		t.Errorf("0 < 2 is %d", got.Ints[0])
	}
}

// The evaluator's columns are all that it needs: batches after the first do not
// allocate.
func TestEvalDoesNotAllocate(t *testing.T) {
	const source = `(s in ["a", "b"] or not (t contains "b")) and p ?? q ? clamp(exp(x) + i * j % 7, 0, price) / max(abs(-i), 1) : round(y ?? 1.5)`
	p, err := Compile(source, oracleVariables, column.Float)
	if err != nil {
		t.Fatal(err)
	}
	rows := make([][]cellValue, 256)
	for r := range rows {
		rows[r] = make([]cellValue, len(oracleVariables))
		for v := range rows[r] {
			rows[r][v] = cellValue{null: (r+v)%5 == 0, i: int64(r*v) % 2, f: float64(r % (v + 1)), s: []string{"a", "ab"}[r%2]}
		}
	}
	in, e := columnsOf(rows), NewEvaluator(p)
	if n := testing.AllocsPerRun(20, func() { e.Eval(in, len(rows)) }); n != 0 {
		t.Errorf("%v allocations for each batch", n)
	}
}

func FuzzCompile(f *testing.F) {
	for _, source := range []string{"(i + 1) / (x + 2)", `s in ["a"] and not p`, "p ?? i > 2 ? x : nil", "[1,2]|filter(# > 1)", `s matches "["`, "let a = 1; a ?? 2", "1e999", "i.j?.k[0:1]", "-9223372036854775808", "\xff\xfe == 1", `"é" + k`} {
		f.Add(source)
	}
	in := columnsOf([][]cellValue{make([]cellValue, len(oracleVariables)), make([]cellValue, len(oracleVariables))})
	f.Fuzz(func(t *testing.T, source string) {
		p, err := Compile(source, oracleVariables, 0)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		v := NewEvaluator(p).Eval(in, 2)
		if v.Kind != p.Kind || v.Len() != 2 {
			t.Errorf("%q: kind %v of %v, %d values", source, v.Kind, p.Kind, v.Len())
		}
		for _, x := range v.Floats {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Errorf("%q is %v", source, x)
			}
		}
	})
}
