package lint

import (
	"go/ast"
	"path"
	"slices"
	"strings"
)

// clock are the functions of package time that ask what time it is, or wait.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}

// outside are the packages, with all below them, through which results could
// depend on something other than values handed in.
var outside = []string{"math/rand", "crypto/rand", "os", "net", "sync", "syscall", "unsafe"}

// inexact are the functions of package math whose last bits may differ between
// machines, or that fuse. math.Sqrt is exact by IEEE 754 and stays.
var inexact = []string{
	"Exp", "Exp2", "Expm1", "Log", "Log2", "Log10", "Log1p", "Pow", "Pow10", "Cbrt", "Hypot", "FMA",
	"Sin", "Cos", "Sincos", "Tan", "Asin", "Acos", "Atan", "Atan2",
	"Sinh", "Cosh", "Tanh", "Asinh", "Acosh", "Atanh", "Gamma", "Lgamma", "Erf", "Erfc", "Erfinv", "Erfcinv",
	"J0", "J1", "Jn", "Y0", "Y1", "Yn",
}

// concurrent are the files of stream, by the beginnings of their names, that run
// the state machines or that several goroutines share. A new file is a state
// machine until it is named here.
var concurrent = []string{"runner", "checkpoint", "exchange", "control", "memory", "stats", "rows", "rowpool", "gridpool", "partials_pool"}

// pure tells the code whose results are a function of its arguments alone: the
// packages before stream, and stream's state machines.
func pure(f *File) bool {
	if f.test() {
		return false
	}
	if f.top() != "stream" {
		return lines[f.top()] >= 1 && lines[f.top()] <= 3
	}
	base := strings.TrimSuffix(path.Base(f.Path), ".go")
	return !slices.ContainsFunc(concurrent, func(runs string) bool {
		return base == runs || strings.HasPrefix(base, runs+"_")
	})
}

func purity(files []*File) []string {
	return each(files, func(f *File) []string {
		found := inspect(f, func(n ast.Node) string {
			if _, is := n.(*ast.GoStmt); is {
				return "a goroutine in pure code"
			}
			return calls(f, n, "time", clock, "reads the clock in pure code")
		})
		for _, spec := range f.Go.Imports {
			for _, refused := range outside {
				if p := importPath(spec); p == refused || strings.HasPrefix(p, refused+"/") {
					found = append(found, f.at(spec.Pos(), "pure code may not import %s", p))
				}
			}
		}
		return found
	}, pure)
}

// exactMathematics lets the tables of geo alone use the functions, since what is
// made from them is rounded far above their last bits.
func exactMathematics(files []*File) []string {
	return each(files, func(f *File) []string {
		if strings.HasPrefix(f.Path, "geo/tables") {
			return nil
		}
		return inspect(f, func(n ast.Node) string {
			return calls(f, n, "math", inexact, "differs between machines: use package exact")
		})
	}, func(f *File) bool { return !f.test() && lines[f.top()] >= 1 && lines[f.top()] <= 4 })
}

// calls says why where a node names one of a package's functions.
func calls(f *File, n ast.Node, imported string, functions []string, why string) string {
	selector, is := n.(*ast.SelectorExpr)
	if !is {
		return ""
	}
	from, is := selector.X.(*ast.Ident)
	if !is || from.Name != localName(f, imported) || !slices.Contains(functions, selector.Sel.Name) {
		return ""
	}
	return imported + "." + selector.Sel.Name + " " + why
}
