package lint

import (
	"fmt"
	"go/ast"
	"strings"
)

// The budgets. What does not fit is two things.
const (
	fileLines        = 600
	functionLines    = 60
	structFields     = 15
	interfaceMethods = 7
)

func fileSizes(files []*File) []string {
	return each(files, func(f *File) []string {
		lines := strings.Count(f.Text, "\n")
		if lines <= fileLines {
			return nil
		}
		return []string{fmt.Sprintf("%s: %d lines, at most %d", f.Path, lines, fileLines)}
	})
}

func functionSizes(files []*File) []string {
	return each(files, func(f *File) []string {
		return inspect(f, func(n ast.Node) string {
			function, is := n.(*ast.FuncDecl)
			if !is || function.Body == nil {
				return ""
			}
			return over(function.Name.Name, "lines", f.line(function.End())-f.line(function.Type.Func)+1, functionLines)
		})
	})
}

func structSizes(files []*File) []string {
	return each(files, func(f *File) []string {
		return inspect(f, func(n ast.Node) string {
			if s, is := n.(*ast.StructType); is {
				return over("struct", "fields", s.Fields.NumFields(), structFields)
			}
			return ""
		})
	})
}

func interfaceSizes(files []*File) []string {
	return each(files, func(f *File) []string {
		return inspect(f, func(n ast.Node) string {
			if i, is := n.(*ast.InterfaceType); is {
				return over("interface", "methods", i.Methods.NumFields(), interfaceMethods)
			}
			return ""
		})
	})
}

func over(what, unit string, size, most int) string {
	if size <= most {
		return ""
	}
	return fmt.Sprintf("%s has %d %s, at most %d", what, size, unit, most)
}
